"""What a delivery process needs: which topics it reads as which group, and how much may wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.core.dead_letter import DeadLetterSettings
    from logrouter.deliver.batching import BatchBounds
    from logrouter.kafka.offset_reset import Begin
    from logrouter.model import RawRecord
    from logrouter.sinks.delivery import Delivery


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Options of one sink for its lane, and this process's *instance* name. Times in milliseconds."""

    name: str
    kafka: Mapping[str, Any]
    topics: tuple[str, ...]
    group: str
    instance: str
    begin: Begin
    dead_letters: DeadLetterSettings
    batch: BatchBounds
    max_waiting_records: int
    """Beyond so many events that are read and not done, nothing is read."""
    max_waiting_bytes: int
    open_delivery: Callable[[], Delivery[RawRecord]]
    """A new delivery to the target, with connections of its own."""
    target: object
    """What deliveries are made of: while this is equal, a delivery goes on when the file is read again."""
    commit_interval_ms: int = 1_000
    session_timeout_ms: int = 10_000
    transaction_timeout_ms: int = 10_000
    stop_timeout_ms: int = 10_000
    static_membership: bool = False

    @property
    def emitter(self) -> str:
        """What dead letters say they come from."""
        return f"{self.group}-{self.instance}"

    @property
    def transactional_id(self) -> str:
        """A name that no other group and instance have (docs/adr/0023), with the group and a hyphen as its prefix."""
        return f"{self.group}-:{self.instance}" if "-" in self.group else f"{self.group}-{self.instance}"
