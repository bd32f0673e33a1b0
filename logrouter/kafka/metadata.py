"""The cluster's metadata, asked once by whoever does not stay connected: commands, readers, admin clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from confluent_kafka import KafkaException

from logrouter.kafka.errors import no_answer_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.kafka.errors import Refusals

_PATIENCE: Final = (1.0, 2.0, 7.0)
"""Seconds of each attempt. A call waits to its end even if the cluster has refused us at once."""


class MetadataClient(Protocol):
    """A consumer, a producer or an admin client of confluent_kafka."""

    def list_topics(self, topic: str = ..., timeout: float = ...) -> Any:
        """The cluster's metadata."""

    def poll(self, timeout: float) -> object:
        """Call what the client has to say."""


def fetch_metadata(kafka: Mapping[str, Any], client: MetadataClient, refusals: Refusals, topic: str = "") -> Any:
    """`ClusterMetadata` of all topics, or of one; *refusals* is the client's `error_cb`.

    The client is polled for callbacks, so it must be one that does not consume yet.

    Raises:
        ClientError: no answer; the text says whether the cluster is away, or refuses us.
    """
    for last, seconds in enumerate(_PATIENCE, 1):
        try:
            return client.list_topics(topic, timeout=seconds) if topic else client.list_topics(timeout=seconds)
        except KafkaException as exc:
            client.poll(0)
            if refusals.last is not None or last == len(_PATIENCE):
                raise no_answer_error(kafka, exc, refusals.last) from None
    raise AssertionError("the last attempt returns or raises")
