r"""Web logs of `key=value` pairs: of Heroku's router, of platforms built like it, of F5 and of others.

    at=error code=H12 desc="Request timeout" method=GET path="/cart?x=1" host=shop.example.org request_id=0a1b
        fwd="192.0.2.7" dyno=web.1 connect=1ms service=30000ms status=503 bytes=0 protocol=https
    hostname=shop-prod.apps.example.org source=192.0.2.7 method=GET path=/cart status=200 connect=1ms service=11ms
        total=0.012s bytes=512 timestamp=2026-05-01T10:00:00Z
    client_ip="192.0.2.7",http_method="GET",http_uri="/cart",http_statcode="200",response_msecs="12"
    remote_addr=192.0.2.7 request="GET /cart HTTP/1.1" status=200 body_bytes_sent=512 request_time=0.012

`core.text.key_values` has the grammar. Keys are compared without case, and "-" is "_". Their names are in
docs/formats/kv.md.

A line is a request if it has a method of HTTP and a status or an error code; without a method it needs a path, a
status of HTTP and something else that only a request has (`_MARKS`). So the line of a job (`path=/backup status=0`) is
none, nor is what a firewall reports (`_REPORT`): the request that it is about is in the log of who answered it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from logrouter.core.formats.families.app_space import app_space
from logrouter.core.formats.families.backends import backend_in_pairs, put_backend
from logrouter.core.formats.families.json_values import secret_fields
from logrouter.core.formats.format import ErrorRule, Format, FormatSettings, FormatSettingsError
from logrouter.core.names import SUSPECT
from logrouter.core.outcomes import is_http_method
from logrouter.core.redact import names_secret, path_of, redact_shown
from logrouter.core.text.durations import UNIT_UNKNOWN, is_bare, parse_duration
from logrouter.core.text.key_values import pairs_of, tokens_of
from logrouter.model import NO_REQUEST, Ignored, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.model import Envelope, Parser

REPEATED_KEY: Final = "repeated_key"
"""Flag of a line in which a key has two values: the first counts, the second may be a client's."""

TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "http.method": ("method", "request_method", "http_method", "verb"),
    "http.protocol": ("http_version", "server_protocol", "protocol", "proto"),
    "http.client_ip": ("source", "client_ip", "remote_addr", "fwd", "x_forwarded_for", "http_x_forwarded_for"),
    "http.request_headers.user-agent": ("user_agent", "http_user_agent", "useragent", "ua"),
    "http.request_headers.referer": ("referer", "referrer", "http_referer"),
    "meta.uri": ("path", "uri", "url", "request_uri", "http_uri"),
    "meta.domain": ("site_domain", "host", "http_host", "hostname", "authority"),
    "meta.request_id": ("request_id", "x_request_id"),
    "meta.correlation_id": ("correlation_id", "trace_id"),
    "api": ("app",),
    "api_version": ("api_version",),
    "tenant": ("space",),
    "application": (),
    "route": (),
    "stage": (),
    "error.message": ("desc",),
}
BACKENDS: Final[Mapping[str, tuple[str, ...]]] = {
    "backend.instance": ("dyno", "upstream_addr", "upstream_host"),
    "backend.cluster": ("upstream_cluster", "proxy_upstream_name"),
}
NUMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "http.status_code": ("status", "status_code", "response_code", "http_status", "http_statcode"),
    "backend_status_code": ("upstream_status",),
    "bytes_sent": ("bytes", "bytes_sent", "body_bytes_sent", "response_size"),
    "bytes_received": ("request_size", "request_length", "bytes_received"),
}
TIMES: Final[Mapping[str, tuple[str, ...]]] = {
    "total_time_ms": ("total", "duration", "elapsed", "latency", "response_msecs", "request_time"),
    "backend_time_ms": ("service", "upstream_time", "upstream_response_time"),
}
_CLOCK: Final = ("timestamp", "time", "ts", "dt", "datetime", "event_timestamp", "time_iso8601", "time_local")
_REQUEST: Final = ("request", "http_request")
_QUERY: Final = ("query", "query_string", "http_query", "args")
# Where F5 says what was asked for, `hostname` is its own name.
_OF_F5: Final = frozenset({"http_host", "http_uri"})
# Of which a report of F5's application firewall has one at least.
_REPORT: Final = ("violations", "attack_type")
_TRIES: Final = "backend_status_code"
# What most are; `is_http_method` decides.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_MARKS: Final = ("client_ip", "protocol", "request_headers")
_STATUS = re.compile(r"[1-9][0-9]{2}", re.ASCII)
# A router may write 0 for a client that left before the answer, which its error code tells; by itself it is nothing.
_NO_STATUS = re.compile(r"0{0,13}[0-9]{1,2}", re.ASCII)
# nginx writes seconds with three decimals, and a figure for each server that it has tried.
_NGINX: Final = frozenset({"request_time", "upstream_response_time"})
_IN_MILLIS: Final = "response_msecs"
_NGINX_SECONDS = re.compile(r"(?:-|[0-9]{1,9}\.[0-9]{3})(?:(?:, ?| : )(?:-|[0-9]{1,9}\.[0-9]{3})){0,63}", re.ASCII)
_BEGINS = re.compile(
    r'\s*+(?:(?!\d{4}-)[^\s="]{1,64}+[ ])?+(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)(?=\s)',
    re.ASCII,
)
# How rsyslog writes a newline, which envelopes undo. It parts no pairs: a line never has one, a client may have.
_NEWLINE: Final = "#012"
_ABSENT: Final = frozenset({"", "-", "null", "(null)", "nil"})
_CODE: Final = "code"
_HEADER: Final = "http.request_headers."
# What may stand behind a header: nothing that tells who called, or what.
_BEHIND: Final = frozenset(
    {"http.method", "http.protocol", "http.status_code", "meta.uri", "meta.request_id", "meta.correlation_id", "time"}
    | {*NUMBERS, *TIMES, "http.request_headers.user-agent", "http.request_headers.referer"}
)
_UNCERTAIN: Final = Rejected(
    Stage.PARSE,
    Reason.FIELD_CONFLICT,
    "two statuses behind a header without quotes: one of them is a client's",
    "/status",
)
_MAX_DIGITS: Final = 15
_MAX_MESSAGE: Final = 1000

_BACKEND: Final = ErrorRule("backend_error")
_GATEWAY: Final = ErrorRule("gateway_error")
ERRORS: Final[Mapping[str, ErrorRule]] = {
    **dict.fromkeys(("H10", "H11", "H12", "H13", "H14", "H15", "H17", "H18", "H19", "H20", "H21"), _BACKEND),
    **dict.fromkeys(("H22", "H23", "H24", "H80", "H81", "H82", "H83", "H99"), _GATEWAY),
    "H26": ErrorRule("client_error"),
    "H27": ErrorRule("aborted", 499),
    "H28": ErrorRule("aborted", 499),
    "H31": ErrorRule("client_error"),
}
"""Codes of Heroku's router: the app's faults, the platform's, the client's, and clients that went away."""


def _compile(settings: FormatSettings) -> Parser:
    texts, numbers, times, backends = (_named(table, settings) for table in (TEXTS, NUMBERS, TIMES, BACKENDS))
    tables = (texts, numbers, times, backends)
    known = {path for table in tables for path in table}
    for path, names in settings.aliases.items():
        if path not in known:
            raise FormatSettingsError("aliases", f"kv has no field {path}; it has {', '.join(sorted(known))}")
        for name in names:
            if names_secret(name):
                raise FormatSettingsError("aliases", f"{name} is the name of a secret, which is never read")
    errors = {**ERRORS, **settings.errors}
    described = "error.message" in settings.aliases
    headers = frozenset(name for path in texts if path.startswith(_HEADER) for name in texts[path])
    spelled = "|".join(re.escape(name).replace("_", "[_-]") for name in sorted(headers))
    bare_header = re.compile(rf'(?:{spelled})=(?:(?!")|"[^"]*+",)', re.IGNORECASE)
    groups = {name: path for table in tables for path, names in table.items() for name in names}
    groups |= dict.fromkeys(_CLOCK, "time") | dict.fromkeys(_REQUEST, "http.method") | {_CODE: "http.status_code"}
    backend_in = backend_in_pairs(*backends.values(), tries="upstream_addr")
    uris = frozenset((*texts["meta.uri"], *_REQUEST, *_QUERY, *texts["http.request_headers.referer"]))

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        """The request in a line of pairs. Never raises."""
        text = envelope.text
        if text[:1] == "{" or "=" not in text:
            return NO_REQUEST
        pairs = pairs_of(text.rstrip("\n").replace("\n", _NEWLINE) if "\n" in text else text)
        line: dict[str, str] = {}
        for key, value in pairs.values.items():
            if value not in _ABSENT:
                line.setdefault(key.lower().replace("-", "_"), value)
        said, words = _said(line), pairs.words
        flags: list[str] = [REPEATED_KEY] if pairs.repeated else []
        event = _event(said, texts, numbers, times, flags)
        if "request_headers" in event.get("http", ()) and bare_header.search(text) is not None:
            ended = _code(said, numbers["http.status_code"])
            line, words, doubt = _believed(text, groups, headers)
            if _code(line, numbers["http.status_code"]) == (None, None) != ended:
                return _UNCERTAIN
            said = _said(line)
            flags = [*flags[: pairs.repeated], *((SUSPECT,) if doubt else ())]
            event = _event(said, texts, numbers, times, flags)
        code, status = _code(line, numbers["http.status_code"])
        http = event.setdefault("http", {})
        rule = errors.get(code) if code is not None else None
        if not _is_request(event, code if rule is None else rule, status) or any(map(line.__contains__, _REPORT)):
            return NO_REQUEST
        if pairs.cut:
            return Rejected(Stage.PARSE, Reason.TRUNCATED, "the line ends inside a quoted value")
        if status is not None and _NO_STATUS.fullmatch(status) and not _left(rule, status):
            return Rejected(Stage.PARSE, Reason.MALFORMED, "HTTP has no status below 100", "/status")
        if code is not None:
            event.setdefault("error", {})["code"] = code
        elif "error" in event and not described:
            del event["error"]  # what any line may describe is no fault
        if "message" in event.get("error", ()):
            event["error"]["message"] = redact_shown("message", event["error"]["message"], _MAX_MESSAGE)
        if status is not None:
            http["status_code"] = _number(status)
        elif rule is not None and rule.status is not None:
            http["status_code"] = rule.status
        if _TRIES in event and event[_TRIES] in (0, http.get("status_code")):
            del event[_TRIES]  # no backend was asked, or it says nothing that the status does not
        fields: dict[str, Any] = dict.fromkeys(words, "true")
        public = {key: value for key, value in line.items() if key not in uris and not names_secret(key)}
        secrets = secret_fields(line, public) if len(public) < len(line) else None
        fields |= public
        fields |= _place(said, event)
        fields |= event
        put_backend(event, fields, backend_in(said))
        time = _first(line, _CLOCK) or _leading(text)
        outcome = rule.outcome if rule is not None else None
        return Parsed(event, fields, time, tuple(flags), outcome, secrets=secrets)

    return parse


def _said(line: dict[str, str]) -> dict[str, str]:
    """What a line says about a request: of F5, without the balancer's own name."""
    if "hostname" in line and not _OF_F5.isdisjoint(line):
        return {key: value for key, value in line.items() if key != "hostname"}
    return line


def _believed(text: str, groups: Mapping[str, str], headers: frozenset[str]) -> tuple[dict[str, str], list[str], bool]:
    """The values and words of a line that no client can have written, and whether others are left out.

    Behind a header without quotes a client may have written anything, unless the writer quotes what holds a blank,
    which shows before it; so it may behind quotes and a comma, as F5 escapes nothing. There no key counts that says who
    called or what, and no other whose field stands before it, or is there twice. *groups* has the field of each key.
    """
    line: dict[str, str] = {}
    words: list[str] = []
    behind: dict[str, dict[str, str]] = {}
    seen: set[str] = set()
    quotes = loose = False
    for key, value, end in tokens_of(text):
        name = key.lower().replace("-", "_")
        group = groups.get(name, f"={name}")
        if loose:
            if value is not None:
                behind.setdefault(group, {}).setdefault(f"{name}={value}", value)
        elif value is None:
            words.append(key)
        else:
            if value not in _ABSENT:
                line.setdefault(name, value)
            seen.add(group)
            quotes = quotes or (end == '"' and " " in value)
            loose = name in headers and (end == '",' or not (end or quotes))
    doubt = False
    for group, found in behind.items():
        if group in _BEHIND and group not in seen and len(found) == 1:
            (pair, value) = next(iter(found.items()))
            if value not in _ABSENT:
                line.setdefault(pair.partition("=")[0], value)
        else:
            doubt = doubt or group not in seen
    return line, words, doubt


def _named(table: Mapping[str, tuple[str, ...]], settings: FormatSettings) -> dict[str, tuple[str, ...]]:
    """The table with the names of topics.yaml before its own."""
    aliases = settings.aliases
    plain = {path: tuple(name.lower().replace("-", "_") for name in aliases.get(path, ())) for path in table}
    return {path: (*plain[path], *names) for path, names in table.items()}


def _code(line: Mapping[str, str], statuses: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The error code and the status: what is called `code` is a status where it is three digits and none is there."""
    status, code = _first(line, statuses), line.get(_CODE)
    if status is not None and not any(map(str.isdecimal, status)):
        status = None  # the state of a job, say
    if code is not None and len(code) == 3 and code.isascii() and code.isdigit():
        return None, status or code
    return code, status


def _left(rule: ErrorRule | None, status: str) -> bool:
    """Whether an error code says that the client went away before there was a status, which is 0 then."""
    return rule is not None and rule.outcome == "aborted" and not status.strip("0")


def _is_request(event: Mapping[str, Any], code: str | ErrorRule | None, status: str | None) -> bool:
    """Whether a line tells of a request: what was asked of whom, and how it ended.

    *code* is an error code, or the rule for it where there is one.
    """
    http = event["http"]
    method = http.get("method", "")
    if method in _METHODS or is_http_method(method):
        return status is not None or code is not None
    if "uri" not in event.get("meta", {}):
        return False
    if isinstance(code, ErrorRule):
        return True
    return status is not None and _STATUS.fullmatch(status) is not None and any(mark in http for mark in _MARKS)


def _event(
    line: Mapping[str, str],
    texts: Mapping[str, tuple[str, ...]],
    numbers: Mapping[str, tuple[str, ...]],
    times: Mapping[str, tuple[str, ...]],
    flags: list[str],
) -> dict[str, Any]:
    """All of the event but its status and error code; puts into *flags* what was remarkable."""
    event: dict[str, Any] = {}
    for path, names in texts.items():
        _put(event, path, _first(line, names))
    for path, names in numbers.items():
        value = _first(line, names)
        if path == _TRIES and value is not None:
            value = re.split("[, :]+", value)[-1]  # the last of several tries
        if path != "http.status_code" and value is not None and value not in _ABSENT:
            _put(event, path, _number(value))
    for path, names in times.items():
        name = next((each for each in names if each in line), None)
        if name is None:
            continue
        took = _spent(name, line[name])
        if type(took) is str and is_bare(took):
            flags.append(UNIT_UNKNOWN)
        else:
            _put(event, path, took)
    connect, backend = parse_duration(line.get("connect", "")), event.get("backend_time_ms")
    if connect is not None and type(backend) is int:
        # Heroku's router prints the two parts only.
        event.setdefault("total_time_ms", connect + backend)
    _request_line(line, event)
    http, meta = event.get("http", {}), event.get("meta", {})
    if "%" in http.get("client_ip", ""):
        http["client_ip"] = unquote_plus(http["client_ip"])
    if "uri" in meta:
        event.setdefault("http", {})["path"] = path_of(meta["uri"])
    return event


def _spent(name: str, text: str) -> int | str | None:
    """A time in milliseconds, over all tries that nginx names.

    A text that is none stays, for the schema to refuse, and so does a fraction without unit: who writes those may as
    well mean seconds.
    """
    if name in _NGINX and _NGINX_SECONDS.fullmatch(text):
        tries = [each for each in re.split("[, :]+", text) if each != "-"]
        return sum(int(each.replace(".", "")) for each in tries) if tries else None
    ms = parse_duration(text)
    return text if ms is None or (text[-1:].isdigit() and "." in text and name != _IN_MILLIS) else ms


def _request_line(line: Mapping[str, str], event: dict[str, Any]) -> None:
    """What `request="GET /cart HTTP/1.1"` says, where no key of its own says it."""
    method, space, rest = (_first(line, _REQUEST) or "").partition(" ")
    if not space or not method.isalpha():
        return
    uri, marked, version = rest.rpartition(" HTTP/")
    event.setdefault("http", {}).setdefault("method", method)
    if marked:
        event["http"].setdefault("protocol", f"HTTP/{version}")
    if uri or rest:
        event.setdefault("meta", {}).setdefault("uri", uri if marked else rest)


def _place(line: Mapping[str, str], event: dict[str, Any]) -> dict[str, str]:
    """The app and the space that the host name tells, put into the event where no key tells them."""
    found = app_space(line["hostname"]) if "hostname" in line else None
    if found is None:
        return {}
    event.setdefault("api", found.app)
    event.setdefault("tenant", found.space)
    return {"app": found.app, "space": found.space}


def _leading(text: str) -> str | None:
    """A time in ISO 8601 that stands before the pairs by itself, as loggers and syslog headers put it."""
    found = _BEGINS.match(text)
    return found[1] if found is not None else None


def _first(line: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = line.get(name)
        if value is not None:
            return value
    return None


def _number(text: str) -> int | str:
    """The number in a text; a text that holds none stays, for the schema to refuse."""
    return int(text) if len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit() else text


def _put(event: dict[str, Any], path: str, value: object) -> None:
    if value is None:
        return
    *above, name = path.split(".")
    for part in above:
        event = event.setdefault(part, {})
    event[name] = value


def _signature(envelope: Envelope) -> bool:
    """Whether there are pairs: what was asked and how it ended are two at least."""
    return envelope.text[:1] != "{" and envelope.text.count("=") >= 2


FORMAT: Final[Format] = Format(_compile, frozenset({"aliases", "errors"}), _signature, users=("user",))
