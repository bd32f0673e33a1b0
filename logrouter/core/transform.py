"""Changes to an event before it is validated: fields kept, dropped, renamed, redacted and set.

    change = chain([drop([("http", "client_ip")]), rename([(("route",), ("api",))])])
    change(event)

A path is a tuple of names. Every change works in place, ignores fields that are missing, and never raises on any event.
The configuration sees to it that no change touches what every event has (`ESSENTIAL`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from logrouter.core.redact import REDACTED

Path = tuple[str, ...]
Change = Callable[[dict[str, Any]], None]
Scalar = str | int | float | bool

ESSENTIAL: Final[tuple[Path, ...]] = (
    ("$schema",),
    ("meta", "stream"),
    ("meta", "dt"),
    ("meta", "id"),
    ("source", "topic"),
    ("source", "partition"),
    ("source", "offset"),
    ("source", "index"),
    ("weight",),
)
"""What consumers find an event and its record by, and what figures are made with."""

ALWAYS_KEPT: Final = (*ESSENTIAL, ("flags",))
"""What `keep` leaves in the event without being told."""

_MISSING: Final = object()


def path_of(text: str) -> Path:
    """`http.client_ip` as a path."""
    return tuple(text.split("."))


def within(path: Path, above: Path) -> bool:
    """Whether *path* is *above* or below it."""
    return path[: len(above)] == above


def value_at(event: Mapping[str, Any], path: Path) -> Any:
    """The value at a path, None if it is missing."""
    value: Any = event
    for name in path:
        if type(value) is not dict:
            return None
        value = value.get(name)
    return value


def chain(changes: Sequence[Change]) -> Change:
    """One change that makes all *changes* in order."""

    def change(event: dict[str, Any]) -> None:
        for each in changes:
            each(event)

    return change


def drop(paths: Sequence[Path]) -> Change:
    """A change that removes these fields, and objects that are left empty."""

    def change(event: dict[str, Any]) -> None:
        for path in paths:
            _take(event, path)

    return change


def keep(paths: Sequence[Path]) -> Change:
    """A change that removes all fields but these, what is below them, and `ALWAYS_KEPT`."""
    tree: dict[str, Any] = {}
    for path in (*paths, *ALWAYS_KEPT):
        _plant(tree, path)

    def change(event: dict[str, Any]) -> None:
        _prune(event, tree)

    return change


def rename(pairs: Sequence[tuple[Path, Path]]) -> Change:
    """A change that moves fields, from each first path to the second; what stood there before is replaced."""

    def change(event: dict[str, Any]) -> None:
        for old, new in pairs:
            value = _take(event, old)
            if value is not _MISSING:
                _put(event, new, value)

    return change


def redact(paths: Sequence[Path]) -> Change:
    """A change that replaces texts at and below these paths by `REDACTED` and removes numbers and booleans there."""

    def change(event: dict[str, Any]) -> None:
        for path in paths:
            value = _take(event, path)
            if value is not _MISSING:
                hidden = _hidden(value)
                if hidden is not None:
                    _put(event, path, hidden)

    return change


WRITTEN_BY_CLIENTS: Final[tuple[Path, ...]] = (
    ("http", "path"),
    ("http", "request_headers"),
    ("meta", "uri"),
    ("meta", "domain"),
    ("meta", "request_id"),
    ("meta", "correlation_id"),
    ("error", "message"),
    ("error", "code"),
    ("backend", "uri"),
)
"""Fields of text that clients write, or that repeat what they wrote."""


_PSEUDONYM: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
"""A keyed hash in place of a name, whose digits no pattern is about."""


def mask_texts(mask: Callable[[str], str]) -> Change:
    """A change that makes of each text in `WRITTEN_BY_CLIENTS`, and of a user's name, what *mask* makes of it."""

    def change(event: dict[str, Any]) -> None:
        user = event.get("user")
        if type(user) is str and _PSEUDONYM.fullmatch(user) is None:
            event["user"] = mask(user)
        for above, name in WRITTEN_BY_CLIENTS:
            part = event.get(above)
            value = part.get(name) if type(part) is dict else None
            if type(part) is dict and type(value) is str:
                part[name] = mask(value)
            elif type(part) is dict and type(value) is dict:
                part[name] = {key: mask(each) if type(each) is str else each for key, each in value.items()}

    return change


def assign(values: Mapping[Path, Scalar]) -> Change:
    """A change that sets fields to constant values."""

    def change(event: dict[str, Any]) -> None:
        for path, value in values.items():
            _put(event, path, value)

    return change


def _take(event: dict[str, Any], path: Path) -> Any:
    """Remove what is at the path, and the objects that it leaves empty; `_MISSING` if nothing is."""
    parts = [event]
    for name in path[:-1]:
        below = parts[-1].get(name)
        if type(below) is not dict:
            return _MISSING
        parts.append(below)
    value = parts[-1].pop(path[-1], _MISSING)
    if value is not _MISSING:
        for depth in range(len(path) - 1, 0, -1):
            if parts[depth]:
                break
            del parts[depth - 1][path[depth - 1]]
    return value


def _put(event: dict[str, Any], path: Path, value: Any) -> None:
    part = event
    for name in path[:-1]:
        below = part.setdefault(name, {})
        if type(below) is not dict:
            return  # a text has no fields; the schema has the last word on it
        part = below
    part[path[-1]] = value


def _plant(tree: dict[str, Any], path: Path) -> None:
    """Add a path to a tree of names; None stands for everything below."""
    for depth, name in enumerate(path, 1):
        if depth == len(path):
            tree[name] = None
            return
        below = tree.setdefault(name, {})
        if below is None:
            return
        tree = below


def _prune(part: dict[str, Any], tree: Mapping[str, Any]) -> None:
    for name in list(part):
        if name not in tree:
            del part[name]
        elif tree[name] is not None and type(part[name]) is dict:
            _prune(part[name], tree[name])
            if not part[name]:
                del part[name]


def _hidden(value: Any) -> Any:
    """The value with every text in it replaced; None if nothing is left of it. Depth is bounded by the decoders."""
    match value:
        case str():
            return REDACTED
        case dict():
            kept = {name: hidden for name, below in value.items() if (hidden := _hidden(below)) is not None}
            return kept or None
        case list():
            return [hidden for below in value if (hidden := _hidden(below)) is not None] or None
    return None
