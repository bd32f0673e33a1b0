"""The fold alone: exact sums under replays, kills at any point, lost disks and any order of records."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logrouter.core.rollup.cells import (
    MAX_URLS_OF_CLIENT,
    ApiParts,
    Cell,
    CellTotals,
    Failure,
    copy_cell,
    merge_cells,
)
from logrouter.core.rollup.ranked import bounds_of
from logrouter.query.tiers import Tier
from logrouter.query.url_filter import url_search
from logrouter.tables import rows
from logrouter.tables.fold import FoldError, PartitionFold
from logrouter.tables.moment import StoredMoment
from logrouter.tables.retention import BucketsKept, Cutoffs
from logrouter.tables.unflushed import ScanRange
from tests.conftest import examples

NOW = 29_000_000
ALL = Cutoffs(0, 0, 0)


def record(rnd, clients=4):
    """The subjects of one rollup record, with cells of nearby minutes."""
    subjects = []
    for name in rnd.sample([f"cclient{n}" for n in range(clients)] + ["acore"], rnd.randrange(1, 4)):
        cells = [
            Cell(
                *(NOW - rnd.randrange(3), 1, 1.0, 2, 3, 4, rnd.randrange(9), 1, 5, 6),
                *({200: 1}, {"ok": 1}, {"200core": 1} if name[0] == "c" else {}, {1: 1}),
                url={f"200/{rnd.randrange(9)}": 1},
                failed={f"404/{rnd.randrange(9)}": 1},
                error={"404not_found": 1},
                recent=[Failure(rnd.randrange(99), "404not_found", "x")] * rnd.randrange(3),
                clients={} if name[0] == "c" else {f"client{rnd.randrange(4)}": 1},
                parts=None if name[0] == "c" else ApiParts(version={"200v1": 1}),
            )
            for _ in range(rnd.randrange(1, 3))
        ]
        subjects.append((name, cells))
    return subjects


def cloned(subjects):
    """A record as decoded anew: the fold owns the cells it is given."""
    return [(name, [copy_cell(cell, cell.minute) for cell in cells]) for name, cells in subjects]


def recount(records, cutoffs=ALL):
    """Every row that the records amount to, counted one event after the other."""
    found = {}
    for subjects in records:
        for name, cells in subjects:
            for cell in cells:
                for tier in Tier:
                    bucket = tier.bucket(cell.minute)
                    if cutoffs.keeps(tier, bucket):
                        row = found.setdefault(rows.key_of(tier, bucket, name), Cell(bucket))
                        merge_cells(row, cell)
                        rows.trim_to_tier(tier, row)
    return found


def read_row(fold, key):
    """One row as if everything folded so far were flushed; None if there is none."""
    tier, bucket, subject = rows.parse_key(key)
    moment = StoredMoment(fold, subject, [(tier, bucket)], lambda: None)
    list(moment.fetch())
    return moment.cell(tier, bucket)


class World:
    """One partition: its rollup log, the committed offset, a store, and the changelog that trails it."""

    def __init__(self, records):
        self.records = records
        self.committed = 0
        self.store = {}
        self.changelog = []
        self.unsent = []
        self.restart()

    def restart(self, *, wiped=False):
        """A process that lost its memory, and its disk if *wiped*; what was not sent is gone."""
        if wiped:
            self.store = {}
            for key, value in self.changelog:
                if rows.watermark(value) >= rows.watermark(self.store.get(key, value)):
                    self.store[key] = value
        self.unsent = []
        high = max(map(rows.watermark, self.store.values()), default=rows.NOTHING)
        self.next = self.committed
        self.fold = PartitionFold(lambda keys: [self.store.get(key) for key in keys], high, self.committed - 1)

    def read(self):
        """Fold the next record, if there is one."""
        if self.next < len(self.records):
            self.fold.add(self.next, cloned(self.records[self.next]), ALL)
            self.next += 1

    def flush(self, rnd, *, chunks=None, commit=True):
        """Write rows in small chunks; stop after *chunks*, as a kill would. New records come in meanwhile."""
        upto = self.next
        self.fold.begin_flush()
        while chunks != 0:
            written = self.fold.take(rnd.randrange(1, 3), ALL)
            if written is None:
                break
            self.store.update(written.rows)
            self.unsent += written.rows.items()
            if rnd.random() < 0.5:
                self.read()
            chunks = None if chunks is None else chunks - 1
        else:
            sent = rnd.randrange(len(self.unsent) + 1)
            self.changelog += self.unsent[:sent]
            return False
        self.changelog += self.unsent
        self.unsent = []
        if commit:
            self.committed = upto
        return True

    def cells(self):
        """Every row of the store."""
        return {key: rows.decode_cell(value) for key, value in self.store.items()}


@settings(max_examples=examples(150), deadline=None)
@given(seed=st.integers(0, 2**32), kills=st.lists(st.integers(0, 5), max_size=8))
def test_kills_at_any_point_leave_every_row_exact(seed, kills):
    """Killed between any two writes, with or without its disk, the fold ends with the sums of a recount."""
    rnd = random.Random(seed)
    world = World([record(rnd) for _ in range(30)])
    for chunks in kills:
        for _ in range(rnd.randrange(8)):
            world.read()
        if not world.flush(rnd, chunks=chunks, commit=rnd.random() < 0.5) or rnd.random() < 0.5:
            world.restart(wiped=rnd.random() < 0.4)
    while world.next < len(world.records):
        world.read()
    world.flush(rnd)
    assert world.cells() == recount(world.records)
    world.restart(wiped=True)
    assert world.cells() == recount(world.records)


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_unflushed_rows_read_like_flushed_ones(seed):
    """At any moment, in the middle of a flush or of a replay, a row reads as the recount of what was folded."""
    rnd = random.Random(seed)
    world = World([record(rnd) for _ in range(20)])
    for _ in range(rnd.randrange(12)):
        world.read()
    if rnd.random() < 0.6:
        world.flush(rnd, chunks=rnd.randrange(4), commit=False)
        if rnd.random() < 0.5:
            world.restart(wiped=rnd.random() < 0.5)
            while world.next < world.fold.high + 1:
                world.read()
            world.read()
    expected = recount(world.records[: world.next])
    assert {key: read_row(world.fold, key) for key in expected} == expected
    assert read_row(world.fold, rows.key_of(Tier.LIFE, 0, "cnobody")) is None


@settings(max_examples=examples(200), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_rows_of_a_subject_are_of_one_moment_whatever_happens_between_two_steps(seed):
    """Read a row at a time, while records are folded and flushed: as a recount at the offset that the moment gives."""
    rnd = random.Random(seed)
    world = World([record(rnd, clients=2) for _ in range(40)])
    for _ in range(rnd.randrange(20)):
        world.read()
    world.flush(rnd, commit=False)
    if rnd.random() < 0.3:
        world.restart()
    for _ in range(rnd.randrange(20)):
        world.read()
    places = [(tier, tier.bucket(NOW - minute)) for tier in Tier for minute in range(3)]
    moment = StoredMoment(world.fold, "cclient1", places, lambda: world.fold.last)
    for _ in moment.fetch(at_once=1):
        for _ in range(rnd.randrange(3)):
            world.read()
        if rnd.random() < 0.4:
            world.flush(rnd, commit=False)
    found = {rows.key_of(*place, "cclient1"): moment.cell(*place) for place in places}
    counted = recount(world.records[: max(moment.position, world.fold.high) + 1])
    assert found == {key: counted.get(key) for key in found}


@settings(max_examples=examples(40), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_urls_stay_within_their_bounds_through_kills(seed):
    """More URLs than a row has room for, killed anywhere: sums are exact and every URL lies within its bounds."""
    rnd = random.Random(seed)
    records = [
        [
            (
                "calice",
                [Cell(NOW, 40, peer={"200core": 40}, url={f"200/{rnd.randrange(9 * n + 1)}": 40 for n in range(20)})],
            )
        ]
        for _ in range(30)
    ]
    truth = {}
    for ((_, (cell,)),) in records:
        for url, n in cell.url.items():
            truth[url] = truth.get(url, 0) + n
    world = World(records)
    while world.next < len(records):
        for _ in range(rnd.randrange(8)):
            world.read()
        if not world.flush(rnd, chunks=rnd.choice((0, 1, 2, 3, 9)), commit=rnd.random() < 0.5):
            world.restart(wiped=rnd.random() < 0.4)
    world.flush(rnd)
    for row in world.cells().values():
        assert (row.count, row.peer) == (40 * len(records), {"200core": 40 * len(records)})
        assert len(row.url) <= MAX_URLS_OF_CLIENT
        for url, n in truth.items():
            bounds = bounds_of(url[3:], row.url.get(url, 0), row.slack and row.slack.url)
            assert bounds.at_least <= n <= bounds.at_most


@settings(max_examples=examples(40), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_order_of_records_does_not_matter(seed):
    """The same partial sums in another order give the same rows."""
    rnd = random.Random(seed)
    records = [record(rnd) for _ in range(20)]
    shuffled = rnd.sample(records, len(records))
    seen = []
    for order in (records, shuffled):
        world = World(order)
        for _ in order:
            world.read()
            if rnd.random() < 0.3:
                world.flush(rnd)
        world.flush(rnd)
        seen.append(world.cells())
    assert seen[0] == seen[1]


def folded(*records, high=rows.NOTHING, store=None, cutoffs=ALL):
    """A store after folding and flushing records at offsets 0, 1, …, and what was written."""
    store = {} if store is None else store
    fold = PartitionFold(lambda keys: [store.get(key) for key in keys], high)
    for offset, subjects in enumerate(records):
        fold.add(offset, cloned(subjects), cutoffs)
    fold.begin_flush()
    written = []
    while (part := fold.take(10, cutoffs)) is not None:
        store.update(part.rows)
        written.append(part)
    return store, written


def test_replayed_record_is_not_merged_but_its_rows_are_written_again():
    """A record that rows hold already changes no sums, and is still sent to the changelog."""
    one = [("calice", [Cell(NOW, 5)])]
    store, _ = folded(one)
    before = dict(store)
    again, written = folded(one, high=0, store=store)
    assert again == before
    assert written[0].rows == before


def test_events_older_than_their_rows_count_in_the_lifetime_row_alone():
    """An expired minute or hour is left out and counted as late; its day and the lifetime row get it."""
    cutoffs = BucketsKept().cutoffs(NOW)
    old = NOW - 36 * 24 * 60
    store, written = folded([("calice", [Cell(old, 7), Cell(NOW, 1)])], cutoffs=cutoffs)
    life = rows.decode_cell(store[rows.key_of(Tier.LIFE, 0, "calice")])
    assert life.count == 8
    assert sorted(rows.parse_key(key).tier.name for key in store) == ["DAY", "DAY", "HOUR", "LIFE", "MINUTE"]
    assert written[0].late == {Tier.MINUTE: 7, Tier.HOUR: 7}


def test_record_seen_twice_in_one_life_is_left_out():
    """A record that is delivered again without a restart is not folded twice."""
    fold = PartitionFold(lambda keys: [None] * len(keys), rows.NOTHING)
    fold.add(3, [("calice", [Cell(NOW, 1)])], ALL)
    assert fold.add(3, [("calice", [Cell(NOW, 1)])], ALL) == (0, 1)
    assert read_row(fold, rows.key_of(Tier.LIFE, 0, "calice")).count == 1


def test_row_from_the_future_is_a_loud_error():
    """A row that already holds what the fold believes to be new is never guessed at."""
    store, _ = folded([("calice", [Cell(NOW, 1)])], [("calice", [Cell(NOW, 1)])])
    with pytest.raises(FoldError):
        folded([("calice", [Cell(NOW, 1)])], high=rows.NOTHING, store=store)


def test_flush_that_is_not_over_admits_no_other():
    """Two flushes at a time would give rows the wrong watermark."""
    fold = PartitionFold(lambda keys: [None] * len(keys), rows.NOTHING)
    fold.add(0, [("calice", [Cell(NOW, 1)])], ALL)
    fold.begin_flush()
    with pytest.raises(FoldError):
        fold.begin_flush()


def scanned(store, unflushed, wanted):
    """What a scan reads, row by row."""
    prefix = {key: value for key, value in store.items() if key[0] == rows.CODE[wanted.tier]}
    found = ((key, prefix[key]) for key in sorted(prefix) if key[5:6] == wanted.prefix.encode())
    for row in unflushed.merged(found, wanted):
        if row is None:
            continue
        subject, bucket, cell = row
        yield rows.key_of(wanted.tier, bucket, subject), cell


def test_a_scan_for_a_url_reads_numbers_alone_of_rows_that_have_no_such():
    """Unless something is to be added to them: that may have it."""
    urls = {"calice": {"200/CCES": 1}, "cbob": {"200/orders": 1}, "ccarol": {"200/orders": 1}}
    store, _ = folded([(subject, [Cell(NOW, 1, url=names)]) for subject, names in urls.items()])
    fold = PartitionFold(lambda keys: [store.get(key) for key in keys], 0)
    fold.add(1, [("ccarol", [Cell(NOW, 1, url={"200/cces": 1})])], ALL)

    found = [(key, store[key]) for key in sorted(store) if key[0] == rows.CODE[Tier.LIFE]]
    scan = fold.unflushed().merged(found, ScanRange("c", Tier.LIFE, 0, 1), search=url_search("cces"))
    cells = {row[0]: row[2] for row in scan if row is not None}
    assert [cells["calice"].url, cells["ccarol"].url] == [{"200/CCES": 1}, {"200/orders": 1, "200/cces": 1}]
    assert (type(cells["cbob"]), cells["cbob"].count) == (CellTotals, 1)


@settings(max_examples=examples(80), deadline=None)
@given(seed=st.integers(0, 2**32), tier=st.sampled_from(Tier), kind=st.sampled_from("ca"))
def test_a_scan_reads_every_row_as_of_its_beginning_whatever_happens_meanwhile(seed, tier, kind):
    """Stored, replayed or unflushed: each row once, with all that was folded when it began, and nothing twice.

    Records are folded and flushed between the rows of the scan, which sees the store as it was.
    """
    rnd = random.Random(seed)
    world = World([record(rnd) for _ in range(40)])
    for _ in range(rnd.randrange(10)):
        world.read()
    world.flush(rnd, commit=False)
    if rnd.random() < 0.5:
        world.restart()
        while world.next <= world.fold.high:
            world.read()
    for _ in range(rnd.randrange(20)):
        world.read()
    if half := rnd.random() < 0.3:
        world.flush(rnd, chunks=1, commit=False)
    wanted = ScanRange(kind, tier, 0, NOW + 1)
    least = recount(world.records[: world.next])
    found = {}
    for key, cell in scanned(dict(world.store), world.fold.unflushed(), wanted):
        assert key not in found
        found[key] = cell.count
        if rnd.random() < 0.5:
            world.read()
        if rnd.random() < 0.3 and not half:
            world.flush(rnd)
    most = recount(world.records[: world.next])
    expected = {key for key in least if key[0] == rows.CODE[tier] and key[5:6] == kind.encode()}
    assert expected <= found.keys() <= most.keys()
    assert all(least[key].count <= found[key] for key in expected)
    assert all(found[key] <= most[key].count for key in found)


def test_a_scan_of_a_quiet_partition_is_a_recount():
    """To the last field."""
    rnd = random.Random(5)
    world = World([record(rnd) for _ in range(30)])
    for _ in range(10):
        world.read()
    world.flush(rnd, commit=False)
    world.restart()
    for _ in range(20):
        world.read()
    found = dict(scanned(world.store, world.fold.unflushed(), ScanRange("c", Tier.LIFE, 0, 1)))
    assert {key: copy_cell(cell, 0) for key, cell in found.items()} == {
        k: c for k, c in recount(world.records[: world.next]).items() if k[0] == 3 and k[5:6] == b"c"
    }


def test_the_newest_event_time_is_known():
    """Of everything folded, and from the rows when a partition is taken over."""
    fold = PartitionFold(lambda keys: [None] * len(keys), rows.NOTHING)
    assert fold.newest_ms is None
    fold.add(0, [("calice", [Cell(NOW, 1, last_ms=700), Cell(NOW, 1, last_ms=500)])], ALL)
    fold.add(1, [("acore", [Cell(NOW, 1, last_ms=600)])], ALL)
    fold.add(2, [], ALL)
    assert fold.newest_ms == 700
