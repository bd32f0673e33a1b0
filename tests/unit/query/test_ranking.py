"""Lists by the order of each bucket are those of a full count, or say how large what they lack may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.accumulate import Accumulator
from logrouter.core.rollup import partition_of
from logrouter.query import questions
from logrouter.query.endpoints import BY_NAME
from logrouter.query.memory import MemoryReader, MemoryTables
from logrouter.query.parameters import Sort
from logrouter.query.ranking import RANKED, VALUE, Board, Top, contest, is_exact, shortlist
from logrouter.query.reports import Lookup, Ranking, Scan
from logrouter.query.toplist import TopReport, answer

NOW = 1_790_000_000_000
NAMES = [f"client{n}" for n in range(30)]
GROWTH = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(1, 5)), max_size=150)


@given(GROWTH, st.integers(1, 6))
def test_a_top_holds_the_largest_and_bounds_the_rest(growth, room):
    """Whatever grows in whatever order: values are exact, and no other one exceeds the floor."""
    top, values = Top({}), dict.fromkeys(NAMES, 0)
    for name, more in growth:
        values[name] += more
        top.offer(name, values[name], room)
        assert len(top.values) <= 2 * room
        assert all(values[listed] == value for listed, value in top.values.items())
        assert all(value <= top.floor for name, value in values.items() if name not in top.values)
    top.cut(room)
    assert all(value <= top.floor for name, value in values.items() if name not in top.values)


@given(st.lists(GROWTH, min_size=1, max_size=4), st.integers(1, 6), st.integers(1, 8), st.none() | st.integers(0, 40))
def test_who_is_not_on_the_shortlist_is_worth_no_more_than_its_bound(buckets, room, limit, below):
    """Over several buckets and two partitions; without a cursor those left out can't be among the largest either."""
    sums, contests = dict.fromkeys(NAMES, 0), []
    for partition in range(2):
        tops = []
        for growth in buckets:
            values, top = {}, Top({})
            for name, more in growth:
                if partition_of("c" + name, 2) == partition:
                    values[name] = values.get(name, 0) + more
                    top.offer(name, values[name], room)
            for name, value in values.items():
                sums[name] += value
            tops.append(top)
        contests.append(contest(tops, limit if below is None else 10, below))
    names, bound = shortlist(contests, limit, 10, cursor=below is not None)
    listed = sorted((sums[name] for name in names if below is None or sums[name] <= below), reverse=True)
    others = [value for name, value in sums.items() if name not in names and (below is None or value <= below)]
    if is_exact(listed, limit, bound):
        assert all(value <= (listed[limit - 1] if len(listed) >= limit else 0) for value in others)
    enough = listed[limit - 1] if len(listed) >= limit else 0
    assert all(value <= max(bound, enough) for value in others)


def test_a_board_ranks_by_every_order():
    """Requests, errors and bytes, each by its own top; the name is asked for only when it is needed."""
    sums = Accumulator()
    for number, name in enumerate(["a", "b", "b", "c"]):
        sums.add(
            name, "core", NOW, 500 if name == "c" else 200, "backend_error" if name == "c" else "ok", bytes_in=number
        )
    board = Board(2)
    for subject, (cell,) in sums.take():
        if subject[0] == "c":
            board.offer(lambda subject=subject: subject[1:], cell)
    assert board.top(Sort.COUNT).values == {"a": 1, "b": 2, "c": 1}
    assert board.top(Sort.ERRORS).values == {"c": 1}
    assert board.top(Sort.BYTES).values == {"b": 3, "c": 3}
    board.count.cut(1)
    assert (board.count.values, board.count.floor) == ({"b": 2}, 1)
    board.offer(lambda: pytest.fail("not larger than the floor"), sums_of_one())


def sums_of_one():
    """A cell that changes no top."""
    sums = Accumulator()
    sums.add("d", "core", NOW, 200, "ok")
    return sums.take()[0][1][0]


EVENTS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 100), st.sampled_from(["ok", "backend_error"]), st.integers(0, 9)),
    max_size=120,
)


def run(report, reader):
    """Do what a report asks for, as a worker does."""
    for work in report.work():
        if isinstance(work, Scan):
            for row in reader.scan(range(2), work.kind, work.segment, work.prefix):
                if work.add(*row):
                    break
        elif isinstance(work, Lookup):
            for name in work.names:
                for row in reader.numbers(work.kind + name, work.segment):
                    work.add(name, row)
        elif isinstance(work, Ranking):
            for partition in range(2):
                work.take(reader.ranks(partition, work.sort, work.segments))
    return report.part()


@given(
    EVENTS,
    st.sampled_from(RANKED),
    st.integers(1, 4),
    st.integers(1, 12),
    st.sampled_from(["life", "30m", "2h"]),
    st.booleans(),
)
def test_lists_by_order_equal_lists_by_scan(events, sort, room, limit, window, compare):
    """Page by page: the same entries, sums and previous figures; or an inexact list that bounds what it lacks."""
    tables, sums = MemoryTables(2), Accumulator()
    for name, minutes, outcome, size in events:
        sums.add(name, "core", NOW - minutes * 60_000, 200, outcome, bytes_out=size)
    tables.fold(sums.take())
    reader = MemoryReader(tables, mine=frozenset({0, 1}), room=room)
    asked = [("window", window), ("sort", sort), ("limit", str(limit))]
    asked += [("compare", "previous")] if compare and window != "life" else []
    pairs, shown = asked, 0
    while True:
        question = questions.ask(BY_NAME["clients"].parameters, pairs, NOW)
        scanned = answer("c", question, [run(TopReport("c", question), MemoryReader(tables, mine=reader.mine))])
        exact = answer("c", question, [run(TopReport("c", question, few=-1, many=10**9), reader)])
        loose = answer("c", question, [run(TopReport("c", question, few=-1, many=-1), reader)])
        assert scanned["exact"]
        assert exact["exact"]
        assert without(exact) == without(scanned)
        values = {entry["client_id"]: worth(sort, entry) for entry in scanned["clients"]}
        if loose["exact"]:
            # Who is worth nothing is listed by a scan only.
            nonzero = [entry for entry in scanned["clients"] if worth(sort, entry)]
            assert loose["clients"] in (scanned["clients"], nonzero)
            assert without({**loose, "clients": 0, "next": 0}) == without({**scanned, "clients": 0, "next": 0})
        else:
            listed = {entry["client_id"]: worth(sort, entry) for entry in loose["clients"]}
            assert all(values.get(name, value) == value for name, value in listed.items())
            assert all(value <= loose["max_unlisted"] for name, value in values.items() if name not in listed)
        shown += len(scanned["clients"])
        if scanned["next"] is None or shown > 200:
            break
        pairs = [*asked, ("cursor", scanned["next"])]


def without(body):
    """An answer without the number of clients, which an order does not tell."""
    total = None if body["total"] is None else {**body["total"], "clients": 0}
    return {**body, "total": total}


def worth(sort, entry):
    """What an entry is ordered by."""
    return entry["bytes"]["in"] + entry["bytes"]["out"] if sort is Sort.BYTES else entry[sort]


def test_values_are_those_of_lists():
    """What a board ranks by is what a list shows."""
    cell = sums_of_one()
    assert [VALUE[sort](cell) for sort in RANKED] == [1, 0, 0]
