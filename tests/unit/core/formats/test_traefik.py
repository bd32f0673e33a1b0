"""Traefik's access log: figures, who made an error, and what may be asked for; whatever its JSON holds."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats.traefik import FORMAT, parse
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected

from .test_corpus import cases, line_of

LINE = {
    "ClientAddr": "192.0.2.7:51234",
    "ClientHost": "192.0.2.7",
    "DownstreamStatus": 200,
    "Duration": 12_413_002,
    "OriginDuration": 11_038_414,
    "OriginStatus": 200,
    "Overhead": 1_374_588,
    "RequestMethod": "GET",
    "RequestPath": "/core/v1/page?lang=en",
    "RouterName": "core@docker",
    "ServiceName": "core@docker",
    "StartUTC": "2026-05-01T10:00:00.250113402Z",
    "level": "info",
    "msg": "",
    "time": "2026-05-01T10:00:00Z",
}
UNASKED = {"OriginStatus": None, "OriginDuration": None, "ServiceName": None, "Overhead": 12_413_002}
"""What a line lacks if Traefik has answered by itself, and the overhead that it then has."""
FIGURES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=9), st.just([0])
)


def line(**changes: object) -> str:
    """The line with some values changed; None leaves a field out."""
    return orjson.dumps({name: value for name, value in (LINE | changes).items() if value is not None}).decode()


def read(text: str) -> Parsed:
    """The request in a line, which has to be one."""
    found = parse(Envelope("plain", text))
    assert isinstance(found, Parsed)
    return found


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"DownstreamStatus": 500, "OriginStatus": 500}, None),
        ({"DownstreamStatus": 500.0, "OriginStatus": 500.0}, None),
        ({"DownstreamStatus": 500, "OriginStatus": 200}, "gateway_error"),
        ({"DownstreamStatus": 500, "OriginStatus": 0}, "gateway_error"),
        ({"DownstreamStatus": 500, "OriginStatus": 0.0}, "gateway_error"),
        ({"DownstreamStatus": 500.0, **UNASKED}, "gateway_error"),
        ({"DownstreamStatus": 500, **UNASKED, "OriginDuration": 0, "Overhead": None}, "gateway_error"),
        ({"DownstreamStatus": 500, **UNASKED, "Overhead": None}, None),
        ({"DownstreamStatus": 500, **UNASKED, "Duration": None, "Overhead": None}, None),
        ({"DownstreamStatus": 500, **UNASKED, "ServiceName": "core@docker"}, None),
        ({"DownstreamStatus": 503, **UNASKED}, "backend_error"),
        ({"DownstreamStatus": 429, **UNASKED}, None),
        ({"DownstreamStatus": 499, "OriginStatus": 499}, None),
        ({"DownstreamStatus": 0, "OriginStatus": 0}, None),
    ],
)
def test_an_error_is_the_gateway_s_only_if_the_line_says_so(changes, outcome):
    """By a status of the backend, or by all that is missing where none was asked; else the status alone tells."""
    assert read(line(**changes)).outcome == outcome


@pytest.mark.parametrize(
    ("nanoseconds", "ms"),
    [
        (1, 0),
        (499_999, 0),
        (500_000, 1),
        (12_413_002.0, 12),
        (2**63 - 1, 9_223_372_036_855),
        (2**63, 2**63),
        ("12ms", "12ms"),
        (True, True),
    ],
)
def test_nanoseconds_are_milliseconds_and_anything_else_stays(nanoseconds, ms):
    """The schema refuses what is no duration."""
    event = read(line(Duration=nanoseconds)).event
    assert event["total_time_ms"] == ms
    assert type(event["total_time_ms"]) is type(ms)


@pytest.mark.parametrize("absent", [None, 0, 0.0, -1, -1.0, "-", ""])
def test_a_duration_that_was_not_measured_is_not_there(absent):
    """Nor is it made of the others."""
    event = read(line(Duration=absent, OriginDuration=absent)).event
    assert "total_time_ms" not in event
    assert "backend_time_ms" not in event


@pytest.mark.parametrize(
    ("host", "address", "client"),
    [
        ("192.0.2.7", "192.0.2.7:51234", "192.0.2.7"),
        ("203.0.113.9, 198.51.100.7", "192.0.2.7:51234", "203.0.113.9, 198.51.100.7, 192.0.2.7"),
        ("2001:db8::7", "[2001:db8::7]:51234", "2001:db8::7"),
        ("203.0.113.9", "[2001:db8::7]:51234", "203.0.113.9, 2001:db8::7"),
        (None, "2001:db8::7", "2001:db8::7"),
        (None, "[]:1", "[]:1"),
        (None, "@", "@"),
        ("192.0.2.7", None, "192.0.2.7"),
        ("-", "-", None),
        (7, "192.0.2.7:51234", 7),
        ("192.0.2.7", 7, 7),
    ],
)
def test_the_address_is_the_last_of_the_chain(host, address, client):
    """ClientHost is what the client sent, if it sent a chain."""
    assert read(line(ClientHost=host, ClientAddr=address)).event["http"].get("client_ip") == client


def test_sources_have_every_name_but_secrets():
    """Headers of requests are in the event, by lower-case name; those of answers are fields."""
    kept = {"ClientUsername": "reader", "entryPointName": "web", "origin_X-Consumer": "c1", "request_X-Client-Id": "c2"}
    secret = ("request_Authorization", "request_Cookie", "request_Auth", "origin_Set-Cookie", "origin_Auth")
    found = read(line(**kept, **dict.fromkeys(secret, "s3cret"), request_Referer="REDACTED"))
    assert found.event["http"]["request_headers"] == {"x-client-id": "c2"}
    assert {name: found.fields[name] for name in kept if name in found.fields} == {
        "ClientUsername": "reader",
        "entryPointName": "web",
        "origin_X-Consumer": "c1",
    }
    assert "s3cret" not in orjson.dumps(found.fields).decode()
    assert found.fields["http"] == found.event["http"]


@pytest.mark.parametrize(
    ("start", "time"),
    [
        ({}, "2026-05-01T10:00:00.250113402Z"),
        ({"StartUTC": None, "StartLocal": "2026-05-01T12:00:00.25+02:00"}, "2026-05-01T12:00:00.25+02:00"),
        ({"StartUTC": None}, "2026-05-01T10:00:00Z"),
        ({"StartUTC": 7, "Duration": 2_413_002_000}, "1777629598000"),
        ({"StartUTC": None, "Duration": "2s"}, "2026-05-01T10:00:00Z"),
        ({"StartUTC": None, "time": 7}, None),
    ],
)
def test_the_time_is_that_of_the_beginning(start, time):
    """The entry itself is written at the end."""
    assert read(line(**start)).time == time


def test_an_object_that_the_transport_has_taken_apart_is_read_the_same():
    """Whatever else the transport has put into it."""
    merged = Envelope("rsyslog", "", document={**LINE, "host": "gw1"})
    found = parse(merged)
    assert isinstance(found, Parsed)
    assert found.event == read(line()).event
    assert FORMAT.signature is not None
    assert FORMAT.signature(merged)
    assert parse(Envelope("rsyslog", "", document={"msg": "Configuration loaded"})) == Ignored(Reason.NOT_REQUEST)


def wrapped(kind: str, text: str) -> Envelope:
    """A line in an envelope, as what comes with it writes it."""
    records = {
        "rsyslog": orjson.dumps({"host": "gw1", "program": "traefik", "severity": "info", "message": text}),
        "kubernetes": orjson.dumps({"log": f"{text}\n", "stream": "stdout", "kubernetes": {"pod_name": "traefik-0"}}),
        "cri": f"2026-05-01T10:00:01.000000000Z stdout F {text}\n".encode(),
    }
    envelope = ENVELOPES[kind].decode(records.get(kind, text.encode()))
    assert isinstance(envelope, Envelope)
    return envelope


@pytest.mark.parametrize("case", cases("traefik"))
def test_a_request_is_the_same_in_every_envelope(case):
    """Bare, as a text in another object, or taken apart."""
    bare = line_of("traefik", case)
    expected = parse(bare)
    if isinstance(expected, Parsed):
        for kind in ("json", "lines", "rsyslog", "kubernetes", "cri"):
            found = parse(wrapped(kind, bare.text.strip()))
            assert isinstance(found, Parsed)
            assert (found.event, found.time, found.outcome) == (expected.event, expected.time, expected.outcome)


@given(st.integers(1, len(line()) - 1))
def test_a_cut_line_is_no_request_and_no_other_line(length):
    """It is rejected as soon as its first name tells whose it is."""
    found = parse(Envelope("plain", line()[:length]))
    if length < len('{"ClientAddr"'):
        assert found == Ignored(Reason.NOT_REQUEST)
    else:
        assert isinstance(found, Rejected)
        assert found.reason is Reason.TRUNCATED


@given(st.dictionaries(st.sampled_from([*LINE, "request_User-Agent", "ClientUsername"]), FIGURES))
def test_whatever_values_have_their_names_it_never_raises(values):
    """An event comes out only with a status, if it is not 0, and holds nothing that means absent."""
    found = parse(Envelope("plain", orjson.dumps(LINE | values).decode()))
    if isinstance(found, Parsed):
        orjson.dumps(found.event)
        status = found.event["http"].get("status_code", 200)
        assert status not in (None, "", "-")
        assert type(status) is not int or status >= 100
    else:
        assert isinstance(found, Rejected)
        assert found.reason is Reason.MALFORMED
