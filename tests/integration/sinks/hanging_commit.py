"""A process of a sink whose first commit with a dead letter hangs, with all of it in the transaction but its end.

Run like `logrouter`; it writes the file that HANGS_AT names when that is so. Killed then, it leaves a transaction open.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from logrouter.cli import main
from logrouter.kafka.transaction import TransactionalProducer

if TYPE_CHECKING:
    from confluent_kafka import TopicPartition

_produce = TransactionalProducer.produce
_commit_later = TransactionalProducer.commit_later
_produced: list[bytes | None] = []


def produce(self: TransactionalProducer, topic: str, value: bytes | None, *rest: object) -> None:
    """As before, and remember it."""
    _produced.append(value)
    _produce(self, topic, value, *rest)  # type: ignore[arg-type]


def commit_later(self: TransactionalProducer, offsets: list[TopicPartition], group_metadata: object) -> None:
    """As before until there is a letter."""
    if not _produced:
        _commit_later(self, offsets, group_metadata)
        return
    self._producer.flush(10)
    self._producer.send_offsets_to_transaction(offsets, group_metadata, 10)
    Path(os.environ["HANGS_AT"]).write_text("open")
    time.sleep(600)


TransactionalProducer.produce = produce  # type: ignore[method-assign,assignment]
TransactionalProducer.commit_later = commit_later  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
