"""Scopes for log drains: as text, and whose drains callers may read and change by them."""

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.access.drain_scopes import DRAIN_FORMS, PATTERN, OwnerSet, drain_rights, is_drain_scope
from logrouter.access.scopes import ANYONE, HERE, Via, is_scope, make_caller
from logrouter.core.drains.owner import OwnerKind
from logrouter.core.formats.families.app_space import AppSpace

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" "), min_size=1, max_size=40)
SHOP = AppSpace("shop", "prod")
NOBODY = OwnerSet()


@given(NAMES, NAMES, NAMES)
def test_a_scope_names_its_app_whatever_it_is_called(app, space, other):
    """A slash in a name is encoded, so the two names can't run into each other."""
    scope = f"drains:read:app={quote(app, safe='')}/{quote(space, safe='')}"

    reads = drain_rights([scope]).reads

    assert reads == OwnerSet(pairs=frozenset({AppSpace(app, space)}))
    assert reads.has_pair(AppSpace(app, other)) == (other == space)


@given(st.text(), st.sampled_from([form.partition("<")[0] for form in DRAIN_FORMS]))
def test_reading_a_scope_never_raises(text, beginning):
    """Claims hold anything; what is no scope grants nothing, and what is one fits the schema's pattern."""
    for scope in (text, beginning + text):
        rights = drain_rights([scope])
        assert is_drain_scope(scope) == is_scope(scope) or not scope.startswith(("drains", "logs"))
        assert is_drain_scope(scope) == ({rights.reads, rights.writes, rights.injects} != {NOBODY})
        assert not is_drain_scope(scope) or re.fullmatch(PATTERN, scope)


@pytest.mark.parametrize(
    "text",
    [
        *("drains", "drains:", "drains:read:", "drains:read ", "Drains:read", "drains:delete", "drains:read:app"),
        *("drains:read:app=", "drains:read:app=shop", "drains:read:app=shop/", "drains:read:app=/prod"),
        *("drains:read:app=a/b/c", "drains:read:app=*/prod", "drains:read:app=%ff/prod", "drains:read:app=a b/c"),
        *("drains:read:site=*.example.org", "drains:read:app=shop/*"),
        *("drains:read:site=", "drains:read:site=Example.org", "drains:read:space=prod", "drains:read:everything=x"),
        *("drains:read:api=", "drains:read:api=a?", "drains:read:client=", "drains:read:client=a b"),
        *("drains:write:client=" + "c" * 254, "drains:write:app=" + "a" * 200 + "/" + "b" * 60),
        *("logs", "logs:read", "logs:write:", "logs:write:site=example.org", "logs:write:app=shop"),
    ],
)
def test_what_is_no_scope(text):
    """Nearly right is wrong; a star in an app's or a site's name would look as if it meant several."""
    assert not is_scope(text)
    with pytest.raises(ValueError, match="no such scope"):
        make_caller("x", Via.TOKEN, [text])


@pytest.mark.parametrize(
    ("scope", "reads", "writes", "injects"),
    [
        ("drains:read", True, False, False),
        ("drains:write", True, True, False),
        ("drains:read:app=shop/prod", True, False, False),
        ("drains:write:app=shop/prod", True, True, False),
        ("logs:write", False, False, True),
        ("logs:write:app=shop/prod", False, False, True),
        ("admin", True, True, True),
        ("usage:read", False, False, False),
        ("usage:read:api=shop", False, False, False),
        ("drains:write:site=shop-prod", False, False, False),
        ("drains:write:app=shop/test", False, False, False),
        ("drains:write:app=sho/pprod", False, False, False),
    ],
)
def test_what_each_scope_allows_about_an_app(scope, reads, writes, injects):
    """Who writes reads; figures of usage are no lines."""
    rights = make_caller("x", Via.TOKEN, [scope]).drains

    assert (rights.reads.has_pair(SHOP), rights.writes.has_pair(SHOP), rights.injects.has_pair(SHOP)) == (
        reads,
        writes,
        injects,
    )
    assert rights.writes.has_name(OwnerKind.APP, "shop-prod") == writes


@pytest.mark.parametrize("kind", [OwnerKind.SITE, OwnerKind.API, OwnerKind.CLIENT])
def test_an_owner_of_one_kind_is_none_of_another(kind):
    """The same name is a site, an API and a client."""
    reads = drain_rights([f"drains:read:{kind}=x"]).reads

    assert [other for other in OwnerKind if reads.has_name(other, "x")] == [kind]
    assert not reads.has_name(kind, "X")


def test_apis_may_be_meant_by_a_pattern_and_clients_not():
    """As in the scopes of usage."""
    reads = drain_rights(["drains:read:api=pay*", "drains:read:client=pay*"]).reads

    assert [name for name in ("pay", "payments", "-") if reads.has_name(OwnerKind.API, name)] == ["pay", "payments"]
    assert [name for name in ("pay", "pay*") if reads.has_name(OwnerKind.CLIENT, name)] == ["pay*"]


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("my-shop-prod", [("my", "shop-prod"), ("my-shop", "prod")]),
        ("other", [("other", "default")]),
        ("other-default", [("other", "default")]),
        ("my-shop", []),
    ],
)
def test_the_pairs_that_a_name_may_mean(name, pairs):
    """A name is compared whole; the space `default` may be left out."""
    scopes = ["app=my/shop-prod", "app=my-shop/prod", "app=other/default"]

    reads = drain_rights([f"drains:read:{scope}" for scope in scopes]).reads

    assert list(reads.pairs_of(name)) == pairs
    assert reads.has_name(OwnerKind.APP, name) == bool(pairs)


def test_where_access_is_open_only_the_machine_itself_has_drains():
    """`anyone` may be the whole network."""
    assert ANYONE.drains == drain_rights([])
    assert HERE.drains.writes == OwnerSet(everybody=True)
    assert not HERE.is_admin
