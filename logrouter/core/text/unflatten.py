"""Flattened objects back to nested ones, guided by the paths that are known.

    {"http.status_code": 200, "http_request_headers_user-agent": "x"}
    {"http": {"status_code": 200, "request_headers": {"user-agent": "x"}}}

A blind split is wrong with either separator: `http_status_code` has no `status` in it, and a header may be called
`x.y`. So only known names are taken apart, the longest known path first, and what is not known is left out. Nested
input, and input that is nested half-way, comes out the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SEPARATORS: Final = "._"

ABSENT: Final = (None, "", "-")


@dataclass(frozen=True, slots=True)
class Paths:
    """Known paths by every spelling: *leaves* hold scalars, *branches* objects, *prefixes* begin keys of open ones."""

    leaves: Mapping[str, tuple[str, ...]]
    branches: Mapping[str, tuple[str, ...]]
    prefixes: tuple[tuple[str, tuple[str, ...]], ...]


def known_paths(leaves: Iterable[str], maps: Iterable[str] = (), aliases: Mapping[str, str] | None = None) -> Paths:
    """Compile dotted paths. *aliases* are further names of leaves, taken as whole names."""
    split = [tuple(leaf.split(".")) for leaf in leaves]
    spelled = {name: path for path in split for name in _spellings(path)}
    spelled |= {name: tuple(path.split(".")) for name, path in (aliases or {}).items()}
    open_maps = {name: path for path in (tuple(each.split(".")) for each in maps) for name in _spellings(path)}
    above = {path[:length] for path in [*split, *open_maps.values()] for length in range(1, len(path))}
    prefixes = sorted(((name + each, path) for name, path in open_maps.items() for each in SEPARATORS), key=_by_length)
    branches = {name: path for path in above for name in _spellings(path)} | open_maps
    return Paths(spelled, branches, tuple(prefixes))


def unflatten(flat: Mapping[str, Any], paths: Paths) -> tuple[dict[str, Any], tuple[str, ...] | None]:
    """The nested object of the known paths, and the path that two values claim, if there is one.

    Null, "" and "-" claim nothing. Of two claims the first is kept, so that the object is usable either way.
    """
    nested: dict[str, Any] = {}
    conflict = _walk(flat, "", paths, nested)
    return nested, conflict


def _walk(part: Mapping[str, Any], prefix: str, paths: Paths, nested: dict[str, Any]) -> tuple[str, ...] | None:
    conflict: tuple[str, ...] | None = None
    for key, value in part.items():
        name = prefix + key
        path = paths.leaves.get(name)
        if path is not None:
            conflict = _put(nested, path, value) or conflict
        elif name in paths.branches:
            if type(value) is dict:
                conflict = _walk(value, name + ".", paths, nested) or conflict
            elif value not in ABSENT:
                conflict = paths.branches[name]
        else:
            for start, above in paths.prefixes:
                if name.startswith(start):
                    conflict = _put(nested, (*above, name[len(start) :]), value) or conflict
                    break
    return conflict


def _put(nested: dict[str, Any], path: tuple[str, ...], value: Any) -> tuple[str, ...] | None:
    """Set one leaf; the path if it already has another value, or if the value is no scalar."""
    if value in ABSENT:
        return None
    if isinstance(value, (dict, list)):
        return path
    for key in path[:-1]:
        nested = nested.setdefault(key, {})
    old = nested.setdefault(path[-1], value)
    return None if type(old) is type(value) and old == value else path


def _spellings(path: tuple[str, ...]) -> list[str]:
    """Every way to join the parts of a path: lines are seen that were flattened in two steps."""
    gaps = product(SEPARATORS, repeat=len(path) - 1)
    return ["".join(part + gap for part, gap in zip(path, (*each, ""), strict=True)) for each in gaps]


def _by_length(entry: tuple[str, tuple[str, ...]]) -> int:
    return -len(entry[0])
