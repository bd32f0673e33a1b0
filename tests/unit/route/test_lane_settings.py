"""Names that are made from the group and the instance of a route process."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.route.settings import LaneSettings

_NAMES = st.text("a-._1", min_size=1, max_size=6)


def transactional_id(group, instance):
    """The id of an instance in a group."""
    dead_letters = object.__new__(DeadLetterSettings)
    return LaneSettings({}, group, instance, dead_letters, "rollup", 8).transactional_id


@pytest.mark.parametrize(
    ("group", "instance", "expected"),
    [
        ("logrouter", "logrouter-route-0", "logrouter-logrouter-route-0"),
        ("logs", "eu-0", "logs-eu-0"),
        ("logs-eu", "0", "logs-eu-:0"),
    ],
)
def test_transactional_id(group, instance, expected):
    """Those of groups without a hyphen are as they were: a new one would leave a transaction open at an upgrade."""
    assert transactional_id(group, instance) == expected


@given(_NAMES, _NAMES, _NAMES, _NAMES)
def test_no_two_processes_have_one_transactional_id(group, instance, other_group, other_instance):
    """Whatever hyphens are in their names. Rights are given by the group's prefix."""
    one, other = transactional_id(group, instance), transactional_id(other_group, other_instance)
    assert (one == other) == ((group, instance) == (other_group, other_instance))
    assert one.startswith(f"{group}-")


@given(st.lists(_NAMES.filter(lambda name: "-" not in name), min_size=3, max_size=4), st.data())
def test_names_that_are_cut_at_different_hyphens(parts, data):
    """The pairs that a plain hyphen would not tell apart."""
    cuts = data.draw(st.permutations(range(1, len(parts))))[:2]
    ids = {transactional_id("-".join(parts[:cut]), "-".join(parts[cut:])) for cut in cuts}
    assert len(ids) == 2
