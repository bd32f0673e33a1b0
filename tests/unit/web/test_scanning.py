"""Reads in turns: however the rows lie and whatever their names are tested by, no slice is longer than it may be."""

from __future__ import annotations

import asyncio
import re

import pytest

from logrouter.access.names import NameSet, Wildcard, make_name_set
from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.http_server.meter import RowCount
from logrouter.http_server.work_queue import Places, Turns, WorkQueue
from logrouter.query import parsing
from logrouter.query.memory import MemoryReader, MemoryTables
from logrouter.query.parameters import Sort
from logrouter.query.reports.registry import REPORTS
from logrouter.query.reports.subject_rows import SubjectRows
from logrouter.query.reports.work import Lookup, Ranking, Scan
from logrouter.query.row_ranges import KEPT
from logrouter.query.tiers import Segment, Tier
from logrouter.web.scanning import Scanner

NOW = 1_790_000_000_000
NAMES = [f"client-{number:03d}" for number in range(200)]
LIFE = Segment(Tier.LIFE, 0, 1)
SLICE = 8.0


class Clock:
    """A clock that moves only when work is done, in milliseconds."""

    now = 0.0

    def __call__(self):
        """The time."""
        return self.now

    def work(self, *_):
        """A millisecond's work, as testing a name by hostile patterns."""
        self.now += 1
        return False


class WatchedTurns(Turns):
    """Turns that know how long each lasted."""

    def __init__(self, clock):
        super().__init__(SLICE, clock)
        self.clock, self.lasted = clock, []

    async def take(self):
        """Note when it begins."""
        await super().take()
        self.began = self.clock()

    def give(self):
        """Note how long it was."""
        self.lasted.append(self.clock() - self.began)
        super().give()


@pytest.fixture(scope="module")
def reader():
    """One worker with two hundred clients in one partition, each with as many APIs as a row has room for."""
    tables, sums = MemoryTables(1), Accumulator()
    for name in NAMES:
        for api in range(3):
            sums.add(name, f"api-{api}", NOW, 200, "ok", bytes_out=1, latency_ms=1)
    tables.fold(sums.take())
    return MemoryReader(tables, mine=frozenset({0}))


def lasted(reader, work):
    """How long each turn was in which *work* was done."""
    clock = Clock()
    turns = WatchedTurns(clock)

    async def main():
        queue = WorkQueue(turns, Places(1, 1, each=1, each_waiting=1))
        async with queue.acquire("a") as job:
            await work(Scanner(reader, job, RowCount(), [0]), clock)

    asyncio.run(main())
    return turns.lasted


@pytest.mark.parametrize(
    ("work", "least"),
    [
        (lambda clock: Scan(SubjectKind.CLIENT, LIFE, clock.work), 25),
        (lambda clock: Scan(SubjectKind.CLIENT, LIFE, clock.work, prefix="client-1"), 12),
        (lambda clock: Ranking(Sort.COUNT, [LIFE], 1000, clock.work, lambda _: None), 25),
    ],
    ids=["scan", "prefix", "order"],
)
def test_names_that_take_long_to_test_are_tested_a_few_at_a_time(reader, work, least):
    """A millisecond for each of two hundred names is twenty-five turns, none longer than a slice and one name."""
    found = lasted(reader, lambda scanner, clock: scanner.run_work(work(clock)))
    assert len(found) >= least
    assert max(found) <= SLICE + 1


def test_rows_of_many_names_are_looked_up_a_few_at_a_time(reader):
    """Adding up is work as well: after each read of the store there may be a pause."""
    added = []

    async def work(scanner, clock):
        def add(name, _):
            added.append(name)
            clock.work()

        await scanner.run_work(Lookup(NAMES, Segment(Tier.MINUTE, NOW // 60_000 - 99, NOW // 60_000 + 1), add))

    found = lasted(reader, work)
    assert sorted(added) == NAMES
    assert max(found) <= SLICE + 5  # five names of a hundred minutes are one read


@pytest.mark.parametrize("only", [frozenset(NAMES), frozenset({"nobody"})])
def test_a_confined_caller_has_its_rows_read_in_turns(reader, only):
    """Each of its clients, and nobody else's."""
    added = []

    async def work(scanner, clock):
        def add(name, *_):
            added.append(name)
            clock.work()

        await scanner.run_work_for(Scan(SubjectKind.CLIENT, LIFE, add), SubjectKind.CLIENT, NameSet(only))
        assert scanner.read.here == len(only)

    assert max(lasted(reader, work)) <= SLICE + 1
    assert added == sorted(only & set(NAMES))


def test_names_by_pattern_are_read_in_turns_and_only_those_that_fit_are_paid(reader):
    """A pattern that ends otherwise than it begins passes over rows; the caller is not told how many."""
    added = []

    async def work(scanner, clock):
        def add(name, *_):
            added.append(name)
            clock.work()

        only = make_name_set([Wildcard(("client-1", "5")), Wildcard(("client-19", "")), "client-007"])
        await scanner.run_work_for(Scan(SubjectKind.CLIENT, LIFE, add), SubjectKind.CLIENT, only)
        assert (scanner.read.total, scanner.read.unpaid) == (len(added), 81)

    assert max(lasted(reader, work)) <= SLICE + 1
    assert added == ["client-007", *(name for name in NAMES if re.fullmatch("client-1([0-8]5|9.)", name))]


@pytest.mark.parametrize("kind", [SubjectKind.API, None])
def test_what_is_not_about_the_callers_kind_is_not_read(reader, kind):
    """A report that declares wrongly what it reads is an error rather than a leak."""

    async def work(scanner, _):
        with pytest.raises(ValueError, match="cannot be confined"):
            await scanner.run_work_for(Scan(SubjectKind.CLIENT, LIFE, print), kind, NameSet(frozenset(NAMES)))
        assert scanner.read.here == 0

    lasted(reader, work)


@pytest.mark.parametrize("report", [report for report in REPORTS if hasattr(report, "kind")], ids=lambda one: one.name)
def test_reports_about_one_subject_may_be_interrupted_at_every_row(reader, report):
    """However many rows the time range has, the answer is made in as many steps or more."""
    query = parsing.parse_query(report.parameters, [("window", "24h")], NOW, name=report.name)
    name = "client-000" if report.kind is SubjectKind.CLIENT else "api-0"
    segments = report.segments(query, KEPT)
    moment = reader.moment(report.kind + name, segments)
    steps = report.answer(SubjectRows(moment, report.kind, name, KEPT), query)
    assert sum(1 for _ in steps) >= len(moment.found) - 1
