"""Points of a series from rows."""

from logrouter.core.rollup.cells import Cell
from logrouter.query.parameters import By, Step
from logrouter.query.parsing import Series
from logrouter.query.reports.points import points_answer
from logrouter.query.row_ranges import RowRange
from logrouter.query.steps import finish
from logrouter.query.tiers import Segment, Tier

SEGMENTS = (Segment(Tier.MINUTE, 0, 3),)
SERIES = Series(0, 3, Step.MINUTE, By.STATUS, RowRange(0, 180_000, SEGMENTS), SEGMENTS)


def test_a_series_has_a_point_for_every_bucket():
    """Where there is no row, the point is all zeros, without a latency."""
    row = Cell(
        1, 2, 2.0, 5, 6, 30, 20, 2, 60_000, 61_000, {200: 1, 0: 1}, {"ok": 1, "aborted": 1}, {"core": 2}, {150: 2}
    )
    answer = finish(points_answer(SERIES, [None, row, None]))
    assert answer["from"] == "1970-01-01T00:00:00.000Z"
    assert answer["to"] == "1970-01-01T00:03:00.000Z"
    assert answer["keys"] == ["000", "200"]
    assert [point["count"] for point in answer["points"]] == [0, 2, 0]
    assert answer["points"][0] == {
        "time": "1970-01-01T00:00:00.000Z",
        "count": 0,
        "weighted": 0.0,
        "errors": 0,
        "bytes": {"in": 0, "out": 0},
        "latency_ms": None,
        "by": {},
    }
    assert answer["points"][1]["by"] == {"000": 1, "200": 1}
    assert answer["points"][1]["errors"] == 0
    assert answer["points"][1]["latency_ms"]["mean"] == 15.0
    assert answer["points"][1]["latency_ms"]["max"] == 20
