"""The segments of a path that are ids by their form, replaced by what they are: `/items/17` is `/items/{id}`."""

from __future__ import annotations

import re
from typing import Final

MAX_TEMPLATE: Final = 256
"""Characters of a template; longer ones are cut."""
MAX_SEGMENTS: Final = 32
REST: Final = "{rest}"
"""Stands for all segments behind `MAX_SEGMENTS`."""

_ID: Final = "{id}"
VALUE: Final = "{value}"
"""Stands for a segment that is one of very many (`learning`)."""
WRITTEN_VALUE: Final = "{value_}"
"""What `VALUE` is called where somebody wrote it: answers know learned places by the former, and gather paths there."""
PLACEHOLDERS: Final = frozenset({_ID, "{date}", "{uuid}", "{hash}", REST, VALUE})
_SHORTEST: Final = 10
"""Characters of a date, which is the shortest of those in `_LONG`."""
_LONG: Final = re.compile(
    r"""(?: (?P<date>\d{4}-[01]\d-[0-3]\d)
      | (?P<uuid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})
      | (?P<hash>
            (?=[a-fA-F]*+\d)[0-9a-fA-F]{16,128}+                             # a digest, an object's id in hexadecimal
          | (?=[A-Z]*+\d)[0-9A-Z]{26}                                        # an ULID
          | (?=[\w-]*?\d)(?=[\w-]*?[a-z])(?=[\w-]*?[A-Z])[\w-]{20,128}+=*+   # random bytes in base64
        )
    )(?P<extension>(?:\.\w{1,8})?)""",
    re.VERBOSE | re.ASCII,
)
_NUMBERED: Final = re.compile(r"\d++(\.\w{1,8})", re.ASCII)
_DIGIT: Final = re.compile(r"\d", re.ASCII)


def mask_segments(path: str) -> str:
    """The template of a path (without query) by the form of its segments. Masking a template changes nothing.

    Numbers become `{id}`, dates `{date}`, UUIDs `{uuid}`, digests and random ids `{hash}`; an extension stays. What is
    an id by its meaning alone, such as a name, is not known here.
    """
    if _DIGIT.search(path) is None and len(path) <= MAX_TEMPLATE and path.count("/") <= MAX_SEGMENTS:
        return path
    parts = path[: 4 * MAX_TEMPLATE].split("/", MAX_SEGMENTS + 1)
    if len(parts) > MAX_SEGMENTS + 1:
        parts[-1] = REST
    for at in range(1, len(parts)):
        part = parts[at]
        if part.isdigit() and part.isascii():
            parts[at] = _ID
        elif len(part) >= _SHORTEST and (found := _LONG.fullmatch(part)) is not None:
            parts[at] = f"{{{_name_of(found)}}}{found['extension']}"
        elif "." in part and (found := _NUMBERED.fullmatch(part)) is not None:
            parts[at] = _ID + found[1]
    return "/".join(parts)[:MAX_TEMPLATE]


def _name_of(found: re.Match[str]) -> str:
    return next(name for name in ("date", "uuid", "hash") if found[name] is not None)
