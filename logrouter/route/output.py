"""What a transaction is made of: everything that one batch publishes, commits and counts. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.dead_letter import DeadLetter
    from logrouter.core.join.held_lines import PairResult
    from logrouter.core.join.partial_lines import Key, PartialLine
    from logrouter.kafka.records import Partition
    from logrouter.model import OutcomeLabels


Clean = tuple[str, bytes, bytes | None]
"""A clean event to publish: (topic, value, key)."""


@dataclass(slots=True)
class BatchOutput:
    """Everything to commit with one transaction."""

    events: list[Clean] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    rollup: list[tuple[int, bytes]] = field(default_factory=list)
    held_lines: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    """Lines that wait for the other one of their request: (partition, key, value) for the pairing topic."""
    counts: dict[OutcomeLabels, int] = field(default_factory=dict)
    """The first outcome of every record: they add up to the records read."""
    copies: dict[OutcomeLabels, int] = field(default_factory=dict)
    """Further outcomes of records that several routes had."""
    read: dict[str, list[int]] = field(default_factory=dict)
    """Records and bytes read, by source."""
    pairing: dict[tuple[str, PairResult], int] = field(default_factory=dict)
    """Held lines that wait no longer, by route and how they left."""
    state_read: list[int] = field(default_factory=lambda: [0, 0])
    """Records and bytes read of topics of the lane's states, which `read` does not count."""
    positions: dict[Partition, int] = field(default_factory=dict)
    """The offset after the last record read, by topic and partition: what the transaction commits."""
    metadata: dict[Partition, str] = field(default_factory=dict)
    """What is committed beside an offset: the places of fragments that wait."""
    epochs: dict[Partition, int] = field(default_factory=dict)
    """The leader's epoch of the last record read, by topic and partition, where the broker says it."""
    partial_lines: dict[Partition, Mapping[Key, PartialLine]] = field(default_factory=dict)
    """Split lines that wait after the batch."""
    first: dict[Partition, int] = field(default_factory=dict)
    """The offset of the first record read, by topic and partition: where an abort goes back to."""
