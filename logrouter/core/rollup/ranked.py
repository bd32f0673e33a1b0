"""Counts of the most frequent among any number of names, each with a lower and an upper bound.

*Space-Saving* (Metwally, Agrawal and El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams",
ICDT 2005), merged as Agarwal et al. do, "Mergeable Summaries", PODS 2012.

A summary is a map of names to counts and its *slack*. Names begin with *width* characters by which one thing is counted
several times: with a width of 3, ``200/items`` and ``301/items`` are of one *group*, ``/items``. Groups are kept or
dropped as a whole. The counts are what was counted for sure; without a slack (None) nothing was ever dropped, and they
are exact. With one,

*  of a group that is kept, up to ``slack.over[group]`` more requests may have been counted (0 if it is not there),
*  of any other group, up to ``slack.floor``.

A group of which too many names are known keeps its most frequent one; the others are counted as one with the prefix
`ANY`.

Whatever the order and the grouping of merges, the floor is at most the sum of all counts divided by *room* + 1: a group
with a larger share than that is kept.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

MAX_SUM = 2**63 - 1
MAX_GROUPS = 128
"""No summary keeps more groups."""
MAX_GROUP = 512
ANY = "***"
"""Stands for prefixes (statuses) that were not kept apart."""
NAMES_OF_GROUP = 4
"""A summary keeps so many names for each group it has room for: statuses of a path are few."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_SUM)]


class Slack(msgspec.Struct, array_like=True):
    """What the counts of one summary may lack: see this module."""

    floor: _Count = 0
    over: Annotated[
        dict[Annotated[str, msgspec.Meta(max_length=MAX_GROUP)], _Count], msgspec.Meta(max_length=MAX_GROUPS)
    ] = {}


class Bounds(msgspec.Struct, frozen=True):
    """Between which figures the true one lies."""

    at_least: int
    at_most: int

    @property
    def middle(self) -> int:
        """The figure that stands for them: never less than half of the truth."""
        return self.at_least + (self.at_most - self.at_least + 1) // 2


def bounds_of(group: str, counted: int, slack: Slack | None) -> Bounds:
    """The bounds of a group of which *counted* requests are in the summary, 0 if it is not kept."""
    if slack is None:
        return Bounds(counted, counted)
    return Bounds(counted, counted + (slack.over.get(group, 0) if counted else slack.floor))


def copy_slack(slack: Slack | None) -> Slack | None:
    """A copy with a map of its own."""
    return None if slack is None else Slack(slack.floor, slack.over.copy())


def merge_ranked(
    into: dict[str, int], slack: Slack | None, counts: dict[str, int], other: Slack | None, room: int, width: int
) -> Slack | None:
    """Add the summary of *counts* and *other* to that of *into* and *slack*, which keeps *room* groups.

    Returns the slack of the sum; *into* and *slack* are changed.
    """
    if slack is None and other is None:
        for name, n in counts.items():
            into[name] = into[name] + n if name in into else n
        return trim_ranked(into, None, room, width)
    slack = Slack() if slack is None else slack
    groups, over, floor = _sum_groups(into, width), slack.over, slack.floor
    if other is not None:
        _add_slack(slack, groups, _sum_groups(counts, width), other)
    for name, n in counts.items():
        into[name] = into[name] + n if name in into else n
        group = name[width:]
        if group in groups:
            groups[group] += n
        else:
            groups[group] = n
            if floor:  # it may have been dropped before
                over[group] = over[group] + floor if group in over else floor
    return _trim(into, groups, slack, room, width)


def _add_slack(slack: Slack, mine: dict[str, int], theirs: dict[str, int], other: Slack) -> None:
    """Add to *slack*, of the groups *mine*, what the summary of the groups *theirs* may lack."""
    over = slack.over
    for group in other.over.keys() & theirs.keys():
        over[group] = over.get(group, 0) + other.over[group]
    if other.floor:
        for group in mine.keys() - theirs.keys():
            over[group] = over.get(group, 0) + other.floor
        slack.floor += other.floor


def trim_ranked(counts: dict[str, int], slack: Slack | None, room: int, width: int) -> Slack | None:
    """Drop all but the *room* largest groups; returns the slack then. *counts* and *slack* are changed."""
    if len(counts) <= room:
        return slack
    return _trim(counts, _sum_groups(counts, width), slack, room, width)


def _sum_groups(counts: dict[str, int], width: int) -> dict[str, int]:
    if not width:
        return counts.copy()
    groups: dict[str, int] = {}
    for name, n in counts.items():
        group = name[width:]
        groups[group] = groups[group] + n if group in groups else n
    return groups


def _trim(counts: dict[str, int], groups: dict[str, int], slack: Slack | None, room: int, width: int) -> Slack | None:
    if len(groups) > room:
        slack = _drop_smallest(counts, groups, slack, room, width)
    if len(counts) > NAMES_OF_GROUP * room:
        _join_names(counts, width)
    return slack


def _drop_smallest(counts: dict[str, int], groups: dict[str, int], slack: Slack | None, room: int, width: int) -> Slack:
    """Drop the groups with the least upper bounds; *groups* are the counts of all groups, and are changed."""
    # Rows of busy APIs come here at every flush: bounds alone are sorted, and names only where bounds are equal.
    slack = Slack() if slack is None else slack
    over = slack.over
    for group in over.keys() & groups.keys():
        groups[group] += over[group]
    floor = slack.floor = sorted(groups.values(), reverse=True)[room]
    dropped = {group for group, n in groups.items() if n < floor}
    equal = sorted(group for group, n in groups.items() if n == floor)
    dropped.update(equal[: len(groups) - room - len(dropped)])
    for group in dropped:
        over.pop(group, None)
    for name in [name for name in counts if name[width:] in dropped] if width else dropped:
        del counts[name]
    return slack


def _join_names(counts: dict[str, int], width: int) -> None:
    """Keep apart the most frequent name of every group only."""
    ranked = sorted(((n, name) for name, n in counts.items()), reverse=True)
    counts.clear()
    known: set[str] = set()
    for n, name in ranked:
        group = name[width:]
        if group in known:
            name = ANY[:width] + group  # noqa: PLW2901 - what it is counted as
        known.add(group)
        counts[name] = counts.get(name, 0) + n
