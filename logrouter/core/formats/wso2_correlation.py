"""The correlation.log of WSO2 gateways: columns between bars, of which a line about a request has twenty.

    0 time | 1 correlation id | 2 thread | 3 backend latency | 4 HTTP
    5 API | 6 method | 7 context | 8 resource | 9 Authorization | 10 organization | 11 source | 12 application id
    13 uuid | 14 request size | 15 response size | 16 status | 17 application | 18 consumer key | 19 whole latency

The transport's own lines about the same request have nine columns and don't count. Other call types (METHOD, jdbc,
ldap, HTTP State Transition) are no requests. A path may hold bars, so the columns are counted from both ends.
The correlation id is a header of the client's and may hold bars as well: then the columns begin where a figure and the
call type stand, if that is one place only. `Authorization` is never kept. The time is that of the end, without a zone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.formats.families import wso2
from logrouter.core.formats.format import Format, fixed_format
from logrouter.core.names import SUSPECT
from logrouter.core.redact import path_of
from logrouter.model import NO_REQUEST, Ignored, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from logrouter.model import Envelope

CALL: Final = "HTTP"
_COLUMNS: Final = 20
_LATENCY: Final = ("|BACKEND LATENCY", "|ROUND-TRIP LATENCY")
_FROM_LEFT: Final = 7
_FROM_RIGHT: Final = 10
_RIGHT: Final = (
    *("organization", "source", "applicationId", "uuid", "requestSize", "responseSize", "status"),
    *("applicationName", "consumerKey", "responseTime"),
)
_SOURCES: Final = ("applicationName", "consumerKey", "applicationId", "organization", "source")
_SCHEME = re.compile(r"\s*(?:basic|bearer|digest|negotiate|hmac|aws4-hmac-sha256|apikey)\b", re.IGNORECASE)
_CALLED = re.compile(r"\|\s*+(?:\d{1,16}|null)\s*+\|\s*+HTTP\s*+(?=\|)", re.ASCII)
_NOT_COUNTED: Final = Ignored(Reason.NOT_COUNTED)


def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
    """One line. Never raises."""
    text = envelope.text.strip()
    left = text.split("|", _FROM_LEFT)
    if len(left) < 6 or not left[0][:4].isdecimal() or '"' in left[0]:
        return NO_REQUEST
    forged = False
    if text.count("|") >= _COLUMNS:  # more than there are between columns
        left, forged = _columns(text, left)
    if left[4].strip() != CALL:
        return NO_REQUEST
    if envelope.text.rstrip().endswith(_LATENCY):  # a figure is the last of twenty columns
        return _NOT_COUNTED
    right = left[-1].rsplit("|", _FROM_RIGHT)
    if len(left) <= _FROM_LEFT or len(right) <= _FROM_RIGHT or right[0].count("|") < 2:
        return Rejected(Stage.PARSE, Reason.TRUNCATED, f"fewer than {_COLUMNS} columns")
    names = {name: wso2.present(value.strip()) for name, value in zip(_RIGHT, right[1:], strict=True)}
    counts = {name: wso2.count_of(names[name]) for name in ("requestSize", "responseSize", "responseTime")}
    status = wso2.status_of(names["status"])
    wrong = [name for name, count in counts.items() if count is None and names[name] is not None]
    if wrong or (status is None and names["status"] is not None):
        return Rejected(Stage.PARSE, Reason.MALFORMED, "no number", f"/{wrong[0] if wrong else 'status'}")
    known = [part.strip() for part in left[:_FROM_LEFT]]
    if forged:
        known, right[0] = ["null"] * _FROM_LEFT, "null|null|null"
    event, flags = _event(known, right[0], names["applicationName"])
    if status is not None:
        event.setdefault("http", {})["status_code"] = status
    times = (("backend_time_ms", wso2.count_of(known[3])), ("total_time_ms", counts["responseTime"]))
    sizes = (("bytes_received", counts["requestSize"]), ("bytes_sent", counts["responseSize"]))
    event.update((name, value) for name, value in (*times, *sizes) if value is not None)
    fields = {name: value for name in _SOURCES if (value := names[name]) is not None}
    return Parsed(event, fields, left[0].strip(), (*flags, SUSPECT) if forged and SUSPECT not in flags else flags)


def _columns(text: str, left: list[str]) -> tuple[list[str], bool]:
    """The columns of a line with more bars than it needs, and whether those of the left can't be told.

    The id before them and the path behind them may hold what looks like columns. Where only one place can be the call
    type, it is.
    """
    called = _CALLED.search(text)
    if called is None:
        return left, False
    if _CALLED.search(text, called.end()) is not None:
        return [*left[:4], CALL, *left[5:]], True
    time, _, head = text[: called.start()].partition("|")
    ident, bar, thread = head.rpartition("|")
    behind = text[called.end() + 1 :].split("|", _FROM_LEFT - 5)
    if not bar or len(behind) <= _FROM_LEFT - 5:
        return left, False
    return [time, ident, thread, called[0].strip("|").partition("|")[0], CALL, *behind], False


def _event(left: list[str], middle: str, application: str | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    event: dict[str, Any] = {"meta": {}, "http": {}}
    http, meta = event["http"], event["meta"]
    flags: tuple[str, ...] = ()
    correlation, api, method = wso2.present(left[1]), wso2.present(left[5]), wso2.present(left[6])
    if api is not None:
        flags = wso2.put_api(event, wso2.split_api(api))
    if application is not None:
        event["application"], flag = wso2.bounded(application)
        flags += flag
    if correlation is not None:
        meta["request_id"] = meta["correlation_id"] = correlation
    if method is not None:
        http["method"] = method
    path = _path(middle)
    if path is not None:
        meta["uri"] = wso2.relative(path)
        http["path"] = path_of(meta["uri"])
    wso2.drop_empty(event)
    return event, tuple(dict.fromkeys(flags))


def _path(middle: str) -> str | None:
    """The whole path in `context|resource|Authorization`, of which the last is dropped.

    Some versions write the whole path as the context and again as the resource. Bars belong to the path, unless they
    may belong to the header.
    """
    *pieces, last = middle.split("|")
    for index, piece in enumerate(pieces[2:], 2):
        if _SCHEME.match(piece):
            del pieces[index:]
            break
    else:
        if len(pieces) > 2 and wso2.present(last.strip()) is not None and not _SCHEME.match(last):
            del pieces[2:]
    half = len(pieces) // 2
    context, resource = "|".join(pieces[:half]), "|".join(pieces[half:])
    if len(pieces) % 2 or context.strip("/") != resource.strip("/"):
        context, resource = pieces[0], "|".join(pieces[1:])
    known, asked = wso2.present(context.strip()), wso2.present(resource.strip())
    if known is None or asked is None or asked.strip("/").startswith(known.strip("/")):
        return asked or known
    return f"{known.rstrip('/')}/{asked.lstrip('/')}"


def _signature(envelope: Envelope) -> bool:
    """Whether a line in columns begins with a year, as its time does."""
    year, _, rest = envelope.text.lstrip().partition("|")
    return year[:4].isdecimal() and rest.count("|") >= 4


FORMAT: Final[Format] = fixed_format(parse, _signature)
