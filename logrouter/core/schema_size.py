"""How much work a JSON Schema can make of one event: the number of its subschemas with all references written out.

Thirty definitions that each refer twice to the next are a billion subschemas, and a validator visits every one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFINITIONS: Final = frozenset({"$defs", "definitions"})
_PLAIN: Final = frozenset({"const", "enum", "default", "examples"})
_NAMES: Final = ("$anchor", "$dynamicAnchor", "$id")
_REFERENCES: Final = ("$ref", "$dynamicRef")


def unfolded_size(schema: dict[str, Any]) -> int:
    """The number of objects and lists in *schema*, what a reference leads to counted each time that it is referred to.

    A reference that leads back to where it stands counts once: how often it is followed is for the event to say. One
    that leads nowhere counts nothing.

    Raises:
        RecursionError: *schema*, or a chain of its references, is deeper than the interpreter goes.
    """
    return _Unfolding(schema).size_of(schema)


class _Unfolding:
    """Sizes of the parts of one schema, each computed once.

    A part with `$id` is a resource of its own: pointers in it begin there. Which resource an address means is told by
    the last part of its path; where several fit, the largest counts.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self._sizes: dict[int, int] = {}
        self._roots: dict[int, Any] = {}
        self._named: dict[str, list[Any]] = {}
        left: list[tuple[Any, Any]] = [(schema, schema)]
        while left:
            part, root = left.pop()
            if isinstance(part, dict):
                root = part if isinstance(part.get("$id"), str) else root
                self._roots[id(part)] = root
                for name in filter(None, map(part.get, _NAMES)):
                    if isinstance(name, str):
                        self._named.setdefault(_last_part(name), []).append(part)
            children = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
            left.extend((child, root) for child in children)

    def size_of(self, part: Any) -> int:
        """The size of a part, definitions left out but where they are referred to."""
        if not isinstance(part, dict | list):
            return 0
        known = self._sizes.get(id(part))
        if known is not None:
            return known
        self._sizes[id(part)] = 0  # while it is being counted: a way back to it ends here
        if isinstance(part, list):
            size = 1 + sum(map(self.size_of, part))
        else:
            inner = (value for key, value in part.items() if key not in _DEFINITIONS and key not in _PLAIN)
            size = 1 + sum(map(self.size_of, inner))
            for reference in filter(None, map(part.get, _REFERENCES)):
                size += max(map(self.size_of, self._targets(reference, self._roots[id(part)])), default=0)
        self._sizes[id(part)] = size
        return size

    def _targets(self, reference: Any, root: Any) -> Iterator[Any]:
        if not isinstance(reference, str):
            return
        address, _, fragment = reference.partition("#")
        if fragment and not fragment.startswith("/"):
            yield from self._named.get(fragment, ())
            return
        for resource in self._named.get(_last_part(address), ()) if address else (root,):
            yield _follow(resource, fragment)


def _last_part(name: str) -> str:
    return name.rstrip("#").rpartition("/")[2].rpartition(":")[2]


def _follow(part: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(part, dict):
            part = part.get(name)
        elif isinstance(part, list) and name.isascii() and name.isdigit() and int(name) < len(part):
            part = part[int(name)]
        else:
            return None
    return part
