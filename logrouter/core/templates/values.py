"""Puts paths that were counted one by one under the template that was learned later, or by another process."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from logrouter.core.templates.masking import VALUE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_PATTERNS: Final = 64
"""So many templates with values are looked for."""


def match_values(templates: Collection[str]) -> Mapping[str, str]:
    """The template with values that each of the other templates is an instance of; without those that are of none.

    Of several, it is the one with the fewest values.
    """
    # By where they have values, as few differ in that: a template is looked up once for each of these shapes.
    shapes: dict[tuple[int, tuple[int, ...]], set[str]] = {}
    with_values = sorted((name for name in templates if VALUE in name), key=lambda name: (name.count(VALUE), name))
    for name in islice(with_values, MAX_PATTERNS):
        parts = name.split("/")
        places = tuple(at for at, part in enumerate(parts) if part == VALUE)
        shapes.setdefault((len(parts), places), set()).add(name)
    by_length: dict[int, list[tuple[tuple[int, ...], set[str]]]] = {}
    for (length, places), names in shapes.items():
        by_length.setdefault(length, []).append((places, names))
    if not by_length:
        return {}
    found = {}
    for name in templates:
        if VALUE in name:
            continue
        parts = name.split("/")
        for places, names in by_length.get(len(parts), ()):
            masked = parts.copy()
            for at in places:
                masked[at] = VALUE
            if (target := "/".join(masked)) in names:
                found[name] = target
                break
    return found
