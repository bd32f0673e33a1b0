"""Scopes as text, and what callers may read by them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.access.names import NameSet
from logrouter.access.scopes import Via, api_of, api_scope, client_of, client_scope, is_scope, make_caller
from logrouter.core.rollup.subjects import SubjectKind

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
    assert who.may_read(SubjectKind.CLIENT, mine)
    assert who.may_read(SubjectKind.CLIENT, other) == (mine == other)
    assert not who.may_read(SubjectKind.API, mine)
    assert [who.reads_all, who.reads_metrics, who.is_admin] == [False] * 3


@given(st.text())
def test_reading_a_scope_never_raises(text):
    """Claims hold anything."""
    assert is_scope("usage:read:client=" + text) == (client_of("usage:read:client=" + text) is not None)
    assert is_scope("usage:read:api=" + text) == (api_of("usage:read:api=" + text) is not None)
    assert not is_scope("usage:" + text) or text.startswith("read")


@pytest.mark.parametrize(
    "text",
    [
        *("", "usage", "usage:read ", " usage:read", "Usage:read", "USAGE:READ", "usage:read:", "usage:read:*", "*"),
        *("usage:read:client", "usage:read:client=", "usage:read:client=%", "usage:read:client=%4", "admin:x"),
        *("usage:read:client=%zz", "usage:read:client=%ff", "usage:read:client=a b", "usage:read:client=a\n"),
        *("usage:read:client=" + "a" * 513, "usage:write", "usage:read:client=%ED%A0%80"),
        *("usage:read:api", "usage:read:api=", "usage:read:apis=core", "usage:read:api=a b", "usage:read:api=a\t"),
        *("usage:read:api=a?", "usage:read:api=[ab]", "usage:read:api=%C3*%BC", "usage:read:api=%*41"),
        *("usage:read:api=" + "a" * 300 + "*" + "b" * 213, "usage:read:Api=core", "usage:read:api:core"),
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
        ("usage:read:api=c", False, False, False),
        ("usage:read:api=*", False, False, False),
    ],
)
def test_what_each_scope_allows(scope, reads_all, metrics, admin):
    """Nothing is implied but by admin."""
    who = make_caller("x", Via.TOKEN, [scope])
    assert (who.reads_all, who.reads_metrics, who.is_admin) == (reads_all, metrics, admin)
    assert who.may_read(SubjectKind.CLIENT, "other") == reads_all
    assert who.confined_to(None) == (None if reads_all else NameSet())


@given(st.text(st.sampled_from("ab*%/é€ ?["), min_size=1, max_size=20))
def test_a_scope_for_apis_is_one_word_and_means_its_pattern(pattern):
    """Whatever else is in it stands for itself."""
    scope = api_scope(pattern)
    assert scope.split() == [scope]
    who = make_caller("x", Via.TOKEN, [scope])
    assert who.may_read(SubjectKind.API, pattern.replace("*", "a/b"))
    assert not who.may_read(SubjectKind.API, "z" + pattern) or pattern.startswith("*")
    assert not who.may_read(SubjectKind.CLIENT, pattern)


@pytest.mark.parametrize(
    ("scope", "read", "not_read"),
    [
        ("core", ["core"], ["Core", "core2", "", "-", "core/v1"]),
        ("pay*", ["pay", "payments", "pay/v1"], ["Pay", "repay", "pa"]),
        ("*-eu", ["a-eu", "-eu"], ["a-eu2", "eu"]),
        ("a*b*c", ["abc", "a-b-c", "abbcc"], ["acb", "ab", "abcd", "ac"]),
        ("ab*ba", ["abba", "ab-ba"], ["aba", "ab", "ba"]),
        ("*", ["core", "x*y", "~other", "--"], ["-"]),
        ("**", ["core"], ["-"]),
        ("%2A", ["*"], ["core", "%2A"]),
        ("-", ["-"], ["core"]),
        ("%C3%BC%2F*", ["ü/", "ü/x"], ["ü", "u/"]),
    ],
)
def test_which_apis_a_scope_reads(scope, read, not_read):
    """By whole names and case; requests that no API served are in no pattern, as they are nobody's."""
    who = make_caller("x", Via.TOKEN, ["usage:read:api=" + scope])
    assert [name for name in (*read, *not_read) if who.may_read(SubjectKind.API, name)] == read
