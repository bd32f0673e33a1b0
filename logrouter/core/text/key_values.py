r"""Lines of `key=value` pairs, taken apart.

    line   := { space | "," | ";" | pair | quoted | word }
    pair   := key "=" ( quoted | { any but space } )
    quoted := '"' { any but '"' and "\" | "\" any } '"'

A pair may hold an empty value. Commas and semicolons belong to a bare value, and are nothing behind a quoted one. Words
without "=" stand for themselves; a quoted text that no key has is passed over, so that nothing in it can be taken for a
pair. Linear: repeats are possessive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
    r'|(?P<key>[^\s=",;][^\s="]*+)(?:=(?:"(?P<quoted>(?:[^"\\]++|\\.)*+)(?P<end>"|\\?\Z)|(?P<bare>\S*+)))?+',
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_NAMED: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


@dataclass(slots=True)
class Pairs:
    """The pairs of a line.

    Keys are as written; of a repeated key the first value is kept and *repeated* is set. *words* are the tokens without
    "=". *cut* says that the line ends inside a quoted value.
    """

    values: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    repeated: bool = False
    cut: bool = False


def pairs_of(text: str) -> Pairs:
    """The pairs in *text*. Never raises."""
    found = Pairs()
    for token in _TOKEN.finditer(text):
        key = token["key"]
        if key is None:
            continue
        quoted, value = token["quoted"], token["bare"]
        if quoted is not None:
            found.cut = found.cut or token["end"] != '"'
            value = _ESCAPE.sub(_unescaped, quoted) if "\\" in quoted else quoted
        elif value is None:
            found.words.append(key)
            continue
        if found.values.setdefault(key, value) != value:
            found.repeated = True
    return found


def tokens_of(text: str) -> Iterator[tuple[str, str | None, str]]:
    """The keys in *text* in order, each with its value and what ends that; words have None. Never raises.

    A value ends at a quote, at a quote and a comma, or else at a blank: `"`, `",` or "".
    """
    for token in _TOKEN.finditer(text):
        key, quoted = token["key"], token["quoted"]
        if key is not None and quoted is not None:
            end = token.end()
            yield key, _ESCAPE.sub(_unescaped, quoted), '",' if text[end : end + 1] == "," else '"'
        elif key is not None:
            yield key, token["bare"], ""


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    if code is not None:
        number = int(code, 16)
        return "\ufffd" if 0xD800 <= number <= 0xDFFF else chr(number)
    char = escape[3]
    return _NAMED.get(char, char if char in "\"\\/'" else "\\" + char)
