"""What the route lane does where a newer version has written the state: it ends, before anything is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logrouter.kafka.errors import ClientError
from logrouter.kafka.records import LOOP_HEADER

if TYPE_CHECKING:
    from logrouter.core.join.versions import NewerStateError
    from logrouter.kafka.records import Message


def newer_version_error(where: str, error: NewerStateError) -> ClientError:
    """What to raise; *where* names the record or the partition."""
    return ClientError(
        f"{where}: a newer version of logrouter has written this ({error}): upgrade first; nothing was skipped"
    )


def check_newer(message: Message, error: NewerStateError) -> None:
    """Raise `newer_version_error` for a record of our own; what others have written there is only malformed."""
    if any(name == LOOP_HEADER for name, _ in message.headers() or ()):
        raise newer_version_error(f"{message.topic()}:{message.partition()}:{message.offset()}", error)
