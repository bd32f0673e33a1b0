"""Where a delivery process begins in each partition, and goes on where an offset can't be read any more.

A partition delivers nothing until the cluster has said what the group has committed and whether the topic is still the
one that was read; then `kafka.offset_reset.decide` says where to begin, and what was lost by that. Where reading of a
partition has to go on elsewhere, that waits until all that was read before is committed: offsets of a topic that was
made anew must not mix with those of the former one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logrouter.kafka.assignment import FROM_THE_BEGINNING, Start
from logrouter.kafka.commit_text import split_topic_id
from logrouter.kafka.errors import FatalError, offset_error
from logrouter.kafka.offset_lookup import OffsetLookup
from logrouter.kafka.offset_reset import Begin, Cause, Decision, ReadPosition, decide, needs_range
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logrouter.kafka.assignment import Assignment
    from logrouter.kafka.offset_lookup import Found
    from logrouter.kafka.offset_reset import LostRange
    from logrouter.kafka.records import Message, Partition

_REASONS: Final = {
    Cause.RECREATED: "the topic was deleted and made anew: what the former one had from there on was never read",
    Cause.RETENTION: "they were deleted before they were read",
}


class Loss(NamedTuple):
    """Records of a partition that were never read, why, and where reading goes on."""

    lost: LostRange
    reason: str
    start: int


class Begun(NamedTuple):
    """A partition that begins. *place* is to be committed although nothing was read, None if the group knows it."""

    place: int | None = None
    loss: Loss | None = None


class Starts:
    """Starts of the partitions of one consumer."""

    def __init__(
        self,
        kafka: Mapping[str, Any],
        group: str,
        begin: Begin,
        assignment: Assignment,
        is_committed: Callable[[Partition], bool],
    ) -> None:
        """*begin* is where to begin without a committed offset.

        *is_committed* says whether all that was read of a partition is committed.
        """
        self.begin = begin
        self._group = group
        self._assignment = assignment
        self._is_committed = is_committed
        self._lookup = OffsetLookup(kafka, group)
        self._to_ask: dict[Partition, bool] = {}
        self.closed: set[Partition] = set()
        """Partitions that are to begin: what still comes of them does not count."""
        self._truncated: dict[Partition, bool] = {}
        self._doubted: set[Partition] = set()

    def ask(self, partitions: Sequence[Partition]) -> None:
        """These are ours from now on, and held until `take` has returned them."""
        self.closed.update(partitions)
        self._wait_for(dict.fromkeys(partitions))

    def take_error(self, message: Message) -> bool:
        """Whether the error says that a partition can't be read on: then it is decided where it goes on."""
        trouble = offset_error(message)
        at = message.topic(), message.partition()
        if trouble is None or at not in self._assignment.partitions or at in self._assignment.starting:
            return trouble is not None
        read_to = self._assignment.read_to.get(at)
        is_former = read_to is not None and trouble.offset is not None and trouble.offset < read_to
        if not is_former or trouble.truncated:
            self._truncated[at] = trouble.truncated
            self._assignment.hold([at])
            self._wait_for({at: read_to}, with_range=True)
        return True

    def begin_anew(self, at: Partition) -> None:
        """The topic of this partition, which is ours, was made anew: it is decided where the new one begins."""
        if at in self._assignment.starting:  # an answer that is on its way may be about the former one
            self._wait_for({at: self._assignment.starting[at]}, with_range=True)
        else:
            self._assignment.pause([at])
            # Not what is committed: that goes with the topic.
            self._wait_for({at: self._assignment.read_to.get(at)}, with_range=True)
        self.closed.add(at)

    def take(self) -> dict[Partition, Begun]:
        """Partitions that begin now; they are released by whoever calls."""
        if not self._assignment.starting:
            return {}
        if self._to_ask:
            due = {at: self._to_ask.pop(at) for at in [*self._to_ask] if self._is_committed(at)}
            for ranged in (False, True):
                if asked := [at for at, with_range in due.items() if with_range is ranged]:
                    self._lookup.ask(asked, with_range=ranged)
        begun: dict[Partition, Begun] = {}
        starts: dict[Partition, Start] = {}
        for at, found in self._lookup.take().items():
            decision = self._decide(at, found)
            if decision is None:
                continue
            epoch = found.epoch if decision.start == found.offset else None
            starts[at] = Start(FROM_THE_BEGINNING if decision.start is None else decision.start, epoch)
            begun[at] = self._describe(at, decision)
        self.closed.difference_update(begun)
        if starts:
            self._assignment.start(starts)
        return begun

    def forget(self, at: Partition) -> None:
        """The partition is not ours (any more)."""
        self._truncated.pop(at, None)
        self._to_ask.pop(at, None)
        self.closed.discard(at)
        self._doubted.discard(at)
        self._lookup.discard(at)

    def close(self) -> None:
        """Close the client that asks."""
        self._lookup.close()

    def _wait_for(self, positions: dict[Partition, int | None], *, with_range: bool = False) -> None:
        self._assignment.starting |= positions
        for at in positions:
            self._lookup.discard(at)
            self._to_ask[at] = with_range

    def _decide(self, at: Partition, found: Found) -> Decision | None:
        """Where to go on; None if something more has to be asked."""
        _, committed_id = split_topic_id(found.text)
        position = self._assignment.starting[at]
        place = ReadPosition(found.offset, committed_id)
        if position is not None:
            place = ReadPosition(position, self._assignment.topic_ids.get(at, ""))
        begin = Begin.EARLIEST if place.offset is not None else self.begin
        if found.log is None and needs_range(place, found.topic_id, begin):
            self._lookup.ask([at], with_range=True)
            return None
        if found.log is None:
            decision = Decision(Cause.COMMITTED if place.offset is not None else Cause.NO_COMMIT, place.offset)
        else:
            decision = decide(place, found.log, found.topic_id, begin, truncated=self._truncated.get(at, False))
        if decision.cause is Cause.BEYOND_END:
            self._doubt(at, place)
            return None
        self._truncated.pop(at, None)
        self._doubted.discard(at)
        self._assignment.topic_ids[at] = found.topic_id
        return decision

    def _doubt(self, at: Partition, place: ReadPosition) -> None:
        """Ask once more, as leaders may just have changed; the second time somebody has to decide."""
        if at not in self._doubted:
            self._doubted.add(at)
            self._lookup.ask([at], with_range=True)
            return
        topic, partition = at
        raise FatalError(
            f"{topic} [{partition}]: group {self._group} goes on at offset {place.offset}, which is behind the end of "
            "the log: events that were delivered are gone, as after an unclean leader election. Choose where to go on: "
            f"kafka-consumer-groups --group {self._group} --topic {topic}:{partition} --reset-offsets --to-latest "
            "--execute",
            fenced=False,
        )

    def _describe(self, at: Partition, decision: Decision) -> Begun:
        lost, start = decision.lost, decision.start
        if lost is None or start is None:
            # A chosen end is lost if nobody commits it: whoever is next would choose another.
            is_chosen = decision.cause is Cause.NO_COMMIT and self.begin is Begin.LATEST
            return Begun(start if is_chosen else None)
        log(
            Log.RECORDS_LOST,
            topic=at[0],
            partition=at[1],
            cause=decision.cause.value,
            first=lost.first,
            end=lost.end if lost.end is not None else "unknown",
            next=start,
        )
        metrics.RECORDS_LOST.labels(at[0]).inc(lost.end - lost.first if lost.end is not None else 1)
        return Begun(start, Loss(lost, _REASONS[decision.cause], start))
