"""Which Apache Kafka is embedded; `kafka.lock` lists its jars."""

from __future__ import annotations

from typing import Final

from logrouter.devjava.jars import DevServerError, Product

KAFKA_VERSION: Final = "4.3.1"
"""The Apache Kafka that demo, tests and benchmarks run on."""


class DevKafkaError(DevServerError):
    """The embedded broker cannot be had: one clear line, and where it helps the end of the broker's log."""


KAFKA: Final = Product("Apache Kafka", "broker", KAFKA_VERSION, "kafka.lock", "logrouter.devkafka", DevKafkaError)
