r"""Access logs of Envoy and Istio as text: their default formats, or any that topics.yaml gives as *pattern*.

    [2026-05-01T10:00:00.123Z] "GET /core?x=1 HTTP/1.1" 200 - 0 512 12 11 "192.0.2.7" "curl/8" "6f1c" "shop.example.org"
        "10.0.0.5:8080"                                                                            Envoy's own, one line
    [2026-05-01T10:00:00.123Z] "GET / HTTP/1.1" 503 UF upstream_reset… - "TLS error" 0 95 4 - "-" "curl/8" "6f1c" "shop"
        "10.0.0.5:80" outbound|80||shop.prod.svc.cluster.local - 10.0.0.9:80 192.0.2.7:40112 - default        Istio's

    pattern: '[%START_TIME%] %REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %DURATION% "%REQ(USER-AGENT)%"'

A response flag says how a request ended. Lines about connections are no requests. Nothing is escaped: a header that
holds a quote makes all headers of its line doubtful, and none of them is read.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.formats.families.backends import BackendNames
from logrouter.core.formats.families.envoy_operators import QUOTED, pieces_of
from logrouter.core.formats.families.istio_upstream import upstream_of
from logrouter.core.formats.families.response_flags import error_by, flags_of, long_flags_of, outcome_by
from logrouter.core.formats.families.secret_values import compile_secret_mask
from logrouter.core.formats.families.weblog import PatternReader, compose_clocks, count_of, reader_of
from logrouter.core.formats.format import Format, FormatSettingsError
from logrouter.core.names import SUSPECT
from logrouter.core.text.line_patterns import PatternError, Variable, VariableKind
from logrouter.model import NO_REQUEST, Ignored, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from logrouter.core.formats.format import FormatSettings
    from logrouter.core.text.line_patterns import Piece
    from logrouter.model import Envelope, Parser

_ASKED: Final = '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE%'
_FIGURES: Final = "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"
_HEADERS: Final = (
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"'
)
_ISTIO: Final = (
    "%UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS%"
    " %REQUESTED_SERVER_NAME%"
)
_ENVOY: Final = f"{_ASKED} %RESPONSE_FLAGS% {_FIGURES} {_HEADERS}"
_REASON: Final = '"%UPSTREAM_TRANSPORT_FAILURE_REASON%"'
_MIXER: Final = '"%DYNAMIC_METADATA(istio.mixer:status)%"'
_DETAILS: Final = "%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%"
DEFAULTS: Final = (
    # Istio 1.9 and later
    f"{_ASKED} %RESPONSE_FLAGS% {_DETAILS} {_REASON} {_FIGURES} {_HEADERS} {_ISTIO} %ROUTE_NAME%",
    _ENVOY,
    # Istio 1.4 to 1.8, then 1.1 to 1.3, and 1.0
    f"{_ASKED} %RESPONSE_FLAGS% {_MIXER} {_REASON} {_FIGURES} {_HEADERS} {_ISTIO} %ROUTE_NAME%",
    f"{_ASKED} %RESPONSE_FLAGS% {_MIXER} {_FIGURES} {_HEADERS} {_ISTIO} %ROUTE_NAME%",
    f"{_ASKED} %RESPONSE_FLAGS% {_MIXER} {_FIGURES} {_HEADERS} {_ISTIO}",
    f"{_ENVOY} {_ISTIO}",
)
"""Formats that are read without a pattern, the most frequent first."""

_BACKEND: Final = BackendNames(("upstream_host",), ("upstream_cluster",))
_EMISSARY: Final = "ACCESS "
_CLOCK: Final = r"(?:ACCESS )?\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}Z\] "
_BEGIN = re.compile(_CLOCK + r'"[A-Za-z_-]{0,32}(?: |\Z)', re.ASCII)
# Many programs put such a time into brackets; a quote or a request behind it is what Envoy writes.
_TIMED = re.compile(_CLOCK + r'(?:"|[A-Z_-]{2,32} /)', re.ASCII)
_QUOTES: Final = 12
"""Of the shortest default format: what was asked, four headers, and the backend."""
_LEAST_BEHIND: Final = 6
"""Values behind the last quote, in the longest format."""
_ANSWERED = re.compile(r'[^"]*+"[^"]*+" (?:[1-9]\d\d|0) ', re.ASCII)
_PORT = re.compile(r":\d{1,5}\Z", re.ASCII)
_ANYTHING: Final = VariableKind(r"[^\x00-\x1f]")
_PASSING: Final = ("DownstreamStart", "DownstreamPeriodic", "DownstreamTunnelSuccessfullyEstablished")
_BETWEEN: Final = ("UpstreamPoolReady", "UpstreamPeriodic", "UpstreamEnd")
_NOT_COUNTED: Final = Ignored(Reason.NOT_COUNTED)

_Read = Parsed | Ignored | Rejected


def _compile(settings: FormatSettings) -> Parser:
    if not settings.pattern:
        return _default
    try:
        readers = list(_readers(settings.pattern))
    except PatternError as error:
        raise FormatSettingsError("pattern", str(error)) from None
    literals = "".join(piece for piece in pieces_of(settings.pattern, []) if isinstance(piece, str))
    least = tuple((char, literals.count(char)) for char in '" ')
    return lambda envelope: _read(envelope.text, readers, least)


def _readers(pattern: str) -> Iterator[PatternReader]:
    """The reader of a format, and those of its lines with quotes in a header or in the path, where these can be read.

    Raises:
        PatternError: lines of the format can't be read back.
    """
    clocks: list[re.Pattern[str]] = []
    pieces = pieces_of(pattern, clocks)
    prepare = _prepared(clocks)
    yield reader_of(pieces, undo=_as_it_is, prepare=prepare, backend=_BACKEND)
    for loose in (_without_headers(pieces), _with_any_path(pieces)):
        if loose:
            try:
                reader = reader_of(loose, undo=_as_it_is, prepare=prepare, backend=_BACKEND)
            except PatternError:
                continue
            yield reader


def _without_headers(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces with one variable in place of all headers in quotes and what is between; none without headers."""
    places = [
        at
        for at, piece in enumerate(pieces)
        if isinstance(piece, Variable) and piece.kind is QUOTED and _of_client(piece)
    ]
    if not places:
        return []
    first, last = places[0], places[-1]
    dropped = Variable("the headers", 0, "dropped", _ANYTHING)
    return [*pieces[:first], dropped, *pieces[last + 1 :]]


def _with_any_path(pieces: Sequence[Piece]) -> list[Piece]:
    return [
        piece._replace(kind=_ANYTHING) if isinstance(piece, Variable) and piece.meaning in ("uri", "path") else piece
        for piece in pieces
    ]


def _of_client(piece: Variable) -> bool:
    return piece.meaning.startswith("header:") or piece.meaning in ("chain", "request_id", "domain")


def _prepared(clocks: Sequence[re.Pattern[str]]) -> Callable[[dict[str, str]], None]:
    def prepare(values: dict[str, str]) -> None:
        """Put the time together, and cut the port off the address."""
        if clocks:
            compose_clocks(clocks, values)
        address = without_port(values.pop("address", ""))
        if address:
            values["address"] = address

    return prepare


def without_port(address: str) -> str:
    """An address as Envoy writes it, without port and brackets: `192.0.2.7:40112`, `[2001:db8::7]:40112`."""
    if address[:1] == "[":
        return address[1:].partition("]")[0]
    return _PORT.sub("", address) if address.count(":") == 1 else address


def _as_it_is(text: str) -> str:
    return text


@cache
def _default_readers() -> tuple[tuple[list[PatternReader], tuple[str, ...]], ...]:
    """The readers of the default formats, and those of their lines with quotes, with the flags of each."""
    readers = [list(_readers(pattern)) for pattern in DEFAULTS]
    doubtful = [reader for each in readers for reader in each[1:]]
    return ([each[0] for each in readers], ()), (doubtful, (SUSPECT,))


def _default(envelope: Envelope) -> _Read:
    """The request in a line of one of the default formats. Never raises."""
    text = envelope.text
    if _BEGIN.match(text) is None:
        if _TIMED.match(text) is None:
            return NO_REQUEST
        return Rejected(Stage.PARSE, Reason.MALFORMED, "no request in quotes behind the time")
    text = text.rstrip(" ").removeprefix(_EMISSARY)
    for readers, flags in _default_readers():
        for reader in readers:
            found = reader.read(text)
            if not isinstance(found, Rejected):
                return _finished(found, flags)
    quotes = text.count('"')
    few = text.rpartition('"')[2].count(" ") < _LEAST_BEHIND
    if quotes < _QUOTES or quotes % 2 or (few and _ANSWERED.match(text)):
        return Rejected(Stage.PARSE, Reason.TRUNCATED, "the line ends before its format does")
    return Rejected(Stage.PARSE, Reason.MALFORMED, "the line begins as its format does, and goes on differently")


def _read(text: str, readers: Sequence[PatternReader], least: tuple[tuple[str, int], ...]) -> _Read:
    """The request in a line of the pattern, which has some characters so many times at *least*."""
    first = readers[0].read(text)
    if not isinstance(first, Rejected):
        return _finished(first, ())
    for reader in readers[1:]:
        found = reader.read(text)
        if isinstance(found, Parsed) and "status_code" in found.event["http"]:
            return _finished(found, (SUSPECT,))
        if isinstance(found, Rejected) and found.pointer:  # it is read, and has a value that none can have
            return found
    if first.reason is Reason.MALFORMED and not first.pointer and any(text.count(char) < n for char, n in least):
        return Rejected(Stage.PARSE, Reason.TRUNCATED, "the line ends before its pattern does")
    return first


def _finished(found: Parsed | Ignored, flags: tuple[str, ...]) -> _Read:
    """The request with what Envoy's own words say about it."""
    if isinstance(found, Ignored):
        return found
    event, fields = found.event, found.fields
    http: dict[str, Any] = event["http"]
    status = http.get("status_code")
    set_flags = flags_of(fields.get("response_flags", "")) or long_flags_of(fields.get("response_flags_long", ""))
    if status == 0:
        if "method" not in http:
            return NO_REQUEST  # a connection
        if not any(flag.outcome == "aborted" for flag in set_flags):
            del http["status_code"]
    if fields.get("access_log_type", "") in (*_PASSING, *_BETWEEN):
        return _NOT_COUNTED
    backend = count_of(fields.get("upstream_service_time", ""))
    if backend is not None:
        event["backend_time_ms"] = backend
    _place(event, fields)
    error = error_by(set_flags, fields.get("response_code_details"))
    if error is not None:
        event["error"] = error
    reached = backend is not None or "upstream_host" in fields or "upstream_cluster" not in fields
    found.outcome = outcome_by(status or 0, set_flags, reached=reached)
    found.flags += flags
    fields |= event
    return found


def _place(event: dict[str, Any], fields: dict[str, Any]) -> None:
    """Put in where the request went: route, app and space."""
    if "route_name" in fields:
        event["route"] = fields["route_name"]
    upstream = upstream_of(fields.get("upstream_cluster", ""))
    for value, names in ((upstream.app, ("api", "app")), (upstream.space, ("tenant", "space"))):
        if value:
            event[names[0]] = fields[names[1]] = value
    if upstream.version:
        event["api_version"] = upstream.version
    fields.update({name: value for name in ("subset", "port") if (value := getattr(upstream, name))})


def _signature(envelope: Envelope) -> bool:
    """Whether a time of Envoy's in brackets stands first, and a quote behind it."""
    return _BEGIN.match(envelope.text) is not None


def _mask(settings: FormatSettings) -> Callable[[str], str] | None:
    return compile_secret_mask(pieces_of(settings.pattern, [])) if settings.pattern else None


FORMAT: Final[Format] = Format(_compile, frozenset({"pattern"}), _signature, mask=_mask)
