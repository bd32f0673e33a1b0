"""Escapes that web servers write in quoted fields, turned back into the original text."""

from __future__ import annotations

import re

import orjson

_BYTES = re.compile(r"(?:\\x[0-9A-Fa-f]{2})++", re.ASCII)


def unescape(text: str) -> str:
    r"""Bytes that were escaped as `\xHH`, as the UTF-8 that they are as a rule; what is none stays escaped."""
    return _BYTES.sub(decoded, text)


def decoded(match: re.Match[str]) -> str:
    """The text of a run of escaped bytes."""
    return bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "backslashreplace")


def unescape_json(text: str) -> str:
    """The inside of a JSON string as text; what is none stays as it is."""
    try:
        found = orjson.loads(f'"{text}"')
    except ValueError:
        return text
    return found if isinstance(found, str) else text
