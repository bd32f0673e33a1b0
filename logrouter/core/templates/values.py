"""Puts paths that were counted one by one under the template that was learned later, or by another process."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from logrouter.core.templates.masking import VALUE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_PATTERNS: Final = 64
"""So many templates with values are looked for: each path is compared with those of its length."""


def match_values(templates: Collection[str]) -> Mapping[str, str]:
    """The template with values that each of the other templates is an instance of; without those that are of none.

    Of several, it is the one with the fewest values.
    """
    patterns: dict[int, list[tuple[list[str], str]]] = {}
    with_values = sorted((name for name in templates if VALUE in name), key=lambda name: (name.count(VALUE), name))
    for name in islice(with_values, MAX_PATTERNS):
        parts = name.split("/")
        patterns.setdefault(len(parts), []).append((parts, name))
    if not patterns:
        return {}
    found = {}
    for name in templates:
        if VALUE in name:
            continue
        parts = name.split("/")
        for pattern, target in patterns.get(len(parts), ()):
            if all(want in (VALUE, part) for want, part in zip(pattern, parts, strict=True)):
                found[name] = target
                break
    return found
