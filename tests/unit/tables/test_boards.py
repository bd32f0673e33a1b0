"""Boards beside real rows: exact through flushes, kills, clean stops, recoveries, building and expiry."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logrouter.core.cells import Cell
from logrouter.query.parameters import Sort
from logrouter.query.ranking import RANKED, ROOM, VALUE
from logrouter.query.reader import Tier
from logrouter.tables import boards as module
from logrouter.tables import rebuild, rows
from logrouter.tables.boards import EDIT, RANK, Boards, keys_with
from logrouter.tables.fold import PartitionFold
from logrouter.tables.reader import stored
from logrouter.tables.retention import Cutoffs
from logrouter.tables.store import Recovered, batch, open_database
from logrouter.tables.unflushed import Range

NOW = 29_000_000
ALL = Cutoffs(0, 0, 0)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Rooms that a few clients fill."""
    for tier in ROOM:
        monkeypatch.setitem(ROOM, tier, 3)
    monkeypatch.setattr(module, "MAX_OPEN", 3)


class Partition:
    """One database with its boards and its fold, as a store and a table drive them."""

    def __init__(self, path):
        self.path = path
        self.offset = 0
        self.open()

    def open(self):
        """Start: what was in memory is gone."""
        self.database = open_database(self.path)
        self.boards = Boards(self.database)
        high = max((rows.watermark(value) for _, value in self.rows()), default=rows.NOTHING)
        self.fold = PartitionFold(self.database.get, high, self.offset - 1, changed=self.boards.changed)

    def stop(self, *, clean):
        """End, with everything saved if *clean*."""
        if clean:
            self.boards.save()
        del self.boards, self.fold
        self.database.close()
        self.open()

    def rows(self):
        """Every row there is."""
        return [(key, value) for key, value in self.database.items() if rows.is_row(key)]

    def opened(self):
        """As the store tells it."""
        return {0: self.database}

    def iterator(self, _):
        """As the store's."""
        return self.database.iter()

    def feed(self, subjects):
        """Fold a record."""
        self.fold.add(self.offset, subjects, ALL)
        self.offset += 1

    def flush(self):
        """Write what is folded."""
        self.fold.begin_flush()
        while (written := self.fold.take(2, ALL)) is not None:
            changes = batch()
            for key, value in written.rows.items():
                changes.put(key, value)
            for key in self.boards.marks():
                changes.put(key, b"")
            self.database.write(changes)
        self.boards.trim()

    def recover(self, changelog, *, announced):
        """Apply rows of somebody else's."""
        plan = Recovered(self.database.get, ALL)
        for key, value in changelog:
            plan.add(key, value)
        self.database.write(plan.changes(-1, self.boards, announced=announced))

    def build(self):
        """Build all that is wanted, at once."""
        for bucket in list(self.boards.wanted):
            del self.boards.wanted[bucket]
            if self.boards.lacks(bucket):
                list(rebuild.offer_rows(self, 0, self.boards, bucket))
                self.boards.built(bucket)

    def buckets(self):
        """The buckets in which clients have rows, with what each is worth."""
        found = {}
        for key, value in self.rows():
            if key[5:6] == b"c":
                found.setdefault(key[:5], {})[key[6:].decode()] = rows.cell_of(value)
        return found

    def check(self, *, all_known=False):
        """What is known is right."""
        for bucket, cells in self.buckets().items():
            for sort in RANKED:
                known = self.boards.known(bucket, sort)
                if known is None:
                    assert not all_known
                    continue
                worth = {name: VALUE[sort](cell) for name, cell in cells.items()}
                assert known.names == len(cells)
                assert all(worth[name] == value for name, value in known.top.values.items())
                assert all(value <= known.top.floor for name, value in worth.items() if name not in known.top.values)


def record(rnd):
    """A record of some clients and minutes."""
    return [
        (
            f"c{name}",
            [Cell(NOW - rnd.randrange(90), 1, 1.0, rnd.randrange(9), 0, outcome={rnd.choice(["ok", "bad"]): 1})],
        )
        for name in rnd.sample(range(12), 3)
    ] + [("acore", [Cell(NOW, 3, 3.0)])]


STEPS = st.lists(
    st.sampled_from(["feed", "feed", "feed", "flush", "kill", "stop", "build", "recover", "spoil"]), max_size=25
)


@settings(max_examples=60)
@given(STEPS, st.integers(0, 10**6))
def test_what_boards_know_is_what_a_full_scan_finds(tmp_path_factory, steps, seed):
    """At any time, in any order of flushes, kills, stops, recoveries and building; and after building all is known."""
    rnd = random.Random(seed)
    partition = Partition(tmp_path_factory.mktemp("boards") / "rows.db")
    for step in steps:
        if step == "feed":
            partition.feed(record(rnd))
        elif step == "flush":
            partition.flush()
        elif step in ("kill", "stop"):
            partition.stop(clean=step == "stop")
        elif step == "build":
            partition.check()
            partition.build()
            partition.check(all_known=True)
        elif not partition.fold.size:
            offset, bucket = partition.offset, NOW - rnd.randrange(3)
            partition.offset += 1
            key = rows.key_of(Tier.MINUTE, bucket, f"c{rnd.randrange(12)}")
            old = partition.database.get(key)
            cell = Cell(bucket) if old is None else rows.cell_of(old)
            cell.count += rnd.randrange(5)
            partition.recover([(key, rows.encode(offset, cell))], announced=step == "recover")
            partition.fold.last = partition.fold.high = offset
        partition.check()
    assert len(partition.boards._open) <= 3 + 8
    partition.check()
    partition.build()
    partition.check(all_known=True)
    partition.database.close()


def test_rows_written_while_a_board_is_built_are_in_it(tmp_path):
    """Half of the rows are read, then one of each half grows and a new one comes."""
    partition = Partition(tmp_path / "rows.db")
    life = rows.prefix(Tier.LIFE, 0)
    partition.feed([(f"c{name}", [Cell(NOW, 1)]) for name in "abcdefgh"])
    partition.flush()
    partition.boards.spoil([life])
    reading = rebuild.offer_rows(partition, 0, partition.boards, life)
    for _ in range(4):
        next(reading)
    partition.feed([(f"c{name}", [Cell(NOW, 5)]) for name in "agx"])
    partition.flush()
    assert partition.boards.known(life, Sort.COUNT) is None
    list(reading)
    partition.boards.built(life)
    known = partition.boards.known(life, Sort.COUNT)
    assert (known.names, known.top.values["a"], known.top.values["g"], known.top.values["x"]) == (9, 6, 6, 5)
    partition.check()


def test_a_board_that_is_spoilt_while_it_is_built_stays_unknown(tmp_path):
    """Its rows have changed without being announced."""
    partition = Partition(tmp_path / "rows.db")
    life = rows.prefix(Tier.LIFE, 0)
    partition.feed([("ca", [Cell(NOW, 1)])])
    partition.flush()
    partition.boards.spoil([life])
    list(rebuild.offer_rows(partition, 0, partition.boards, life))
    partition.boards.spoil([life])
    assert not partition.boards.is_building(life)
    partition.boards.built(life)
    assert partition.boards.known(life, Sort.COUNT) is None


def test_expired_boards_leave_nothing_behind(tmp_path):
    """Neither tops nor marks of buckets before the oldest one; the others stay."""
    partition = Partition(tmp_path / "rows.db")
    partition.feed([("ca", [Cell(NOW - age, 1) for age in range(10)])])
    partition.flush()
    partition.boards.save()
    partition.feed([("ca", [Cell(NOW - age, 1) for age in range(10)])])
    partition.flush()
    partition.boards.expire(Tier.MINUTE, NOW - 2)
    left = [key for start in (RANK, EDIT) for key in keys_with(partition.database, start)]
    minutes = {key[len(RANK) + 1 : len(RANK) + 5] for key in left if key[len(RANK)] == 0}
    assert minutes == {(NOW - age).to_bytes(4, "big") for age in range(3)}
    partition.check()


def test_rows_of_apis_have_no_board(tmp_path):
    """They are few, and scanned."""
    partition = Partition(tmp_path / "rows.db")
    partition.feed([("acore", [Cell(NOW, 7)])])
    partition.flush()
    partition.boards.save()
    assert list(keys_with(partition.database, RANK)) == []
    assert partition.boards.known(rows.prefix(Tier.LIFE, 0), Sort.COUNT).names == 0
    found = list(stored(partition.database.iter(), Range("a", Tier.LIFE, 0, 1)))
    assert len(found) == 1
