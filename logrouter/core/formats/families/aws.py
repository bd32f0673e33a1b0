"""What access logs of Amazon API Gateway say, in whichever notation: named texts to an event and to fields.

Every value is text as the gateway put it in, or "-" where it had none. Which name says what is in `aws_names`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logrouter.core.envelopes.fields import getter
from logrouter.core.formats.families.aws_errors import WAF, fault_of, harmless_message
from logrouter.core.formats.families.aws_names import plain, targets_of
from logrouter.core.formats.families.backends import backend_of
from logrouter.core.formats.families.json_values import nested_secrets
from logrouter.core.formats.format import FormatSettingsError
from logrouter.core.outcomes import is_http_method, is_http_status, outcome_of
from logrouter.core.redact import path_of
from logrouter.core.text.durations import UNIT_UNKNOWN
from logrouter.core.text.globs import compile_glob
from logrouter.core.text.json_numbers import MAX_WHOLE, as_whole, written_whole
from logrouter.model import NO_REQUEST, Ignored, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.core.formats.families.aws_names import Targets
    from logrouter.core.formats.format import ErrorRule, FormatSettings
    from logrouter.model import Envelope

    Index = dict[str, str]
    Reader = Callable[[dict[str, Any], Envelope, tuple[str, ...]], Parsed | Ignored | Rejected]

TAKES: Final = frozenset({"aliases", "errors", "log_groups"})
"""Settings that every notation of these logs takes."""


_EXECUTION_GROUP: Final = "API-Gateway-Execution-Logs_"
_ABSENT: Final = frozenset({"", "-", "UUID_REPLACED_INVALID_REQUEST_ID"})
"""Values that are none; the last is put in place of a request id that a client chose badly."""
# Who logs these has an API Gateway; status, path, method and latency are anybody's words.
_OWN: Final = frozenset(
    {"extendedrequestid", "apiid", "httpmethod", "resourcepath", "routekey", "requesttimeepoch", "requesttime"}
    | {"responselength", "responselatency", "integrationlatency", "integrationstatus", "identitysourceip", "domainname"}
    | {"eventtype", "connectionid", "errorresponsetype", "errormessage", "identityuseragent"}
)
_BARE_TIME: Final = "latency"
_NO_STATUS: Final = Rejected(Stage.PARSE, Reason.MALFORMED, "HTTP has no status below 100", "/status")
_BACKEND_STATUS: Final = ("integrationstatus", "integrationintegrationstatus")
_DIGITS = re.compile(r"[0-9]{1,16}")
_ROUTE_KEY = re.compile(r"([A-Z]{1,16}) (/.*)", re.DOTALL)
_MAX_DEPTH: Final = 8
_DROPPED: Final = "(dropped)"
_MAX_CACHED: Final = 4096
_MAX_GROUP: Final = 512
_MAX_PLANS: Final = 256
_MAX_NAMES: Final = 100

_log_group = getter("log_group")
_origin: Final = tuple((name, getter(name)) for name in ("log_group", "log_stream", "account"))


def is_execution_log(envelope: Envelope) -> bool:
    """Whether the line is of the execution log of the gateway, by its log group or its form: `(request id) text`."""
    if envelope.text[:1] == "(":
        return True
    group = _log_group(envelope)
    return group is not None and group.startswith(_EXECUTION_GROUP)


def is_status(text: str) -> bool:
    """Whether a value is a status, for lines without names."""
    return text == "-" or (len(text) == 3 and text.isascii() and text.isdigit())


def compile_reader(settings: FormatSettings) -> Reader:
    """A function that makes an event of a line's named values (nested as they are), its envelope and flags.

    It never raises.

    Raises:
        FormatSettingsError: an alias is of no field or of a secret, or a glob is not valid.
    """
    plan_of = _compile_plan(targets_of(settings), chosen=bool(settings.aliases or settings.columns))
    groups = _groups(settings)
    errors = settings.errors

    def read(line: dict[str, Any], envelope: Envelope, flags: tuple[str, ...]) -> Parsed | Ignored | Rejected:
        index: Index = {}
        unset: set[str] = set()
        public = _index(line, index, unset, "", 0)
        plan = plan_of(tuple(index))
        if not plan.is_request(unset) or index.get("eventtype") == "DISCONNECT":
            return NO_REQUEST
        event: dict[str, Any] = {}
        for path, name in plan.texts:
            _put(event, path, index[name])
        for path, name in plan.numbers:
            number = _whole(index[name])
            if number is not None:
                _put(event, path, number)
        if plan.backend:
            _settle_backend(event)
        http = event.get("http", {})
        if "status_code" in http and not is_http_status(http["status_code"]) and (odd := _odd_status(http, plan)):
            return odd
        if not plan.own and "method" in http and not is_http_method(http["method"]):
            return NO_REQUEST  # a job's
        if not plan.own and index.get(_BARE_TIME) is not None and "total_time_ms" in event:
            del event["total_time_ms"]
            flags = (*flags, UNIT_UNKNOWN)
        found = {field: index[name] for field, name in plan.fields}
        from_group = groups(_log_group(envelope))
        public |= found | {name: value for name, get in _origin if (value := get(envelope)) is not None}
        _settle(event, found, index, from_group)
        if from_group:
            public["group"] = from_group
        if address := event.get("http", {}).get("client_ip"):
            public["http.client_ip"] = address
        outcome = _fault(event, index, unset, errors)
        parsed = Parsed(event, public, index[plan.time] if plan.time is not None else None, flags, outcome)
        if _DROPPED in unset:
            parsed.secrets = nested_secrets(line)
        return parsed

    return read


class _Plan(NamedTuple):
    """Which names of a line are read into what. It depends only on which names have a value.

    *own* says that some of them are of this gateway and of no other program, or chosen by the operator; *backend* that
    one of them names the backend.
    """

    texts: tuple[tuple[tuple[str, ...], str], ...]
    numbers: tuple[tuple[tuple[str, ...], str], ...]
    fields: tuple[tuple[str, str], ...]
    time: str | None
    own: bool
    is_request: Callable[[set[str]], bool]
    backend: bool


def _compile_plan(targets: Targets, *, chosen: bool) -> Callable[[tuple[str, ...]], _Plan]:
    """The plan for the names that have a value in a line. The lines of a stream are of few kinds, so plans are kept.

    *chosen* says that the operator has told the names of the log.
    """
    plans: dict[tuple[str, ...], _Plan] = {}
    status = frozenset(targets.numbers["http.status_code"][1])
    asked = frozenset(
        {*targets.texts["http.method"][1], *targets.texts["meta.uri"][1], *targets.texts["route"][1], "eventtype"}
    )

    def plan_of(names: tuple[str, ...]) -> _Plan:
        known = plans.get(names)
        if known is not None:
            return known
        there = frozenset(names)

        def first(candidates: tuple[str, ...]) -> str | None:
            return next((name for name in candidates if name in there), None)

        def in_event(part: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]) -> Any:
            return tuple((path, name) for path, candidates in part.values() if (name := first(candidates)) is not None)

        def is_request(unset: set[str]) -> bool:
            # A status, be it "-", and anything that was asked for.
            return not (status.isdisjoint(there | unset) or asked.isdisjoint(there | unset))

        texts = in_event(targets.texts)
        plan = _Plan(
            texts,
            in_event(targets.numbers),
            tuple((field, name) for field, names in targets.fields.items() if (name := first(names)) is not None),
            first(targets.times),
            chosen or not _OWN.isdisjoint(there),
            is_request,
            any(path[0] == "backend" for path, _ in texts),
        )
        if len(plans) >= _MAX_PLANS:
            plans.clear()
        if len(names) <= _MAX_NAMES:
            plans[names] = plan
        return plan

    return plan_of


def _groups(settings: FormatSettings) -> Callable[[str | None], dict[str, str]]:
    """What the globs name in a log group, by the first that fits."""
    try:
        globs = [compile_glob(glob) for glob in settings.log_groups]
    except ValueError as error:
        raise FormatSettingsError("log_groups", str(error)) from None
    cache: dict[str, dict[str, str]] = {}

    def groups(name: str | None) -> dict[str, str]:
        if name is None or not globs or len(name) > _MAX_GROUP:
            return {}
        if name not in cache:
            if len(cache) >= _MAX_CACHED:
                cache.clear()
            matches = (glob.fullmatch(name) for glob in globs)
            cache[name] = next((each.groupdict() for each in matches if each is not None), {})
        return cache[name].copy()

    return groups


def _index(part: dict[str, Any], index: Index, unset: set[str], prefix: str, depth: int) -> dict[str, Any]:
    """Put every text and whole number into *index* under its compared name, the first value of a name, as text.

    Names without a value go to *unset*, and `_DROPPED` if any name is not read. Returns *part* without what is absent
    or may not be read.
    """
    kept: dict[str, Any] = {}
    for name, given in part.items():
        own = plain(name)
        if own is None:
            unset.add(_DROPPED)
            continue
        key = prefix + own
        kind = type(given)
        if kind is str:
            value = given.strip()
            if value in _ABSENT:
                unset.add(key)
                continue
            index.setdefault(key, value)
            kept[name] = value
        elif kind is dict:
            if depth < _MAX_DEPTH and (below := _index(given, index, unset, key, depth + 1)):
                kept[name] = below
        elif given is None:
            unset.add(key)
        elif kind is not list or not any(type(item) in (dict, list) for item in given):
            if kind is int or (kind is float and (given := as_whole(given)) is not None and type(given) is int):
                index.setdefault(key, str(given))
            kept[name] = given
    return kept


def _put(event: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        event = event.setdefault(name, {})
    event[path[-1]] = value


def _settle_backend(event: dict[str, Any]) -> None:
    """The backend's names as they may be published."""
    written = event.pop("backend")
    if (backend := backend_of(written.get("instance"), written.get("cluster"))) is not None:
        event["backend"] = backend


def _whole(text: str) -> int | str | None:
    """The number, None if it is below 0 and so not known, or the text that is none, for the schema to refuse."""
    if _DIGITS.fullmatch(text) and (number := int(text)) <= MAX_WHOLE:
        return number
    found = written_whole(text)
    if found is None:
        return text
    return found if found >= 0 else None


def _odd_status(http: dict[str, Any], plan: _Plan) -> Ignored | Rejected | None:
    """What becomes of a line whose status is none of HTTP: it may be the exit status of a job, or its state."""
    if not plan.own:
        return NO_REQUEST
    return _NO_STATUS if type(http["status_code"]) is int else None  # the schema says what is wrong with a text


def _settle(event: dict[str, Any], fields: dict[str, str], index: Index, from_group: dict[str, str]) -> None:
    """What follows from several values: path, method, ids, stage."""
    http, meta = event.setdefault("http", {}), event.setdefault("meta", {})
    route_key = _ROUTE_KEY.fullmatch(fields.get("routeKey", ""))
    path = meta.get("uri") or fields.get("resourcePath") or (route_key[2] if route_key else None)
    if route_key and route_key[1] != "ANY":
        http.setdefault("method", route_key[1])
    if "?" in event.get("route", ""):
        # No resource has a query; who logs the path under its name may have one, with whatever is in it.
        event["route"] = event["route"].partition("?")[0].strip()
        if event["route"] in _ABSENT:
            del event["route"]
    if path is not None:
        http["path"] = path_of(path)
    request_id = index.get("requestid")
    if request_id is not None and request_id != meta.get("request_id"):
        meta.setdefault("correlation_id", request_id)
    if "stage" in from_group:
        event.setdefault("stage", from_group["stage"])
    if not meta:
        del event["meta"]
    if not http:
        del event["http"]


def _fault(event: dict[str, Any], index: Index, unset: set[str], errors: Mapping[str, ErrorRule]) -> str | None:
    """How the request ended, where the status alone does not tell; notes class and code of an error in the event."""
    error = event.get("error", {})
    if message := harmless_message(error.pop("message", "")):
        error["message"] = message
    elif not error:
        event.pop("error", None)
    http = event.get("http", {})
    code = error.get("code")
    blocked = index.get("wafresponsecode") == "WAF_BLOCK" or index.get("wafstatus", "")[:1] == "4"
    fault = WAF if blocked else fault_of(code)
    if fault is not None:
        event["error"] = error
        error["class"] = fault.kind
        error.setdefault("code", fault.code)
    rule = errors.get(error.get("code", ""))
    status, backend = http.get("status_code"), event.get("backend_status_code")
    if type(backend) is int and (backend == status or not is_http_status(backend)):
        del event["backend_status_code"]  # it says nothing that the status does not
    if rule is not None:
        if status is None and rule.status is not None:
            event.setdefault("http", {})["status_code"] = rule.status
        return rule.outcome
    if fault is not None:
        return fault.outcome
    if type(status) is int and status >= 500 and backend is None and not unset.isdisjoint(_BACKEND_STATUS):
        return outcome_of(status, from_backend=False)
    return None


def unreadable(detail: str, reason: Reason = Reason.MALFORMED) -> Rejected:
    """The rejection of a line that looks like a request and cannot be read."""
    return Rejected(Stage.PARSE, reason, detail)
