"""Writes log lines to a source topic: what rsyslog does in production, for the demo, the tests and the benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, Producer

from logrouter.kafka.client import make_client, plain_settings
from logrouter.kafka.errors import ClientError, Refusals, describe_refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class LineProducer:
    """An idempotent producer of unkeyed lines, spread over the topic's partitions as rsyslog's omkafka spreads them.

    `flush` it before dropping it.
    """

    def __init__(self, kafka: Mapping[str, Any], topic: str) -> None:
        settings = {
            "linger.ms": 20,
            "enable.idempotence": True,
            "compression.type": "snappy",
            "queue.buffering.max.messages": 200_000,
            "sticky.partitioning.linger.ms": 10,
        }
        self._refusals = Refusals()
        self._producer = make_client(Producer, plain_settings(kafka) | settings, error_cb=self._refusals)
        self._topic = topic
        self._failed: KafkaError | None = None

    def feed(self, lines: Iterable[bytes | None], *, partition: int = -1) -> int:
        """Queue *lines* and return how many; waits while the queue is full. None is a tombstone.

        Raises:
            ClientError: librdkafka refuses a line.
        """
        count = 0
        for line in lines:
            while True:
                try:
                    self._producer.produce(self._topic, line, partition=partition, on_delivery=self._on_delivery)
                except BufferError:
                    self._producer.poll(0.1)
                except KafkaException as exc:
                    raise ClientError(f"cannot write to {self._topic}: {exc.args[0].str()}") from None
                else:
                    break
            count += 1
            if count % 1000 == 0:
                self._producer.poll(0)
        return count

    def flush(self, timeout: float = 60.0) -> None:
        """Wait until everything queued is stored.

        Raises:
            ClientError: a line could not be stored, or not in time.
        """
        left = self._producer.flush(timeout)
        if self._failed is not None:
            raise ClientError(f"cannot write to {self._topic}: {self._failed.str()}")
        if left and self._refusals.last is not None:
            raise ClientError(f"cannot write to {self._topic}: {describe_refusal(self._refusals.last)}")
        if left:
            raise ClientError(f"{left} lines were not stored in {self._topic} within {timeout:g} s")

    def _on_delivery(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._failed = self._failed or error
