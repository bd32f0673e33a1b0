"""Whether the topics that the tables rest on lie on more than one broker when a record counts as written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logrouter.tables.security import Security

SAFE_REPLICAS: Final = 3
SAFE_IN_SYNC: Final = 2
_ASK_MS: Final = 5_000


def safe_settings(replication_factor: int) -> dict[str, str]:
    """Settings of a new topic with so many replicas; -1, the brokers' default, is not known beforehand."""
    return {"min.insync.replicas": str(SAFE_IN_SYNC)} if replication_factor >= SAFE_REPLICAS else {}


async def warn_of_risks(security: Security, topics: Sequence[str]) -> None:
    """Log each of *topics* whose records may lie on one broker alone though there are replicas enough.

    Says nothing where the cluster does not tell: the topic may not be there yet, or the right to ask may be missing.
    """
    admin = AIOKafkaAdminClient(**security.client_options(), request_timeout_ms=_ASK_MS)
    try:
        await admin.start()
        described = await admin.describe_topics()  # of all: asked for one by name, a broker may make it
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
        answers = await admin.describe_configs(asked)
    except (KafkaError, OSError, TimeoutError, ValueError):
        return
    finally:
        await admin.close()
    replicas = {
        each["topic"]: min((len(partition["replicas"]) for partition in each["partitions"]), default=0)
        for each in described
        if not each["error_code"]
    }
    for topic, in_sync in _in_sync(answers).items():
        if in_sync < SAFE_IN_SYNC and replicas.get(topic, 0) >= SAFE_REPLICAS:
            text = f"one broken disk can lose what was written: set min.insync.replicas to {SAFE_IN_SYNC}"
            number = replicas[topic]
            log(Log.TOPIC_AT_RISK, topic=topic, replicas=number, min_insync_replicas=in_sync, help=text)


def _in_sync(answers: Sequence[Any]) -> Mapping[str, int]:
    """`min.insync.replicas` by topic, of those that the answers tell of."""
    found = {}
    for answer in answers:
        for error, _message, _kind, topic, entries in answer.resources:
            for name, value, *_ in entries if not error else ():
                if name == "min.insync.replicas" and str(value).isdecimal():
                    found[topic] = int(value)
    return found
