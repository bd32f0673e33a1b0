"""Records to be produced, and the names of partitions."""

from __future__ import annotations

from typing import Any, Protocol

LOOP_HEADER = "logrouter-generation"
"""The header of every record that a route lane publishes, with the generation of its topics.yaml as value.

A record that is read with it is our own output: it is not routed again.
"""


Partition = tuple[str, int]
"""(topic, partition)."""


class Message(Protocol):
    """The part of `confluent_kafka.Message` that is used: a record, or in its place an `error()`."""

    def topic(self) -> str: ...  # noqa: D102 - Kafka's own words
    def partition(self) -> int: ...  # noqa: D102
    def offset(self) -> int: ...  # noqa: D102
    def key(self) -> bytes | None: ...  # noqa: D102
    def value(self) -> bytes | None: ...  # noqa: D102
    def timestamp(self) -> tuple[int, int]: ...  # noqa: D102
    def headers(self) -> Any: ...  # noqa: D102
    def leader_epoch(self) -> int | None: ...  # noqa: D102
    def error(self) -> Any: ...  # noqa: D102
