"""The difference between two events, member by member."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

MAX_CHANGES: Final = 20
MAX_TEXT: Final = 200


class Change(NamedTuple):
    """A member that differs: its JSON pointer (RFC 6901) and both values, None where it is missing."""

    at: str
    old: Any
    new: Any


def diff_events(old: Any, new: Any, at: str = "") -> list[Change]:
    """Every member in which two JSON values differ, at any depth.

    At most `MAX_CHANGES`, texts cut at `MAX_TEXT`. *at* is the pointer of the values themselves.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        found: list[Change] = []
        for name in old | new:
            step = name.replace("~", "~0").replace("/", "~1")
            found += diff_events(old.get(name), new.get(name), f"{at}/{step}")
            if len(found) >= MAX_CHANGES:
                break
        return found[:MAX_CHANGES]
    same = type(old) is type(new) and old == new
    return [] if same else [Change(at, _bounded(old), _bounded(new))]


def _bounded(value: Any) -> Any:
    return value[:MAX_TEXT] + "…" if isinstance(value, str) and len(value) > MAX_TEXT else value
