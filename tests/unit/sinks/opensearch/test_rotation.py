"""Names of indices: the date of an event, however often and whenever it is sent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.sinks.opensearch.rotation import IndexNames, Rotation
from logrouter.sinks.opensearch.source_event import LAST_MS, SourceEvent

HOUR = 3_600_000
DAY = 24 * HOUR


def ms(text: str) -> int:
    """Epoch milliseconds of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def index_of(names: IndexNames, time: str, arrival: str | None = None) -> str:
    """The index of an event of *time*."""
    return names.index_of(SourceEvent("a", ms(time), ms(arrival or time), {}))


@pytest.mark.parametrize(
    ("rotation", "time", "name"),
    [
        (Rotation.NONE, "2026-05-04T10:00:00", "r"),
        (Rotation.HOUR, "2026-05-04T10:59:59", "r-2026-05-04-10"),
        (Rotation.DAY, "2026-05-04T10:00:00", "r-2026-05-04"),
        (Rotation.MONTH, "2026-05-04T10:00:00", "r-2026-05"),
        # Firehose's documentation shows this day as the eighth week, by a rule that makes it the ninth.
        (Rotation.WEEK, "2016-02-25T13:00:00", "r-2016-w08"),
        (Rotation.WEEK_US, "2016-02-25T13:00:00", "r-2016-w09"),
        (Rotation.WEEK, "2021-01-03T23:59:59", "r-2020-w53"),
        (Rotation.WEEK, "2021-01-04T00:00:00", "r-2021-w01"),
        (Rotation.WEEK, "2024-12-30T00:00:00", "r-2025-w01"),
        (Rotation.WEEK_US, "2025-12-27T23:59:59", "r-2025-w52"),
        (Rotation.WEEK_US, "2025-12-28T00:00:00", "r-2026-w01"),
        (Rotation.WEEK_US, "2026-01-03T23:59:59", "r-2026-w01"),
        (Rotation.WEEK_US, "2026-01-04T00:00:00", "r-2026-w02"),
        (Rotation.WEEK_US, "2028-12-30T12:00:00", "r-2028-w53"),
        (Rotation.WEEK_US, "2028-12-31T12:00:00", "r-2029-w01"),
    ],
)
def test_the_date_follows_the_name(rotation: Rotation, time: str, name: str):
    """In UTC; years of weeks are those that most of the week, or its Saturday, belongs to."""
    assert index_of(IndexNames("r", rotation), time) == name


@pytest.mark.parametrize(
    ("time", "arrival", "by_arrival", "name"),
    [
        ("2026-05-03T00:00:00", "2026-05-04T00:00:00", False, "r-2026-05-03"),
        ("2026-05-03T00:00:00", "2026-05-04T00:00:00", True, "r-2026-05-04"),
        ("1970-01-01T00:00:00", "2026-05-04T00:00:00", False, "r-2026-04-27"),
        ("9999-01-01T00:00:00", "2026-05-04T12:00:00", False, "r-2026-05-05"),
    ],
)
def test_times_far_from_the_arrival_are_clamped(time: str, arrival: str, *, by_arrival: bool, name: str):
    """A week into the past, a day into the future."""
    names = IndexNames("r", Rotation.DAY, by_arrival=by_arrival, max_past_ms=7 * DAY, max_future_ms=DAY)

    assert index_of(names, time, arrival) == name


@given(day=st.dates(date(1970, 1, 10), date(9998, 1, 1)))
def test_weeks_of_the_us_are_seven_days_and_the_first_has_the_first_saturday(day: date):
    """Compared with a count of Saturdays, day by day."""
    saturday = day + timedelta((5 - day.weekday()) % 7)
    first = date(saturday.year, 1, 1)
    number = sum((first + timedelta(n)).weekday() == 5 for n in range((saturday - first).days + 1))

    assert index_of(IndexNames("r", Rotation.WEEK_US), str(day)) == f"r-{saturday.year}-w{number:02d}"


@given(
    rotation=st.sampled_from(Rotation),
    time=st.integers(0, LAST_MS),
    arrival=st.integers(0, LAST_MS),
    by_arrival=st.booleans(),
    past=st.integers(0, 36_500),
    future=st.integers(0, 8_760),
)
def test_any_times_give_a_name_that_an_index_may_have(
    rotation: Rotation, time: int, arrival: int, past: int, future: int, *, by_arrival: bool
):
    """Small letters, digits and hyphens, and never far from the arrival."""
    names = IndexNames("r", rotation, by_arrival=by_arrival, max_past_ms=past * DAY, max_future_ms=future * HOUR)

    name = names.index_of(SourceEvent("a", time, arrival, {}))

    assert name.isascii()
    assert name == name.lower()
    assert set(name) <= set("r-w0123456789")
    earliest = names.index_of(SourceEvent("a", 0, arrival, {}))
    latest = names.index_of(SourceEvent("a", LAST_MS, arrival, {}))
    assert earliest <= name <= latest
