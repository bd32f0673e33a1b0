"""Which owner a path means: by what the caller may name, and by what is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.drains.named_owner import AmbiguousName, NamedOwner, ResolvedOwner, resolve_owner
from logrouter.core.drains.owner import Owner, OwnerKind, name_of
from logrouter.core.formats.families.app_space import AppSpace

A, B = AppSpace("my", "shop-prod"), AppSpace("my-shop", "prod")
LABELS = st.from_regex(r"[a-c](?:-[a-c]){0,2}", fullmatch=True)
PAIRS = st.lists(st.builds(AppSpace, LABELS, LABELS), max_size=4)


def app(name, pair=None):
    """An app as drains have it."""
    return Owner(OwnerKind.APP, name, pair)


@pytest.mark.parametrize(
    ("name", "granted", "known", "expected"),
    [
        ("my-shop-prod", [A], [], ResolvedOwner(app("my-shop-prod", A))),
        ("my-shop-prod", [A], [B], ResolvedOwner(app("my-shop-prod", A))),
        ("my-shop-prod", [A, B], [A], AmbiguousName((A, B))),
        ("my-shop-prod", None, [], ResolvedOwner(app("my-shop-prod"))),
        ("my-shop-prod", None, [B], ResolvedOwner(app("my-shop-prod", B), (app("my-shop-prod"),))),
        ("my-shop-prod", None, [B, A], AmbiguousName((A, B))),
        (
            *("shop", None, []),
            ResolvedOwner(app("shop", AppSpace("shop", "default")), (app("shop"), app("shop-default"))),
        ),
        ("shop", [AppSpace("shop", "default")], [], ResolvedOwner(app("shop", AppSpace("shop", "default")))),
    ],
)
def test_the_app_that_a_name_means(name, granted, known, expected):
    """The caller's scope first; without a dash the space is `default`; two are too many."""
    assert resolve_owner(NamedOwner(OwnerKind.APP, name), granted, known) == expected


@pytest.mark.parametrize("granted", [None, [A, B]])
def test_a_path_with_both_names_leaves_nothing_open(granted):
    """Whatever is known."""
    found = resolve_owner(NamedOwner(OwnerKind.APP, name_of(A), A), granted, [A, B])

    assert isinstance(found, ResolvedOwner)
    assert found.owner == app("my-shop-prod", A)
    assert found.others == (() if granted else (app("my-shop-prod"),))


@pytest.mark.parametrize("kind", [OwnerKind.SITE, OwnerKind.API, OwnerKind.CLIENT])
def test_other_owners_have_one_name(kind):
    """No dash in it means anything."""
    assert resolve_owner(NamedOwner(kind, "my-shop-prod"), [A], [A, B]) == ResolvedOwner(Owner(kind, "my-shop-prod"))


@given(LABELS, PAIRS, PAIRS)
def test_who_may_not_name_all_finds_only_what_it_may_name(name, granted, known):
    """Whatever others have."""
    found = resolve_owner(NamedOwner(OwnerKind.APP, name), granted, known)

    pairs = found.pairs if isinstance(found, AmbiguousName) else [one.pair for one in found.owners if one.pair]
    assert set(pairs) <= set(granted)
    assert isinstance(found, AmbiguousName) == (len(pairs) > 1)
