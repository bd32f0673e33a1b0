"""Times as logs spell them, and RFC 3339 back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.text.timestamps import epoch_ms, epoch_us, lacks_zone, rfc3339, rfc3339_ms

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
    assert rfc3339_ms(text) is None


@pytest.mark.parametrize(
    ("text", "ms", "without_zone"),
    [
        ("29/Feb/2024:10:00:00 +0000", 1_709_200_800_000, False),
        ("29/Feb/2024:12:30:00.25 +0230", 1_709_200_800_250, False),
        ("29/Feb/2024:09:00:00 -01:00", 1_709_200_800_000, False),
        ("29/Feb/2024:10:00:00", 1_709_200_800_000, True),
        ("2024-02-29T12:00:00+0200", 1_709_200_800_000, False),
        ("2024-02-29 12:00:00,123 +0200", 1_709_200_800_123, False),
        ("2024-02-29T10:00:00,123Z", 1_709_200_800_123, False),
        ("2024-02-29 10:00:00,123", 1_709_200_800_123, True),
        ("2024-02-29T10:00:00.1", 1_709_200_800_100, True),
        ("2024-02-29T10:00:00", 1_709_200_800_000, True),
        ("1709200800", 1_709_200_800_000, False),
        ("1709200800.1239", 1_709_200_800_123, False),
        ("1709200800123", 1_709_200_800_123, False),
        ("1709200800123999", 1_709_200_800_123, False),
        ("1709200800123999999", 1_709_200_800_123, False),
    ],
)
def test_other_spellings_of_logs_are_read_too(text, ms, without_zone):
    """Common log format, relatives of RFC 3339 and epoch digits; a time without zone is UTC, and can be told."""
    assert epoch_ms(text) == ms
    assert lacks_zone(text) is without_zone


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "now",
        "30/Feb/2024:10:00:00 +0000",
        "29/Mai/2024:10:00:00 +0000",
        "29/feb/2024:10:00:00 +0000",
        "29/Feb/2024 10:00:00 +0000",
        "[29/Feb/2024:10:00:00 +0000]",
        "29/Feb/2024:10:00:60 +0000",
        "29/Feb/2024:24:00:00 +0000",
        "29/Feb/2024:10:00:00 +2400",
        "29/Feb/2024:10:00:00 UTC",
        "29/Feb/2024:10:00",
        "٢٩/Feb/2024:10:00:00 +0000",
        "2024-01-01",
        "2024-01-01T10:00Z",
        "2024-13-01 10:00:00",
        "20240101",
        "12345678",
        "17092008001",
        "1709200800.",
        "-1709200800",
        "1" * 1000000,
        "29/Feb/2024:10:00:00." + "1" * 1000000,
    ],
)
def test_what_no_log_spells_so_is_no_time(text):
    """Whatever a time is guessed from must be one in full."""
    assert epoch_ms(text) is None


@given(MOMENTS, st.sampled_from(["seconds", "milliseconds", "microseconds"]), st.sampled_from("Tt "))
def test_it_agrees_with_fromisoformat(moment, timespec, separator):
    """What the standard library writes and reads back is read as the same moment, cut to milliseconds."""
    text = moment.isoformat(sep=separator, timespec=timespec)
    assert epoch_ms(text) == rfc3339_ms(text) == (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


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
    assert lacks_zone(text) in (True, False)
    assert epoch_ms(text) is None or isinstance(epoch_ms(text), int)


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2024-05-01T10:00:00Z", 1_714_557_600_000_000),
        ("2024-05-01T10:00:00.1Z", 1_714_557_600_100_000),
        ("2024-05-01T10:00:00.1234Z", 1_714_557_600_123_400),
        ("2024-05-01T12:00:00.123456789+02:00", 1_714_557_600_123_456),
        ("2024-05-01 10:00:00,123456", 1_714_557_600_123_456),
        ("1714557600.1234567", 1_714_557_600_123_456),
        ("1714557600123", 1_714_557_600_123_000),
        ("1714557600123.456", 1_714_557_600_123_000),
        ("1714557600123456", 1_714_557_600_123_456),
        ("1714557600123456789", 1_714_557_600_123_456),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("yesterday.123456", None),
    ],
)
def test_microseconds_are_as_fine_as_the_time_is(text: str, us: int | None) -> None:
    """What is finer is cut off."""
    assert epoch_us(text) == us
