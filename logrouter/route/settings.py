"""What a route process needs besides the route table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.dead_letter import DeadLetterSettings
    from logrouter.route.pairing import PairingSettings


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """Options of topics.yaml for the route lane, and this process's *instance* name. Times in milliseconds."""

    kafka: Mapping[str, Any]
    group: str
    instance: str
    dead_letters: DeadLetterSettings
    rollup_topic: str
    rollup_partitions: int
    ledger_topic: str = "logrouter.ledger"
    max_records: int = 20_000
    max_wait_ms: int = 250
    session_timeout_ms: int = 30_000
    transaction_timeout_ms: int = 15_000
    stop_timeout_ms: int = 10_000
    static_membership: bool = False
    skips_unreadable: bool = False
    """Whether a batch of records whose bytes are damaged is passed over."""
    cluster: str | None = None
    """Name that event ids are made from; None takes the cluster's own id."""
    pairing: PairingSettings | None = None
    """None where no route pairs lines, and none that an earlier file has paired are left."""

    @property
    def emitter(self) -> str:
        """What dead letters say they come from."""
        return f"{self.group}-{self.instance}"

    @property
    def transactional_id(self) -> str:
        """A name that no other group and instance have (docs/adr/0023), with the group and a hyphen as its prefix."""
        # "a-b" with "c" would be "a" with "b-c". No name has a colon.
        return f"{self.group}-:{self.instance}" if "-" in self.group else f"{self.group}-{self.instance}"
