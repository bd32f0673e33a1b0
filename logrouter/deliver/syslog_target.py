"""Which options make which sink of syslog."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from logrouter.config.options.syslog_url import FACILITIES, SYSLOG_PORTS, TLS, UDP, scheme_of
from logrouter.core.framing.frames import FRAMES
from logrouter.sinks.sockets import TargetPlace
from logrouter.sinks.syslog.datagram import DatagramClient
from logrouter.sinks.syslog.protocol import MAX_IN_DATAGRAM, MAX_IN_STREAM, SyslogProtocol
from logrouter.sinks.syslog.sink import SyslogSink
from logrouter.sinks.syslog.stream import StreamClient

if TYPE_CHECKING:
    import ssl

    from logrouter.config.options.sinks import SyslogOptions
    from logrouter.model import RawRecord
    from logrouter.sinks.target_guard import TargetGuard


def syslog_sink(options: SyslogOptions, tls: ssl.SSLContext | None, guard: TargetGuard | None) -> SyslogSink[RawRecord]:
    """The sink itself; it connects when it sends."""
    place = _place_of(options.url)
    is_datagram = place.scheme == UDP
    protocol = SyslogProtocol(
        None if is_datagram else FRAMES[options.framing],
        options.max_message_bytes or (MAX_IN_DATAGRAM if is_datagram else MAX_IN_STREAM),
        options.host,
        options.app_name,
        FACILITIES.index(options.facility),
        options.enterprise_number,
    )
    if is_datagram:
        return SyslogSink(protocol, DatagramClient(place, timeout_seconds=options.timeout_seconds, guard=guard))
    if (place.scheme == TLS) != (tls is not None):
        raise AssertionError("TLS for syslog+tls, and for nothing else")
    client = StreamClient(
        place, tls=tls, timeout_seconds=options.timeout_seconds, connections=options.connections, guard=guard
    )
    return SyslogSink(protocol, client)


def _place_of(url: str) -> TargetPlace:
    parts = urlsplit(url)
    scheme = scheme_of(url)
    return TargetPlace(scheme, parts.hostname or "", parts.port or SYSLOG_PORTS[scheme])
