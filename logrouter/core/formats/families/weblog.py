"""What web servers log about a request, value by value, made into an event: the part that nginx and Apache share.

A server's format gives each of its variables a meaning; this module knows what becomes of a value of each.

    address, forwarded, chain     the other end; X-Forwarded-For as received; the same with the address added to it
    request                       method, path and protocol in one, as the client sent it
    method, uri, path, protocol   the same one by one; *uri* with query, *path* without
    status, seconds, …            figures, converted here: servers write them as digits and nothing else
    clock:<number>                a piece of the time, for `compose_clocks`
    header:<name>, field:<name>   a request header; what only client-id and API sources may read, and nobody publishes
    dropped                       nothing that may leave: cookies, credentials, bodies
    secret:<source>               the same, of which a client id may be a keyed hash: secret:header:x-api-key
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.envelopes.fields import SYSLOG_HEADER
from logrouter.core.formats.families.backends import backend_reader
from logrouter.core.outcomes import FIRST_STATUS, outcome_of
from logrouter.core.redact import names_secret, path_of
from logrouter.core.text.addresses import holds_address
from logrouter.core.text.json_numbers import written_whole
from logrouter.core.text.json_objects import decode_object
from logrouter.core.text.line_patterns import ADDRESSES, compile_scan, head_of, variables_of
from logrouter.core.text.strftime import compose_time
from logrouter.core.text.timestamps import epoch_ms
from logrouter.model import NO_REQUEST, Ignored, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from logrouter.core.formats.families.backends import BackendNames
    from logrouter.core.text.json_patterns import Members
    from logrouter.core.text.line_patterns import Piece
    from logrouter.model import Envelope, Parser

MAX_DIGITS: Final = 15
UNPUBLISHED: Final = ("dropped", "secret:")
"""How meanings begin of what may not leave."""

BACKEND: Final = ("backend_seconds", "backend_status", "field:upstream_addr")
"""What is absent where the server answered by itself."""

_HEADERS: Final = {"x-forwarded-for": "forwarded", "host": "domain", "x-request-id": "request_id"}
_BYTES: Final = {"bytes_sent": ("bytes_sent", "body_bytes_sent"), "bytes_received": ("bytes_received",)}
# Expressions decide; these are what they are spared.
_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})
_PROTOCOLS: Final = frozenset({"HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"})
# How rsyslog writes a newline, which envelopes undo. A server's line never has one: a client has written this itself.
NEWLINE: Final = "#012"
_ABSENT: Final = ("-", '""')
_NO_STATUS: Final = Rejected(Stage.PARSE, Reason.MALFORMED, "HTTP has no status below 100", "/status")
_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}", re.ASCII)
_PROTOCOL = re.compile(r"HTTP/\d(?:\.\d)?", re.ASCII)
_TRIES = re.compile(r", ?| : ")


class PatternReader:
    """The parser of one pattern: reads a line by its expression, and makes an event of the values.

    *begins* tells whether a line begins as such lines do, *is_cut* whether a line that begins so lacks its end;
    *meanings* are those of the groups of *expression*. *undo* takes a value's escapes back. *prepare* may change the
    values before the event is made of them. *at_end* says that times are those of the end of a request. *backend* names
    the fields that say which backend was asked.
    """

    def __init__(
        self,
        expression: re.Pattern[str],
        begins: Callable[[str], object],
        meanings: Iterable[str],
        *,
        undo: Callable[[str], str],
        is_cut: Callable[[str], bool],
        at_end: bool = False,
        prepare: Callable[[dict[str, str]], None] | None = None,
        backend: BackendNames | None = None,
    ) -> None:
        self._match, self._begins, self._is_cut = expression.fullmatch, begins, is_cut
        self._undo, self._prepare, self._at_end = undo, prepare, at_end
        plan = [(index, *meaning.partition(":")[::2]) for index, meaning in enumerate(meanings)]
        self._headers = tuple((index, name) for index, kind, name in plan if kind == "header")
        self._fields = tuple((index, name) for index, kind, name in plan if kind == "field")
        self._secrets = tuple((index, name) for index, kind, name in plan if kind == "secret")
        others = [(index, f"{kind}:{name}" if name else kind) for index, kind, name in plan]
        self._values = tuple(each for each in others if not each[1].startswith(("header:", "field:", *UNPUBLISHED)))
        self._proxies = any(meaning in BACKEND for _, meaning in others)
        there = {name for _, name in self._fields}
        self._name_backend = backend_reader(backend, there) if backend is not None else None

    def read(self, text: str) -> Parsed | Ignored | Rejected:
        """The request in a line. Never raises."""
        if "\n" in text:
            text = text.replace("\n", NEWLINE)
        match = self._match(text)
        if match is not None:
            return self.of_values(match.groups(), self._undo if "\\" in text else None)
        if text[-1:] == " ":  # which transports and servers leave there, and which is no cut
            return self.read(text.rstrip(" "))
        if not self._begins(text):
            return NO_REQUEST
        if self._is_cut(text):
            return Rejected(Stage.PARSE, Reason.TRUNCATED, "the line ends before its pattern does")
        return Rejected(Stage.PARSE, Reason.MALFORMED, "the line begins as its pattern does, and goes on differently")

    def of_values(
        self, texts: Sequence[str | None], undo: Callable[[str], str] | None = None
    ) -> Parsed | Ignored | Rejected:
        """The request in the values of the pattern's variables, in order; of two with the same meaning the first."""
        values, fields, headers = (_present(plan, texts, undo) for plan in (self._values, self._fields, self._headers))
        if self._prepare is not None:
            self._prepare(values)
        reached = not self._proxies or "upstream_addr" in fields
        found = _assemble(values, headers, fields, at_end=self._at_end, reached=reached)
        if self._secrets and isinstance(found, Parsed):
            found.secrets = _present(self._secrets, texts, undo)
        if self._name_backend is not None and isinstance(found, Parsed):
            self._name_backend(found)
        return found


def _present(
    plan: Iterable[tuple[int, str]], texts: Sequence[str | None], undo: Callable[[str], str] | None
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for index, name in plan:
        text = texts[index]
        if text and text not in _ABSENT and name not in found:
            found[name] = undo(text) if undo is not None and "\\" in text else text
    return found


def reader_of(
    pieces: Sequence[Piece],
    *,
    undo: Callable[[str], str],
    escaped: bool = True,
    at_end: bool = False,
    prepare: Callable[[dict[str, str]], None] | None = None,
    backend: BackendNames | None = None,
) -> PatternReader:
    """The reader of a pattern.

    Raises:
        PatternError: lines of the pattern cannot be read back.
    """
    ending = pieces[-1] if pieces and isinstance(pieces[-1], str) else ""
    return PatternReader(
        compile_scan(pieces, escaped=escaped),
        head_of(pieces, escaped=escaped).match,
        [variable.meaning for variable in variables_of(pieces)],
        undo=undo,
        is_cut=lambda text: not text.endswith(ending),
        at_end=at_end,
        prepare=prepare,
        backend=backend,
    )


def parser_of(reader: PatternReader, pieces: Sequence[Piece], members: Members | None = None) -> Parser:
    """The parser of a pattern by its reader.

    *members* (`core.text.json_patterns`) is for a pattern that writes an object: it reads one whose members come in
    another order, or that a transport has taken apart, if half of the variables are there.

    Addresses without quotes are written by clients and end where a user may begin. Where such a user holds an address
    of its own, it may be the end of the addresses, and what was read as these made up: such a line is refused.
    """
    found = variables_of(pieces)
    open_ended = [index for index, each in enumerate(found) if each.kind is ADDRESSES]
    users = [index for index, each in enumerate(found) if each.meaning == "field:remote_user"]
    read = _careful(reader) if open_ended and users and users[-1] > open_ended[0] else reader.read

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        found = read(envelope.text)
        if isinstance(found, Parsed) or not envelope.fields:
            return found
        # The pattern may have the header of syslog in it, which the envelope has taken off.
        header = envelope.fields.get(SYSLOG_HEADER)
        again = read(header + envelope.text) if type(header) is str else found
        return again if isinstance(again, Parsed) else found

    def parse_object(envelope: Envelope) -> Parsed | Ignored | Rejected:
        found = parse(envelope)
        if isinstance(found, Parsed) or members is None:
            return found
        document: Any = envelope.document
        if document is None and envelope.text[:1] == "{":
            document = decode_object(envelope.text, Stage.PARSE)
        if not isinstance(document, dict):
            return found
        values = members(document)
        return reader.of_values(values) if 2 * sum(value is not None for value in values) >= len(values) else found

    return parse if members is None else parse_object


def _careful(reader: PatternReader) -> Callable[[str], Parsed | Ignored | Rejected]:
    def read(text: str) -> Parsed | Ignored | Rejected:
        parsed = reader.read(text)
        user = parsed.fields.get("remote_user", "") if isinstance(parsed, Parsed) else ""
        if " " in user and holds_address(user):
            return Rejected(Stage.PARSE, Reason.MALFORMED, "it can't be told where addresses end and the user begins")
        return parsed

    return read


def header_meaning(name: str) -> str:
    """The meaning of a request header: address, host, a plain header, or a secret."""
    name = name.lower()
    return _HEADERS.get(name) or (f"secret:header:{name}" if names_secret(name) else f"header:{name}")


def field_meaning(name: str, called: str = "") -> str:
    """The meaning of a value that is kept under *name*; a secret if *called*, or without it *name*, says so."""
    return f"secret:{name}" if names_secret(called or name) else f"field:{name}"


def _assemble(
    values: dict[str, str], headers: dict[str, str], fields: dict[str, Any], *, at_end: bool, reached: bool
) -> Parsed | Ignored | Rejected:
    """The event that values by their meanings make. *reached* says that a backend was asked, as far as one can tell."""
    event: dict[str, Any] = {}
    http, meta = _request(values)
    status = count_of(values["status"]) if "status" in values else None
    if status is not None and 0 < status < FIRST_STATUS:
        return _NO_STATUS
    if status is not None:
        http["status_code"] = status
    elif "method" not in http:
        return NO_REQUEST
    client = _client(values)
    if client is not None:
        http["client_ip"] = client
    if headers:
        http["request_headers"] = headers
    if "domain" in values or "server_name" in values:
        meta["domain"] = values.get("domain") or values["server_name"]
    if "request_id" in values:
        meta["request_id"] = values["request_id"]
    total = _figures(values, event)
    if "backend_seconds" in values or "backend_status" in values:
        reached = _backend(values, status, event) or reached
    event["http"] = http
    if meta:
        event["meta"] = meta
    fields.update(event)
    time = values.get("time")
    if at_end and total and time is not None:
        time = begin_of(time, total)
    return Parsed(event, fields, time, (), _outcome(values, status, reached=reached))


def _request(values: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was asked for, in its place in the event."""
    method, uri, protocol = split_request(values["request"]) if "request" in values else (None, None, None)
    if "method" in values and _METHOD.fullmatch(values["method"]):
        method = values["method"]
    if "protocol" in values and _PROTOCOL.fullmatch(values["protocol"]):
        protocol = values["protocol"]
    uri = values.get("uri") or uri or values.get("path")
    http: dict[str, Any] = {}
    if method is not None:
        http["method"] = method
    if protocol is not None:
        http["protocol"] = protocol
    if uri is None:
        return http, {}
    http["path"] = path_of(uri)
    return http, {"uri": uri}


def split_request(text: str) -> tuple[str | None, str | None, str | None]:
    """Method, URI and protocol of a request line; all None if it is not one, as of TLS spoken to a plain port.

    The URI is what stands between the first and the last space, and may hold spaces. Without a protocol, as before
    HTTP/1.0, it must at least begin like a path.
    """
    method, _, rest = text.partition(" ")
    if method in _METHODS or _METHOD.fullmatch(method):
        uri, space, protocol = rest.rpartition(" ")
        if space and (protocol in _PROTOCOLS or _PROTOCOL.fullmatch(protocol)):
            return method, uri or None, protocol
        if rest[:1] == "/":
            return method, rest, None
    return None, None, None


def _client(values: Mapping[str, str]) -> str | None:
    """Everybody that the request came through, nearest last, as the server would hand it on."""
    address, forwarded = values.get("address"), values.get("forwarded")
    if "chain" in values or forwarded is None:
        return values.get("chain") or address
    return f"{forwarded}, {address}" if address is not None else forwarded


def _figures(values: Mapping[str, str], event: dict[str, Any]) -> int | None:
    """Note what was counted and measured; the whole time in milliseconds, by the finest unit that there is."""
    for name, meanings in _BYTES.items():
        found = next((values[meaning] for meaning in meanings if meaning in values), None)
        count = count_of(found) if found is not None else None
        if count is not None:
            event[name] = count
    total = None
    if "micros" in values and (micros := count_of(values["micros"])) is not None:
        total = micros // 1000
    elif "millis" in values:
        total = count_of(values["millis"])
    elif "seconds" in values:
        total = millis_of(values["seconds"])
    if total is not None:
        event["total_time_ms"] = total
    return total


def _backend(values: Mapping[str, str], status: int | None, event: dict[str, Any]) -> bool:
    """Note the backend's time, over all tries, and its last status, if that is another; whether one was asked at all.

    Tries at several servers are separated by commas, and those after an internal redirect by colons.
    """
    times = [millis_of(each) for each in _TRIES.split(values.get("backend_seconds", ""))]
    spent = [each for each in times if each is not None]
    if spent:
        event["backend_time_ms"] = sum(spent)
    codes = [count_of(each) for each in _TRIES.split(values.get("backend_status", ""))]
    known = [each for each in codes if each is not None and FIRST_STATUS <= each < 1000]
    if known and known[-1] != status:
        event["backend_status_code"] = known[-1]
    return bool(spent or known)


def _outcome(values: Mapping[str, str], status: int | None, *, reached: bool) -> str | None:
    """How it ended, where that is more than the status tells."""
    if "connection" in values and values["connection"] == "X":
        return "aborted"
    if "limited" in values and values["limited"] == "REJECTED":
        return "throttled"
    return None if reached or status is None or status < 500 else outcome_of(status, from_backend=False)


def compose_clocks(clocks: Sequence[re.Pattern[str]], values: dict[str, str]) -> None:
    """Put the time together of what the variables `clock:0`, `clock:1`, … say of it, each in its strftime format.

    The variables are taken out of *values*. A time that stands there already stays.
    """
    parts: dict[str, str] = {}
    for number, clock in enumerate(clocks):
        match = clock.fullmatch(values.pop(f"clock:{number}", ""))
        parts |= match.groupdict() if match is not None else {}
    time = compose_time(parts)
    if time is not None:
        values.setdefault("time", time)


def begin_of(time: str, total_ms: int) -> str:
    """When a request began that ended at *time*, as exact as that is: whole seconds are taken from whole seconds."""
    ms = epoch_ms(time)
    taken = total_ms if "." in time else total_ms // 1000 * 1000
    begin = str(ms - taken) if ms is not None and taken else ""
    return begin if len(begin) == 13 else time


def count_of(text: str) -> int | None:
    """The number in a text of `MAX_DIGITS` digits at most; else None. 200.0 is 200, as some transports write it."""
    if text.isdigit() and text.isascii() and len(text) <= MAX_DIGITS:
        return int(text)
    number = written_whole(text) if "." in text else None
    return number if number is not None and number >= 0 else None


def millis_of(text: str) -> int | None:
    """Seconds, with or without a fraction, as whole milliseconds; else None."""
    whole, _, fraction = text.partition(".")
    seconds, rest = count_of(whole), count_of(fraction[:3].ljust(3, "0"))
    return seconds * 1000 + rest if seconds is not None and rest is not None else None
