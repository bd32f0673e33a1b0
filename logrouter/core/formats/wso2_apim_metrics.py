"""The apim_metrics.log of WSO2 API Manager 4, which its analytics write for Elasticsearch: one line per request.

    10:00:00,118 [-] [PassThroughMessageProcessor-7]  INFO ELKCounterMetric apimMetrics: apim:response, properties :{…}

The prefix has no date: the time is the JSON's `requestTimestamp`. `apim:response` is a request that a backend or the
gateway's cache has answered, `apim:faulty` one that failed in the gateway. The variant of the plain log reporter that
prints a Java map instead of JSON can't be read safely and is rejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from logrouter.core.formats.families import wso2
from logrouter.core.formats.format import Format
from logrouter.core.outcomes import outcome_of
from logrouter.core.text.json_numbers import as_whole
from logrouter.core.text.json_objects import cut_or_malformed, decode_object, repair_flags
from logrouter.model import NO_REQUEST, Ignored, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from logrouter.core.formats.families.wso2 import FaultOf
    from logrouter.core.formats.format import FormatSettings
    from logrouter.model import Envelope, Parser

TOKEN: Final = "apimMetrics:"  # noqa: S105 - no password
_MAX_HEAD: Final = 512
_NAMES: Final = ("apim:response", "apim:faulty")
_LEAST: Final = ("apiName", "apiId", "proxyResponseCode", "errorCode")
"""Every line has one of these at least."""

_SOURCES: Final = (
    *("apiId", "apiName", "apiVersion", "apiType", "apiContext", "apiCreator", "apiCreatorTenantDomain"),
    *("apiResourceTemplate", "applicationId", "applicationName", "applicationOwner", "userName", "keyType"),
    *("gatewayType", "regionId", "organizationId", "environmentId", "platform", "errorType"),
)
"""Fields for client-id and API sources. `properties` is free text of the gateway's extensions and none of them."""


def _compile(settings: FormatSettings) -> Parser:
    fault_of = wso2.compile_faults(settings.errors)
    query = settings.backend_query
    return lambda envelope: _parse(envelope.text, fault_of, query)


def _parse(text: str, fault_of: FaultOf, query: str) -> Parsed | Ignored | Rejected:
    """One line. Never raises."""
    head, mark, rest = text.partition(TOKEN)
    if not mark or len(head) > _MAX_HEAD or '"' in head or head.rfind("{") > head.rfind("}"):
        return NO_REQUEST
    name, mark, rest = rest.partition(",")
    properties, colon, written = rest.partition(":")
    if name.strip() not in _NAMES:
        return NO_REQUEST
    if not mark or not colon or properties.strip() != "properties":
        reason = Reason.TRUNCATED if "properties :".startswith(rest.strip()) else Reason.MALFORMED
        return Rejected(Stage.PARSE, reason, "no properties behind the name")
    line = decode_object(written.strip(), Stage.PARSE)
    if isinstance(line, Rejected):
        return _unreadable(written.strip(), line)
    if line.keys().isdisjoint(_LEAST):
        return Rejected(Stage.PARSE, Reason.MALFORMED, f"none of {', '.join(_LEAST)}")
    found = _request(line, repair_flags(line), fault_of, faulty=name.strip() == "apim:faulty")
    if query:
        wso2.put_backend_request(found.event, wso2.present(line.get("destination")), None, query)
    return found


def _unreadable(found: str, rejected: Rejected) -> Rejected:
    told = cut_or_malformed(rejected, found)
    java = told.reason is Reason.MALFORMED and found[1:2] not in ('"', "}")
    return replace(told, detail="a Java map, not JSON") if java else told


def _request(line: dict[str, Any], flags: tuple[str, ...], fault_of: FaultOf, *, faulty: bool) -> Parsed:
    texts = {key: text for key, value in line.items() if (text := wso2.present(value)) is not None}
    event, shortened = _described(texts)
    http = event["http"]
    status = wso2.status_of(line.get("proxyResponseCode"))
    backend = wso2.status_of(line.get("targetResponseCode")) or None  # -1 and 0: the backend was not called
    outcome = outcome_of(status, from_backend=backend is not None and backend >= 500)
    if faulty:
        outcome, status, guessed = _fault(line, texts, event, status, fault_of)
        shortened += guessed
    if status is not None:
        http["status_code"] = status
    if backend is not None and backend != status:
        event["backend_status_code"] = backend
    for key, name in (("responseLatency", "total_time_ms"), ("backendLatency", "backend_time_ms")):
        if (ms := wso2.count_of(line.get(key))) is not None:
            event[name] = ms
    fields: dict[str, Any] = {name: texts[name] for name in _SOURCES if name in texts}
    if "userIp" in texts:
        fields["http.client_ip"] = texts["userIp"]
    wso2.drop_empty(event)
    return Parsed(event, fields, texts.get("requestTimestamp"), (*flags, *dict.fromkeys(shortened)), outcome)


def _described(texts: dict[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What was asked, by whom and of what; and flags. The log has the path's template only, which names the route."""
    event: dict[str, Any] = {"http": {}, "meta": {}}
    http, meta = event["http"], event["meta"]
    flags: tuple[str, ...] = ()
    if "apiName" in texts:
        flags = wso2.put_api(event, wso2.ApiName(texts["apiName"], texts.get("apiVersion"), texts.get("apiCreator")))
    for key, name, limit in (
        ("apiCreatorTenantDomain", "tenant", wso2.MAX_NAME),
        ("applicationName", "application", wso2.MAX_NAME),
        ("keyType", "stage", wso2.MAX_API),
        ("userAgent", "user_agent_family", wso2.MAX_API),
    ):
        if key in texts:
            event[name], flag = wso2.bounded(texts[key], limit)
            flags += flag
    if "apiResourceTemplate" in texts:
        template = texts.get("apiContext", "") + texts["apiResourceTemplate"]
        event["route"], flag = wso2.bounded(template, wso2.MAX_ROUTE)
        flags += flag
    if "apiMethod" in texts:
        http["method"] = texts["apiMethod"]
    if "userIp" in texts:
        http["client_ip"] = texts["userIp"]
    if "correlationId" in texts:
        meta["request_id"] = meta["correlation_id"] = texts["correlationId"]
    return event, flags


def _fault(
    line: dict[str, Any], texts: dict[str, str], event: dict[str, Any], status: int | None, fault_of: FaultOf
) -> tuple[str, int | None, tuple[str, ...]]:
    """Put in the error. Returns the outcome, the status and flags."""
    number = as_whole(line.get("errorCode"))
    code = str(number) if type(number) is int else wso2.present(number)
    kind = texts.get("errorType")
    fault = fault_of(code, None) or _TYPES.get(kind or "")
    flags: tuple[str, ...] = ()
    if status is None and fault is not None and fault.status is not None:
        status, flags = fault.status, (wso2.STATUS_FROM_ERROR,)
    named = fault.kind if fault is not None else kind and kind.lower()
    error = wso2.error_of(code, named, texts.get("errorMessage"), kind)
    if error:
        event["error"] = error
    outcome = fault.outcome if fault is not None else outcome_of(status, from_backend=False) or "gateway_error"
    return outcome, status, flags


_TYPES: Final = {
    "AUTH": wso2.ErrorCode("auth", "auth"),
    "THROTTLED": wso2.ErrorCode("throttled", "throttled"),
    "TARGET_CONNECTIVITY": wso2.ErrorCode("backend_error", "backend"),
}
"""What the gateway's own type of a fault means, where its number tells nothing."""


def _signature(envelope: Envelope) -> bool:
    return TOKEN in envelope.text


FORMAT: Final[Format] = Format(_compile, frozenset({"errors"}), _signature, users=("userName",), backends=True)
