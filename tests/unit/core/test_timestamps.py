"""RFC 3339 both ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.timestamps import epoch_ms, rfc3339

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - the strategy wants naive bounds
    max_value=datetime(9998, 12, 31),  # noqa: DTZ001 - the strategy wants naive bounds
    timezones=st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2024-02-29T10:00:00Z", 1_709_200_800_000),
        ("2024-02-29T10:00:00.1Z", 1_709_200_800_100),
        ("2024-02-29T10:00:00.123999999Z", 1_709_200_800_123),
        ("2024-02-29t10:00:00z", 1_709_200_800_000),
        ("2024-02-29 12:30:00+02:30", 1_709_200_800_000),
        ("2024-02-29T00:00:00.5-10:00", 1_709_200_800_500),
        ("2024-02-29T10:00:00-00:00", 1_709_200_800_000),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_a_time_is_read_to_the_millisecond(text, ms):
    """Any fraction is cut to milliseconds, any offset counts, T and Z may be small, T may be a space."""
    assert epoch_ms(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "now",
        "2023-02-29T10:00:00Z",
        "2024-13-01T10:00:00Z",
        "2024-00-01T10:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T10:60:00Z",
        "2024-01-01T10:00:60Z",
        "2024-01-01T10:00:00",
        "2024-01-01T10:00Z",
        "2024-01-01",
        "2024-01-01T10:00:00+0200",
        "2024-01-01T10:00:00+24:00",
        "2024-01-01T10:00:00+02:60",
        "2024-01-01T10:00:00.Z",
        "2024-01-01T10:00:00,5Z",
        "2024-01-01T10:00:00ZZ",
        " 2024-01-01T10:00:00Z",
        "2024-01-01T10:00:00Z\n",
        "٢٠٢٤-01-01T10:00:00Z",
        "2024-01-01T10:00:0²Z",
        "2024-01-01T10:00:00.1²Z",
        "0000-01-01T00:00:00Z",
        "2024-01-01T10:00:00." + "1" * 200 + "Z",
        "2024-01-01T10:00:00." + "1" * 1000000,
    ],
)
def test_what_is_no_time_is_none(text):
    """The calendar is strict, the offset required, digits are ASCII, and nothing raises."""
    assert epoch_ms(text) is None


@given(MOMENTS, st.sampled_from(["seconds", "milliseconds", "microseconds"]), st.sampled_from("Tt "))
def test_it_agrees_with_fromisoformat(moment, timespec, separator):
    """What the standard library writes and reads back is read as the same moment, cut to milliseconds."""
    text = moment.isoformat(sep=separator, timespec=timespec)
    assert epoch_ms(text) == (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_writing_and_reading_are_inverse(ms):
    """Every millisecond of the years 1 to 9999 survives, in one fixed width."""
    text = rfc3339(ms)
    assert len(text) == 24
    assert epoch_ms(text) == ms


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (10**30, "9999-12-31T23:59:59.999Z"), (-(10**30), "0001-01-01T00:00:00.000Z")],
)
def test_what_no_calendar_holds_is_written_as_the_nearest_moment(ms, text):
    """Writing a time never raises."""
    assert rfc3339(ms) == text


@given(st.text(max_size=40))
def test_no_text_makes_reading_raise(text):
    """Any text is a time or None."""
    assert epoch_ms(text) is None or isinstance(epoch_ms(text), int)
