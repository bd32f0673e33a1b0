"""Parameters: every question is understood or every fault in it is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.text.timestamps import rfc3339
from logrouter.query import parsing
from logrouter.query.kinds import Invalid, quoted
from logrouter.query.parameters import By, Sort, Step
from logrouter.query.parsing import MAX_POINTS, Query, Series
from logrouter.query.reports.registry import ENDPOINTS
from logrouter.query.row_ranges import KEPT, oldest_bucket
from logrouter.query.tiers import Segment, Tier

BY_NAME = {endpoint.name: endpoint for endpoint in ENDPOINTS}
NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z
TEXT = st.text(max_size=30)
NAMES = st.sampled_from(sorted({p.name for endpoint in ENDPOINTS for p in endpoint.parameters})) | TEXT
VALUES = (
    st.sampled_from(
        ["minute", "hour", "day", "api", "life", "7d", "2026-09-21T00:00:00Z", "5", "count", "previous", "5xx", "*a?"]
    )
    | TEXT
)


def parse_query(name, pairs=(), now=NOW, kept=KEPT):
    """What is asked of an endpoint, or the faults."""
    return parsing.parse_query(BY_NAME[name].parameters, pairs, now, kept, name=name)


def series(pairs, now=NOW, kept=KEPT):
    """What points are asked for, or the faults."""
    query = parse_query("client_series", pairs, now, kept)
    return query.series if isinstance(query, Query) else query


@pytest.mark.parametrize("parameter", [p for endpoint in ENDPOINTS for p in endpoint.parameters], ids=lambda p: p.name)
def test_declarations_are_whole(parameter):
    """Each has a documentation, a schema, and a default that is of its kind."""
    assert parameter.doc.endswith(".")
    assert parameter.kind.schema["type"] in {"string", "integer"}
    for good in (parameter.default, parameter.example):
        assert good is None or not isinstance(parameter.kind.read(good), Invalid)


def test_without_parameters_a_list_is_by_count_over_24_hours():
    """The defaults of a top list."""
    query = parse_query("clients")
    assert query.time_range.window == "24h"
    assert query.time_range.previous is None
    assert (query.values["sort"], query.values["limit"]) == (Sort.COUNT, 100)


@pytest.mark.parametrize(("step", "points"), [("minute", 60), ("hour", 24), ("day", 30)])
def test_without_times_a_series_ends_now(step, points):
    """It includes the current bucket, and as many before as suit the step."""
    query = series([("step", step)], NOW)
    assert query.stop == Step(step).tier.bucket(NOW // 60_000) + 1
    assert query.stop - query.start == points


def test_points_begin_with_the_clock_and_the_outer_ones_are_cut():
    """The range is in whole minutes where these are kept, and the future has no points."""
    pairs = [("from", "2026-09-21T10:30:10Z"), ("to", "2026-09-21T12:00:01Z"), ("by", "status")]
    hour = 1_790_000_000_000 // 3_600_000
    minutes = Segment(Tier.MINUTE, 60 * (hour - 4) + 30, 60 * (hour - 3))
    last = Segment(Tier.MINUTE, 60 * (hour - 2), 60 * (hour - 2) + 1)

    query = series(pairs, NOW)

    assert query[:4] == (hour - 4, hour - 1, Step.HOUR, By.STATUS)
    assert query.segments == (minutes, Segment(Tier.HOUR, hour - 3, hour - 2), last)
    assert query.time_of(hour - 4) == iso(query.rows.start_ms) == "2026-09-21T10:30:00.000Z"
    assert query.time_of(hour - 3) == "2026-09-21T11:00:00.000Z"
    assert iso(query.rows.stop_ms) == "2026-09-21T12:01:00.000Z"
    query = series([("from", "2026-09-21T10:30:00Z"), ("to", "2027-01-01T00:00:00Z")], NOW)
    assert query.stop == hour + 1


def test_offsets_of_times_are_honoured():
    """12:30 in +02:00 is 10:30 in UTC."""
    one = series([("from", "2026-09-21T12:30:00+02:00")], NOW)
    assert one == series([("from", "2026-09-21T10:30:00Z")], NOW)


@pytest.mark.parametrize("step", list(Step))
def test_the_oldest_kept_bucket_can_be_asked_for_and_no_older_one(step):
    """The refusal says where to begin, and beginning there works."""
    width = step.tier.value * 60_000
    first = oldest_bucket(step.tier, NOW) * width
    query = series([("step", step), ("from", iso(first))], NOW)
    assert isinstance(query, Series)
    assert query.stop - query.start == KEPT[step.tier] + 1
    (fault,) = series([("step", step), ("from", iso(first - 1))], NOW)
    assert fault.parameter == "from"
    assert iso(first) in fault.detail


def iso(ms):
    """A time as queries have it."""
    return rfc3339(ms)


def test_too_many_points_are_refused_with_what_to_do():
    """Where more is kept than one answer holds, the bound on points decides."""
    kept = {Tier.MINUTE: 10_000, Tier.HOUR: 10_000, Tier.DAY: 10_000}
    pairs = [("step", "minute"), ("from", "2026-09-20T00:00:00Z")]
    (fault,) = series(pairs, NOW, kept)
    assert fault.parameter == "step"
    assert "use a longer step" in fault.detail


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.sampled_from(ENDPOINTS))
def test_no_parameters_raise_and_accepted_ones_are_within_bounds(pairs, endpoint):
    """Whatever is sent, the outcome is a bounded question or a few short faults."""
    query = parse_query(endpoint.name, pairs)
    if isinstance(query, Query):
        assert not query.values.get("limit") or 1 <= query.values["limit"] <= 1000
        if query.series_or_none is not None:
            assert 0 < query.series.stop - query.series.start <= MAX_POINTS
            assert query.series.start >= oldest_bucket(query.series.step.tier, NOW)
            assert query.series.stop <= query.series.step.tier.bucket(NOW // 60_000) + 1
        if query.time_range_or_none is not None:
            assert query.time_range.rows.stop_ms <= NOW
    else:
        assert 0 < len(query) <= 20
        assert all(len(fault.parameter) < 300 and len(fault.detail) < 600 for fault in query)


@pytest.mark.parametrize(
    ("name", "pairs", "parameter"),
    [
        ("clients", [("window", "1h"), ("from", "2026-09-21T10:00:00Z")], "window"),
        ("client_series", [("window", "1h"), ("to", "2026-09-21T10:00:00Z")], "window"),
        ("clients", [("to", "2026-09-21T10:00:00Z")], "to"),
        ("clients", [("from", "2026-09-22T10:00:00Z")], "from"),
        ("clients", [("from", "2020-09-22T10:00:00Z")], "from"),
        ("clients", [("from", "2026-09-21T10:00:00Z"), ("to", "2026-09-21T10:00:00Z")], "from"),
        ("clients", [("window", "life"), ("compare", "previous")], "compare"),
        ("clients", [("window", "300d"), ("compare", "previous")], "compare"),
        ("client", [("compare", "previous")], "compare"),
        ("clients", [("compare", "2026-09-14T00:00:00Z")], "compare"),
        ("clients", [("compare", "2026-09-14T00:00:00Z/yesterday")], "compare"),
        ("clients", [("compare", "2026-09-14T00:00:00Z/2026-09-13T00:00:00Z")], "compare"),
        ("clients", [("compare", "2020-09-14T00:00:00Z/2020-09-15T00:00:00Z")], "compare"),
        ("client_series", [("window", "life")], "window"),
        ("clients", [("cursor", "x")], "cursor"),
        ("client_apis", [("status", "9999")], "status"),
        ("client_apis", [("status", "5")], "status"),
        ("client_apis", [("include", "x" * 129)], "include"),
        ("client_apis", [("include", "")], "include"),
        ("client_apis", [("include", "x")] * 21, "include"),
        ("client", [("min_offset", "-1")], "min_offset"),
        ("client", [("max_staleness", "25h")], "max_staleness"),
        ("client", [("format", "csv")], "'format'"),
        ("clients", [("min_offset", "1")], "'min_offset'"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(name, pairs, parameter):
    """One fault, and it is about the right parameter."""
    (fault,) = parse_query(name, pairs)
    assert fault.parameter == parameter


def test_a_window_of_a_series_ends_now():
    """Instead of from and to."""
    assert series([("window", "3h")]) == series([("from", "2026-09-21T11:14:00Z")])


def test_repeated_parameters_are_taken_together():
    """Patterns of names and statuses."""
    query = parse_query("client_apis", [("include", "a*"), ("include", "b*"), ("status", "404"), ("status", "5xx")])
    assert query.names.include == ("a*", "b*")
    assert len(query.statuses) == 101
    assert parse_query("unmatched").statuses == {"404"}
    assert parse_query("unmatched", [("status", "403")]).statuses == {"403"}


@given(st.text())
def test_quoted_text_is_short_and_printable(text):
    """What is echoed can neither flood nor control a terminal."""
    shown = quoted(text)
    assert len(shown) < 500
    assert shown.isprintable()
