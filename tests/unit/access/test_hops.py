"""A hop is believed when it is signed, for this very request, just now, and never else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.access import hops
from logrouter.access.scopes import Via, api_scope, client_scope, make_caller

SECRET = "between us ü".encode()
NOW = 1_790_000_000_000
TARGET = "/v1/clients/a%2Fb?x=1"
WHO = make_caller("reports ü\n", Via.TOKEN, [client_scope("a/b"), api_scope("ü*/v1"), "metrics:read"])
SIGNED = hops.sign_hop(SECRET, "GET", TARGET, WHO, NOW)


def test_a_hop_carries_the_callers_name_and_scopes():
    """The other worker sees the same caller."""
    found = hops.verify_hop(SECRET, "GET", TARGET, SIGNED, NOW)
    assert (found.name, found.via, found.scopes) == (WHO.name, Via.HOP, WHO.scopes)
    assert (found.clients, found.apis) == (WHO.clients, WHO.apis)


def test_headers_are_plain_ascii_and_hold_no_secret():
    """Whatever a caller is called."""
    assert all(value.isascii() and value.isprintable() for value in SIGNED.values())
    assert SECRET.decode() not in str(SIGNED)


@pytest.mark.parametrize(("late", "believed"), [(-30_001, False), (-30_000, True), (30_000, True), (30_001, False)])
def test_a_hop_is_good_for_half_a_minute(late, believed):
    """Clocks may differ by so much; an older hop is somebody else's."""
    assert (hops.verify_hop(SECRET, "GET", TARGET, SIGNED, NOW + late) is not None) == believed


@pytest.mark.parametrize(
    ("method", "target", "changed"),
    [
        ("HEAD", TARGET, {}),
        ("GET", "/v1/clients/a%2Fc?x=1", {}),
        ("GET", "/v1/clients/a%2Fb?x=2", {}),
        ("GET", "/v1/clients/a/b?x=1", {}),
        ("GET", TARGET, {hops.HOP: "2"}),
        ("GET", TARGET, {hops.TIME: str(NOW + 1)}),
        ("GET", TARGET, {hops.TIME: ""}),
        ("GET", TARGET, {hops.TIME: "٣"}),
        ("GET", TARGET, {hops.SIGNATURE: ""}),
        ("GET", TARGET, {hops.SIGNATURE: "\udcff"}),
        (
            "GET",
            TARGET,
            {hops.CALLER: hops.sign_hop(SECRET, "GET", "/", make_caller("x", Via.JWT, ["admin"]), 0)[hops.CALLER]},
        ),
    ],
)
def test_anything_changed_makes_it_nobodys(method, target, changed):
    """Method, path, query, caller and time are all signed."""
    assert hops.verify_hop(SECRET, method, target, SIGNED | changed, NOW) is None


def test_another_secret_signs_nothing():
    """Workers of another group are strangers."""
    assert hops.verify_hop(b"other", "GET", TARGET, SIGNED, NOW) is None


@given(st.dictionaries(st.sampled_from([hops.HOP, hops.CALLER, hops.TIME, hops.SIGNATURE]), st.text()))
def test_whatever_is_sent_nobody_is_believed_and_nothing_raises(given_headers):
    """Anybody can send these headers."""
    assert hops.verify_hop(SECRET, "GET", TARGET, given_headers, NOW) is None


@pytest.mark.parametrize("said", ["", "e30=", "bnVsbA==", "eyJuYW1lIjoieCIsInNjb3BlcyI6WyJyb290Il19", "!"])
def test_a_signed_hop_that_says_nonsense_is_refused(said):
    """A worker of another version grants nothing by accident."""
    signed = {**SIGNED, hops.CALLER: said}
    signed[hops.SIGNATURE] = hops._signature(SECRET, "GET", TARGET, said, SIGNED[hops.TIME])
    assert hops.verify_hop(SECRET, "GET", TARGET, signed, NOW) is None
