"""Dead letters: a rejected record as one JSON event, with why, where from, and its raw bytes capped and redacted.

What a letter holds of the record, and what it does not, is in docs/operations.md.

Shape: logrouter/schemas/dead_letter/1.0.0.json.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.core.redact.disclosure import STRICT, Disclosure
from logrouter.core.text.timestamps import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.model import RawRecord, Rejected

MAX_LETTER_BYTES: Final = 512 * 1024
"""Below what a broker takes with default settings: a letter that is refused would be refused for ever."""

MIN_LETTER_BYTES: Final = 16 * 1024
"""A letter can always be cut to so many."""
_MAX_SHORT: Final = 1000
"""Characters that are left of a text in a letter that is too large even without its record."""

SCHEMA_URI: Final = "/logrouter/dead_letter/1.0.0"


DeadLetter = tuple[bytes, bytes, list[tuple[str, str | bytes | None]]]
"""(key, value, headers)."""


def encode(
    record: RawRecord,
    rejected: Rejected,
    *,
    event_id: str,
    emitter: str,
    stream: str,
    max_raw_bytes: int,
    now_ms: int,
    disclosure: Disclosure = STRICT,
    lost: Mapping[str, int] | None = None,
    sink: Mapping[str, str | int] | None = None,
    max_bytes: int = MAX_LETTER_BYTES,
) -> bytes:
    """The value of a dead letter, as JSON of at most *max_bytes*, which are `MIN_LETTER_BYTES` or more.

    *event_id* is the letter's own id, *emitter* the name of this deployment and *stream* the topic of dead letters.
    *max_raw_bytes* limits how much of the record is shown, and *disclosure* says what of that; *now_ms* serves a record
    without a timestamp. *lost* is the range of records that the letter is about, if it is about records that were never
    read: the offset of the `first`, which is that of *record*, and the one behind the last as `end` where it is known.
    *sink* is the `name` of the sink that writes the letter, if one does, and the `status` of the target's answer where
    there was one.
    """
    observed_ms = record.timestamp_ms if record.timestamp_ms > 0 else now_ms
    shown = None if rejected.raw is None else rejected.raw.encode("utf-8", "replace")
    letter: dict[str, Any] = {
        "$schema": SCHEMA_URI,
        "meta": {"stream": stream, "dt": rfc3339(observed_ms), "id": event_id},
        "emitter_id": emitter,
        "stage": rejected.stage,
        "reason": rejected.reason,
        "detail": disclosure.text(rejected.detail),
        "route": rejected.route,
        "source": {"topic": record.topic, "partition": record.partition, "offset": record.offset},
        "raw": _raw(record.value or b"", shown, max_raw_bytes, disclosure),
    }
    if lost is not None:
        letter["lost"] = dict(lost)
    if sink is not None:
        letter["sink"] = dict(sink)
    if rejected.pointer:
        letter["pointer"] = disclosure.text(rejected.pointer)
    value = orjson.dumps(letter)
    while len(value) > max_bytes:
        if not max_raw_bytes:
            letter |= {name: letter[name][:_MAX_SHORT] for name in ("detail", "pointer") if name in letter}
            return orjson.dumps(letter)
        # Text may grow when it is written as JSON: a control character becomes six bytes.
        max_raw_bytes //= 2
        letter["raw"] = _raw(record.value or b"", shown, max_raw_bytes, disclosure)
        value = orjson.dumps(letter)
    return value


def coordinates(record: RawRecord) -> bytes:
    """The key of a dead letter: ``topic:partition:offset`` of the record, as `logrouter explain` takes it."""
    return f"{record.topic}:{record.partition}:{record.offset}".encode()


def headers(rejected: Rejected) -> list[tuple[str, str | bytes | None]]:
    """The headers of a dead letter, by which a consumer can select without parsing the value."""
    return [
        ("logrouter-stage", rejected.stage.encode()),
        ("logrouter-reason", rejected.reason.encode()),
        ("logrouter-route", rejected.route.encode()),
    ]


@dataclass(frozen=True, slots=True)
class DeadLetterSettings:
    """Where dead letters go, how much of the raw bytes they keep, and how large they may be."""

    topic: str
    max_raw_bytes: int
    max_bytes: int = MAX_LETTER_BYTES

    def make_letter(
        self,
        record: RawRecord,
        rejected: Rejected,
        event_id: str,
        emitter: str,
        now_ms: int,
        disclosure: Disclosure,
        lost: Mapping[str, int] | None = None,
        sink: Mapping[str, str | int] | None = None,
    ) -> DeadLetter:
        """The dead letter of one record (docs/operator.md), from the process named *emitter*.

        *disclosure* says what it shows of the record; *lost* and *sink* are as in `encode`.
        """
        letter = encode(
            record,
            rejected,
            event_id=event_id,
            emitter=emitter,
            stream=self.topic,
            max_raw_bytes=self.max_raw_bytes,
            now_ms=now_ms,
            disclosure=disclosure,
            lost=lost,
            sink=sink,
            max_bytes=self.max_bytes,
        )
        return coordinates(record), letter, headers(rejected)


def _raw(whole: bytes, shown: bytes | None, max_raw_bytes: int, disclosure: Disclosure) -> dict[str, Any]:
    """*shown* is the part of the record to show instead of the *whole* value, if it is not None."""
    value = whole if shown is None else shown
    # Redacted before it is cut: a cut through the middle of a token must not hide its first half from the patterns.
    # Twice the cap is enough context, and keeps a 10 MB line cheap.
    kept = disclosure.raw(value[: 2 * max_raw_bytes])[:max_raw_bytes]
    missing = len(value) > max_raw_bytes or (shown is not None and not shown)
    raw: dict[str, Any] = {"bytes": len(value or whole), "truncated": missing}
    try:
        return {**raw, "encoding": "utf-8", "text": kept.decode()}
    except UnicodeDecodeError as exc:
        if raw["truncated"] and exc.start >= len(kept) - 3:  # only the cut went through a character
            return {**raw, "encoding": "utf-8", "text": kept[: exc.start].decode()}
        return {**raw, "encoding": "base64", "base64": b64encode(kept).decode()}
