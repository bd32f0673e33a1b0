"""Scopes as text, and what callers may read by them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.access.scopes import Via, client_of, client_scope, is_scope, make_caller

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(NAMES)
def test_a_scope_names_its_client_whatever_it_is_called(client_id):
    """Written and read again it is the same client, and it is one word."""
    scope = client_scope(client_id)
    assert client_of(scope) == client_id
    assert scope.split() == [scope]


@given(NAMES, NAMES)
def test_one_client_is_read_and_no_other(mine, other):
    """Case, encoding and look-alikes make another client."""
    who = make_caller("x", Via.TOKEN, [client_scope(mine)])
    assert who.may_read(mine)
    assert who.may_read(other) == (mine == other)
    assert [who.reads_all, who.reads_metrics, who.is_admin] == [False] * 3


@given(st.text())
def test_reading_a_scope_never_raises(text):
    """Claims hold anything."""
    assert is_scope("usage:read:client=" + text) == (client_of("usage:read:client=" + text) is not None)
    assert not is_scope("usage:" + text) or text.startswith("read")


@pytest.mark.parametrize(
    "text",
    [
        *("", "usage", "usage:read ", " usage:read", "Usage:read", "USAGE:READ", "usage:read:", "usage:read:*", "*"),
        *("usage:read:client", "usage:read:client=", "usage:read:client=%", "usage:read:client=%4", "admin:x"),
        *("usage:read:client=%zz", "usage:read:client=%ff", "usage:read:client=a b", "usage:read:client=a\n"),
        *("usage:read:client=" + "a" * 513, "usage:write", "usage:read:api=core", "usage:read:client=%ED%A0%80"),
    ],
)
def test_what_is_no_scope(text):
    """Nearly right is wrong: a scope that is misread could grant more than was meant."""
    assert not is_scope(text)
    with pytest.raises(ValueError, match="no such scope"):
        make_caller("x", Via.TOKEN, [text])


@pytest.mark.parametrize(
    ("scope", "reads_all", "metrics", "admin"),
    [
        ("usage:read", True, False, False),
        ("metrics:read", False, True, False),
        ("admin", True, True, True),
        ("usage:read:client=c", False, False, False),
    ],
)
def test_what_each_scope_allows(scope, reads_all, metrics, admin):
    """Nothing is implied but by admin."""
    who = make_caller("x", Via.TOKEN, [scope])
    assert (who.reads_all, who.reads_metrics, who.is_admin) == (reads_all, metrics, admin)
    assert who.may_read("other") == reads_all
