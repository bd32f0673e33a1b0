"""Records to be produced, and the names of partitions."""

from __future__ import annotations

from typing import Any, Protocol

LOOP_HEADER = "logrouter-generation"
"""Every record we publish carries it; one that we read with it is our own output come back."""


Partition = tuple[str, int]
"""(topic, partition)."""


class Message(Protocol):
    """The part of `confluent_kafka.Message` that is read here."""

    def topic(self) -> str: ...  # noqa: D102 - Kafka's own words
    def partition(self) -> int: ...  # noqa: D102
    def offset(self) -> int: ...  # noqa: D102
    def key(self) -> bytes | None: ...  # noqa: D102
    def value(self) -> bytes | None: ...  # noqa: D102
    def timestamp(self) -> tuple[int, int]: ...  # noqa: D102
    def headers(self) -> Any: ...  # noqa: D102
    def error(self) -> Any: ...  # noqa: D102
