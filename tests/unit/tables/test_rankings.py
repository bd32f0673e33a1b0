"""Tops beside rows: right after every flush, kill, restart, lost disk and expiry."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logrouter.core.rollup.cells import Cell
from logrouter.query.parameters import Sort
from logrouter.query.ranking import RANKED, ROW_VALUE
from logrouter.query.tiers import Tier
from logrouter.tables import rankings as rankings_module
from logrouter.tables import rows
from logrouter.tables.fold import PartitionFold
from logrouter.tables.rankings import RANK, ClientRankings
from logrouter.tables.retention import Cutoffs
from logrouter.tables.store import HIGH, ChangelogBatch, batch, open_database
from tests.conftest import examples

NOW = 29_000_000
ALL = Cutoffs(0, 0, 0)
TIERS = (Tier.HOUR, Tier.DAY, Tier.LIFE)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Rooms that a few clients fill, and hardly any bucket_rankings in memory."""
    monkeypatch.setattr(rankings_module, "NAMES_KEPT", dict.fromkeys(TIERS, 3))
    monkeypatch.setattr(rankings_module, "MAX_OPEN", 2)


def a_record(rnd):
    """Some clients and an API, in minutes of two days."""
    names = rnd.sample([f"cclient{n}" for n in range(12)] + ["acore"], rnd.randrange(1, 5))
    return [
        (name, [Cell(NOW - rnd.randrange(2000), rnd.randrange(1, 9), bytes_out=rnd.randrange(99), outcome=outcome)])
        for name in names
        for outcome in ({"ok": 1}, {"backend_error": 1})[: rnd.randrange(1, 3)]
    ]


class Partition:
    """One database as store and table drive it, with the log it folds and the changelog it writes."""

    def __init__(self, folder, rnd):
        self.folder, self.rnd = folder, rnd
        self.log, self.changelog = [], []
        self.committed = 0
        self.disks = 0
        self.begin()

    def begin(self):
        """A process starts: memory is empty, the disk perhaps too."""
        self.database = open_database(self.folder / f"{self.disks}.db")
        high = self.database.get(HIGH)
        self.rankings = ClientRankings(self.database.get, empty=high is None)
        high = -1 if high is None else int.from_bytes(high, "big", signed=True)
        self.fold = PartitionFold(self.database.get, high, self.committed - 1, rankings=self.rankings)
        for offset in range(self.committed, len(self.log)):
            self.fold.add(offset, [(name, [copy(cell) for cell in cells]) for name, cells in self.log[offset]], ALL)

    def kill(self):
        """What is not on disk is gone."""
        del self.fold, self.rankings
        self.database.close()
        self.begin()

    def lose_disk(self):
        """The next process recovers from the changelog, in batches."""
        self.database.close()
        self.disks += 1
        self.database = open_database(self.folder / f"{self.disks}.db")
        rankings = ClientRankings(self.database.get, empty=True)
        for start in range(0, len(self.changelog), 5):
            plan = ChangelogBatch(self.database.get, ALL, rankings)
            for key, value in self.changelog[start : start + 5]:
                plan.add(key, value)
            changes = plan.changes(-1 if (high := self.database.get(HIGH)) is None else int.from_bytes(high, "big"))
            rankings.add_changed(changes)
            self.database.write(changes)
            rankings.confirm_saved()
        self.kill()

    def feed(self):
        """A record comes and is folded."""
        record = a_record(self.rnd)
        self.log.append(record)
        self.fold.add(len(self.log) - 1, [(name, [copy(cell) for cell in cells]) for name, cells in record], ALL)

    def flush(self, chunks=None):
        """Write in small chunks, at most so many; committed if that was all."""
        upto = len(self.log)
        self.fold.begin_flush()
        while chunks != 0 and (written := self.fold.take(2, ALL)) is not None:
            changes = batch()
            for key, value in written.rows.items():
                changes.put(key, value)
            changes.put(HIGH, written.high.to_bytes(8, "big", signed=True))
            self.rankings.add_whole_key(changes)
            if not self.fold.flushing:
                self.rankings.add_changed(changes)
            self.database.write(changes)
            if not self.fold.flushing:
                self.rankings.confirm_saved()
            self.changelog += written.rows.items()
            chunks = None if chunks is None else chunks - 1
        if chunks != 0:
            self.committed = upto

    def check(self):
        """Every top holds the values of its rows, and nothing outside it exceeds the floor."""
        truth = {}
        for key, value in self.database.items():
            if rows.is_row(key) and key[rows.BUCKET_BYTES : rows.BUCKET_BYTES + 1] == b"c":
                tier, bucket, subject = rows.parse_key(key)
                truth.setdefault((tier, bucket), {})[subject[1:]] = rows.decode_cell(value)
        for (tier, bucket), cells in truth.items():
            for sort in RANKED if tier in TIERS else ():
                top = self.rankings.top(sort, tier, bucket)
                values = {name: ROW_VALUE[sort](cell) for name, cell in cells.items()}
                assert {name: values[name] for name in top.values} == top.values
                assert all(value <= top.floor for name, value in values.items() if name not in top.values)
                assert len(top.values) <= 6


def copy(cell):
    """A cell as decoded anew."""
    return Cell(cell.minute, cell.count, bytes_out=cell.bytes_out, outcome=dict(cell.outcome))


@settings(max_examples=examples(60))
@given(st.integers(0, 2**32), st.lists(st.sampled_from(["feed", "feed", "flush", "cut", "kill", "lose"]), max_size=25))
def test_tops_are_right_whatever_happens_to_the_process(tmp_path_factory, seed, steps):
    """Whenever everything folded is written, tops and rows agree: after kills amid a flush and on a new disk too."""
    rnd = random.Random(seed)
    partition = Partition(tmp_path_factory.mktemp("rows"), rnd)
    for step in steps:
        match step:
            case "feed":
                partition.feed()
            case "flush":
                partition.flush()
                partition.check()
            case "cut":
                partition.flush(rnd.randrange(1, 3))
                partition.kill()
            case "kill":
                partition.kill()
            case "lose":
                partition.flush()
                partition.lose_disk()
                partition.check()
    partition.flush()
    partition.check()


def test_forgotten_buckets_leave_nothing(tmp_path):
    """Tops of expired hours are neither in memory nor on disk; those of younger ones stay."""
    database = open_database(tmp_path / "rows.db")
    rankings = ClientRankings(database.get, empty=True)
    for hour in (100, 101, 102):
        rankings.offer(rows.key_of(Tier.HOUR, hour, "cone"), Cell(hour, 5))
    changes = batch()
    rankings.add_changed(changes)
    database.write(changes)
    changes = batch()
    for start, stop in rankings.drop_before(Tier.HOUR, 102):
        for key in database.keys(from_key=start):
            if key < stop:
                changes.delete(key)
    database.write(changes)
    assert [rankings.top(Sort.COUNT, Tier.HOUR, hour).values for hour in (100, 101, 102)] == [{}, {}, {"one": 5}]
    assert sum(key.startswith(RANK) for key in database.keys(from_key=RANK)) == len(RANKED)


def test_database_from_before_there_were_tops_has_no_order(tmp_path):
    """Its rows were not offered, so nothing is claimed of them, now or after the next write."""
    database = open_database(tmp_path / "rows.db")
    database[HIGH] = bytes(8)
    rankings = ClientRankings(database.get, empty=database.get(HIGH) is None)
    changes = batch()
    rankings.add_whole_key(changes)
    rankings.add_changed(changes)
    database.write(changes)
    assert not rankings.whole
    assert not ClientRankings(database.get, empty=False).whole
