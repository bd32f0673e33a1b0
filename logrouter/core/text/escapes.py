"""Undoing the escapes that web servers write in quoted fields."""

from __future__ import annotations

import re

import orjson

_BYTES = re.compile(r"(?:\\x[0-9A-Fa-f]{2})++", re.ASCII)


def unescape(text: str) -> str:
    r"""The text with `\xHH` escapes decoded as UTF-8; bytes that are not UTF-8 stay escaped."""
    return _BYTES.sub(decode_bytes, text)


def decode_bytes(match: re.Match[str]) -> str:
    """The text that a match of escaped bytes stands for."""
    return bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "backslashreplace")


def unescape_json(text: str) -> str:
    """The text that the inside of a JSON string stands for; unchanged if it is not valid JSON."""
    try:
        found = orjson.loads(f'"{text}"')
    except ValueError:
        return text
    return found if isinstance(found, str) else text
