"""Top lists as reports and answers: by the order of clients where it is known, else by a scan of all rows.

By the order, a list costs reads of its own entries and little more, however many clients there are. It may then lack
the number of clients, and names that are as large as its last entry; it says so. What an order cannot tell, a mean or a
search, is scanned for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.timestamps import rfc3339
from logrouter.query.answers import SUBJECT_FIELD, Answer, interval, mean, weighted
from logrouter.query.cursors import encode
from logrouter.query.ranking import RANKED, contest, is_exact, shortlist
from logrouter.query.reports import Lookup, Ranking, Scan
from logrouter.query.top import BY, Board, Entry, Part, Sums, Tally, cursor_of, largest, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from logrouter.core.cells import Cell, Numbers
    from logrouter.query.parameters import Sort
    from logrouter.query.questions import Asked
    from logrouter.query.ranking import Contest, Ranks
    from logrouter.query.reports import Work
    from logrouter.query.spans import Span

    Add = Callable[[str, Cell | Numbers], None]

COLLECTION: Final = {"c": "clients", "a": "apis"}
"""What a list of a subject kind is called in answers and paths."""

FEW_ROWS: Final = 20_000
"""So many are scanned rather than ranked: a scan counts clients as well."""
MANY_ROWS: Final = 200_000
"""So many are still scanned if the order alone does not give an exact list: about a second."""


_CONFINED: Final[int] = -2
"""In place of a number of rows: the caller may not see everybody, so nobody's order is told."""
_UNKNOWN: Final[int] = -1
"""In place of a number of rows: some bucket's order is not known yet."""


class TopReport:
    """The share of one worker of a top list, as a report (`query.reports.Report`).

    *few* and *many* are the numbers of rows up to which a scan is preferred to the order, and to an inexact list.
    """

    def __init__(self, kind: str, asked: Asked, few: int = FEW_ROWS, many: int = MANY_ROWS) -> None:
        self._kind = kind
        self._asked = asked
        self._few, self._many = few, many
        # One more than is shown tells whether there are more.
        self._limit: int = asked.values["limit"] + 1
        self._sort: Sort = asked.values["sort"]
        self._wanted = asked.names.test()
        self._part = Part([])

    def work(self) -> Iterator[Work | None]:
        """The window, and then for what was found in it the stretch before."""
        apis = None
        if self._kind == "c" and self._sort in RANKED and self._wanted is None:
            contests: list[Contest] = []
            known = yield from self._order(contests)
            if known != _CONFINED:
                apis = yield from self._apis()
            if known > self._few and (yield from self._by_order(contests, known)):
                self._part.apis = apis
                return
        yield from self._by_scan()
        self._part.apis = apis

    def part(self) -> Part:
        """What the work came to."""
        return self._part

    # --- by the order

    def _order(self, contests: list[Contest]) -> Generator[Work | None, None, int]:
        """Ask for the order; the rows that it stands for, or why it is not known."""
        limit, cursor = self._limit, self._asked.cursor
        told: list[int] = []

        def take(ranks: Ranks | None) -> None:
            told.append(_UNKNOWN if ranks is None else ranks.rows)
            if ranks is not None:
                below = None if cursor is None else cursor.value
                contests.append(contest(ranks.tops, limit if cursor is None else self._room, below))

        yield Ranking(self._sort, self._asked.time.span.segments, take)
        if not told:
            return _CONFINED
        return _UNKNOWN if _UNKNOWN in told else sum(told)

    @property
    def _room(self) -> int:
        return 2 * self._limit + 200

    def _by_order(self, contests: list[Contest], rows: int) -> Generator[Work | None, None, bool]:
        """The list by what is known of the order; False if it is not good enough."""
        cursor, stretch = self._asked.cursor, self._asked.time
        names, bound = shortlist(contests, self._limit, self._room, cursor=cursor is not None)
        listed = largest((yield from self._looked_up(names, stretch.span)), self._sort, self._limit, cursor)
        exact = is_exact([BY[self._sort](entry.tally) for entry in listed], self._limit - 1, bound)
        # The order does not know who is worth nothing; where that costs little, they are listed all the same.
        short = len(listed) < self._limit
        if (not exact and cursor is not None) or ((not exact or short) and rows <= self._many):
            return False
        if stretch.previous is not None:
            former = yield from self._looked_up([entry.name for entry in listed], stretch.previous)
            listed = [entry._replace(previous=old.tally) for entry, old in zip(listed, former, strict=True)]
        self._part = Part(listed, None, bound=0 if exact else bound, more=bound > 0)
        return True

    def _looked_up(self, names: Sequence[str], covered: Span) -> Generator[Work | None, None, list[Entry]]:
        tallies = {name: Tally() for name in names}

        def add(name: str, row: Cell | Numbers) -> None:
            tallies[name].add(row)

        for segment in covered.segments:
            yield Lookup("c", names, segment, add)
        return [Entry(name, tally) for name, tally in tallies.items()]

    def _apis(self) -> Generator[Work | None, None, Sums]:
        """What everybody adds up to: every request counts in exactly one API, and these are few."""
        now = Tally()
        yield from self._summed(now, self._asked.time.span)
        before = None
        if self._asked.time.previous is not None:
            before = Tally()
            yield from self._summed(before, self._asked.time.previous)
        return Sums(now, before)

    @staticmethod
    def _summed(into: Tally, covered: Span) -> Iterator[Scan]:
        for segment in covered.segments:
            yield Scan("a", segment, lambda _, __, row: into.add(row), whole=False)

    # --- by a scan

    def _by_scan(self) -> Iterator[Work | None]:
        stretch = self._asked.time
        board = self._board_of(stretch.span)
        yield from self._scans(stretch.span, board.add)
        for _ in board.sift():
            yield None
        entries = board.largest()
        self._part = Part(entries, board.subjects, Sums(board.total))
        if stretch.previous is None:
            return
        before, listed = Tally(), {entry.name: Tally() for entry in entries}

        def add(name: str, row: Cell | Numbers) -> None:
            before.add(row)
            if (known := listed.get(name)) is not None:
                known.add(row)

        yield from self._scans(stretch.previous, add)
        self._part.entries = [entry._replace(previous=listed[entry.name]) for entry in entries]
        self._part.sums = Sums(board.total, before)

    def _board_of(self, covered: Span) -> Board:
        first = covered.segments[0]
        single = len(covered.segments) == 1 and first.stop - first.start == 1
        return Board(self._sort, self._limit, single=single, after=self._asked.cursor)

    def _scans(self, covered: Span, add: Add) -> Iterator[Scan]:
        wanted = self._wanted

        def some(name: str, _: int, row: Cell | Numbers) -> None:
            if wanted is None or wanted(name):
                add(name, row)

        for segment in covered.segments:
            yield Scan(self._kind, segment, some, whole=False, prefix=self._asked.names.prefix)


def answer(kind: str, asked: Asked, parts: Sequence[Part]) -> Answer:
    """A top list as it is sent."""
    limit, sort, stretch = asked.values["limit"], asked.values["sort"], asked.time
    merged = merge(parts, sort, limit + 1)
    listed = merged.entries[:limit]
    more = bool(listed) and (merged.more or len(merged.entries) > limit)
    last = cursor_of(sort, listed[-1]) if more else None
    sums, before = merged.sums, stretch.previous
    sums, before = merged.sums, stretch.previous
    exact = is_exact([BY[sort](entry.tally) for entry in listed], limit, merged.bound)
    return {
        **({} if stretch.window is None else {"window": stretch.window}),
        **interval(stretch.span),
        "sort": sort,
        "limit": limit,
        "exact": exact,
        "max_unlisted": None if exact else merged.bound,
        "total": None if sums is None else {COLLECTION[kind]: merged.subjects, **_numbers(sums.now)},
        **({} if before is None else {"previous": {**interval(before), **_numbers(_before(sums))}}),
        COLLECTION[kind]: [
            {
                SUBJECT_FIELD[kind]: entry.name,
                **_numbers(entry.tally),
                **({} if entry.previous is None else {"previous": _numbers(entry.previous)}),
            }
            for entry in listed
        ],
        "next": None if last is None else encode(last, asked.identity),
    }


def _numbers(tally: Tally) -> Answer:
    return {
        "count": tally.count,
        "weighted": weighted(tally.weight),
        "errors": tally.errors,
        "bytes": {"in": tally.bytes_in, "out": tally.bytes_out},
        "latency_ms": {"mean": mean(tally.latency_sum, tally.latency_count), "max": tally.latency_max}
        if tally.latency_count
        else None,
        "first_seen": rfc3339(tally.first_ms) if tally.count else None,
        "last_seen": rfc3339(tally.last_ms) if tally.count else None,
    }


def _before(sums: Sums | None) -> Tally:
    return Tally() if sums is None or sums.before is None else sums.before
