"""Fields of documents: which field of an event becomes which of a document, and as what it is indexed.

A document has the fields of its table and no others, whatever an event holds, so that no event can add a field to an
index or have one of another type.
"""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_KEYWORD: Final = 8191
"""Characters of a keyword that are indexed: with four bytes each, what Lucene takes as one term (32,766 bytes)."""
_MAX_LONG: Final = 2**63 - 1


class Kind(StrEnum):
    """What a value has to be, and as what it is indexed."""

    KEYWORD = "keyword"
    TEXT = "text"
    LONG = "long"
    DOUBLE = "double"
    IP = "ip"
    DATE = "date"
    EPOCH_MS = "epoch_ms"


MAPPINGS: Final[Mapping[Kind, Mapping[str, Any]]] = {
    Kind.KEYWORD: {"type": "keyword", "ignore_above": MAX_KEYWORD},
    Kind.TEXT: {"type": "text"},
    Kind.LONG: {"type": "long"},
    Kind.DOUBLE: {"type": "double"},
    Kind.IP: {"type": "ip"},
    Kind.DATE: {"type": "date", "format": "strict_date_optional_time"},
    Kind.EPOCH_MS: {"type": "date", "format": "epoch_millis"},
}


class DocumentField(NamedTuple):
    """The value at *source* of an event, a dotted path, is that at *target* of the document, if it is of its kind."""

    source: str
    target: str
    kind: Kind = Kind.KEYWORD


def text_of(value: object) -> str | None:
    """A text that is not empty."""
    return value if isinstance(value, str) and value else None


def whole_of(value: object) -> int | None:
    """A whole number that a `long` holds."""
    return value if type(value) is int and -_MAX_LONG <= value <= _MAX_LONG else None


def number_of(value: object) -> float | None:
    """A number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def address_of(value: object) -> str | None:
    """An address of IPv4 or IPv6."""
    if not isinstance(value, str) or "%" in value:
        return None
    try:
        ip_address(value)
    except ValueError:
        return None
    return value


def texts_of(value: object, most: int) -> list[str]:
    """The texts of a list, at most so many."""
    return [each for each in value[:most] if isinstance(each, str) and each] if isinstance(value, list) else []


def pairs_of(value: object, most: int) -> list[str]:
    """`key=value` for each text of an object, at most so many: one field however many keys there are."""
    if not isinstance(value, dict):
        return []
    return [f"{key}={text}" for key, text in value.items() if isinstance(text, str)][:most]


_READ: Final[Mapping[Kind, Callable[[object], Any]]] = {
    Kind.KEYWORD: text_of,
    Kind.TEXT: text_of,
    Kind.LONG: whole_of,
    Kind.DOUBLE: number_of,
    Kind.IP: address_of,
}


class DocumentBuilder:
    """Puts the fields of a table into nested objects."""

    def __init__(self, fields: Sequence[DocumentField]) -> None:
        parts: dict[str, list[tuple[str, Callable[[object], Any], str, str]]] = defaultdict(list)
        for field in fields:
            part, _, key = field.source.rpartition(".")
            section, _, leaf = field.target.rpartition(".")
            parts[part].append((key, _READ[field.kind], section, leaf))
        self._parts = [(part, tuple(found)) for part, found in parts.items()]

    def build(self, event: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The sections of the document, by dotted name; `nest` makes one object of them."""
        sections: dict[str, dict[str, Any]] = {}
        for name, fields in self._parts:
            part = event.get(name) if name else event
            if not isinstance(part, dict):
                continue
            for key, read, section, leaf in fields:
                if key in part and (value := read(part[key])) is not None:
                    if section not in sections:
                        sections[section] = {}
                    sections[section][leaf] = value
        return sections


@lru_cache(maxsize=256)
def _path_of(section: str) -> tuple[tuple[str, ...], str]:
    """The names above a section, and its own."""
    *parents, name = section.split(".")
    return tuple(parents), name


def nest(sections: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """One object of sections by dotted name, which become parts of it; "" names the object itself."""
    document: dict[str, Any] = sections.get("", {})
    for section, values in sections.items():
        if not section or not values:
            continue
        parents, name = _path_of(section)
        place = document
        for parent in parents:
            place = place.setdefault(parent, {})
        if name in place:
            place[name].update(values)
        else:
            place[name] = values
    return document
