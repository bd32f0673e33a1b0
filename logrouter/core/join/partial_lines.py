"""Lines that a container runtime has split, put together: the fragments of one partition that wait for the rest.

    lines = PartialLineBuffer(PartialLineLimits(max_bytes=1 << 18, max_wait_ms=30_000))
    taken = lines.take(fragment, record, at_ms)     # what is to be routed because of this record
    lines.snapshot()                             # to go back to by `reset`
    lines.encode_places()                        # to find the fragments again in the topic

Pure and bounded. What waits can be written in a few hundred characters, as the places of the fragments: whoever reads
the partition next reads those records once more and has the same state, whatever bounds or times have led to it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from logrouter.core.join.versions import refuse_newer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.envelopes.partial import FragmentText
    from logrouter.model import RawRecord

MAX_FRAGMENTS: Final = 300
"""Fragments that may wait in one partition: their places must fit into what Kafka keeps beside an offset."""

MAX_TOTAL: Final = 16 << 20
"""Bytes of records that may wait in one partition, or the longest line if that is allowed more."""

_PREFIX: Final = "pieces1 "
_FORM: Final = re.compile(r"pieces([0-9]{1,4}) ")
_SHAPELESS: Final = "?"
_UNKNOWN: Final = (_SHAPELESS,)
"""The key of a line of which nobody knows whose it is: no other has one word."""
_MOST_CLEARED: Final = 1_000
_LONG_AGO: Final = -(1 << 62)
_BASE: Final = 36
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_LOST: Final = "!"

Key = tuple[str, ...]


class Fragment(NamedTuple):
    """One fragment of a line: its record, and the text in it."""

    record: RawRecord
    text: str


class PartialLine(NamedTuple):
    """A line of which the end is missing. It is *lost* if it was given up: then only its end is waited for.

    *since_ms* is when its first fragment came, *size* the characters of its text so far. *cleared* is used where nobody
    knows whose line it is: it is none of these keys.
    """

    fragments: tuple[Fragment, ...]
    since_ms: int
    size: int
    lost: bool = False
    cleared: frozenset[Key] = frozenset()


class Taken(NamedTuple):
    """What is to be routed because of a record.

    *given_up* are fragments that wait no longer, each to be routed as it is. If *held*, the record waits, or is among
    them; else it is to be routed as it is, or ends the line whose first record is *begins* and whose text is *whole*.
    *rest* says that it is a fragment of a line that was given up, even if it looks whole: whoever can make a line long
    enough to be split could else write its last fragment as a line of its own.
    """

    given_up: tuple[RawRecord, ...] = ()
    held: bool = False
    rest: bool = False
    begins: RawRecord | None = None
    whole: str = ""


class PartialLineBuffer:
    """The split lines of one partition that wait for their rest, within *bounds*."""

    def __init__(self, bounds: PartialLineLimits) -> None:
        self.bounds = bounds
        self._lines: dict[Key, PartialLine] = {}

    def __bool__(self) -> bool:
        """Whether something waits."""
        return bool(self._lines)

    def take(self, fragment: FragmentText, record: RawRecord, at_ms: int) -> Taken:
        """One more fragment, which may be a whole line; *at_ms* is the time of its *record*."""
        given_up: tuple[RawRecord, ...] = ()
        if self._lines:
            given_up = self.expire(at_ms)
            if _UNKNOWN in self._lines and fragment.key not in self._lines and self._doubt(fragment, record, at_ms):
                return Taken(given_up, rest=True)
        line = self._lines.get(fragment.key)
        if line is None:
            if fragment.last:
                return Taken(given_up)
            return self._wait(fragment, record, PartialLine((), at_ms, 0), given_up)
        if line.lost:
            self._clear(fragment.key)
            self._lose(fragment.key, record, at_ms, ended=fragment.last)
            return Taken(given_up, rest=True)
        if line.size + len(fragment.text) > self.bounds.max_bytes:
            given_up += tuple(fragment.record for fragment in line.fragments)
            self._lose(fragment.key, record, at_ms, ended=fragment.last)
            return Taken(given_up, rest=True)
        if not fragment.last:
            return self._wait(fragment, record, line, given_up)
        del self._lines[fragment.key]
        whole = "".join((*(each.text for each in line.fragments), fragment.text))
        return Taken(given_up, begins=line.fragments[0].record, whole=whole)

    def expire(self, at_ms: int) -> tuple[RawRecord, ...]:
        """Fragments of lines that have waited too long: they are given up."""
        given_up: tuple[RawRecord, ...] = ()
        for key, line in list(self._lines.items()):
            if line.since_ms + self.bounds.max_wait_ms <= at_ms:
                if key == _UNKNOWN:
                    del self._lines[key]
                    continue
                self._lose(key, line.fragments[-1].record, at_ms, ended=line.lost)
                given_up += tuple(fragment.record for fragment in line.fragments) if not line.lost else ()
        return given_up

    def give_up(self) -> tuple[RawRecord, ...]:
        """All fragments: lines are not put together any more."""
        lines, self._lines = self._lines, {}
        return tuple(fragment.record for line in lines.values() if not line.lost for fragment in line.fragments)

    def _wait(
        self, fragment: FragmentText, record: RawRecord, line: PartialLine, given_up: tuple[RawRecord, ...]
    ) -> Taken:
        fragments = (*line.fragments, Fragment(record, fragment.text))
        self._lines[fragment.key] = PartialLine(fragments, line.since_ms, line.size + len(fragment.text))
        return Taken(given_up + self._evict(), held=True)

    def _evict(self) -> tuple[RawRecord, ...]:
        """Make room: the oldest lines go. That they are lost is forgotten only if there is no room for that either."""
        given_up: tuple[RawRecord, ...] = ()
        while not self._fits():
            known = [each for each in self._lines if each != _UNKNOWN]
            key = min(known, key=lambda each: self._lines[each].since_ms)
            line = self._lines[key]
            self._lose(key, line.fragments[-1].record, line.since_ms, ended=line.lost)
            given_up += tuple(fragment.record for fragment in line.fragments) if not line.lost else ()
        return given_up

    def _fits(self) -> bool:
        count = sum(len(line.fragments) for line in self._lines.values())
        total = sum(len(fragment.record.value or b"") for line in self._lines.values() for fragment in line.fragments)
        return count <= MAX_FRAGMENTS and total <= max(MAX_TOTAL, 2 * self.bounds.max_bytes)

    def _lose(self, key: Key, record: RawRecord, at_ms: int, *, ended: bool) -> None:
        """The line is given up: what still comes of it is routed as it is, up to its end."""
        self._lines.pop(key, None)
        if not ended:
            self._lines[key] = PartialLine((Fragment(replace(record, value=b""), ""),), at_ms, 0, lost=True)

    def note_missing(self, record: RawRecord, at_ms: int) -> None:
        """A fragment that waited is gone, at the offset of *record*; nobody knows of which line.

        What waits may lack it, so it is given up with the next record. And for as long as a line may wait, the first
        line of each other key may be the rest of the one that it began, which a client may have written to look like a
        line of its own.
        """
        for key, line in self._lines.items():
            if not line.lost:
                self._lines[key] = line._replace(since_ms=_LONG_AGO)
        fragments = (Fragment(replace(record, value=b""), ""),)
        self._lines[_UNKNOWN] = PartialLine(fragments, at_ms, 0, lost=True)

    def _doubt(self, fragment: FragmentText, record: RawRecord, at_ms: int) -> bool:
        """Whether it may be of the line of which nobody knows whose it is: of each key, up to the end of one line."""
        if fragment.key in self._lines[_UNKNOWN].cleared:
            return False
        self._clear(fragment.key)
        self._lose(fragment.key, record, at_ms, ended=fragment.last)
        return True

    def _clear(self, key: Key) -> None:
        """What comes of this key is known to its end: a line behind that is not the one of which nobody knows."""
        unknown = self._lines.get(_UNKNOWN)
        if unknown is not None and len(unknown.cleared) < _MOST_CLEARED:
            self._lines[_UNKNOWN] = unknown._replace(cleared=unknown.cleared | {key})

    def snapshot(self) -> dict[Key, PartialLine]:
        """What waits, as a value that does not change."""
        return dict(self._lines)

    def reset(self, snapshot: Mapping[Key, PartialLine]) -> None:
        """Go back to what a `snapshot` says."""
        self._lines = dict(snapshot)

    def take_again(self, fragment: FragmentText, record: RawRecord, at_ms: int, *, lost: bool) -> None:
        """Add a record that `encode_places` has named, read again; before any other record of the partition.

        *lost* is as in `decode_places`. Behind a missing one (`note_missing`) it waits no longer.
        """
        if lost:
            self._lose(fragment.key, record, at_ms, ended=False)
            return
        if _UNKNOWN in self._lines:
            at_ms = _LONG_AGO
        line = self._lines.get(fragment.key, PartialLine((), at_ms, 0))
        fragments = (*line.fragments, Fragment(record, fragment.text))
        self._lines[fragment.key] = PartialLine(fragments, line.since_ms, line.size + len(fragment.text))

    def give_up_again(self, record: RawRecord) -> None:
        """The same for a record that is no fragment any more, as sources are configured now: it is given up next."""
        key = (_SHAPELESS, str(record.offset))
        self._lines[key] = PartialLine((Fragment(record, ""),), _LONG_AGO, 0)

    def encode_places(self, *, missing: int | None = None) -> str:
        """The offsets of the fragments as text, for whoever has the partition next; "" if nothing waits.

        `pieces1 `, then the offsets in base 36, each as the distance to the one before; ! marks those of lost lines.
        At *missing* something was lost, of which `note_missing` will not be told before the next record.
        """
        found = [(fragment.record.offset, line.lost) for line in self._lines.values() for fragment in line.fragments]
        if missing is not None:
            found.append((missing, True))
        words, before = [], 0
        for offset, lost in sorted(found):
            words.append(_to_base_36(offset - before) + (_LOST if lost else ""))
            before = offset
        return _PREFIX + ",".join(words) if words else ""


def decode_places(text: str | None) -> dict[int, bool]:
    """The offsets in a text of `encode_places`: True for a fragment of a lost line. Empty for any other text.

    Words behind the offsets, after a blank, are left alone.

    Raises:
        NewerStateError: a newer version has written it.
    """
    if not text or not text.startswith(_PREFIX):
        if text and (form := _FORM.match(text)):
            refuse_newer(int(form[1]), 1)
        return {}
    found: dict[int, bool] = {}
    offset = 0
    for word in text.removeprefix(_PREFIX).partition(" ")[0].split(","):
        digits = word.removesuffix(_LOST)
        if not digits or len(digits) > 12 or not all(digit in _DIGITS for digit in digits):
            return {}
        offset += int(digits, _BASE)
        found[offset] = word.endswith(_LOST)
    return found


def _to_base_36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, _BASE)
        digits = _DIGITS[digit] + digits
    return digits or "0"


class PartialLineLimits(NamedTuple):
    """Bounds of a line that is put together: its *max_bytes*, and how long it waits for its end."""

    max_bytes: int
    max_wait_ms: int
