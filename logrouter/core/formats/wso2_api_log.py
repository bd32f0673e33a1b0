"""The api.log of WSO2 API Manager 4.1 and later: up to four lines per request, of which one counts.

    [2026-05-01 10:00:00,118]  INFO {API_LOG} Weather - {"sourceIP":…,"verb":"GET","correlationId":…,"apiTo":…,
                                                         "flow":"RESPONSE_OUT","statusCode":200}

REQUEST_IN opens a request and RESPONSE_OUT closes it, both with its `correlationId`; REQUEST_OUT and RESPONSE_IN are
the gateway's own talk with the backend. `headers` and `payload`, which the levels STANDARD and FULL add, are not read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.formats.families import wso2
from logrouter.core.formats.format import Format
from logrouter.core.redact import path_of
from logrouter.core.text.json_objects import cut_or_malformed, decode_object, repair_flags
from logrouter.model import NO_REQUEST, Ignored, PairKey, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from logrouter.core.formats.format import FormatSettings
    from logrouter.model import Envelope, Parser

TOKEN: Final = "{API_LOG}"  # noqa: S105 - no password
_MAX_HEAD: Final = 512
_MAX_NAME: Final = 2048
_OPENS: Final = "REQUEST_IN"
_CLOSES: Final = "RESPONSE_OUT"
_BETWEEN: Final = ("REQUEST_OUT", "RESPONSE_IN")
_TIME = re.compile(r"\[(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?)\]", re.ASCII)
_NOT_COUNTED: Final = Ignored(Reason.NOT_COUNTED)


def _compile(settings: FormatSettings) -> Parser:
    query = settings.backend_query
    return lambda envelope: _parse(envelope, query)


def _parse(envelope: Envelope, query: str) -> Parsed | Ignored | Rejected:
    """One line. Never raises."""
    head, mark, rest = envelope.text.partition(TOKEN)
    if not mark or len(head) > _MAX_HEAD or '"' in head or "{" in head:
        return NO_REQUEST
    begin = rest.find("{", 0, _MAX_NAME)
    if begin < 0:
        return Rejected(Stage.PARSE, Reason.TRUNCATED, "no object")
    line = decode_object(rest[begin:].strip(), Stage.PARSE)
    if isinstance(line, Rejected):
        return cut_or_malformed(line, rest)
    texts = {key: text for key, value in line.items() if (text := wso2.present(value)) is not None}
    flow = texts.get("flow")
    if flow in _BETWEEN or (flow == _OPENS and "correlationId" not in texts):
        return _NOT_COUNTED
    if flow not in (_OPENS, _CLOSES):
        return Rejected(Stage.PARSE, Reason.MALFORMED, "unknown flow", "/flow")
    stamp = _TIME.search(head)
    found = _request(
        rest[:begin], texts, line.get("statusCode"), stamp and stamp[1], repair_flags(line), opens=flow == _OPENS
    )
    if query and flow == _CLOSES and isinstance(found, Parsed) and "://" in (called := texts.get("apiTo", "")):
        wso2.put_backend_request(found.event, called, None, query)
    return found


def _request(
    named: str, texts: dict[str, str], code: Any, time: str | None, flags: tuple[str, ...], *, opens: bool
) -> Parsed | Rejected:
    """The request that the line opens or closes; *named* is what stands before its object."""
    event: dict[str, Any] = {"http": {}, "meta": {}}
    http, meta = event["http"], event["meta"]
    name, tenant = _names(named)
    fields: dict[str, Any] = {key: texts[key] for key in ("correlationId", "verb") if key in texts}
    if name is not None:
        fields["apiName"] = name
        flags += wso2.put_api(event, wso2.split_api(name))
    if tenant is not None:
        fields["tenant"] = tenant
        event["tenant"], flag = wso2.bounded(tenant)
        flags += flag
    if "verb" in texts:
        http["method"] = texts["verb"]
    if "apiTo" in texts and "://" not in texts["apiTo"]:  # an absolute URL is the backend's
        meta["uri"] = wso2.relative(texts["apiTo"])
        http["path"] = path_of(meta["uri"])
    if "sourceIP" in texts:
        http["client_ip"] = fields["http.client_ip"] = texts["sourceIP"]
    if not opens and code not in (None, "", "-", "null"):
        status = wso2.status_of(code)
        if status is None:
            return Rejected(Stage.PARSE, Reason.MALFORMED, "no status", "/statusCode")
        http["status_code"] = status
    pair_key = None
    if "correlationId" in texts:
        meta["request_id"] = meta["correlation_id"] = texts["correlationId"]
        pair_key = PairKey(texts["correlationId"], opens=opens)
    wso2.drop_empty(event)
    return Parsed(event, fields, time, tuple(dict.fromkeys(flags)), None, pair_key)


def _names(named: str) -> tuple[str | None, str | None]:
    """The API and the tenant in `name - ` or `name - | context | tenant | `, those that are there."""
    parts = [part.strip() for part in named.split("|")]
    name = wso2.present(parts[0].removesuffix("-").strip())
    tenant = wso2.present(parts[2]) if len(parts) > 3 else None
    return name, tenant


def _signature(envelope: Envelope) -> bool:
    return TOKEN in envelope.text


FORMAT: Final[Format] = Format(_compile, signature=_signature, two_lines=True, backends=True)
