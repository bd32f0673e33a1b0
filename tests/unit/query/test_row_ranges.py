"""Windows become the fewest rows that cover them exactly."""

from hypothesis import given
from hypothesis import strategies as st

from logrouter.query.kinds import WINDOW
from logrouter.query.row_ranges import KEPT, Window, oldest_bucket, rows_before, rows_between, rows_of_window
from logrouter.query.tiers import Tier
from logrouter.tables.retention import BucketsKept

NOWS = st.integers(1_700_000_000_000, 1_900_000_000_000)


def minutes_of(segment):
    """The minutes that a segment's buckets cover."""
    return range(segment.start * segment.tier.value, segment.stop * segment.tier.value)


@given(NOWS, st.integers(1, 400 * 1440))
def test_a_span_covers_its_window_once_with_rows_that_are_kept(now_ms, minutes):
    """From its beginning to the current minute without gap or overlap, in few buckets, none of them expired."""
    row_range = rows_of_window(Window("", minutes), now_ms)
    now = now_ms // 60_000
    begin = row_range.start_ms // 60_000
    position = begin
    for segment in row_range.segments:
        assert minutes_of(segment).start == position
        assert segment.start < segment.stop
        assert segment.start >= oldest_bucket(segment.tier, now_ms)
        position = minutes_of(segment).stop
    # Only the last bucket may reach beyond now, and only as the one that now is in.
    last = row_range.segments[-1]
    assert last.stop == last.tier.bucket(now) + 1
    assert sum(s.stop - s.start for s in row_range.segments if s.tier is Tier.MINUTE) < 60
    assert sum(s.stop - s.start for s in row_range.segments if s.tier is Tier.HOUR) < 24


@given(NOWS, st.integers(1, 400 * 1440))
def test_a_window_begins_when_it_says_as_precisely_as_rows_are_kept(now_ms, minutes):
    """Exact to the minute within 24 hours, to the hour within 35 days, to the day beyond: never later than asked."""
    exact = now_ms // 60_000 + 1 - minutes
    begin = rows_of_window(Window("", minutes), now_ms).start_ms // 60_000
    width = 1 if minutes <= KEPT[Tier.MINUTE] else 60 if minutes <= KEPT[Tier.HOUR] * 60 else 1440
    assert begin <= exact
    assert exact - begin < width


def test_a_day_is_a_few_rows():
    """24 hours that end at 14:13 are 46 minutes, 9 hours and today."""
    segments = rows_of_window(Window("24h", 1440), 1_790_000_000_000).segments
    assert [(s.tier, s.stop - s.start) for s in segments] == [(Tier.MINUTE, 46), (Tier.HOUR, 9), (Tier.DAY, 1)]


def test_the_lifetime_is_one_row():
    """It has no beginning that the tables know."""
    whole = rows_of_window(Window("life", None), 1_790_000_000_000)
    assert whole.start_ms is None
    assert whole.segments == ((Tier.LIFE, 0, 1),)


@given(NOWS)
def test_what_is_readable_is_what_the_tables_keep(now_ms):
    """Both sides of the seam have the same idea of the oldest row."""
    cutoffs = BucketsKept().cutoffs(now_ms // 60_000)
    assert {tier: oldest_bucket(tier, now_ms) for tier in KEPT} == {tier: cutoffs.oldest(tier) for tier in KEPT}


@given(NOWS, st.integers(1, 50), st.integers(0, 500), st.integers(1, 400 * 1440))
def test_shorter_retention_never_reads_what_has_expired(now_ms, hours, more_days, minutes):
    """Retention is configuration: a window longer than what is kept begins where rows begin, and says so.

    The configuration refuses to keep coarser rows for less time than finer ones.
    """
    kept = {Tier.MINUTE: 60, Tier.HOUR: hours, Tier.DAY: -(-hours // 24) + more_days}
    for segment in rows_of_window(Window("", minutes), now_ms, kept).segments:
        assert segment.start >= oldest_bucket(segment.tier, now_ms, kept)


def whole(row_range, now_ms, kept=KEPT):
    """The minutes that a span covers: without gap or overlap, by rows that are kept."""
    position = row_range.start_ms // 60_000
    for segment in row_range.segments:
        assert minutes_of(segment).start == position
        assert segment.start < segment.stop
        assert segment.start >= oldest_bucket(segment.tier, now_ms, kept)
        position = minutes_of(segment).stop
    return range(row_range.start_ms // 60_000, position)


RETENTIONS = st.tuples(st.integers(1, 3000), st.integers(0, 2000), st.integers(0, 500)).map(
    lambda t: {
        Tier.MINUTE: t[0],
        Tier.HOUR: -(-t[0] // 60) + t[1],
        Tier.DAY: -(-(-(-t[0] // 60) + t[1]) // 24) + t[2],
    }
)


@given(NOWS, st.integers(0, 500 * 1440), st.integers(1, 500 * 1440), RETENTIONS)
def test_any_time_range_is_covered_once_with_rows_that_are_kept(now_ms, ago, length, kept):
    """Whatever is kept for how long: both ends are rounded outwards, by less than the step that is kept there."""
    start = max(now_ms - ago * 60_000, (oldest_bucket(Tier.DAY, now_ms, kept)) * 86_400_000)
    stop = start + length * 60_000 - 7
    row_range = rows_between(start, stop, now_ms, kept)
    minutes = whole(row_range, now_ms, kept)
    assert row_range.start_ms <= start
    assert start - row_range.start_ms < 86_400_000
    if stop <= now_ms:
        assert row_range.stop_ms >= stop
        assert row_range.stop_ms - stop < 86_400_000
        assert row_range.stop_ms in (minutes.stop * 60_000, now_ms)
    else:
        assert row_range.stop_ms == now_ms


def test_a_recent_time_range_is_exact_to_the_minute():
    """Within what is kept in minutes nothing is added at either end."""
    now_ms = 1_790_000_000_000
    row_range = rows_between(now_ms - 5 * 3_600_000, now_ms - 3 * 3_600_000, now_ms)
    assert row_range.start_ms == (now_ms - 5 * 3_600_000) // 60_000 * 60_000
    assert row_range.stop_ms == -(-(now_ms - 3 * 3_600_000) // 60_000) * 60_000


@given(NOWS, st.integers(1, 190 * 1440), RETENTIONS)
def test_the_time_range_before_is_as_long_and_ends_where_the_other_begins(now_ms, minutes, kept):
    """To within half a step and one step; the two never overlap."""
    after = rows_of_window(Window("", minutes), now_ms, kept)
    previous = rows_before(after, now_ms, kept)
    if previous is None:
        return
    row_range = whole(previous, now_ms, kept)
    length = -(-after.stop_ms // 60_000) - after.start_ms // 60_000
    assert row_range.stop * 60_000 == previous.stop_ms <= after.start_ms
    assert after.start_ms - previous.stop_ms < 86_400_000
    assert abs(len(row_range) - length) <= 720 or len(row_range) == 1440


def test_there_is_nothing_before_a_lifetime_or_what_is_kept():
    """Then there is nothing to compare with, and no guess."""
    now_ms = 1_790_000_000_000
    assert rows_before(rows_of_window(Window("life", None), now_ms), now_ms) is None
    assert rows_before(rows_of_window(Window("", 300 * 1440), now_ms), now_ms) is None


def test_yesterday_is_24_hours_like_today():
    """The last 24 hours are compared with the 24 full hours before them."""
    now_ms = 1_790_000_000_000  # 14:13:20
    previous = rows_before(rows_of_window(Window("24h", 1440), now_ms), now_ms)
    assert previous.stop_ms - previous.start_ms == 24 * 3_600_000
    assert previous.stop_ms % 3_600_000 == 0


def test_windows_are_read_as_written():
    """Minutes, hours and days, up to 400 days."""
    assert WINDOW.read("15m") == ("15m", 15)
    assert WINDOW.read("7d") == ("7d", 7 * 1440)
    assert WINDOW.read("400d") == ("400d", 400 * 1440)
