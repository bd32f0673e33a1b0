"""Where a damaged batch ends: librdkafka says where it begins, and reads nothing of the partition beyond it.

A fetch from any offset inside the batch fails as well, so the first offset from which one succeeds is searched, in
about as many fetches as the number of its records has binary digits, twice.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from logrouter.kafka.client import make_client, plain_settings
from logrouter.kafka.errors import read_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.kafka.records import Message, Partition

_ASK_SECONDS: Final = 5.0
_PROBE_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.05


class DamagedRangeError(Exception):
    """The end was not found: the cluster doesn't answer, or the partition has changed meanwhile."""


def find_readable_offset(kafka: Mapping[str, Any], at: Partition, damaged: int) -> int:
    """The first offset after *damaged*, the first of a damaged batch, from which the partition can be read.

    That may be the end of the partition, or the beginning of another damaged batch. *kafka* is the `kafka:` block of
    topics.yaml.

    Raises:
        DamagedRangeError: see there.
    """
    own = {
        "group.id": "logrouter-damaged",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "fetch.wait.max.ms": 10,
        "fetch.error.backoff.ms": 10,
        "check.crcs": kafka.get("check.crcs", "false"),  # what is damaged depends on it
    }
    consumer = make_client(Consumer, plain_settings(kafka) | own)
    try:
        _low, end = consumer.get_watermark_offsets(TopicPartition(*at), timeout=_ASK_SECONDS)
        return search_readable_offset(damaged, end, lambda offset: _probe(consumer, at, offset))
    except KafkaException as exc:
        raise DamagedRangeError(exc.args[0].str()) from None
    finally:
        consumer.close()


def search_readable_offset(damaged: int, end: int, probe: Callable[[int], int | None]) -> int:
    """The first offset in (*damaged*, *end*] that *probe* does not refuse.

    *probe* gets an offset; None says that the damaged batch holds it, else it returns the first offset from there on
    that holds something else. Nothing is asked about *end*, behind the last record.
    """
    inside, step = damaged, 1
    outside = end
    while inside + step < outside:
        found = probe(inside + step)
        if found is not None:
            outside = inside + step
            break
        inside, step = inside + step, step * 2
    while inside + 1 < outside:
        middle = (inside + outside) // 2
        if probe(middle) is None:
            inside = middle
        else:
            outside = middle
    return max(outside, damaged + 1)


def _probe(consumer: Consumer, at: Partition, offset: int) -> int | None:
    """The first offset that is read from *offset* on; None if that is in a damaged batch that begins before it."""
    consumer.assign([TopicPartition(*at, offset)])
    by = time.monotonic() + _PROBE_SECONDS
    while time.monotonic() < by:
        for message in cast("list[Message]", consumer.consume(1, _POLL_SECONDS)):
            error = message.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own
                return message.offset()
            failed = read_error(message)
            if failed.is_unreadable:
                return failed.offset if failed.offset >= offset else None
            raise DamagedRangeError(failed.text)
    raise DamagedRangeError("no answer")
