"""Top lists of several workers merge into what one worker would have said."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.rollup.cells import Cell
from logrouter.query.parameters import Sort
from logrouter.query.reports.tally import PartialTop, Tally, TopCollector, cursor_behind, merge_tops

OUTCOMES = st.dictionaries(st.sampled_from(["ok", "aborted", "backend_error"]), st.integers(1, 3), min_size=1)


@st.composite
def cells(draw):
    """A row with small numbers, so that ties are common."""
    outcome = draw(OUTCOMES)
    count = sum(outcome.values())
    latencies = draw(st.integers(0, count))
    first = draw(st.integers(0, 50))
    return Cell(
        0,
        count,
        float(count),
        draw(st.integers(0, 3)),
        draw(st.integers(0, 3)),
        latencies * draw(st.integers(0, 3)),
        draw(st.integers(0, 3)),
        latencies,
        first,
        first + draw(st.integers(0, 5)),
        {},
        outcome,
    )


ROWS = st.lists(st.tuples(st.sampled_from([f"client{n}" for n in range(12)]), cells()), max_size=60)


def value(sort, rows):
    """What a subject is sorted by, from its rows."""
    if sort is Sort.COUNT:
        return sum(row.count for row in rows)
    if sort is Sort.ERRORS:
        return sum(row.outcome.get("backend_error", 0) for row in rows)
    if sort is Sort.BYTES:
        return sum(row.bytes_in + row.bytes_out for row in rows)
    counted = sum(row.latency_count for row in rows)
    return sum(row.latency_sum for row in rows) / counted if counted else -1


@given(ROWS, st.sampled_from(list(Sort)), st.integers(1, 15), st.integers(1, 4))
def test_merged_lists_equal_brute_force(rows, sort, limit, workers):
    """However subjects are spread over workers, names, numbers, order and totals are those of a recount."""
    boards = [TopCollector(sort, limit) for _ in range(workers)]
    groups = {}
    for name, row in rows:
        boards[zlib.crc32(name.encode()) % workers].add(name, row)
        groups.setdefault(name, []).append(row)
    merged = merge_tops(map(part_of, boards), sort, limit)
    expected = sorted(groups, key=lambda name: (-value(sort, groups[name]), name))
    assert [entry.name for entry in merged.entries] == expected[:limit]
    for name, tally, _ in merged.entries:
        assert tally == tally_of(groups[name])
    assert merged.subjects == len(groups)
    assert merged.total == tally_of([row for _, row in rows])


def part_of(board):
    """A worker's share."""
    return PartialTop(board.largest_entries(), board.subjects, board.total)


@given(ROWS, st.sampled_from(list(Sort)), st.integers(1, 5), st.booleans())
def test_pages_put_together_are_the_whole_list(rows, sort, limit, single):
    """Each page begins behind the last entry of the one before, also among ties."""
    names, after = [], None
    if single:
        rows = [(f"{name}-{number}", row) for number, (name, row) in enumerate(rows)]
    while True:
        board = TopCollector(sort, limit, single=single, after=after)
        for name, row in rows:
            board.add(name, row)
        page = board.largest_entries()
        if not page:
            break
        names += [entry.name for entry in page]
        after = cursor_behind(sort, page[-1])
    whole = TopCollector(sort, 1000)
    for name, row in rows:
        whole.add(name, row)
    assert names == [entry.name for entry in whole.largest_entries()]


def tally_of(rows):
    """The numbers of rows, recounted."""
    if not rows:
        return Tally()
    return Tally(
        sum(row.count for row in rows),
        sum(row.weight for row in rows),
        value(Sort.ERRORS, rows),
        sum(row.bytes_in for row in rows),
        sum(row.bytes_out for row in rows),
        sum(row.latency_sum for row in rows),
        sum(row.latency_count for row in rows),
        max(row.latency_max for row in rows),
        min(row.first_ms for row in rows),
        max(row.last_ms for row in rows),
    )


def test_a_board_of_single_rows_stays_small_and_right():
    """Where every subject has one row, a few times the limit is all that is held."""
    board, kept = TopCollector(Sort.COUNT, 10, single=True), TopCollector(Sort.COUNT, 10)
    sifted = TopCollector(Sort.COUNT, 10)
    for n in range(20_000):
        row = Cell(0, 1 + n * 7919 % 1000, 1.0, outcome={"ok": 1})
        board.add(f"client{n}", row)
        kept.add(f"client{n}", row)
        sifted.add(f"client{n}", row)
        assert len(board._tallies) <= 1041
    assert sum(1 for _ in sifted.sift()) == 10
    assert part_of(board) == part_of(kept) == part_of(sifted)
    assert board.subjects == 20_000


def test_rows_without_requests_are_not_subjects():
    """An empty row is no reason to be listed."""
    board = TopCollector(Sort.COUNT, 10)
    board.add("nobody", Cell(0))
    assert part_of(board) == PartialTop([], 0, Tally())
