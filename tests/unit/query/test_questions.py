"""Parameters: every question is understood or every fault in it is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.timestamps import rfc3339
from logrouter.query import questions
from logrouter.query.parameters import API_SERIES, CLIENT_SERIES, TOP, By, Sort, Step, Wrong, quoted
from logrouter.query.questions import MAX_POINTS, Series, Top
from logrouter.query.reader import Tier
from logrouter.query.spans import KEPT, Window, oldest

NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z
TEXT = st.text(max_size=30)
NAMES = st.sampled_from(["from", "to", "step", "by", "window", "sort", "limit"]) | TEXT
VALUES = st.sampled_from(["minute", "hour", "day", "api", "life", "7d", "2026-09-21T00:00:00Z", "5", "count"]) | TEXT


@pytest.mark.parametrize("parameter", [*TOP, *CLIENT_SERIES, *API_SERIES])
def test_declarations_are_whole(parameter):
    """Each has a documentation, a schema, and a default that is of its kind."""
    assert parameter.doc.endswith(".")
    assert parameter.kind.schema["type"] in {"string", "integer"}
    assert parameter.default is None or not isinstance(parameter.kind.read(parameter.default), Wrong)


def test_without_parameters_a_list_is_by_count_over_24_hours():
    """The defaults of a top list."""
    assert questions.top([]) == Top(Window("24h", 1440), Sort.COUNT, 100)


@pytest.mark.parametrize(("step", "points"), [("minute", 60), ("hour", 24), ("day", 30)])
def test_without_times_a_series_ends_now(step, points):
    """It includes the current bucket, and as many before as suit the step."""
    asked = questions.series("c", [("step", step)], NOW)
    assert asked.stop == Step(step).tier.bucket(NOW // 60_000) + 1
    assert asked.stop - asked.start == points


def test_times_are_widened_to_full_buckets_and_cut_at_now():
    """The begin is rounded down, the end up, and the future has no points."""
    pairs = [("from", "2026-09-21T10:30:00Z"), ("to", "2026-09-21T11:00:01Z"), ("by", "status")]
    hour = 1_790_000_000_000 // 3_600_000
    assert questions.series("c", pairs, NOW) == Series(hour - 4, hour - 2, Step.HOUR, By.STATUS)
    asked = questions.series("c", [("from", "2026-09-21T10:30:00Z"), ("to", "2027-01-01T00:00:00Z")], NOW)
    assert asked.stop == hour + 1


def test_offsets_of_times_are_honoured():
    """12:30 in +02:00 is 10:30 in UTC."""
    one = questions.series("c", [("from", "2026-09-21T12:30:00+02:00")], NOW)
    assert one == questions.series("c", [("from", "2026-09-21T10:30:00Z")], NOW)


@pytest.mark.parametrize("step", list(Step))
def test_the_oldest_kept_bucket_can_be_asked_for_and_no_older_one(step):
    """The refusal says where to begin, and beginning there works."""
    width = step.tier.value * 60_000
    first = oldest(step.tier, NOW) * width
    asked = questions.series("c", [("step", step), ("from", iso(first))], NOW)
    assert isinstance(asked, Series)
    assert asked.stop - asked.start == KEPT[step.tier] + 1
    (fault,) = questions.series("c", [("step", step), ("from", iso(first - 1))], NOW)
    assert fault.parameter == "from"
    assert iso(first) in fault.detail


def iso(ms):
    """A time as queries have it."""
    return rfc3339(ms)


def test_too_many_points_are_refused_with_what_to_do():
    """Where more is kept than one answer holds, the bound on points decides."""
    kept = {Tier.MINUTE: 10_000, Tier.HOUR: 10_000, Tier.DAY: 10_000}
    pairs = [("step", "minute"), ("from", "2026-09-20T00:00:00Z")]
    (fault,) = questions.series("c", pairs, NOW, kept)
    assert fault.parameter == "step"
    assert "use a longer step" in fault.detail


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.sampled_from("ca"))
def test_no_parameters_raise_and_accepted_ones_are_within_bounds(pairs, kind):
    """Whatever is sent, the outcome is a bounded question or a few short faults."""
    for asked in (questions.series(kind, pairs, NOW), questions.top(pairs), questions.nothing(pairs)):
        if isinstance(asked, Series):
            assert 0 < asked.stop - asked.start <= MAX_POINTS
            assert asked.start >= oldest(asked.step.tier, NOW)
            assert asked.stop <= asked.step.tier.bucket(NOW // 60_000) + 1
        elif isinstance(asked, Top):
            assert 1 <= asked.limit <= 1000
        else:
            assert len(asked) <= 20
            assert all(len(fault.parameter) < 300 and len(fault.detail) < 600 for fault in asked)


@given(st.text())
def test_quoted_text_is_short_and_printable(text):
    """What is echoed can neither flood nor control a terminal."""
    shown = quoted(text)
    assert len(shown) < 500
    assert shown.isprintable()
