"""Counts of the most frequent names: every figure within its bounds, whatever is counted and however it is merged."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.rollup.ranked import ANY, Slack, bounds_of, merge_ranked, trim_ranked

ROOM = 5
GROUPS = st.integers(0, 30).map(lambda n: f"/{n}")
NAMES = st.tuples(st.sampled_from(["200", "301", "404", "500", "503"]), GROUPS).map("".join)
SUMMARIES = st.recursive(
    st.lists(NAMES, max_size=60),
    lambda inner: st.lists(inner, min_size=2, max_size=4).map(tuple),
    max_leaves=20,
)


def summarise(tree, room=ROOM, width=3):
    """The summary of a tree of merges, and what was counted in truth, by group."""
    if isinstance(tree, list):
        counts, truth = dict(Counter(tree)), Counter(name[width:] for name in tree)
        return counts, trim_ranked(counts, None, room, width), truth
    counts, slack, truth = {}, None, Counter()
    for part in tree:
        more, other, true = summarise(part, room, width)
        slack = merge_ranked(counts, slack, more, other, room, width)
        truth += true
    return counts, slack, truth


def counted(counts, width=3):
    """What a summary has of each group."""
    found = Counter()
    for name, n in counts.items():
        found[name[width:]] += n
    return found


@given(SUMMARIES)
def test_the_truth_lies_within_the_bounds(tree):
    """Of every group, kept or not; a count without slack is exact; the middle is never below half of the truth."""
    counts, slack, truth = summarise(tree)
    kept = counted(counts)
    assert len(kept) <= ROOM
    for group in {*truth, *kept, "/never"}:
        bounds = bounds_of(group, kept[group], slack)
        assert bounds.at_least <= truth[group] <= bounds.at_most
        assert 2 * bounds.middle >= truth[group]
        assert slack is not None or bounds.at_least == bounds.at_most
    floor = slack.floor if slack else 0
    assert floor * (ROOM + 1) <= truth.total()
    assert all(group in kept for group, n in truth.items() if n > floor)


@given(SUMMARIES)
def test_counts_of_names_are_lower_bounds(tree):
    """By status as well: what is counted was counted, and a group may have more under any status."""

    def leaves(tree):
        return tree if isinstance(tree, list) else [name for part in tree for name in leaves(part)]

    counts, _, _ = summarise(tree)
    truth = Counter(leaves(tree))
    assert all(n <= truth[name] for name, n in counts.items() if not name.startswith(ANY))


@pytest.mark.parametrize("skew", [0.0, 0.6, 1.0, 1.4])
@pytest.mark.parametrize("parts", [1, 24, 400])
def test_whatever_has_two_percent_is_listed_with_a_sound_figure(skew, parts):
    """752 names, as an API without templates has them, in parts as hours and partitions give them."""
    rnd, room = Random(f"{skew} {parts}"), 64
    weights = [1 / (rank + 1) ** skew for rank in range(752)]
    requests = rnd.choices([f"200/{n}" for n in range(752)], weights, k=20_000)
    counts, slack, truth = {}, None, Counter(requests)
    for at in range(parts):
        part = dict(Counter(requests[at::parts]))
        slack = merge_ranked(counts, slack, part, trim_ranked(part, None, room, 3), room, 3)
    for name, n in truth.items():
        if n >= 400:
            bounds = bounds_of(name[3:], counts.get(name, 0), slack)
            assert bounds.at_least <= n <= bounds.at_most
            assert counts[name]
            assert n / 2 <= bounds.middle <= 2 * n


def test_names_that_fit_are_exact():
    """Nothing is dropped, nothing is unknown."""
    counts = {"200/a": 3, "404/a": 1, "200/b": 2}
    assert merge_ranked(counts, None, {"200/a": 1, "200/c": 5}, None, 3, 3) is None
    assert counts == {"200/a": 4, "404/a": 1, "200/b": 2, "200/c": 5}


def test_what_is_dropped_is_the_floor():
    """/c has the fewest requests; whoever comes later may have been dropped before, with as many."""
    counts = {"200/a": 3, "200/b": 5, "404/a": 3, "200/c": 2}
    slack = trim_ranked(counts, None, 2, 3)
    assert (counts, slack) == ({"200/a": 3, "200/b": 5, "404/a": 3}, Slack(2, {}))
    slack = merge_ranked(counts, slack, {"200/c": 4}, None, 3, 3)
    assert (counts["200/c"], slack) == (4, Slack(2, {"/c": 2}))


def test_many_statuses_of_a_few_groups_are_counted_as_one():
    """A server that makes up statuses does not make a summary grow."""
    counts = {f"{status}/a": 1 for status in range(100, 200)} | {"200/a": 7, "200/b": 1}
    assert trim_ranked(counts, None, 2, 3) is None
    assert counts == {"200/a": 7, f"{ANY}/a": 100, "200/b": 1}
