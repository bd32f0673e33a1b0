"""The view of all registrations: what each record of their topic makes of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.drains.directory import BucketMap, Directory
from logrouter.core.drains.owner import Owner, OwnerKind
from logrouter.core.drains.registration import Registration, encode
from logrouter.core.formats.families.app_space import AppSpace

SHOP = Owner(OwnerKind.APP, "shop-prod")
SHOP_BY_PAIR = Owner(OwnerKind.APP, "shop-prod", AppSpace("shop", "prod"))
SITE = Owner(OwnerKind.SITE, "shop-prod")


def a_drain(drain_id: str, owner: Owner = SHOP, url: str = "https://logs.example.org/a", at: int = 1) -> Registration:
    """One of which nothing else matters."""
    return Registration(id=drain_id, token=f"d.{drain_id}", owner=owner, url=url, created_ms=at, updated_ms=at)


def add(directory: Directory, *drains: Registration) -> Directory:
    """The view after the records of these."""
    for each in drains:
        directory = directory.apply(each.id.encode(), encode(each))
    return directory


def test_drains_are_found_by_id_owner_and_url():
    """Of one owner the oldest comes first; owners of another kind, or with a pair, are others."""
    late, early, other, pair = a_drain("1", at=9), a_drain("2", at=3), a_drain("3", SITE), a_drain("4", SHOP_BY_PAIR)
    directory = add(Directory(), late, early, other, pair)

    assert directory.drain("3") == other
    assert directory.drain("5") is None
    assert directory.drains_of(SHOP) == (early, late)
    assert directory.drains_of(SHOP_BY_PAIR) == (pair,)
    assert directory.drains_of(Owner(OwnerKind.API, "shop-prod")) == ()
    assert directory.with_url(SHOP, late.url) == early
    assert directory.with_url(SHOP, "https://logs.example.org/A") is None
    assert len(directory) == len([*directory]) == 4


def test_a_record_replaces_the_one_before_and_a_tombstone_deletes_it():
    """Also where the owner has changed."""
    first, moved = a_drain("1"), a_drain("1", SITE)
    directory = add(Directory(), first, moved)

    assert (directory.drains_of(SHOP), directory.drains_of(SITE)) == ((), (moved,))
    empty = directory.apply(b"1", None)
    assert (len(empty), empty.drains_of(SITE), empty.drain("1")) == (0, (), None)
    assert directory.drain("1") == moved, "the view before stays as it was"


def test_what_cannot_be_read_is_counted_until_it_is_replaced():
    """A drain of which the latest record can't be read gets nothing: its URL may be another one by now."""
    directory = add(Directory(), a_drain("1"))
    spoilt = directory.apply(b"1", b'{"v":2}').apply(b"\xff", b"x").apply(None, b"x").apply(b"2", encode(a_drain("3")))

    assert (spoilt.unreadable, len(spoilt)) == (4, 0)
    mended = add(spoilt, a_drain("1")).apply(b"2", None).apply(b"\xff", None).apply(None, None)
    assert (mended.unreadable, [*mended]) == (0, [a_drain("1")])


OWNERS = st.sampled_from([SHOP, SHOP_BY_PAIR, SITE])
RECORDS = st.lists(
    st.tuples(
        st.sampled_from("abcdefgh"),
        st.none() | st.binary(max_size=8) | st.tuples(OWNERS, st.integers(0, 3)),
    )
)


@given(RECORDS)
def test_the_view_is_what_the_last_record_of_each_key_says(records):
    """Whatever came before, in whichever order, and no view changes afterwards."""
    directory, expected, views = Directory(), {}, []
    for key, written in records:
        made = a_drain(key, written[0], at=written[1]) if isinstance(written, tuple) else written
        expected[key] = made
        directory = directory.apply(key.encode(), encode(made) if isinstance(made, Registration) else made)
        views.append((directory, sorted(each.id for each in directory)))

    drains = {key: each for key, each in expected.items() if isinstance(each, Registration)}
    assert {each.id: each for each in directory} == drains
    assert directory.unreadable == sum(isinstance(each, bytes) for each in expected.values())
    for owner in (SHOP, SHOP_BY_PAIR, SITE):
        of_owner = [each for each in drains.values() if each.owner == owner]
        assert directory.drains_of(owner) == tuple(sorted(of_owner, key=lambda each: (each.created_ms, each.id)))
    assert [sorted(each.id for each in view) for view, _ in views] == [ids for _, ids in views]


@given(st.binary(max_size=100) | st.none(), st.binary() | st.none())
def test_no_record_makes_it_raise(key, value):
    """The topic may hold what somebody else has written."""
    assert Directory().apply(key, value).unreadable == (value is not None)


def test_a_change_shares_what_it_does_not_change():
    """Of 10,000 registrations a change copies one bucket."""
    full = BucketMap()
    for number in range(10_000):
        full = full.with_value(number, str(number))
    changed = full.with_value(7, "seven")

    shared = sum(ours is theirs for ours, theirs in zip(full._buckets, changed._buckets, strict=True))
    assert (shared, len(changed), full.get(7), changed.get(7)) == (255, 10_000, "7", "seven")


def test_the_latest_changes_are_known_by_their_names():
    """Whatever became of the drain since: the same may have been written by another, or it may be gone."""
    directory = Directory().apply(b"1", encode(a_drain("1")), b"mine").apply(b"1", None)
    assert (directory.has_change(b"mine"), directory.has_change(b"other"), directory.has_change(b"")) == (
        True,
        False,
        False,
    )
    for number in range(256):
        directory = directory.apply(b"2", None, f"{number}".encode())
    assert (directory.has_change(b"mine"), directory.has_change(b"0"), directory.has_change(b"255")) == (
        False,
        True,
        True,
    )
