"""Text that shows itself and does nothing else, whoever has written it: for terminals, logs and JSON.

What counts as printable is `str.isprintable`. Not printable are control characters (C0, DEL, C1), so all escape
sequences; marks that change the direction of text; characters of no width; all blanks but the space; unassigned and
private characters; and halves of surrogate pairs.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def escape(text: str) -> str:
    r"""*text* in one line, with what is not printable as `\x1b`, `\n` or `\u202e`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def escape_lines(text: str) -> str:
    """Like `escape`, but line feeds still end lines: for text of several lines that we have put together."""
    return text if text.isprintable() else "\n".join(map(escape, text.split("\n")))


def json_text(value: Any, *, indent: bool = False) -> str:
    r"""*value* as JSON, on one line or with *indent* on several; what is not printable is a `\u` escape.

    A value that JSON does not know becomes its `str`, a half of a surrogate pair the escape of its own.
    """
    try:
        text = orjson.dumps(
            value, default=str, option=orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
        ).decode()
    except TypeError:  # halves of characters, integers of more than 64 bits
        text = json.dumps(value, default=str, indent=2 if indent else None)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _unit_escapes(char) for char in text)


def _unit_escapes(char: str) -> str:
    r"""JSON's `\u` escapes of a character: one per UTF-16 code unit. Only strings hold such."""
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
