"""Glob patterns of paths, compiled to regular expressions."""

from __future__ import annotations

import re

_GLOB_PART = re.compile(r"\*\*|\*|\{([A-Za-z_]\w*)\}", re.ASCII)


def compile_glob(glob: str) -> re.Pattern[str]:
    """The regular expression of a glob, for `fullmatch`.

    `*` matches in one segment, `**` in any, `{name}` is a group of one segment.

    Raises:
        ValueError: a name occurs twice.
    """
    parts, start, seen = [], 0, set()
    for match in _GLOB_PART.finditer(glob):
        parts.append(re.escape(glob[start : match.start()]))
        start = match.end()
        if match[1] in seen:
            raise ValueError(f"glob {glob!r}: {match[1]} is there twice")
        if match[1]:
            seen.add(match[1])
        parts.append(".*" if match[0] == "**" else "[^/]*" if match[0] == "*" else f"(?P<{match[1]}>[^/]+)")
    return re.compile("".join([*parts, re.escape(glob[start:])]), re.DOTALL)
