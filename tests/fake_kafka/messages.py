"""Messages without a broker."""

from __future__ import annotations

from confluent_kafka import KafkaError

START = 1_777_888_800_000
"""When they were written, in epoch milliseconds, if nothing else is said."""


class Message:
    """What librdkafka hands out, as far as a batch looks at it."""

    def __init__(self, value, offset, partition=0, topic="logs", *, key=None, headers=None, at=START):
        self._all = (topic, partition, offset, key, value, headers, at)

    def topic(self):
        return self._all[0]

    def partition(self):
        return self._all[1]

    def offset(self):
        return self._all[2]

    def key(self):
        return self._all[3]

    def value(self):
        return self._all[4]

    def headers(self):
        return self._all[5]

    def leader_epoch(self):
        """None, as an old broker says it."""

    def timestamp(self):
        return (1, self._all[6])

    def error(self):
        """It is a record."""


class DamagedBatch:
    """What librdkafka hands out in place of a batch that it cannot unpack: the place of its first record."""

    def __init__(self, offset, partition=0, topic="logs"):
        self.topic, self.partition, self.offset = lambda: topic, lambda: partition, lambda: offset

    def error(self):
        """It comes again and again."""
        return KafkaError(KafkaError._BAD_COMPRESSION)
