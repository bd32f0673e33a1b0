"""What may be shown of the lines of a route where no event is made of them: in dead letters, `explain` and messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.core.redact.addresses import mask_addresses, truncate
from logrouter.core.redact.documents import walk_text, walk_value
from logrouter.core.redact.names import REDACTED
from logrouter.core.redact.text import mask, redact_shown

if TYPE_CHECKING:
    from collections.abc import Iterable

MaskText = Callable[[str], str]

_MAX_KNOWN: Final = 8192
_MAX_KNOWN_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class Disclosure:
    """How a line is masked: always without what looks like a secret, and as far as one route's options say.

    *address* makes of an address what may be published of it, None if all of it may; *strictness* orders policies.
    *keeps_query* is true where query strings may be published. *own* replaces what the operator's own patterns find,
    and each of *lines* a value that the format's pattern puts in a known place of a line.
    """

    keeps_query: bool = False
    address: Callable[[str], str] | None = truncate
    strictness: int = 1
    own: MaskText | None = None
    lines: tuple[MaskText, ...] = ()
    # Lines of one source say the same again and again: names of keys, hosts, programs, methods. Texts that need no mask
    # are known by themselves; hostile input can only make this start over.
    _known: set[str] = field(default_factory=set, init=False, compare=False, repr=False)

    def text(self, text: str) -> str:
        """A text as it may be shown."""
        for each in self.lines:
            text = each(text)
        return walk_text(text, self._mask, drop_queries=not self.keeps_query)

    def raw(self, raw: bytes) -> bytes:
        """The same of bytes that may be no text at all."""
        return self.text(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def value(self, value: Any, name: str = "") -> Any:
        """A JSON value as it may be shown; *name* is that of its member."""
        return walk_value(value, self._mask, name=name, drop_queries=not self.keeps_query)

    def record(self, value: Any) -> Any:
        """A JSON value out of a record: as `value`, and each member as the masks of lines leave it beside its name."""
        shown = self.value(value)
        return self._masked_members(shown) if self.lines else shown

    def _masked_members(self, value: Any) -> Any:
        if type(value) is list:
            return [self._masked_members(each) for each in value]
        if type(value) is not dict:
            return value
        return {
            name: self._masked_members(item) if type(item) in (dict, list) else self._masked_member(name, item)
            for name, item in value.items()
        }

    def _masked_member(self, name: str, item: Any) -> Any:
        """The value of a member: the masks know lines, so it is one."""
        try:
            line = orjson.dumps({name: item}).decode()
        except (TypeError, ValueError):
            return item  # a number that is no name of anybody, or text that no line can be
        masked = line
        for each in self.lines:
            masked = each(masked)
        if masked == line:
            return item
        try:
            return orjson.loads(masked)[name]
        except (ValueError, KeyError):
            return REDACTED

    def shown(self, name: str, text: str, most: int) -> str:
        """The text of the member *name*, at most *most* characters of it."""
        return redact_shown(name, text, most, self.text)

    def _mask(self, text: str) -> str:
        if text in self._known:
            return text
        for each in self.lines:
            text = each(text)
        raw = mask(text.encode("utf-8", "surrogateescape"), drop_queries=not self.keeps_query)
        if self.address is not None:
            raw = mask_addresses(raw, self.address)
        kept = raw.decode("utf-8", "surrogateescape")
        if self.own is not None:
            kept = self.own(kept)
        if kept == text and len(text) <= _MAX_KNOWN_LENGTH:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known.add(text)
        return kept


STRICT: Final = Disclosure()
"""Where nothing is known of the route."""


def strictest(disclosures: Iterable[Disclosure]) -> Disclosure:
    """The one that shows no more than any of them does; `STRICT` if there are none."""
    given = list(disclosures)
    if not given:
        return STRICT
    hardest = max(given, key=lambda each: each.strictness)
    return Disclosure(
        keeps_query=all(each.keeps_query for each in given),
        address=hardest.address,
        strictness=hardest.strictness,
        own=next((each.own for each in given if each.own is not None), None),
        lines=tuple(dict.fromkeys(mask_line for each in given for mask_line in each.lines)),
    )
