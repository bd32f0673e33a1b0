"""Which registration makes which delivery: the one place that knows all forms and schemes of drains."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

from logrouter.core.drains.registration import DrainForm
from logrouter.core.drains.target_url import SYSLOG_TLS, SYSLOG_UDP, DrainUrlError, read_drain_url
from logrouter.core.framing.frames import FRAMES
from logrouter.core.signing_keys import read_key
from logrouter.drains.connections import DrainCarrier
from logrouter.sinks.delivery import Delivery
from logrouter.sinks.http_sink import HttpSink
from logrouter.sinks.lines.messages import LineMessages
from logrouter.sinks.lines.over_http import JsonBodies, LineRequests, LogplexBodies
from logrouter.sinks.pacing import PaceLimits
from logrouter.sinks.sockets import TargetPlace
from logrouter.sinks.syslog.datagram import DatagramClient
from logrouter.sinks.syslog.protocol import MAX_IN_DATAGRAM, MAX_IN_STREAM
from logrouter.sinks.syslog.sink import SyslogSink
from logrouter.sinks.syslog.stream import StreamClient

if TYPE_CHECKING:
    import ssl

    from logrouter.core.drains.line import Line
    from logrouter.core.drains.registration import Registration
    from logrouter.core.drains.target_url import DrainTarget
    from logrouter.drains.connections import DrainConnections
    from logrouter.sinks.contract import Sink
    from logrouter.sinks.sink_observer import DeliveryObserver

DRAIN_PACE: Final = PaceLimits(max_requests=1, first_pause=1.0, longest_pause=60.0)
"""One request at a time, as lines are read in their order."""


class DrainError(ValueError):
    """A registration that no delivery can be made of; the text says why in one line, and repeats no secret."""


def open_drain(
    registration: Registration,
    connections: DrainConnections,
    observer: DeliveryObserver,
    *,
    pace: PaceLimits = DRAIN_PACE,
) -> Delivery[Line]:
    """A delivery of lines to the drain's target, one request after the other; it connects when it sends.

    Whoever opens it closes it, before *connections*.

    Raises:
        DrainError: its URL, CA, framing or keys can't be used.
    """
    return Delivery(
        registration.id,
        open_line_sink(registration, connections),
        pace,
        in_order=True,
        mask=_hide,
        observer=observer,
    )


def open_line_sink(registration: Registration, connections: DrainConnections) -> Sink[Line]:
    """What `open_drain` delivers to, for a single try.

    Raises:
        DrainError: as there.
    """
    try:
        target = read_drain_url(registration.url)
    except DrainUrlError as error:
        raise DrainError(f"url: {error}") from None
    if target.is_http:
        return _http_sink(registration, target, connections)
    if registration.form is not DrainForm.SYSLOG:
        raise DrainError(f"form: {registration.form} does not go with {target.scheme}://")
    return _syslog_sink(registration, target, connections)


def _http_sink(registration: Registration, target: DrainTarget, connections: DrainConnections) -> Sink[Line]:
    longest = registration.max_message_bytes or MAX_IN_STREAM
    is_json = registration.form is DrainForm.NDJSON  # messages of syslog over HTTP are logplex' contract
    try:
        keys = [read_key(key) for key in registration.signing_keys]
    except ValueError as error:
        raise DrainError(f"signing_keys: {error}") from None
    requests = LineRequests(
        target.address,
        JsonBodies(longest) if is_json else LogplexBodies(registration.token, longest),
        "" if target.credentials is None else f"Basic {b64encode(target.credentials).decode()}",
        keys,
    )
    tls = _trust(registration, connections) if target.scheme == "https" else None
    return HttpSink(requests, DrainCarrier(connections, target.host, tls))


def _syslog_sink(registration: Registration, target: DrainTarget, connections: DrainConnections) -> Sink[Line]:
    place = TargetPlace(target.scheme, target.host, target.port)
    seconds, guard, resolver = connections.bounds.timeout_seconds, connections.guard, connections.resolver
    if target.scheme == SYSLOG_UDP:
        protocol = LineMessages(None, registration.max_message_bytes or MAX_IN_DATAGRAM)
        return SyslogSink(protocol, DatagramClient(place, timeout_seconds=seconds, guard=guard, resolver=resolver))
    if (frame := FRAMES.get(registration.framing)) is None:
        raise DrainError(f"framing: must be one of {', '.join(FRAMES)}")
    client = StreamClient(
        place,
        tls=_trust(registration, connections) if target.scheme == SYSLOG_TLS else None,
        timeout_seconds=seconds,
        slots=connections.syslog_slots,
        guard=guard,
        resolver=resolver,
    )
    return SyslogSink(LineMessages(frame, registration.max_message_bytes or MAX_IN_STREAM), client)


def _trust(registration: Registration, connections: DrainConnections) -> ssl.SSLContext:
    try:
        return connections.trust(registration.ca)
    except ValueError as error:
        raise DrainError(f"ca: {error}") from None


def _hide(words: str) -> str:  # noqa: ARG001 - of the delivery
    """Nothing of what a target says: it may repeat lines, and whoever reads of it may not read those."""
    return ""
