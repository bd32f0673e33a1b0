"""What a lane keeps in memory that changes with its transactions: the one interface to all such states.

The lane holds a tuple of states, made in `route/process.py`. One turn of the lane, for each state in order:

    state.screen(...)       records just read: which of them go on
    state.process(...)      adds to the batch's output what becomes of the state's own records, and of time
    state.publish(...)      adds the state's records to the open transaction
    state.committed(...)    the transaction is visible, or
    state.aborted()         it never will be, nor what was processed since: back to what is committed

The next batch is processed while a transaction commits, so up to two batches are undone at once. Between turns
partitions come and go (`assigned`, `forget`), and another version of topics.yaml comes into force (`configure`).
"""

# ruff: noqa: ARG002 - defaults, at which nothing happens
from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from logrouter.kafka.consumer import AssignmentStart

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from logrouter.core.routing import RouteTable
    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.errors import ReadError
    from logrouter.kafka.records import Message, Partition
    from logrouter.kafka.transaction import Headers
    from logrouter.route.output import BatchOutput
    from logrouter.route.settings import LaneSettings

    Produce = Callable[[str, bytes | None, bytes | None, Headers, int], None]
    """`TransactionalProducer.produce`: topic, value, key, headers, partition."""

PLAIN_START: Final = AssignmentStart({}, ())


class StateTopic(NamedTuple):
    """A topic of ours that must have exactly so many *partitions*.

    *placed* says of what, as in "lines of a request are placed by that number"; *option* is where topics.yaml names
    the topic. If *is_read*, the consumer group reads it.
    """

    partitions: int
    placed: str
    option: str
    is_read: bool


class ScreenedRecords(NamedTuple):
    """*kept* go on; *early* must be read again later. A record that is in neither has served the state already."""

    kept: list[Message]
    early: Sequence[Message]


class TransactionalState(Protocol):
    """One such state. A class that inherits has to say what it publishes and how it follows the transaction.

    It overrides the other methods that concern it: by default nothing happens.
    """

    def topics(self, settings: LaneSettings) -> Mapping[str, StateTopic]:
        """The topics of its own that it has, or would have with *settings* in force."""
        return {}

    def refusal(self, settings: LaneSettings) -> str:
        """Why these can't come into force while the lane runs, with the option's path; "" if they can."""
        return ""

    def configure(self, settings: LaneSettings, table: RouteTable) -> None:
        """These are in force from the next batch on. Called before anything else, then between batches."""
        return

    def connect(self, assignment: Assignment) -> None:
        """The lane has made its consumer, whose partitions are those of *assignment*."""
        return

    def assigned(self, partitions: Sequence[Partition]) -> AssignmentStart:
        """The group has given us these, of any topics. Paused ones are read when `take_ready` has returned them."""
        return PLAIN_START

    def forget(self, at: Partition) -> None:
        """The partition is not ours any more: whoever owns it now begins at what is committed."""
        return

    def take_ready(self, now_ms: int) -> Collection[Partition]:
        """Go on restoring for a moment; the paused partitions that may be read from now on."""
        return ()

    def take_error(self, message: Message) -> bool:
        """An error came in place of a record: whether it is dealt with."""
        return False

    def note_outage(self, now_ms: int) -> None:
        """The cluster does not answer: no record could come until now."""
        return

    def note_source_error(self, error: ReadError) -> None:
        """A topic could not be read, just now."""
        return

    def screen(self, messages: list[Message], now_ms: int) -> ScreenedRecords:
        """Which records of a call of `consume()`, of any topics, are to be processed."""
        return ScreenedRecords(messages, ())

    def process(self, messages: Sequence[Message], output: BatchOutput, now_ms: int) -> bool:
        """Take the records of the states' topics, and what time brings, into *output*.

        *output* holds all of the batch's sources already. Whether it has to be published even if nothing was read.
        """
        return False

    @abstractmethod
    def publish(self, output: BatchOutput, produce: Produce, headers: Headers) -> AbstractSet[Partition]:
        """Add the state's records to the open transaction; each carries *headers*.

        The partitions of which the transaction must hold an offset, even if nothing was read of them: by that the
        group refuses it once another member owns them.
        """

    @abstractmethod
    def committed(self, output: BatchOutput) -> None:
        """What was published last is committed."""

    @abstractmethod
    def aborted(self) -> None:
        """What was published last is not committed: undo it, and all that was processed since."""

    def close(self) -> None:
        """The lane ends."""
        return
