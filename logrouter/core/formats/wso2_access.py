r"""The API Access Log of a WSO2 gateway with the mediation that UC San Diego runs in it.

    2026-05-01T10:00:00.118-0700 [][hMessageProcessor-56]{D_APIAccessLog.AccessLogWriter}[] INFO  Event="ERROR", …

    line  := time SP "[" product "]" "[" thread "]" "{" logger "}" "[" mdc "]" SP level SP+ pairs
    pairs := key "=" DQUOTE value DQUOTE *( ", " key "=" DQUOTE value DQUOTE )

INCOMING_REQUEST opens a request, REQUEST_COMPLETE or ERROR closes it and is what counts. Thread and logger are cut from
the left, so the logger is known by its end. Keys come in any order; unset is the text "null".

Nothing is escaped: a value ends where `", Key="` follows, or the line ends. So whoever writes a user agent can write
pairs. `_trusted` says which are believed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.formats.families import wso2
from logrouter.core.formats.format import Format
from logrouter.core.names import SUSPECT
from logrouter.core.outcomes import outcome_of
from logrouter.core.redact import path_of
from logrouter.model import NO_REQUEST, Ignored, PairKey, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.formats.families.wso2 import FaultOf
    from logrouter.core.formats.format import FormatSettings
    from logrouter.model import Envelope, Parser

LOGGER: Final = "APIAccessLog.AccessLogWriter"
_LEAST_OF_LOGGER: Final = len("AccessLogWriter")
MAX_PAIRS: Final = 64
NO_PREFIX: Final = "no_prefix"
"""The flag of a line that a forwarder has stripped of time, thread and logger."""

INCOMING: Final = "INCOMING_REQUEST"
COMPLETE: Final = "REQUEST_COMPLETE"
ERROR: Final = "ERROR"

_ALWAYS: Final = frozenset({"Event", "MessageID", "RequestInMethod"})
"""Keys that every line has: one that stands there once is the gateway's own."""
_BEHIND_A_NAME: Final = 1
_BEHIND_A_REQUEST: Final = 2
_FROM_OUTSIDE: Final[Mapping[str, int]] = {
    **dict.fromkeys(("APPLICATION_NAME", "END_USER_NAME", "ERROR_MESSAGE"), _BEHIND_A_NAME),
    **dict.fromkeys(("UserAgent", "RequestInURL", "RequestOutURL", "RemoteIP"), _BEHIND_A_REQUEST),
}
"""Keys whose value others than the gateway have written, so that pairs right behind it may be part of it: whoever has
registered a name with the gateway, or anybody with every request."""
_HARMLESS: Final = frozenset({"UserAgent", "RequestInURL", "RequestOutURL", "RequestInMethod"})
"""Keys whose value is the client's word anyway."""
_OF_EVENT: Final[Mapping[str, frozenset[str]]] = {
    INCOMING: _ALWAYS | {"API", "UserAgent", "RequestInURL"},
    COMPLETE: _ALWAYS.union(
        ("API", "ResponseTo", "APPLICATION_NAME", "END_USER_NAME", "StatusCode", "RequestInURL"),
        ("RequestOutURL", "RequestOutMethod"),
    ),
    ERROR: _ALWAYS.union(
        ("API", "StatusCode", "RequestInURL", "UserAgent", "RemoteIP", "ErrorSource", "ERROR_CODE", "ERROR_MESSAGE")
    ),
}
"""The keys that each event has. Others are believed only where nobody can have forged them."""
_KNOWN: Final = frozenset[str]().union(*_OF_EVENT.values())
_NOT_ALWAYS: Final[Mapping[str, str]] = {ERROR: "API", INCOMING: "API"}
"""What an event has only at times, or has alone: who has called no API of the gateway can't be believed to name one."""
_OPEN: Final = _HARMLESS | _ALWAYS | {"RemoteIP", "RequestOutMethod"}
"""Keys that may stand behind what a client has written, in every gateway's lines; the others tell who called and how it
ended."""
_MAX_CACHED: Final = 256
_NO_SOURCE: Final = ("RequestInURL", "RequestOutURL", "UserAgent")
"""Not for client-id and API sources: they may hold tokens, or names of internal hosts."""

_SEPARATOR: Final = '", '
_EQUALS: Final = '="'
_MAX_KEY: Final = 64
_TIME = re.compile(
    r"(?:^|(?<=\s))\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?(?=\s|\Z|\[)", re.ASCII
)
_MAX_HEAD: Final = 1024
_UUID: Final = re.compile(r"(?:urn:uuid:)?[0-9A-Fa-f-]{1,64}", re.ASCII)

_NOT_COUNTED: Final = Ignored(Reason.NOT_COUNTED)

# Lines of a gateway have few layouts. Hostile input can only make this start over.
_plain_layouts: dict[tuple[str, ...], bool] = {}

_Pairs = list[tuple[str, str]]
_Not = Ignored | Rejected


def _compile(settings: FormatSettings) -> Parser:
    fault_of = wso2.compile_faults(settings.errors)
    query = settings.backend_query
    return lambda envelope: _parse(envelope.text, fault_of, query)


def _parse(text: str, fault_of: FaultOf, query: str) -> Parsed | _Not:
    """One line. Never raises."""
    line = text.strip()
    start = _first_pair(line)
    if start is None:
        return _rest_of_a_line(line)
    head = line[:start]
    if '"' in head:
        return _malformed("begins in the middle of a value") if _is_ours(line) else NO_REQUEST
    named = _logger(head)
    if named is False:
        return NO_REQUEST
    pairs = _pairs(line, start)
    if isinstance(pairs, Rejected):
        return pairs if named or pairs.reason is Reason.MALFORMED or _is_ours(line) else NO_REQUEST
    values: dict[str, str] = dict(pairs)
    if "Event" not in values:
        return _malformed("no Event") if named or values.keys() & _KNOWN else NO_REQUEST
    suspect = False
    if len(values) < len(pairs) or not _is_plain((values["Event"], *values)):
        values, suspect = _trusted(pairs)
    values = {key: text for key, text in values.items() if text not in wso2.ABSENT}
    flags = ((SUSPECT,) if suspect else ()) + (() if named else (NO_PREFIX,))
    found = _event(values, _time(head), flags, fault_of)
    if query and isinstance(found, Parsed) and values["Event"] == COMPLETE:
        wso2.put_backend_request(found.event, *_asked_backend(pairs), query)
    return found


def _first_pair(line: str) -> int | None:
    """Where the first key begins."""
    end = line.find(_EQUALS)
    words = line[max(end - _MAX_KEY - 1, 0) : max(end, 0)].split()
    key = words[-1].rpartition("]")[2] if words else ""
    return end - len(key) if _is_key(key) and line[end - 1] == key[-1] else None


def _is_key(text: str) -> bool:
    return text.isidentifier() and text.isascii() and len(text) <= _MAX_KEY


def _time(head: str) -> str | None:
    """The gateway's time, which is the last before the product: a syslog header may stand before it."""
    before, bracket, _ = head.partition(" [")
    text = before.rpartition(" ")[2]
    if bracket and text[4:5] == "-" and text[10:11] == "T":
        return text
    times = _TIME.findall(head[:_MAX_HEAD])
    return times[-1] if times else None


def _logger(head: str) -> bool | None:
    """Whether the line is of the logger that writes requests; None if no logger is named."""
    logger, brace, _ = head.rpartition("{")[2].partition("}")
    if not brace:
        return None
    return logger.endswith(LOGGER) or (len(logger) >= _LEAST_OF_LOGGER and LOGGER.endswith(logger))


def _rest_of_a_line(line: str) -> _Not:
    """Something without a pair: the end of a value that holds a line end has a quote that nothing opens."""
    if _logger(line[:_MAX_HEAD]):
        return Rejected(Stage.PARSE, Reason.TRUNCATED, "no Event")
    if line[-1:] == '"' and line.count('"') % 2 and line[:1] != "{":
        return _malformed("the end of a value that began in another line")
    return NO_REQUEST


def _is_ours(line: str) -> bool:
    return any(f'{key}="' in line for key in _KNOWN)


def _malformed(detail: str, pointer: str = "") -> Rejected:
    return Rejected(Stage.PARSE, Reason.MALFORMED, detail, pointer)


def _pairs(line: str, start: int) -> _Pairs | Rejected:
    """Keys and values in the order of the line, by the grammar."""
    pairs: _Pairs = []
    key, begin, at = "", start, start
    for piece in line[start:].split(_SEPARATOR):
        name, equals, _ = piece.partition(_EQUALS)
        if equals and _is_key(name):
            if key:
                pairs.append((key, line[begin : at - len(_SEPARATOR)]))
            key, begin = name, at + len(name) + len(_EQUALS)
            if len(pairs) >= MAX_PAIRS:
                return _malformed(f"more than {MAX_PAIRS} pairs")
        at += len(piece) + len(_SEPARATOR)
    if len(line) <= begin or line[-1] != '"':
        return Rejected(Stage.PARSE, Reason.TRUNCATED, "the last value is not closed")
    pairs.append((key, line[begin:-1]))
    return pairs


def _is_plain(layout: tuple[str, ...]) -> bool:
    """Whether keys are those of their event, the first of *layout*, and none stands where a client may write it."""
    found = _plain_layouts.get(layout)
    if found is None:
        event, *keys = layout
        open_from = next((at for at, key in enumerate(keys) if _FROM_OUTSIDE.get(key) == _BEHIND_A_REQUEST), len(keys))
        found = _KNOWN.intersection(keys) <= _expected(event) and _OPEN.issuperset(keys[open_from:])
        if len(_plain_layouts) >= _MAX_CACHED:
            _plain_layouts.clear()
        _plain_layouts[layout] = found
    return found


def _trusted(pairs: _Pairs) -> tuple[dict[str, str], bool]:
    """The value of each key in a line that may have forged pairs, and whether it seems to.

    The first of several values counts, if nobody can have forged it: if it stands before everything that others have
    written, or is parted from that by a pair of the gateway's own. Behind a registered name it counts as well, if the
    others stand behind what every request may hold. If it can be forged like the others, the key has no value. Keys
    that the event does not have, or has not always, are believed only where nobody can have forged them; so are all
    keys of a line that has some of them before everything that a request may hold, as its gateway puts them there.
    """
    times = _counted(pairs)
    first: dict[str, str] = {}
    doubtful: dict[str, int] = {}
    forged: set[str] = set()
    behind: set[str] = set()
    before = opened = suspect = False
    reach = 0
    for key, value in pairs:
        if key in first:
            suspect = True
            doubt = doubtful.get(key, 0)
            if doubt and doubt >= reach and key not in _HARMLESS and value != first[key]:
                forged.add(key)
            elif reach < _BEHIND_A_REQUEST:
                behind.discard(key)
        else:
            if key in _ALWAYS and times[key] == 1:
                reach = 0
            first[key] = value
            if reach:
                doubtful[key] = reach
            if key not in _OPEN:
                if reach == _BEHIND_A_REQUEST:
                    behind.add(key)
                elif not opened:
                    before = True
        reach = max(reach, _FROM_OUTSIDE.get(key, 0))
        opened = opened or reach == _BEHIND_A_REQUEST
    if not before:
        behind &= {_NOT_ALWAYS.get(first["Event"])}
    strange = (doubtful.keys() & _KNOWN) - _expected(first["Event"]) | (behind & _KNOWN)
    believed = {
        key: text for key, text in first.items() if key not in forged and key not in strange and key not in behind
    }
    return believed, suspect or bool(strange)


def _asked_backend(pairs: _Pairs) -> tuple[str | None, str | None]:
    """URL and method of the request to the backend, of a line that no client can have written them into.

    Of what clients write, its URL is the first, as the gateway has it; whatever stands there twice is not believed.
    """
    times = _counted(pairs)
    first = next((key for key, _ in pairs if _FROM_OUTSIDE.get(key) == _BEHIND_A_REQUEST), None)
    if first != "RequestOutURL" or times[first] > 1:
        return None, None
    values = dict(pairs)
    method = wso2.present(values.get("RequestOutMethod")) if times.get("RequestOutMethod") == 1 else None
    return wso2.present(values[first]), method


def _expected(event: str) -> frozenset[str]:
    """The keys that an event has."""
    return _OF_EVENT.get(event, _KNOWN)


def _counted(pairs: _Pairs) -> dict[str, int]:
    times: dict[str, int] = {}
    for key, _ in pairs:
        times[key] = times.get(key, 0) + 1
    return times


def _event(values: dict[str, str], time: str | None, flags: tuple[str, ...], fault_of: FaultOf) -> Parsed | _Not:
    """The request that the line opens or closes."""
    kind = values.get("Event")
    if kind is None or kind not in _OF_EVENT:
        return _malformed("no Event that can be believed" if kind is None else "unknown Event", "/Event")
    key = values.get("ResponseTo") or (values.get("MessageID") if kind != COMPLETE else None)
    if kind == INCOMING and key is None:
        return _NOT_COUNTED
    event, shortened = _request(values, key)
    outcome: str | None = None
    guessed: tuple[str, ...] = ()
    if kind != INCOMING:
        ended = _ending(kind, values, event, fault_of)
        if isinstance(ended, Rejected):
            return ended
        outcome, guessed = ended
    fields: dict[str, Any] = {name: value for name, value in values.items() if name not in _NO_SOURCE}
    if "RemoteIP" in values:
        fields["http.client_ip"] = values["RemoteIP"]
    pair_key = PairKey(key, opens=kind == INCOMING) if key is not None else None
    return Parsed(event, fields, time, tuple(dict.fromkeys((*flags, *shortened, *guessed))), outcome, pair_key)


def _request(values: dict[str, str], key: str | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What was asked, by whom and of what; and flags."""
    event: dict[str, Any] = {"http": {}, "meta": {}}
    http, meta = event["http"], event["meta"]
    flags: tuple[str, ...] = ()
    if "API" in values:
        flags = wso2.put_api(event, wso2.split_api(values["API"]))
    if "APPLICATION_NAME" in values:
        event["application"], flag = wso2.bounded(values["APPLICATION_NAME"])
        flags += flag
    if "RequestInMethod" in values:
        http["method"] = values["RequestInMethod"]
    if "RequestInURL" in values:
        meta["uri"] = wso2.relative(values["RequestInURL"])
        http["path"] = path_of(meta["uri"])
    if "RemoteIP" in values:
        http["client_ip"] = values["RemoteIP"]
    if "UserAgent" in values:
        http["request_headers"] = {"user-agent": values["UserAgent"]}
    if key is not None:
        meta["request_id"] = key
    own = values.get("MessageID")
    if own != key and own is not None and _UUID.fullmatch(own):  # what is no id by its form may hold anything
        meta["response_id"] = own
    wso2.drop_empty(event)
    return event, flags


def _ending(
    kind: str, values: dict[str, str], event: dict[str, Any], fault_of: FaultOf
) -> tuple[str | None, tuple[str, ...]] | Rejected:
    """Put in how the request ended. Returns the outcome, where it is not the status alone that tells, and flags."""
    status = wso2.status_of(values["StatusCode"]) if "StatusCode" in values else None
    if status is None and "StatusCode" in values:
        return _malformed("no status", "/StatusCode")
    outcome: str | None = None
    flags: tuple[str, ...] = ()
    if kind == ERROR:
        code = values.get("ERROR_CODE")
        source = values.get("ErrorSource")
        fault = fault_of(code, source)
        if status is None and fault is not None and fault.status is not None:
            status, flags = fault.status, (wso2.STATUS_FROM_ERROR,)
        outcome = fault.outcome if fault is not None else outcome_of(status, from_backend=False) or "gateway_error"
        error = wso2.error_of(code, fault and fault.kind, values.get("ERROR_MESSAGE"), source)
        if error:
            event["error"] = error
    if status is not None:
        event.setdefault("http", {})["status_code"] = status
    return outcome, flags


def _signature(envelope: Envelope) -> bool:
    return 'Event="' in envelope.text


FORMAT: Final[Format] = Format(
    _compile, frozenset({"errors"}), _signature, two_lines=True, users=("END_USER_NAME",), backends=True
)
