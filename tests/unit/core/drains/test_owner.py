"""Names of apps in spaces: one name, and the pairs that it may mean."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.drains.owner import name_of, pairs_spelled, spells
from logrouter.core.formats.families.app_space import AppSpace

LABELS = st.from_regex(r"[a-z0-9]+(?:-[a-z0-9]+)*", fullmatch=True)


def test_a_name_says_not_where_the_app_ends():
    """Every dash may be the one; without any the space is `default`."""
    assert pairs_spelled("my-shop-prod") == (("my", "shop-prod"), ("my-shop", "prod"), ("my-shop-prod", "default"))
    assert pairs_spelled("shop") == (("shop", "default"),)
    assert pairs_spelled("-shop-") == (("-shop-", "default"),)
    assert pairs_spelled("") == ()


@given(LABELS, LABELS)
def test_a_pair_is_among_those_that_its_name_may_mean(app, space):
    """Whatever dashes the two have; so is the space `default` where it is written out."""
    pair = AppSpace(app, space)
    assert pair in pairs_spelled(name_of(pair))
    assert pair in pairs_spelled(f"{app}-{space}")
    assert spells(pair, name_of(pair))
    assert all(spells(each, name_of(pair)) for each in pairs_spelled(name_of(pair)))
