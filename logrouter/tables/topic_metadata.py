"""Asks every broker for a topic: a new one is known to some of them before it is known to others.

Faust leaves out of its assignment what the broker that it happens to ask does not know, and never asks again.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from logrouter.tables.security import Security

_REQUEST_MS: Final = 5_000
_PAUSE_SECONDS: Final = 0.2
_LONGEST_SECONDS: Final = 30.0


async def fetch_partition_count(security: Security, topic: str) -> int:
    """How many partitions of a topic all brokers know; 0 if one of them does not know it.

    Raises `KafkaError` or `OSError` if no broker answers.
    """
    client = AIOKafkaClient(**security.client_options(), request_timeout_ms=_REQUEST_MS)
    try:
        await client.bootstrap()
        return await count_partitions(client, topic)
    finally:
        await client.close()


async def count_partitions(client: Any, topic: str) -> int:
    """The same, asked with a client that knows its cluster. A broker that is away says nothing, to others neither."""
    request = MetadataRequest([topic], allow_auto_topic_creation=False)
    counts, failure = [], KafkaError(f"no broker tells of topic {topic}")
    for broker in client.cluster.brokers():
        try:
            answer = await client.send(broker.nodeId, request)
        except (KafkaError, OSError, TimeoutError) as exc:
            failure = exc
            continue
        counts.append(sum(len(found[-1]) for found in answer.topics if found[0] == 0))  # error, name, ..., partitions
    if not counts:
        raise failure
    return min(counts)


async def wait_until_known(security: Security, topic: str, partitions: int) -> None:
    """Return when every broker knows a topic that was just made; what keeps it from that for long is logged."""
    until = time.monotonic() + _LONGEST_SECONDS
    while True:
        try:
            if await fetch_partition_count(security, topic) >= partitions:
                return
            why = "not all brokers know it"
        except (KafkaError, OSError, TimeoutError) as exc:
            why = repr(exc)
        if time.monotonic() > until:
            log(Log.SOURCE_ERROR, topic=topic, error=f"{why}, after {_LONGEST_SECONDS:g} s")
            return
        await asyncio.sleep(_PAUSE_SECONDS)
