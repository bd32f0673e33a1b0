"""Answers from rows."""

from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.cells import Cell
from logrouter.query import answers
from logrouter.query.tiers import Position


def test_totals_do_not_change_the_rows():
    """Rows may be the tables' own cells."""
    row = Cell(7, 1, 1.0, status={200: 1}, outcome={"ok": 1})
    whole = answers.sum_cells([row, None, row, Cell(0)])
    assert (whole.count, whole.status, row.count, row.status) == (2, {200: 2}, 1, {200: 1})


@given(st.integers(-1, 2**63), st.integers(-1, 2**63))
def test_freshness_never_shows_the_placeholders(offset, end):
    """What is unknown is null, and lag is never negative."""
    fresh = answers.partition_freshness(3, Position(offset, end), "http://x")
    assert fresh["offset"] is None or fresh["offset"] >= 0
    assert (fresh["lag"] is None) == (fresh["end"] is None) == (end < 0)
    assert fresh["lag"] is None or fresh["lag"] >= 0


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.integers(-(2**63) + 1, 2**63 - 1))
def test_absurd_times_in_rows_still_make_an_answer(first, last):
    """Event times come from log lines; figures clamp what RFC 3339 cannot say."""
    figures = answers.figures_of(Cell(0, 1, 1.0, first_ms=first, last_ms=last), apis=True)
    assert figures["first_seen"].endswith("Z")
    assert figures["last_seen"].endswith("Z")


def test_figures_over_everything_are_made_without_what_they_do_not_show():
    """URLs, clients, peers and failures are most of a cell: not merged by the thousand, nor sent between workers."""
    sums = Accumulator()
    for n in range(9):
        status, outcome = ((200, "ok"), (503, "backend_error"))[n % 2]
        sums.add(f"client-{n}", "core", 60_000 * n, status, outcome, latency_ms=n, path=f"/core/{n}")
    whole = answers.sum_cells(cell for subject, cells in sums.take() if subject == "acore" for cell in cells)
    light = answers.without_breakdowns(whole, errors=True)
    assert answers.figures_of(light, apis=False) == answers.figures_of(whole, apis=False)
    assert whole.url
    assert (light.url, light.clients, light.peer, light.recent) == ({}, {}, {}, [])
    assert answers.numbers_of(answers.without_breakdowns(whole)) == answers.numbers_of(whole)
    assert answers.without_breakdowns(whole).error == {}
