r"""Secrets in what can be walked: JSON, JSON in strings of JSON, lines of JSON, and JSON that was cut off.

    {"headers": [["Authorization", "Bearer x"]], "log": "{\"password\": \"y\"}"}     what a record holds
    {"headers": [["Authorization", "REDACTED"]], "log": "{\"password\":\"REDACTED\"}"}

A member whose name is in the table goes with everything below it. Where a name stands as a value (`{"name": …, "value":
…}`, lists of names and values in turn or in pairs), its value goes. All other strings are masked as text, or walked if
they are JSON themselves. Depth is bounded: what lies deeper is replaced as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

import orjson

from logrouter.core.redact.names import REDACTED, NameKind, kind_of, names_secret
from logrouter.core.redact.uris import redact_uri

MaskText = Callable[[str], str]

MAX_DEPTH: Final = 48
"""Containers within each other, in all levels of strings together."""

MAX_LEVELS: Final = 8
"""Strings of JSON within each other: each level doubles the backslashes, so that no real line has more."""

MAX_STARTS: Final = 4
_MAX_OPEN: Final = 500

CUT: Final = "…"
"""Stands for an end that is left out, as it can't be told what it belongs to."""

_EMPTY: Final = "{}"

_NAME_KEYS: Final = frozenset(
    {"name", "key", "header", "headername", "header_name", "field", "k", "n", "param", "attribute"}
)
_VALUE_KEYS: Final = frozenset(
    {"value", "values", "val", "v", "headervalue", "header_value", "content", "text", "data"}
)
_HEADER_NAME: Final = re.compile(r"[\w.$-]{2,64}:?", re.ASCII)
# What is called `code` is most often why something failed; what a client redeems is longer.
_CODE: Final = re.compile(r"[A-Za-z]{0,4}[0-9]{0,3}|[A-Za-z][A-Za-z_. -]{0,60}", re.ASCII)
_PLAIN: Final = re.compile(r"[A-Za-z]{0,40}|[0-9]{0,20}|[A-Za-z0-9]{0,7}", re.ASCII)
# The group is the quote that ends a string.
_TOKENS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+("?)|[{}\[\],:]', re.DOTALL)
_BEGINS: Final = re.compile(r"""\{(?=\s{0,64}["}])|(?<!\w)\[(?=\s{0,64}["{\[\]0-9tfn-])""")
_OPENINGS: Final = {"{": "}", "[": "]"}


def walk_text(text: str, mask: MaskText, *, drop_queries: bool = False) -> str:
    """The text with all JSON in it walked, and everything else, and every string in it, as *mask* leaves it."""
    walker = _Walker(mask, drop_queries=drop_queries)
    found = walker.document(text, 0, 0)
    if found is not None:
        return found
    found = walker.embedded(text)
    if found is not None:
        return found
    return walker.lines(text) if "\n" in text.strip() else mask(text)


def walk_value(value: Any, mask: MaskText, *, name: str = "", drop_queries: bool = False) -> Any:
    """A JSON value, of the member *name*, without secrets; the value itself if there are none."""
    return _Walker(mask, drop_queries=drop_queries).member(name, value, 0, 0)


class _Walker:
    """Goes through JSON values; returns the very value that it was given where nothing in it is secret."""

    def __init__(self, mask: MaskText, *, drop_queries: bool) -> None:
        self._mask = mask
        self._drop_queries = drop_queries

    def lines(self, text: str) -> str:
        """Lines that may have objects in them; those between are masked together, as a key or an element takes many."""
        kept: list[str] = []
        plain: list[str] = []
        for line in text.split("\n"):
            found = self.embedded(line)
            if found is None:
                plain.append(line)
                continue
            kept += ([self._mask("\n".join(plain)), found]) if plain else [found]
            plain = []
        return "\n".join([*kept, self._mask("\n".join(plain))] if plain else kept)

    def embedded(self, text: str) -> str | None:
        """A text with a container behind what a logger writes before it, or one that is cut off; None without one."""
        end = max(text.rfind("}"), text.rfind("]")) + 1
        # What a logger writes before it may hold brackets as well, but few.
        for opening in islice(_BEGINS.finditer(text), MAX_STARTS):
            start = opening.start()
            if end > start and (whole := self.document(text[start:end], 0, 0)) is not None:
                return self._behind(text[:start], whole) + self._mask(text[end:])
            if (cut := self._cut(text[start:])) is not None:
                return self._behind(text[:start], cut)
        return None

    def _behind(self, before: str, container: str) -> str:
        """A container behind a text, without it where the text ends with the name of a secret: `cookies={…}`."""
        masked = self._mask(before + _EMPTY) if before else _EMPTY
        return masked.removesuffix(_EMPTY) + container if masked.endswith(_EMPTY) else masked

    def document(self, text: str, depth: int, level: int) -> str | None:
        """The text of a JSON container or string, walked; None if it is neither."""
        if text.lstrip()[:1] not in ("{", "[", '"') or len(text) < 2:
            return None
        try:
            value = orjson.loads(text)
        except ValueError:
            return None
        if type(value) not in (dict, list, str):
            return None
        if level >= MAX_LEVELS:
            return REDACTED
        walked = self.value(value, depth + 1, level + 1)
        return text if walked is value and _holds_all_of(text, value) else _written(walked)

    def _cut(self, text: str) -> str | None:
        """The beginning of a container that never ends, walked and closed; None if it is none."""
        for kept, closers in _closed(text):
            try:
                value = orjson.loads(kept + closers)
            except ValueError:
                continue
            if not value:
                return None
            walked = self.value(value, 1, 1)
            shown = kept + closers if walked is value and _holds_all_of(kept, value) else _written(walked)
            # Ends as before: no container that is open is a secret's, so what is left out stands for itself.
            return (
                shown.removesuffix(closers) + self._mask(text[len(kept) :]) if shown.endswith(closers) else shown + CUT
            )
        return None

    def value(self, value: Any, depth: int, level: int) -> Any:
        """A value whose name tells nothing."""
        kind = type(value)
        if kind is str:
            return self._string(value, depth, level)
        if kind is not dict and kind is not list:
            return value
        if depth > MAX_DEPTH:
            return REDACTED
        return self._object(value, depth, level) if kind is dict else self._list(value, depth, level)

    def member(self, name: str, value: Any, depth: int, level: int) -> Any:
        """The value of a member."""
        if value is None or value is True or value is False or value in ("", "-"):
            return value
        kind = kind_of(name)
        if kind is not NameKind.PLAIN:
            if kind is NameKind.SECRET:
                return value if _is_public(name, value) else REDACTED
            if kind is NameKind.BULK or (self._drop_queries and type(value) is not int):
                return REDACTED
        return self.value(value, depth, level)

    def _object(self, value: dict[str, Any], depth: int, level: int) -> dict[str, Any]:
        paired = self._pair(value)
        kept: dict[str, Any] = {}
        changed = False
        for name, item in value.items():
            clean = name if _PLAIN.fullmatch(name) else self._mask(name)
            found = paired[name] if name in paired else self.member(name, item, depth + 1, level)
            changed = changed or found is not item or clean != name
            kept[clean] = found
        return kept if changed else value

    def _pair(self, value: dict[str, Any]) -> dict[str, Any]:
        """What becomes of the members of an object that is a name and its value; nothing if it is no such object."""
        named = {key.lower(): key for key in value} if 2 <= len(value) <= 8 else {}
        name_key = next((named[each] for each in _NAME_KEYS & named.keys() if type(value[named[each]]) is str), None)
        if name_key is None:
            return {}
        values = [named[each] for each in _VALUE_KEYS & named.keys() if named[each] != name_key]
        if not values:
            return {}
        name = value[name_key]
        kept = {key: self.member(name, value[key], MAX_DEPTH // 2, 1) for key in values if names_secret(name)}
        # The name itself is none, whatever its member is called.
        return kept | ({name_key: name} if _HEADER_NAME.fullmatch(name) else {})

    def _list(self, value: list[Any], depth: int, level: int) -> list[Any]:
        kept = []
        before = ""
        for item in value:
            if before and names_secret(before) and type(item) in (str, list, dict):
                found = REDACTED if item not in ("", "-") else item
                before = ""
            else:
                found = self.value(item, depth + 1, level)
                before = item.rstrip(":") if type(item) is str and _HEADER_NAME.fullmatch(item) else ""
            kept.append(found)
        return kept if any(one is not other for one, other in zip(kept, value, strict=True)) else value

    def _string(self, text: str, depth: int, level: int) -> str:
        if _PLAIN.fullmatch(text):
            return text
        found = self.document(text, depth, level)
        if found is None:
            found = self.embedded(text) if "{" in text and level < MAX_LEVELS else None
        if found is None:
            found = self._mask(text)
        if text[:1] == "/" and ("?" in text or "%" in text or ";" in text or len(text) > 20) and " " not in text:
            found = redact_uri(found, "drop" if self._drop_queries else "keep")
        return text if found == text else found


def _is_public(name: str, value: Any) -> bool:
    """Whether a name that may be a secret's has a value that is none: a code of an error, or a number of tokens."""
    last = name.lower().rpartition(".")[2]
    if last == "code":
        return (type(value) is int and value < 1000) or (type(value) is str and _CODE.fullmatch(value) is not None)
    return last.endswith("tokens") and type(value) in (int, float)


def _holds_all_of(text: str, value: Any) -> bool:
    """Whether the value has every member of its text: of a name that stands there twice, only the last is looked at."""
    return sum(1 for token in _TOKENS.finditer(text) if token[0] == ":") == _count_members(value)


def _count_members(value: Any) -> int:
    if type(value) is dict:
        return len(value) + sum(map(_count_members, value.values()))
    return sum(map(_count_members, value)) if type(value) is list else 0


def _written(value: Any) -> str:
    return orjson.dumps(value).decode()


def _closed(text: str) -> list[tuple[str, str]]:
    """Texts that close what is open in a container that was cut off, the one that keeps most first.

    Each with what closes it.
    """
    closers: list[str] = []
    popped: list[str] = []  # since the boundary
    boundary = 0
    opened = False
    for token in _TOKENS.finditer(text):
        last = token[0]
        if last in _OPENINGS:
            closers.append(_OPENINGS[last])
            if len(closers) > _MAX_OPEN:
                return []
        elif last in ("}", "]"):
            if not closers:
                return []
            popped.append(closers.pop())
        if last in ("{", "[", ","):
            boundary = token.start() if last == "," else token.end()
            popped = []
        opened = token[1] == ""
    ends = "".join(reversed(closers))
    tails = [(_without_half_escape(text), '"' + ends)] if opened else []
    tails += ((text, ends), (text[:boundary], "".join(popped) + ends))
    return tails


def _without_half_escape(text: str) -> str:
    """A text that ends inside a string, without an escape that is not complete."""
    tail = re.search(r"\\u[0-9a-fA-F]{0,3}\Z", text)
    if tail is not None:
        text = text[: tail.start()]
    return text if (len(text) - len(text.rstrip("\\"))) % 2 == 0 else text[:-1]
