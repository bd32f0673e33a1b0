"""RocksDB behind the table: recovery by watermark, rows to resend, ranges, and options that survive a reopening."""

from __future__ import annotations

import pytest

from logrouter.core.rollup.cells import Cell
from logrouter.query.tiers import Tier
from logrouter.tables import rows
from logrouter.tables.fold import PartitionFold
from logrouter.tables.moment import StoredMoment
from logrouter.tables.rankings import ClientRankings
from logrouter.tables.reader import scan_stored
from logrouter.tables.retention import Cutoffs
from logrouter.tables.store import HIGH, RESEND, ChangelogBatch, first_bucket_ms, open_database
from logrouter.tables.unflushed import ScanRange

KEPT = Cutoffs(100, 0, 0)


def keys_in(iterator, wanted):
    """The keys that a scan of stored rows finds, without the steps in which it finds none."""
    return [stored[0] for stored in scan_stored(iterator, wanted) if stored is not None]


@pytest.fixture
def database(tmp_path):
    """An empty database."""
    return open_database(tmp_path / "rows.db")


def row(name, offset, bucket=200):
    """A minute row and its value."""
    return rows.key_of(Tier.MINUTE, bucket, name), rows.encode(offset, Cell(bucket, offset))


def recover(database, *records):
    """Apply changelog records as one batch."""
    plan = ChangelogBatch(database.get, KEPT, ClientRankings(database.get, empty=True))
    for key, value in records:
        plan.add(key, value)
    database.write(plan.changes(high(database)))


def high(database):
    """The highest watermark that the database knows of."""
    value = database.get(HIGH)
    return -1 if value is None else int.from_bytes(value, "big", signed=True)


def to_resend(database):
    """The keys of rows that are to be sent again."""
    return [key[len(RESEND) :] for key in database.keys(from_key=RESEND) if key.startswith(RESEND)]


def test_newer_row_stays_and_the_older_one_behind_it_is_noted(database):
    """In one batch or in two, a record behind a newer one of the same key neither wins nor goes unnoticed."""
    key, new = row("calice", 9)
    _, old = row("calice", 5)
    recover(database, (key, new), (key, old))
    assert (database[key], to_resend(database)) == (new, [key])
    recover(database, (key, new))
    assert to_resend(database) == []
    recover(database, (key, old))
    assert (database[key], to_resend(database)) == (new, [key])
    assert high(database) == 9


def test_tombstone_removes_row_and_its_note(database):
    """A row that its owner has removed is gone, whatever it held."""
    key, new = row("calice", 9)
    recover(database, (key, new))
    recover(database, (key, None))
    assert database.get(key) is None
    assert to_resend(database) == []


def test_expired_row_is_not_written_but_noted_for_removal(database):
    """A row past its time does not come back, and whoever owns it next removes it from the changelog."""
    key, value = row("calice", 9, bucket=99)
    recover(database, (key, value))
    assert database.get(key) is None
    assert to_resend(database) == [key]


def test_options_survive_reopening(tmp_path):
    """Bloom filters and buffers are the same on the second start."""
    for _ in range(2):
        database = open_database(tmp_path / "rows.db")
        database.put(b"key", b"value")
        database.flush()
        del database
    newest = max((tmp_path / "rows.db").glob("OPTIONS-*"))
    assert "filter_policy=bloomfilter" in newest.read_text()


def test_scan_steps_over_other_kinds_and_stops_at_the_range(database):
    """Only rows of the kind and the buckets asked for, in order."""
    for bucket in range(5):
        for name in ("acore", "afeed", "calice", "cbob"):
            key, value = row(name, 1, bucket)
            database.put(key, value)
    database.put(rows.key_of(Tier.HOUR, 0, "cbob"), b"")
    found = [rows.parse_key(key)[1:] for key in keys_in(database.iter(), ScanRange("c", Tier.MINUTE, 1, 3))]
    assert found == [(1, "calice"), (1, "cbob"), (2, "calice"), (2, "cbob")]
    found = [rows.parse_key(key)[1:] for key in keys_in(database.iter(), ScanRange("a", Tier.MINUTE, 4, 9))]
    assert found == [(4, "acore"), (4, "afeed")]
    assert list(scan_stored(database.iter(), ScanRange("a", Tier.MINUTE, 3, 3))) == []


def test_iterator_sees_the_database_as_of_its_making(database):
    """What is flushed during a scan is not in it: the overlay taken at the same time has that already."""
    key, value = row("calice", 1)
    database.put(key, value)
    iterator = database.iter()
    database.put(*row("cbob", 2))
    assert [rows.parse_key(key).subject for key in keys_in(iterator, ScanRange("c", Tier.MINUTE, 0, 300))] == ["calice"]


def test_fold_writes_to_a_real_database(database):
    """The fold's reads and writes are what RocksDB takes and gives."""
    fold = PartitionFold(database.get, rows.NOTHING)
    fold.add(4, [("calice", [Cell(200, 3)])], Cutoffs(0, 0, 0))
    fold.begin_flush()
    written = fold.take(10, Cutoffs(0, 0, 0))
    for key, value in written.rows.items():
        database.put(key, value)
    moment = StoredMoment(fold, "calice", [(Tier.LIFE, 0)], lambda: None)
    list(moment.fetch())
    assert moment.cell(Tier.LIFE, 0).count == 3


@pytest.mark.parametrize(
    ("cutoffs", "since"),
    [
        (Cutoffs(0, 0, 0), 1_000_017),  # all is kept: to the minute
        (Cutoffs(1_000_500, 0, 0), 1_000_017 // 60 * 60),  # the first minutes have expired: to the hour
        (Cutoffs(2_000_000, 1_000_500 // 60, 0), 1_000_017 // 1440 * 1440),  # the first hours, too: to the day
        (Cutoffs(2_000_000, 2_000_000 // 60, 1_000_017 // 1440), 0),  # days before may have expired
    ],
)
def test_when_counting_began_is_told_by_the_first_rows_as_exactly_as_they_are_kept(database, cutoffs, since):
    """Rows of two subjects from minute 1,000,017 on, and what retention has left of them."""
    for minute in (1_000_017, 1_000_018, 1_000_700, 1_900_000):
        for tier in rows.TIERS:
            bucket = tier.bucket(minute)
            if cutoffs.keeps(tier, bucket):
                database[rows.key_of(tier, bucket, "calice")] = rows.encode(1, Cell(bucket, 1))
                database[rows.key_of(tier, bucket, "acore")] = rows.encode(1, Cell(bucket, 1))

    assert first_bucket_ms(database.iter(), cutoffs) == since * 60_000


def test_nobody_knows_when_counting_began_where_nothing_is_stored(database):
    """Keys of the store's own are no rows."""
    database[HIGH] = b"\x01"

    assert first_bucket_ms(database.iter(), Cutoffs(0, 0, 0)) is None
