"""How large a dead letter may be, as its topic and the client take it: a broker refuses a larger one for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from logrouter.core.dead_letter import MAX_LETTER_BYTES, MIN_LETTER_BYTES
from logrouter.kafka.errors import ClientError

if TYPE_CHECKING:
    from logrouter.core.dead_letter import DeadLetterSettings

_FRAMING: Final = 1536
"""More than what surrounds the value of a letter on the wire: its key, its headers, a batch of one."""
_BATCH_SLACK: Final = 256


def fit_letters(
    letters: DeadLetterSettings, topic_bytes: int | None, client_bytes: int
) -> tuple[DeadLetterSettings, int | None]:
    """*letters* no larger than their topic takes, and the bound of a batch of them; None where the client's is less.

    *topic_bytes* is the topic's `max.message.bytes`, None if the cluster does not tell; *client_bytes* is the client's
    `message.max.bytes`.

    Raises:
        ClientError: either is too small for any letter.
    """
    taken = client_bytes if topic_bytes is None else min(topic_bytes, client_bytes)
    if taken < MIN_LETTER_BYTES + _FRAMING:
        where = f"topic {letters.topic}: max.message.bytes" if taken == topic_bytes else "kafka: message.max.bytes"
        raise ClientError(f"{where} is {taken}, but dead letters need {MIN_LETTER_BYTES + _FRAMING}: raise it")
    batch_bytes = None if topic_bytes is None or topic_bytes > client_bytes else topic_bytes - _BATCH_SLACK
    return replace(letters, max_bytes=min(MAX_LETTER_BYTES, taken - _FRAMING)), batch_bytes
