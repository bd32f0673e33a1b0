"""Restores the state of pairing partitions from their changelog, a little at a time, beside the lane's other work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logrouter.core.join import pairs
from logrouter.core.join.versions import NewerStateError
from logrouter.kafka.changelog import ChangelogReader
from logrouter.route.newer_version import check_newer
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.join.pairs import PairingEntry
    from logrouter.kafka.records import Message


class PairingRestore:
    """Partitions are added when they are assigned; `step` returns those whose entries are complete."""

    def __init__(self, kafka: Mapping[str, Any], topic: str, *, group: str, group_topic: str) -> None:
        """*topic* is the changelog of what *group* makes of *group_topic*; *kafka* the `kafka:` block of topics.yaml.

        Nothing connects before `add`.
        """
        self._reader = ChangelogReader(kafka, topic, group=group, group_topic=group_topic)
        self._reader.on_anew = self._begin_anew
        self._entries: dict[int, dict[bytes, PairingEntry]] = {}

    def __bool__(self) -> bool:
        """Whether there is something to restore."""
        return bool(self._reader)

    def add(self, partition: int) -> None:
        """The partition is ours now: read its changelog from the beginning."""
        self._reader.add(partition)
        self._entries[partition] = {}

    def discard(self, partition: int) -> None:
        """The partition is not ours any more."""
        self._reader.discard(partition)
        self._entries.pop(partition, None)

    def _begin_anew(self, partition: int) -> None:
        self._entries[partition] = {}

    def step(self, seconds: float) -> dict[int, dict[bytes, PairingEntry]]:
        """Read for *seconds* at most; the entries by key of each partition that is complete now.

        Raises:
            ClientError: a newer version has written an entry.
        """
        for message in self._reader.read(seconds):
            entries, key, value = self._entries[message.partition()], message.key(), message.value()
            if key is None or value is None:
                entries.pop(key or b"", None)
                continue
            entry = _decode(message, value)
            if entry is None:
                log(Log.PAIRING_INVALID, partition=message.partition(), offset=message.offset())
            else:
                entries[key] = entry
        return {partition: self._entries.pop(partition) for partition in self._reader.take_finished()}

    def close(self) -> None:
        """Close the clients; `add` makes new ones."""
        self._reader.close()
        self._entries.clear()


def _decode(message: Message, value: bytes) -> PairingEntry | None:
    try:
        return pairs.decode(value)
    except NewerStateError as error:
        check_newer(message, error)
        return None
