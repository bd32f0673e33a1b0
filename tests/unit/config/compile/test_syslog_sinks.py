"""Sinks of type syslog in a topics.yaml: their URLs, what goes with which transport, and what is made of them."""

from __future__ import annotations

import asyncio

import pytest

from logrouter import config
from logrouter.config import ConfigError
from logrouter.deliver.process import open_delivery
from logrouter.deliver.targets import open_sink
from logrouter.model import RawRecord
from logrouter.sinks.sockets import TargetPlace
from logrouter.sinks.syslog.datagram import DatagramClient
from tests.unit.sinks.syslog.receiver import parse

HEAD = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: a, from: logs, format: envoy, to: out}]
"""
LIKE = "must be a URL like `syslog+tls://host:6514`, without user, path or query"


def parsed(options, env=()):
    """The sink `s` with these options."""
    text = f"{HEAD}sinks: {{s: {{type: syslog, from: out, {options}}}}}\n"
    return config.parse(text.encode(), dict(env)).sinks["s"]


def problems(options):
    """The problems of such a file, each after its place."""
    with pytest.raises(ConfigError) as caught:
        parsed(options)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


def client_of(options):
    """What sends for a sink with these options."""
    return open_sink(parsed(options)).send.__self__


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("syslog+tls://h", TargetPlace("syslog+tls", "h", 6514)),
        ("syslog+tls://H:1", TargetPlace("syslog+tls", "h", 1)),
        ("syslog+tcp://h", TargetPlace("syslog+tcp", "h", 514)),
        ("syslog://h", TargetPlace("syslog+tcp", "h", 514)),
        ("syslog://[::1]:601", TargetPlace("syslog+tcp", "::1", 601)),
        ("syslog+udp://10.0.0.1", TargetPlace("syslog+udp", "10.0.0.1", 514)),
    ],
)
def test_where_a_url_leads(url, place):
    """Each scheme has its port; `syslog` is TCP."""
    client = client_of(f"url: '{url}'")
    assert client._place == place
    assert isinstance(client, DatagramClient) is (place.scheme == "syslog+udp")
    assert (getattr(client, "_tls", None) is not None) is (place.scheme == "syslog+tls")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://h", f"{LIKE}, not 'https://h'"),
        ("h:514", f"{LIKE}, not 'h:514'"),
        ("syslog+dtls://h", f"{LIKE}, not 'syslog+dtls://h'"),
        ("syslog://h/x", f"{LIKE}: it has a path"),
        ("syslog://h:0", f"{LIKE}: it lacks a host, or its port is 0"),
        ("syslog://127.1", f"{LIKE}: its host or its port can't be read"),
        ("syslog://u:p@h", "must not name a user or a password: give them in options of their own"),
        ("syslog://h?a=b", "must not have a query or a fragment: secrets stand in options of their own"),
    ],
)
def test_urls_that_lead_nowhere(url, says):
    """Said where they stand."""
    assert problems(f"url: '{url}'") == [f"sinks.s.url: {says}"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("url: 'syslog://h', tls: {ca: ca.pem}", "tls: is for syslog+tls, and the url says syslog"),
        ("url: 'syslog+udp://h', tls: {ca: ca.pem}", "tls: is for syslog+tls, and the url says syslog+udp"),
        ("url: 'syslog+tls://h', tls: {ca: gone.pem}", "tls.ca: there is no file gone.pem"),
        ("url: 'syslog://h', guard: {}", "guard.schemes: does not allow syslog+tcp, which the url needs"),
        (
            "url: 'syslog+tls://h', guard: {schemes: [syslog+tls]}",
            "guard.ports: does not allow 6514, which the url needs",
        ),
        (
            "url: 'syslog+udp://h', max_message_bytes: 65508",
            "max_message_bytes: is more than a datagram holds: 65507 at most",
        ),
        ("url: 'syslog://h', compression: gzip", "compression: must be `none`, not 'gzip'"),
        (
            "url: 'syslog://h', host: 'a b'",
            "host: must be printable ASCII text without spaces (at most 255 characters), not 'a b'",
        ),
    ],
)
def test_what_does_not_go_together(options, says):
    """It would be found out when the first event waits for ever."""
    assert problems(options) == [f"sinks.s.{says}"]


def test_a_guard_by_the_name_of_the_transport():
    """`syslog` is `syslog+tcp` to it."""
    guard = client_of("url: 'syslog://h:601', guard: {schemes: [syslog+tcp], ports: [601]}")._guard
    assert guard.schemes == {"syslog+tcp"}
    guard.vet_target("syslog+tcp", "h", 601)


def test_tls_does_not_offer_http():
    """Of which a receiver of syslog knows nothing."""
    context = parsed("url: 'syslog+tls://h'").tls
    assert context.check_hostname
    assert context.minimum_version.name == "TLSv1_2"


RECORD = RawRecord("out", 0, 0, 0, b'{"api":"core","meta":{"id":"a"},"text":"%s"}' % (b"x" * 200_000))


@pytest.mark.parametrize(
    ("options", "start", "end", "size"),
    [
        ("url: 'syslog://h'", b"99990 <14>1 ", b"x", 99_996),
        ("url: 'syslog://h', framing: newline", b"<14>1 ", b"x\n", 99_991),
        ("url: 'syslog://h', max_message_bytes: 2048", b"2048 <14>1 ", b"x", 2_053),
        ("url: 'syslog+udp://h'", b"<14>1 ", b"x", 1_024),
        ("url: 'syslog+udp://h', max_message_bytes: 65507, framing: newline", b"<14>1 ", b"x", 65_507),
    ],
)
def test_framing_and_length(options, start, end, size):
    """By the transport, and by options."""
    [frame] = open_sink(parsed(options)).encode([RECORD]).request
    assert (frame[: len(start)], frame[-len(end) :], len(frame)) == (start, end, size)


def test_fields_by_options():
    """Words for numbers."""
    options = "url: 'syslog+udp://h', facility: local7, host: gate, app_name: requests, enterprise_number: 99999"
    [message] = open_sink(parsed(options)).encode([RECORD]).request
    found = parse(message)
    assert (found.facility, found.host, found.app_name, found.sd_id) == (23, "gate", "requests", "logrouter@99999")


@pytest.mark.parametrize(("options", "expected"), [("", True), (", connections: 2", False)])
def test_batches_are_in_order_on_one_connection(options, expected):
    """With more, somebody has asked for something else."""
    delivery = open_delivery(parsed(f"url: 'syslog://h'{options}"))
    assert isinstance(delivery._in_order, asyncio.Lock) is expected
