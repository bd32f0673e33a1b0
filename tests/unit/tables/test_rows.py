"""Row keys and values, and what is kept how long."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.rollup.cells import MAX_MINUTE, Cell, CellSlack, Failure, merge_cells
from logrouter.core.rollup.ranked import Slack
from logrouter.core.rollup.shrinking import saturate_cell
from logrouter.query.tiers import Tier
from logrouter.query.url_filter import url_search
from logrouter.tables import rows
from logrouter.tables.retention import GRACE_MINUTES, BucketsKept, Cutoffs

BUCKETS = st.integers(0, MAX_MINUTE)
SUBJECTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).map(lambda name: "c" + name)


@given(st.sampled_from(rows.TIERS), BUCKETS, SUBJECTS)
def test_keys_round_trip(tier, minute, subject):
    """A key is taken apart into what it was made of. The lifetime has one bucket; notes are behind it."""
    bucket = tier.bucket(minute)
    key = rows.key_of(tier, bucket, subject)
    assert rows.parse_key(key) == (tier, bucket, subject)
    assert rows.is_row(key)
    assert not rows.is_row(rows.META + key)


@given(st.tuples(BUCKETS, SUBJECTS), st.tuples(BUCKETS, SUBJECTS))
def test_keys_sort_by_time(one, other):
    """Within a tier an earlier bucket sorts first, whatever the subjects."""
    keys = [rows.key_of(Tier.MINUTE, *args) for args in (one, other)]
    if one[0] != other[0]:
        assert (keys[0] < keys[1]) == (one[0] < other[0])
    assert max(keys) < rows.prefix(Tier.HOUR, 0) < rows.META


@given(BUCKETS, SUBJECTS)
def test_keys_of_all_tiers_are_the_keys_of_each(minute, subject):
    """The fast way to all keys agrees with the plain one."""
    assert rows.keys(subject, minute) == tuple(rows.key_of(t, t.bucket(minute), subject) for t in rows.TIERS)


@given(st.integers(0, 2**63 - 1))
def test_values_hold_watermark_and_cell(offset):
    """A value gives back both, and watermarks compare as bytes."""
    cell = Cell(7, 3, 3.0, status={200: 3})
    value = rows.encode(offset, cell)
    assert (rows.watermark(value), rows.decode_cell(value)) == (offset, cell)
    assert rows.encode(offset + 1, cell)[:8] > value[:8]
    assert rows.decode_cell(rows.encode_as(offset, cell, Tier.DAY, 9)).minute == 9
    assert cell.minute == 7


@pytest.mark.parametrize(
    ("cell", "may_have"),
    [
        (Cell(7, 1, url={"200/api/CCES/{id}": 1}), True),
        (Cell(7, 1, failed={"404/ccES": 1}), True),
        (Cell(7, 1, peer={"200orders": 1}, url={"200/orders": 1}), False),
        (Cell(7, 1, url={"200/orders": 1}, slack=CellSlack(Slack(3))), True),
        *((Cell(7, 1, slack=CellSlack(unassigned=n)), True) for n in (1, 0xC0, 0x12C0, 0xC0C0C0C0, 0xC0C0C0C0C0)),
        (Cell(7, 1, failed={"404/orders": 0xC0}), False),
        (Cell(7, 1), False),
    ],
)
def test_rows_are_passed_over_that_have_all_their_urls_and_none_that_is_looked_for(cell, may_have):
    """By their bytes alone: a URL in any case, or URLs that were dropped, and the row is to be read whole."""
    search = url_search("*/cces*")
    assert search is not None
    assert rows.may_have_url(rows.encode(5, cell), search) is may_have


def test_rows_of_old_versions_are_never_passed_over():
    """They end otherwise, and what they lack does not show in their bytes."""
    search = url_search("cces")
    first = [7, 3, 3.0, 0, 0, 0, 0, 0, 5, 6, {200: 3}, {"ok": 3}, {"core": 3}, {}]
    assert search is not None
    assert rows.may_have_url((5).to_bytes(8, "big") + msgspec.msgpack.encode(first), search)


def test_rows_of_version_1_are_read():
    """A row from before the upgrade has its sums, and of what it counted by API the status is not known."""
    first = [7, 3, 3.0, 0, 0, 0, 0, 0, 5, 6, {200: 3}, {"ok": 3}, {"core": 2, "~other": 1}, {}]
    cell = rows.decode_cell((5).to_bytes(8, "big") + msgspec.msgpack.encode(first))
    assert (cell.minute, cell.count, cell.status, cell.url) == (7, 3, {200: 3}, {})
    assert cell.peer == {"---core": 2, "~other": 1}
    assert rows.decode_cell(rows.encode(6, cell)) == cell


def test_recent_failures_are_in_lifetime_rows_alone():
    """Rows of all tiers are written from one partial sum; the others would keep the same failures three times more."""
    failure = Failure(1, "404not_found", "core")
    cell = Cell(7, 1, recent=[failure])
    kept = {tier: rows.decode_cell(rows.encode_as(1, cell, tier, 0)).recent for tier in rows.TIERS}
    assert kept == {Tier.MINUTE: [], Tier.HOUR: [], Tier.DAY: [], Tier.LIFE: [failure]}
    assert cell.recent == [failure]


def test_sums_that_do_not_fit_are_capped():
    """An absurd sum is stored as the largest there is, instead of stopping the lane."""
    cell = Cell(7, 2**70)
    stored = rows.decode_cell(rows.encode(1, cell))
    saturate_cell(cell)
    assert stored == cell


@pytest.mark.parametrize("name", ["bytes_in", "bytes_out", "latency_sum", "weight", "count"])
@pytest.mark.parametrize("fields", [14, 20, None])
def test_sums_that_grow_beyond_the_largest_do_not_make_a_row_unreadable(name, fields):
    """Each partial sum was sound. Of no version is the row a reason for a worker to end whenever it reads it."""
    cell = Cell(7, 1, clients={"one": 2**62})
    largest = 10**18 if name == "weight" else 2**63 - 1
    for _ in range(2):
        merge_cells(cell, Cell(7, **{"count": 1, "clients": {"one": 2**62}, name: largest - 5}))
    value = msgspec.msgpack.encode(msgspec.msgpack.decode(rows.encode(1, cell)[8:])[:fields])
    assert getattr(rows.decode_cell(bytes(8) + value), name) == largest


def test_what_is_no_row_is_refused():
    """A number that is too large is not made good where the rest is none."""
    with pytest.raises(msgspec.ValidationError):
        rows.decode_cell(bytes(8) + msgspec.msgpack.encode([7, "x", 2**64 - 1]))
    with pytest.raises(msgspec.ValidationError):
        rows.decode_cell(bytes(8) + msgspec.msgpack.encode({"x": 1}))


@pytest.mark.parametrize(
    ("tier", "kept", "gone"),
    [(Tier.MINUTE, 1440, 1441), (Tier.HOUR, 35 * 24, 35 * 24 + 1), (Tier.DAY, 400, 401)],
)
def test_rows_are_kept_for_their_tiers_time(tier, kept, gone):
    """The current bucket and so many before it are kept; the deletion of older ones waits a little."""
    now = 29_000_000
    retention, current = BucketsKept(), tier.bucket(now)
    cutoffs = retention.cutoffs(now)
    assert cutoffs.keeps(tier, current - kept)
    assert not cutoffs.keeps(tier, current - gone)
    assert retention.deletion_cutoffs(now).oldest(tier) <= cutoffs.oldest(tier)
    assert retention.deletion_cutoffs(now + GRACE_MINUTES) == cutoffs


def test_lifetime_rows_never_expire():
    """The lifetime row is kept at any time, and nothing expires before 1970."""
    assert BucketsKept().cutoffs(2**40).keeps(Tier.LIFE, 0)
    assert BucketsKept().cutoffs(5) == Cutoffs(0, 0, 0)


def test_workers_of_0_1_0_read_rows_without_urls():
    """Fields are where version 2 had them: clients, their bound, URLs, their bound, errors, recent failures."""
    cell = Cell(7, 5, clients={"one": 5}, url={"200/a": 3}, failed={"404/a": 2}, error={"404not_found": 2})
    before = msgspec.structs.asdict(cell)

    fields = msgspec.msgpack.decode(rows.encode(3, cell)[8:])

    assert fields[14:20] == [{"one": 5}, 0, {}, 5, {"404not_found": 2}, []]
    assert msgspec.structs.asdict(rows.decode_cell(rows.encode(3, cell))) == before


def test_workers_of_0_1_0_know_how_many_requests_a_client_may_have_besides():
    """They know one bound for all clients. A row that they wrote since still tells this version no less than that."""
    cell = Cell(7, 90, clients={"one": 40, "two": 8}, slack=CellSlack(clients=Slack(3, {"two": 5})))

    fields = msgspec.msgpack.decode(rows.encode(3, cell)[8:])
    back = rows.decode_cell(rows.encode(3, cell)[:8] + msgspec.msgpack.encode(fields[:20]))

    assert fields[14:16] == [{"one": 40, "two": 8}, 5]
    assert back.slack.clients == Slack(5, {"one": 5, "two": 5})
    assert rows.decode_cell(rows.encode(3, cell)) == cell
