"""The lines in a record, each with whose it is and what may be shown of it.

    reader = LineReader(source, policy, LOOP_HEADER)       # once per topic: *source* is compiled for it
    for found in reader.read(record, event_id): ...        # lines, and reasons why something is none

Most lines are nobody's who has a drain. So a line is read as far as its owners ask, and masked when it is first shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from msgspec.structs import replace

from logrouter.core.drains.line import Line
from logrouter.core.drains.origin import NOBODY, LineOrigin, build_of, container_of, request_origin
from logrouter.core.drains.owner import OwnerKind
from logrouter.core.drains.router_text import describe_request
from logrouter.core.drains.shown import published_request, shown_request
from logrouter.core.envelopes.fields import getter
from logrouter.core.ids import MAX_INDEX
from logrouter.core.redact.disclosure import STRICT, Disclosure, strictest
from logrouter.core.request_fields import Request
from logrouter.core.text.json_objects import bare_object
from logrouter.core.text.timestamps import epoch_us
from logrouter.model import PARTIAL, Envelope, Ignored, Parsed, RawRecord, Reason, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.core.drains.owner import Owner
    from logrouter.core.formats.families.app_space import AppSpace
    from logrouter.core.routing import Route, Source

MAX_TEXT_BYTES: Final = 256 * 1024
"""Of a longer line only so much is delivered: a record of the retry topic must hold it."""
MAX_TESTED: Final = 8_192
"""Characters of a line that conditions of drains see, as users write those."""

ROUTER: Final = "router"
BUILD: Final = "build"
_LOGROUTER: Final = "logrouter"
_ERROR: Final = 3
_WARNING: Final = 4
_INFO: Final = 6
_SEVERITIES: Final = {
    **dict.fromkeys(("emerg", "emergency", "panic"), 0),
    "alert": 1,
    **dict.fromkeys(("crit", "critical", "fatal"), 2),
    **dict.fromkeys(("err", "error"), _ERROR),
    **dict.fromkeys(("warning", "warn"), _WARNING),
    "notice": 5,
    **dict.fromkeys(("info", "informational"), _INFO),
    **dict.fromkeys(("debug", "trace"), 7),
}
_TRANSPORT: Final = frozenset({"kubernetes", "docker", "stream", "time", "tag", "logtag", "topic", "filename", "_p"})
_PLATFORM_FORMAT: Final = "kv"

_stream = getter("stream")
_severity_name = getter("severity")


class LineKind(StrEnum):
    """What a line is."""

    APP = "app"
    ROUTER = "router"
    BUILD = "build"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class LinePolicy:
    """What is shown of lines that no route takes, and whose lines are given as they were written.

    *domains* are those below which host names name apps.
    """

    disclosure: Disclosure = STRICT
    raw_for: frozenset[AppSpace] = frozenset()
    domains: tuple[str, ...] = ()


class OwnedLine:
    """One line and whose it is. What is shown of it is made when it is first asked for, and kept."""

    __slots__ = (
        *("_disclosure", "_envelope", "_header", "_parsed", "_raw", "_request", "_route", "_shown", "_written"),
        *("kind", "origin"),
    )

    def __init__(
        self,
        kind: LineKind,
        origin: LineOrigin,
        header: Line,
        written: str,
        *,
        disclosure: Disclosure | None,
        envelope: Envelope | None = None,
        parsed: Parsed | None = None,
        route: Route | None = None,
        request: Request | None = None,
        raw: bool = False,
    ) -> None:
        self.kind = kind
        self.origin = origin
        self._header = header
        self._written = written
        self._disclosure = disclosure
        self._envelope = envelope
        self._parsed = parsed
        self._route = route
        self._request = request
        self._raw = raw
        self._shown: Line | None = None

    @property
    def id(self) -> str:
        """The same whenever the line is read."""
        return self._header.id

    def line_for(self, owner: Owner) -> Line:
        """The line as this owner's drains get it."""
        if self._raw and owner.kind is OwnerKind.APP:
            return _with_text(self._header, self._written)
        if self._shown is None:
            self._shown = _with_text(self._header, self._text())
        return self._shown

    def _text(self) -> str:
        if self._disclosure is None:
            return self._written
        if self.kind is LineKind.ROUTER and not self._written:
            request = self.request
            return self._disclosure.text(describe_request(request.parsed.event)) if request is not None else ""
        return self._disclosure.text(self._written)

    @property
    def request(self) -> Request | None:
        """What conditions on requests read; None if the line tells of none."""
        if self._request is None and self._parsed is not None and self._route is not None:
            self._request = shown_request(self._parsed, self._route, self._disclosure or STRICT)
        return self._request

    @property
    def envelope(self) -> Envelope | None:
        """What conditions on envelopes read, without what may not be shown; None of an event."""
        if self._envelope is None or self._disclosure is None:
            return None
        text = self._beginning()
        return replace(
            self._envelope, text=text, document=None, fields=self._disclosure.record(self._envelope.fields), headers=()
        )

    def _beginning(self) -> str:
        """The beginning of the text as it is shown."""
        shown = self._shown or _with_text(self._header, self._text())
        self._shown = shown
        return shown.text[: MAX_TESTED * 4].decode("utf-8", "ignore")[:MAX_TESTED]


def _with_text(header: Line, text: str) -> Line:
    raw = text.encode("utf-8", "replace")
    if len(raw) > MAX_TEXT_BYTES:
        raw = raw[:MAX_TEXT_BYTES].decode("utf-8", "ignore").encode()
    return replace(header, text=raw)


class _Taken(NamedTuple):
    """What routes make of a line: the request, if one takes it, and what may be shown of the line.

    *free* says that it is no route's: none has selected it but for requests, and it is none.
    """

    disclosure: Disclosure
    route: Route | None = None
    parsed: Parsed | None = None
    free: bool = False


class LineReader:
    """Reads the records of one topic. *source* is compiled for it; records with *loop_header* are our own output."""

    def __init__(self, source: Source, policy: LinePolicy, loop_header: str) -> None:
        self._source = source
        self._policy = policy
        self._loop_header = loop_header
        self._none = _Taken(policy.disclosure, free=True)
        self._strictest: dict[tuple[str, ...], Disclosure] = {}

    def read(self, record: RawRecord, event_id: Callable[[int, int], str]) -> list[OwnedLine | Reason]:
        """Every line that somebody may own, and a reason for each that can't be read. Never raises for any bytes.

        *event_id* makes an id of the record's offset and the line's place in it.
        """
        value = record.value
        if not value:
            return [Reason.EMPTY if value is not None else Reason.TOMBSTONE]
        if any(name == self._loop_header for name, _ in record.headers):
            return [Reason.LOOP]
        if len(value) > self._source.max_bytes:
            return [Reason.TOO_LARGE]
        decoded = self._source.decode(value)
        lines = decoded if isinstance(decoded, tuple) else (decoded,)
        if len(lines) > MAX_INDEX:
            return [Reason.TOO_MANY]
        found: list[OwnedLine | Reason] = []
        for place, envelope in enumerate(lines):
            if isinstance(envelope, Envelope):
                envelope.headers = record.headers
                found += self._lines_of(envelope, record, event_id(record.offset, place))
            else:
                found.append(envelope.reason)
        return found

    def _lines_of(self, envelope: Envelope, record: RawRecord, line_id: str) -> list[OwnedLine]:
        """A line of its app or its build, and one of the router if it tells of somebody else's request."""
        taken = self._take(envelope)
        found: list[OwnedLine] = []
        routed, platform = NOBODY, False
        if taken.route is not None and taken.parsed is not None:
            platform = (taken.parsed.format or taken.route.format) == _PLATFORM_FORMAT
            routed = request_origin(taken.parsed, platform=platform, domains=self._policy.domains)
        container = container_of(envelope)
        build = build_of(envelope) if container is None else None
        time_us = _time_us(record, envelope.time)
        if build is not None:
            header = _header(line_id, time_us, build.origin, BUILD, _INFO)
            return [self._owned(LineKind.BUILD, build.origin, header, build.message, envelope, taken)]
        if container is not None and container.origin.name != routed.name:
            header = _header(line_id, time_us, container.origin, container.process, _severity(envelope))
            found.append(self._owned(LineKind.APP, container.origin, header, _written(envelope), envelope, taken))
        if routed and taken.parsed is not None:
            header = _header(line_id, _time_us(record, taken.parsed.time, envelope.time), routed, ROUTER, _INFO)
            # Another format's line is written anew from the request.
            written = envelope.text if platform else ""
            found.append(self._owned(LineKind.ROUTER, routed, header, written, envelope, taken))
        return found

    def _owned(
        self, kind: LineKind, origin: LineOrigin, header: Line, written: str, envelope: Envelope, taken: _Taken
    ) -> OwnedLine:
        raw = taken.free and origin.pair is not None and origin.pair in self._policy.raw_for
        return OwnedLine(
            kind,
            origin,
            header,
            written,
            disclosure=taken.disclosure,
            envelope=envelope,
            parsed=taken.parsed,
            route=taken.route,
            raw=raw,
        )

    def _take(self, envelope: Envelope) -> _Taken:
        """What routes make of the line, as `core.pipeline` asks them, but for what they ignore of requests.

        Where a route takes it that leaves it to a later one, no more is shown than both show; where one that has
        selected it can't read it, no more than that one and drains show.
        """
        routes: list[Route] = []
        request: tuple[Route, Parsed] | None = None
        doubtful = False
        free = True
        partial = PARTIAL in envelope.flags
        for route in self._source.routes:
            if not route.select(envelope):
                continue
            routes.append(route)
            parsed = None if partial else _parse(route, envelope)
            if not isinstance(parsed, Parsed):
                doubtful = True
                free = free and isinstance(parsed, Ignored) and parsed.reason is Reason.NOT_REQUEST
                if isinstance(parsed, Ignored) and route.request_only and parsed.reason is Reason.NOT_REQUEST:
                    continue
            else:
                free = False
                wanted = route.request is None or route.request.test(Request(parsed, route))
                if parsed.pair_key is None or not parsed.pair_key.opens:
                    request = (route, parsed) if request is None or wanted else request
                if not wanted:
                    continue
            if not self._source.all_matches:
                break
        if not routes:
            return self._none
        disclosure = self._disclosure_of(routes, doubtful=doubtful)
        return _Taken(disclosure, *request) if request is not None else _Taken(disclosure, free=free)

    def _disclosure_of(self, routes: Sequence[Route], *, doubtful: bool) -> Disclosure:
        if len(routes) == 1 and not doubtful:
            return routes[0].disclosure
        key = (*(route.name for route in routes), *(("",) if doubtful else ()))
        known = self._strictest.get(key)
        if known is None:
            every = [route.disclosure for route in routes]
            known = self._strictest[key] = strictest([*every, self._policy.disclosure] if doubtful else every)
        return known


def _parse(route: Route, envelope: Envelope) -> Parsed | Ignored | Rejected:
    parsed = route.parse(envelope)
    if not isinstance(parsed, Parsed) and (text := bare_object(envelope.text)) is not None:
        return route.parse(replace(envelope, text=text))
    return parsed


def _written(envelope: Envelope) -> str:
    """The line as its program wrote it; where the transport has taken an object in, that object."""
    document = envelope.document
    if envelope.text or document is None:
        return envelope.text
    own = {name: value for name, value in document.items() if name not in _TRANSPORT}
    try:
        return orjson.dumps(own if document is envelope.fields else document).decode()
    except (TypeError, ValueError):  # half a surrogate pair, or a number that JSON has not
        return ""


def _header(line_id: str, time_us: int | None, origin: LineOrigin, app_name: str, severity: int) -> Line:
    return Line(line_id, time_us, origin.name or origin.site, app_name, severity, b"")


def _time_us(record: RawRecord, *written: str | None) -> int | None:
    """The first of the times that is one, else that of the record; in microseconds."""
    for text in written:
        time_us = epoch_us(text) if text else None
        if time_us is not None:
            return time_us
    return record.timestamp_ms * 1000 if record.timestamp_ms >= 0 else None


def _severity(envelope: Envelope) -> int:
    stream = _stream(envelope)
    if stream in ("stdout", "stderr"):
        return _ERROR if stream == "stderr" else _INFO
    return _SEVERITIES.get(_severity_name(envelope) or "", _INFO)


def read_event(record: RawRecord, event_id: Callable[[int, int], str]) -> OwnedLine | Reason:
    """A clean event as the line of its API and its client, or why it is none. Never raises for any bytes."""
    value = record.value
    if not value:
        return Reason.EMPTY if value is not None else Reason.TOMBSTONE
    try:
        event: Any = orjson.loads(value)
    except ValueError:
        return Reason.INVALID_JSON
    if type(event) is not dict:
        return Reason.NOT_OBJECT
    meta, http = (part if type(part := event.get(name)) is dict else {} for name in ("meta", "http"))
    api, client, given, time = (
        text if type(text) is str else ""
        for text in (event.get("api"), event.get("client_id"), meta.get("id"), meta.get("dt"))
    )
    domain = meta.get("domain")
    header = Line(
        given or event_id(record.offset, 0),
        _time_us(record, time),
        domain if type(domain) is str else _LOGROUTER,
        api,
        _by_status(http.get("status_code")),
        b"",
    )
    return OwnedLine(
        LineKind.EVENT,
        LineOrigin(api=api, client=client),
        header,
        value.decode(),
        disclosure=None,
        request=published_request(event),
    )


def _by_status(status: object) -> int:
    if type(status) is not int or not 400 <= status < 600:
        return _INFO
    return _ERROR if status >= 500 else _WARNING
