"""What an event becomes: fields of the header by what the event says, and values that are none."""

from __future__ import annotations

import json

import pytest

from logrouter.core.framing.octet_counting import frame_counted
from logrouter.model import RawRecord
from logrouter.sinks.contract import Refused, Skipped, SkipReason
from logrouter.sinks.syslog.protocol import SyslogProtocol
from tests.unit.sinks.syslog.receiver import parse
from tests.unit.sinks.worlds import event

PLAIN = SyslogProtocol(None, 99_990)


def record(value, timestamp_ms=1_795_687_200_123):
    """A record with an event."""
    data = value if isinstance(value, bytes | None) else json.dumps(value, ensure_ascii=False).encode()
    return RawRecord("out", 0, 0, timestamp_ms, data)


def message_of(value, protocol=PLAIN, **options):
    """What an event becomes, read back."""
    [message] = protocol.encode([record(value, **options)]).request
    return parse(message)


def test_an_event():
    """Its time, its API, its id, and itself."""
    found = message_of(event(7, api="core"))
    assert found[:8] == (1, 6, "2026-11-26T10:00:00.000Z", "logrouter", "core", "-", "request", "logrouter@32473")
    assert found.data == {"id": event(7)["meta"]["id"]}
    assert json.loads(found.text) == event(7, api="core")


def test_options():
    """Facility, host, program, and the number of whoever defines the id's name."""
    protocol = SyslogProtocol(None, 99_990, "gate", "api-log", 16, 99_999)
    found = message_of(event(7, api="core"), protocol)
    assert (found.facility, found.host, found.app_name, found.sd_id) == (16, "gate", "api-log", "logrouter@99999")


@pytest.mark.parametrize(
    ("status", "severity"),
    [(200, 6), (399, 6), (400, 4), (499, 4), (500, 3), (599, 3), (600, 6), (0, 6), (None, 6), ("500", 6), (True, 6)],
)
def test_severity(status, severity):
    """By the status."""
    assert message_of({"http": {"status_code": status}}).severity == severity


@pytest.mark.parametrize(
    ("dt", "expected"),
    [
        ("2026-11-26T12:00:00.5+02:00", "2026-11-26T10:00:00.500Z"),
        ("2026-02-30T12:00:00Z", "2026-11-26T10:00:00.123Z"),
        ("no time", "2026-11-26T10:00:00.123Z"),
        (5, "2026-11-26T10:00:00.123Z"),
    ],
)
def test_time(dt, expected):
    """The event's own, in UTC; else that of its record."""
    assert message_of({"meta": {"dt": dt}}).timestamp == expected


def test_no_time_at_all():
    """Is no time."""
    assert message_of({}, timestamp_ms=-1).timestamp == "-"


@pytest.mark.parametrize("found", [None, 5, [], "x" * 129, "é" * 65])
def test_an_id_that_is_none(found):
    """Or too long: a part of it would be another event's."""
    assert message_of({"meta": {"id": found}}).data == {}


@pytest.mark.parametrize("value", [b"[]", b"1", b"null", b'"text"', b'{"meta":[],"http":1,"api":2}'])
def test_json_of_any_kind(value):
    """Is sent as it is."""
    found = message_of(value)
    assert (found.text, found.app_name, found.data) == (value.decode(), "-", {})


def test_the_text_is_the_same_json():
    """Ends of lines between tokens are spaces, and control characters in texts are escaped."""
    text = '{\n\t"a":\r\n"\x7f\x80\x9f\u0085é"}'
    found = message_of(text.encode()).text
    assert found == '{ \t"a":  "\\u007f\\u0080\\u009f\\u0085é"}'
    assert json.loads(found) == json.loads(text)


def test_frames():
    """One for each event that is sent; the others are settled, each in its place."""
    encoded = SyslogProtocol(frame_counted, 99_990).encode([record(b"{}"), record(None), record(b"{"), record(b"[]")])
    assert [type(each) for each in encoded.settled] == [type(None), Skipped, Refused, type(None)]
    assert encoded.settled[1] == Skipped(SkipReason.TOMBSTONE)
    assert len(encoded.request) == 2
    assert encoded.size == sum(map(len, encoded.request))
    assert all(frame.startswith(b"%d <14>1 " % (len(frame) - 3)) for frame in encoded.request)


def test_a_long_event_is_cut():
    """Whatever its header."""
    protocol = SyslogProtocol(None, 1024, "h" * 255, "a" * 48)
    [message] = protocol.encode([record({"meta": {"id": '"' * 128}, "text": "é" * 2000})]).request
    assert 1022 <= len(message) <= 1024
    assert parse(message).data == {"id": '"' * 128}
    assert parse(message).text.endswith("é")
