"""The pipeline as a whole: one outcome per record on any bytes, the same on every replay, clean events only."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import logrouter
from logrouter import config
from logrouter.core import ids
from logrouter.core.formats import parser
from logrouter.core.pipeline import process
from logrouter.model import Accepted, Ignored, RawRecord, Rejected

SCHEMAS = Path(logrouter.__file__).parent / "schemas"
NOW = 1_777_888_800_000  # 2026-05-04T10:00:00Z
SOURCE = config.load(None, {}).table.source_of("rsyslog-notice")
UNFILTERED = replace(SOURCE, may_match=None)
REQUEST = {
    "$schema": "/api-gateway/request/1.0.0",
    "meta": {
        "uri": "/core/v1/page?access_token=s3cret",
        "request_id": "r-1",
        "dt": "2026-05-04T09:59:58Z",
        "domain": "api.test",
    },
    "http": {
        "method": "GET",
        "protocol": "HTTP/2",
        "status_code": 200,
        "client_ip": "203.0.113.9, 10.0.0.1",
        "request_headers": {"user-agent": "curl/8", "cookie": "a=b", "x-wmf-user-id": "jwt-sub:42"},
    },
    "total_time_ms": 12,
    "client_id": "c1",
    "route": "core",
}


def line(request: object = None, **envelope: object) -> bytes:
    """A record as rsyslog writes it, slashes escaped."""
    message = request if isinstance(request, str) else orjson.dumps(REQUEST if request is None else request).decode()
    outer = {"host": "gw1", "program": "api-gateway", "timestamp": "2026-05-04T10:00:00Z", "message": message}
    return orjson.dumps(outer | envelope).replace(b"/", rb"\/")


def outcome(value: bytes | None, *, source=SOURCE, timestamp_ms: int = NOW, offset: int = 7):
    """What becomes of one record."""
    record = RawRecord("rsyslog-notice", 3, offset, timestamp_ms, value)
    (only,) = process(source, record, NOW, ids.for_partition("test", "rsyslog-notice", 3))
    return only


def changed(path: str, value: object) -> dict:
    """The request with one field changed."""
    request = json.loads(json.dumps(REQUEST))
    *parents, name = path.split(".")
    part = request
    for parent in parents:
        part = part[parent]
    part[name] = value
    return request


def test_request_becomes_this_event():
    """One request line in, one event out: everything canonical, nothing secret."""
    accepted = outcome(line())

    assert accepted.key == b"c1"
    assert accepted.topic == "api-gateway.request"
    assert orjson.loads(accepted.value) == {
        "$schema": "/logrouter/api_request/1.1.0",
        "meta": {
            "stream": "api-gateway.request",
            "dt": "2026-05-04T09:59:58.000Z",
            "id": ids.for_partition("test", "rsyslog-notice", 3)(7, 0),
            "request_id": "r-1",
            "domain": "api.test",
            "uri": "/core/v1/page",
        },
        "api": "core",
        "route": "core",
        "client_id": "c1",
        "http": {
            "method": "GET",
            "path": "/core/v1/page",
            "protocol": "HTTP/2",
            "status_code": 200,
            "client_ip": "10.0.0.1",
            "request_headers": {"user-agent": "curl/8"},
        },
        "status_class": "2xx",
        "outcome": "ok",
        "total_time_ms": 12,
        "weight": 1.0,
        "source": {
            "format": "envoy",
            "topic": "rsyslog-notice",
            "partition": 3,
            "offset": 7,
            "index": 0,
            "host": "gw1",
            "program": "api-gateway",
        },
    }


@pytest.mark.parametrize("schema", ["api_request/1.1.0", "wikimedia/api-gateway/request/1.0.0"])
def test_event_is_valid_against_both_schemas(schema):
    """A clean event satisfies our schema and the Wikimedia-compatible one."""
    jsonschema.validate(orjson.loads(outcome(line()).value), json.loads((SCHEMAS / f"{schema}.json").read_text()))


@pytest.mark.parametrize(
    ("request_line", "event", "flags"),
    [
        (changed("client_id", None), {"client_id": "jwt-sub:42", "client_type": "jwt-sub"}, None),
        (changed("client_id", ["aud-1", "aud-2"]), {"client_id": "aud-1"}, None),
        (changed("http.status_code", 0), {"outcome": "aborted", "status_class": "0xx"}, None),
        (changed("http.status_code", 429), {"outcome": "throttled", "status_class": "4xx"}, None),
        (changed("meta.dt", None), {}, ["time_from_envelope"]),
        (changed("meta.dt", "2026-05-04 10:00:00,250"), {}, ["time_without_zone"]),
        (changed("meta.dt", "2031-01-01T00:00:00Z"), {}, ["clock_clamped"]),
        (changed("client_id", "x" * 1000), {}, ["suspect"]),
    ],
)
def test_enrichment_of_an_unusual_request(request_line, event, flags):
    """Fallbacks and clamps show in the event, and in its flags where a reader must know."""
    found = outcome(line(request_line)).event

    assert event == {name: found.get(name) for name in event}
    assert flags == found.get("flags")


@given(
    record_ms=st.integers(1, 2**62),
    dt=st.sampled_from(["2031-01-01T00:00:00Z", "2026-05-04T09:59:58Z", "1970-01-01T00:00:00Z", None, "never"]),
    sent=st.sampled_from(["2031-01-01T00:00:00Z", "2026-05-04T10:00:00Z", "9999-12-31T23:59:59Z", ""]),
    clocks=st.tuples(st.integers(0, 2**45), st.integers(0, 2**45)),
)
@example(record_ms=NOW + 10**11, dt="2031-01-01T00:00:00Z", sent="", clocks=(NOW, NOW + 1000))
@example(record_ms=NOW + 10**11, dt=None, sent="", clocks=(NOW, NOW + 1000))
def test_event_is_the_same_whenever_it_is_read(record_ms, dt, sent, clocks):
    """Also if the record's own time is far ahead of both readings, or of one of them: time and flags are data."""
    record = RawRecord("rsyslog-notice", 3, 7, record_ms, line(changed("meta.dt", dt), timestamp=sent))
    first, second = (process(SOURCE, record, now_ms, ids.for_partition("c", "t", 3)) for now_ms in clocks)

    assert first == second


def test_clock_that_is_far_ahead_is_clamped_to_the_record():
    """The record's time is the bound, not the reader's clock; and a record without one bounds nothing."""
    ahead = line(changed("meta.dt", "2031-01-01T00:00:00Z"))

    def time_and_flags(timestamp_ms: int):
        found = outcome(ahead, timestamp_ms=timestamp_ms).event
        return found["meta"]["dt"], found.get("flags")

    assert time_and_flags(NOW) == ("2026-05-04T10:00:00.000Z", ["clock_clamped"])
    assert time_and_flags(NOW + 60_000_000) == ("2026-05-05T02:40:00.000Z", ["clock_clamped"])
    assert time_and_flags(1_956_528_000_000) == ("2031-01-01T00:00:00.000Z", None)
    assert time_and_flags(-1) == ("2031-01-01T00:00:00.000Z", None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ("ignored", "_unmatched", "tombstone")),
        (b"", ("ignored", "_unmatched", "empty")),
        (b"not json at all", ("ignored", "_unmatched", "unmatched")),
        (line(program="sshd"), ("ignored", "_unmatched", "unmatched")),
        (line("[2026-05-04][info] main loop"), ("ignored", "api-gateway", "not_request")),
        (line(changed("meta.domain", "canary")), ("ignored", "api-gateway", "canary")),
        (line()[:-20], ("rejected", "_unmatched", "decode", "invalid_json", "")),
        (line() + b"\xff", ("rejected", "_unmatched", "decode", "invalid_utf8", "")),
        (line(orjson.dumps(REQUEST).decode()[:-9]), ("rejected", "api-gateway", "parse", "truncated", "")),
        (
            line(changed("http.status_code", "200")),
            ("rejected", "api-gateway", "validate", "schema", "/http/status_code"),
        ),
        (line(changed("total_time_ms", True)), ("rejected", "api-gateway", "validate", "schema", "/total_time_ms")),
        (
            line(msg="2026-05-04T10:00:00.1Z stdout P {", message=None),
            ("rejected", "api-gateway", "decode", "partial", ""),
        ),
        (
            line(msg="2026-05-04T10:00:00.1Z stdout P x", program="api-gateway-not"),
            ("ignored", "_unmatched", "unmatched"),
        ),
        (b'{"program":"api-gateway","x":' + b"[" * 3000, ("rejected", "_unmatched", "decode", "too_deep", "")),
        (b"x" * 20_000_000 + b"api-gateway", ("rejected", "_unmatched", "decode", "too_large", "")),
    ],
)
def test_bad_and_foreign_records_end_with_a_reason(value, expected):
    """Every poison ends as one outcome with a bounded reason; only what might be ours is rejected."""
    match outcome(value):
        case Ignored(reason, route):
            found = ("ignored", route, reason)
        case Rejected(stage, reason, _, pointer, route):
            found = ("rejected", route, stage, reason, pointer)

    assert expected == found


def test_replay_gives_the_same_bytes():
    """The event is a function of the record: reading it again at another time changes nothing."""
    record = RawRecord("rsyslog-notice", 3, 7, NOW, line(changed("meta.dt", None)))
    id_of = ids.for_partition("test", "rsyslog-notice", 3)

    assert process(SOURCE, record, NOW, id_of) == process(SOURCE, record, NOW + 3_600_000, id_of)


MUTATION = st.tuples(st.integers(0, 10_000), st.binary(max_size=6))


@given(st.lists(MUTATION, max_size=4), st.sampled_from([line(), line(program="sshd"), line("plain text")]))
@example([], b'{"program":"\\u0061pi-gateway","message":"x"}')
@example([], b'{"program":"sshd","x":"\\u0061", "broken')
def test_no_bytes_make_the_pipeline_raise_and_the_filter_changes_nothing(mutations, value):
    """Damaged records end as one outcome, and as the same one with and without the raw-byte pre-filter."""
    for place, insert in mutations:
        at = place % len(value)
        value = value[:at] + insert + value[at + len(insert) // 2 :]

    assert outcome(value) == outcome(value, source=UNFILTERED)


@given(st.binary(max_size=300), st.integers(-1, 2**62))
def test_arbitrary_bytes_are_one_outcome(value, timestamp_ms):
    """Neither noise nor an absurd record timestamp raises."""
    assert isinstance(
        outcome(b'{"program":"api-gateway",' + value, timestamp_ms=timestamp_ms), (Accepted, Ignored, Rejected)
    )


def test_the_event_names_the_format_that_was_found():
    """With `format: auto` the source's format is the real one."""
    text = '192.0.2.7 - - [04/May/2026:10:00:00 +0000] "GET /core HTTP/1.1" 200 5'
    auto = replace(SOURCE, routes=tuple(replace(route, parse=parser("auto"), format="auto") for route in SOURCE.routes))
    event = outcome(line(text), source=auto).event

    assert event["source"]["format"] == "nginx"
    assert event["flags"] == ["format_nginx", "guessed"]


def test_a_request_for_nothing_but_a_query_has_a_path():
    """Without the query nothing is left of its URI, and an event holds no empty text."""
    event = outcome(line(changed("meta.uri", "?access_token=s3cret"))).event

    assert (event["meta"]["uri"], event["http"]["path"]) == ("/", "/")
