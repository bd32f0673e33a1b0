"""The ledger of sources: which id each source topic had when it was first read, as records of a topic of ours.

A topic that was deleted and made anew has the name of the former one and another id. The ids of events tell the two
apart, so all processes must agree which of them was first: the one that is recorded at the lowest offset of the ledger.
Later ids need no record. Every record has a key of its own, so that compaction never removes the first one.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import orjson

_VERSION: Final = 1
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_TOPIC_ID: Final = re.compile(r"[A-Za-z0-9+/_-]{22}")
_MAX_TOPICS: Final = 100_000
_MAX_RECORDS_OF_TOPIC: Final = 1_000


class _Entry(NamedTuple):
    offset: int
    topic_id: str


def record(topic: str, topic_id: str, writer: str) -> tuple[bytes, bytes]:
    """(key, value) that says that *topic* had this id when *writer*, a process of any group, found no record of it."""
    value = {"version": _VERSION, "topic": topic, "topic_id": topic_id, "writer": writer}
    return f"{topic} {writer}".encode(), orjson.dumps(value)


class SourceLedger:
    """What the records of the ledger say, given in the order of their offsets."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[bytes, _Entry]] = {}

    def take(self, key: bytes | None, value: bytes | None, offset: int) -> bool:
        """One record; False if it is not one of ours, or one too many, and says nothing.

        A record without a value takes back the one with the same key.
        """
        topic = (key or b"").partition(b" ")[0].decode("ascii", "replace")
        if key is None or _TOPIC.fullmatch(topic) is None:
            return False
        entries = self._entries.get(topic, {})
        if value is None:
            entries.pop(key, None)
            return True
        topic_id = _topic_id_in(value, topic)
        too_many = len(entries) >= _MAX_RECORDS_OF_TOPIC or len(self._entries) >= _MAX_TOPICS
        if topic_id is None or (too_many and key not in entries):
            return False
        entries[key] = _Entry(offset, topic_id)
        self._entries[topic] = entries
        return True

    def first_id(self, topic: str) -> str | None:
        """The id that was recorded first for *topic*; None if none is."""
        entries = self._entries.get(topic)
        return min(entries.values()).topic_id if entries else None


def _topic_id_in(value: bytes, topic: str) -> str | None:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or found.get("version") != _VERSION or found.get("topic") != topic:
        return None
    topic_id = found.get("topic_id")
    return topic_id if isinstance(topic_id, str) and _TOPIC_ID.fullmatch(topic_id) is not None else None
