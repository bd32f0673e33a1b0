"""Whether the source topics that this process reads are the first of their names, or were deleted and made anew.

When partitions are assigned, the cluster is asked for the ids of their topics, and the ledger of sources
(`core.source_ledger`) says which id each had first. Partitions of which that is not known within a moment are paused
until it is: their events have an id only then. A topic of which the ledger holds nothing is recorded by the next
transaction, and what counts is what the ledger says after that, as another process may have been faster.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from logrouter.core.source_ledger import SourceLedger, record
from logrouter.kafka.changelog import ChangelogReader
from logrouter.kafka.consumer import AssignmentStart
from logrouter.kafka.topic_ids import TopicIds, answer_of
from logrouter.route.transactional_state import ScreenedRecords, StateTopic, TransactionalState
from logrouter.telemetry import metrics
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from concurrent.futures import Future

    from logrouter.core.routing import RouteTable
    from logrouter.kafka.errors import ReadError
    from logrouter.kafka.records import Message, Partition
    from logrouter.kafka.topic_ids import TopicIdAnswer
    from logrouter.kafka.transaction import Headers
    from logrouter.route.output import BatchOutput
    from logrouter.route.settings import LaneSettings
    from logrouter.route.transactional_state import Produce

_REBALANCE_SECONDS: Final = 0.1
"""How long a rebalance waits for ids; answers usually take a few milliseconds."""
_STEP_SECONDS: Final = 0.02
_PAUSE_SECONDS: Final = 0.005
_ASK_SECONDS: Final = 5.0
_CHECK_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 0.5
_GIVE_UP_SECONDS: Final = 30.0
"""How long a topic waits for a cluster that delivers records but no ids."""
_OPTION: Final = "outputs.ledger"
_PLACED: Final = "ids of sources are"


class RecreatedTopics:
    """The ids of topics that are not the first of their names, by topic; *changes* counts changes of them."""

    def __init__(self) -> None:
        self.by_topic: dict[str, str] = {}
        self.changes = 0

    def update(self, topic: str, topic_id: str) -> bool:
        """*topic_id* is empty for a first one. Whether that is news."""
        if self.by_topic.get(topic, "") == topic_id:
            return False
        self.by_topic[topic] = topic_id
        self.changes += 1
        return True


class Reader(Protocol):
    """The part of `ChangelogReader` that is used."""

    def __bool__(self) -> bool: ...
    def add(self, partition: int) -> None: ...  # noqa: D102 - as there
    def read(self, seconds: float) -> Iterator[Message]: ...  # noqa: D102
    def take_finished(self) -> list[int]: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Asker(Protocol):
    """The part of `TopicIds` that is used."""

    def ask(self, topics: Collection[str], seconds: float) -> Mapping[str, Future[Any]]: ...  # noqa: D102


class _Topic:
    """A source topic of which we have *partitions*. Its records are processed while it is *settled*.

    Its id is being asked for until it is *answered*: *asked* is the open question, else it is asked again at *ask_at*.
    If the ledger has no record of the topic, none is made before reading number *after* of it has ended; *recorded*:
    one was.
    """

    def __init__(self) -> None:
        self.partitions: set[int] = set()
        self.settled = False
        self.topic_id = ""
        self.answered = False
        self.asked: Future[Any] | None = None
        self.ask_at = 0.0
        self.give_up_at = 0.0
        self.after = 0
        self.recorded = False


class SourceTopics(TransactionalState):
    """The source topics of this process; it keeps `RecreatedTopics` right for all that are settled."""

    def __init__(
        self,
        recreated: RecreatedTopics,
        *,
        make_reader: Callable[[Mapping[str, Any], str], Reader] = ChangelogReader,
        make_asker: Callable[[Mapping[str, Any]], Asker] = TopicIds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*make_reader* and *make_asker* get the `kafka:` block, the first one the ledger's name, too."""
        self._recreated = recreated
        self._make_reader, self._make_asker, self._clock = make_reader, make_asker, clock
        self._reader: Reader | None = None
        self._asker: Asker | None = None
        self._is_own: Callable[[str], bool] = lambda _topic: True
        self._ledger_topic = self._writer = ""
        self._ledger, self._reading = SourceLedger(), SourceLedger()
        self._begun = self._ended = self._wanted = 0  # readings of the ledger, by number
        self._topics: dict[str, _Topic] = {}
        self._open: set[str] = set()
        self._paused: set[Partition] = set()
        self._to_record: set[str] = set()
        self._recording: frozenset[str] = frozenset()
        self._check_at = 0.0
        self._invalid_from = 0
        self._said: set[str] = set()

    def topics(self, settings: LaneSettings) -> Mapping[str, StateTopic]:
        """The ledger."""
        return {settings.ledger_topic: StateTopic(1, _PLACED, _OPTION, is_read=False)}

    def configure(self, settings: LaneSettings, table: RouteTable) -> None:
        """What *table* says is ours is no source."""
        self._is_own = table.is_own
        if self._reader is None:
            self._ledger_topic, self._writer = settings.ledger_topic, settings.emitter
            self._reader = self._make_reader(settings.kafka, settings.ledger_topic)
            self._asker = self._make_asker(settings.kafka)

    def assigned(self, partitions: Sequence[Partition]) -> AssignmentStart:
        """Ask for their topics' ids, wait a moment, and pause those of topics that are not settled."""
        sources = [at for at in partitions if not self._is_own(at[0])]
        for topic, partition in sources:
            self._topics.setdefault(topic, _Topic()).partitions.add(partition)
        for topic in {topic for topic, _ in sources}:
            self._doubt(topic)
        by = self._clock() + _REBALANCE_SECONDS
        self._step()
        while self._held_topics() and self._clock() < by:
            if not self._reader:
                time.sleep(_PAUSE_SECONDS)
            self._step()
        paused = [at for at in sources if not self._topics[at[0]].settled]
        self._paused.update(paused)
        return AssignmentStart({}, paused)

    def forget(self, at: Partition) -> None:
        """The partition is not ours (any more)."""
        self._paused.discard(at)
        found = self._topics.get(at[0])
        if found is not None:
            found.partitions.discard(at[1])
            if not found.partitions:
                del self._topics[at[0]]
                self._open.discard(at[0])
                self._to_record.discard(at[0])

    def note_source_error(self, error: ReadError) -> None:
        """A topic that is gone may be another one when it is back."""
        if error.may_be_recreated and error.topic in self._topics and self._topics[error.topic].settled:
            self._doubt(error.topic)

    def take_ready(self, now_ms: int) -> Collection[Partition]:  # noqa: ARG002
        """Go on asking and reading for a moment; the paused partitions whose topics are settled now."""
        if self._begun == 0 or self._clock() >= self._check_at:
            self._check_at = self._clock() + _CHECK_SECONDS
            self._wanted = max(self._wanted, 1)
            for topic, at in self._topics.items():
                at.answered = False
                self._open.add(topic)
        self._step()
        ready = [at for at in self._paused if self._topics[at[0]].settled] if self._paused else ()
        self._paused.difference_update(ready)
        return ready

    def screen(self, messages: list[Message], now_ms: int) -> ScreenedRecords:  # noqa: ARG002
        """Records of topics that are not settled are too early."""
        held = self._held_topics()
        if not held:
            return ScreenedRecords(messages, ())
        early = [m for m in messages if m.topic() in held]
        return ScreenedRecords([m for m in messages if m.topic() not in held], early)

    def process(self, messages: Sequence[Message], output: BatchOutput, now_ms: int) -> bool:  # noqa: ARG002
        """Whether there are topics to record, of which no record is on its way."""
        return bool(self._to_record - self._recording)

    def publish(self, output: BatchOutput, produce: Produce, headers: Headers) -> AbstractSet[Partition]:  # noqa: ARG002
        """Record the topics of which the ledger holds nothing."""
        self._recording = frozenset(self._to_record)
        for topic in sorted(self._recording):
            key, value = record(topic, self._topics[topic].topic_id, self._writer)
            produce(self._ledger_topic, value, key, headers, 0)
        return frozenset()

    def committed(self, output: BatchOutput) -> None:  # noqa: ARG002 - `publish` has taken what counts
        """Read what the ledger says of the topics now: the first record counts."""
        for topic in self._recording & self._to_record:
            self._topics[topic].recorded = True
            self._topics[topic].after = self._want_reading()
        self._to_record -= self._recording
        self._recording = frozenset()

    def aborted(self) -> None:
        """Nothing was recorded: it is tried again."""
        self._recording = frozenset()

    def close(self) -> None:
        """Close the client that reads the ledger."""
        if self._reader is not None:
            self._reader.close()

    def _held_topics(self) -> set[str]:
        return {topic for topic in self._open if not self._topics[topic].settled}

    def _doubt(self, topic: str) -> None:
        """Nothing of *topic* is processed before its id is known anew."""
        at = self._topics[topic]
        at.settled = at.answered = False
        at.asked, at.ask_at = None, 0.0
        at.give_up_at = self._clock() + _GIVE_UP_SECONDS
        self._open.add(topic)

    def _want_reading(self) -> int:
        """The number of a reading of the ledger that begins after now."""
        self._wanted = self._begun + 1
        return self._wanted

    def _step(self) -> None:
        """Go on with all that is open, for a moment."""
        if self._begun < self._wanted or self._reader:
            self._read_ledger()
        if not self._open or self._asker is None:
            return
        now = self._clock()
        unasked = [t for t in self._open if not self._topics[t].answered and self._topics[t].asked is None]
        due = [topic for topic in unasked if self._topics[topic].ask_at <= now]
        for topic, asked in self._asker.ask(due, _ASK_SECONDS).items():
            self._topics[topic].asked = asked
        for topic in [*self._open]:
            at = self._topics[topic]
            if at.asked is not None and at.asked.done():
                answer, at.asked = answer_of(at.asked), None
                self._take_answer(topic, at, answer, now)
            elif at.answered and not at.settled:
                self._judge(topic, at)

    def _read_ledger(self) -> None:
        reader = self._reader
        if reader is None:
            return
        if not reader:
            self._begun += 1
            self._reading = SourceLedger()
            reader.add(0)
        for message in reader.read(_STEP_SECONDS):
            if not self._reading.take(message.key(), message.value(), message.offset()):
                self._count_invalid(message.offset())
        if reader.take_finished():
            self._ledger, self._ended = self._reading, self._begun

    def _count_invalid(self, offset: int) -> None:
        if offset >= self._invalid_from:  # not again with every reading
            self._invalid_from = offset + 1
            metrics.LEDGER_INVALID.inc()
            log(Log.LEDGER_INVALID, topic=self._ledger_topic, offset=offset)

    def _take_answer(self, topic: str, at: _Topic, answer: TopicIdAnswer, now: float) -> None:
        """One answer. What is settled stays so if there is none: the question was for a change."""
        at.answered = bool(answer.topic_id) or at.settled
        if at.settled and answer.topic_id in ("", at.topic_id):
            self._open.discard(topic)
        elif answer.topic_id:
            at.topic_id, at.settled = answer.topic_id, False
            self._judge(topic, at)
        elif answer.is_gone or (answer.ask_again and now < at.give_up_at):
            at.ask_at = now + _AGAIN_SECONDS
        else:
            self._settle_unknown(topic, at, answer.error)

    def _judge(self, topic: str, at: _Topic) -> None:
        """Settle a topic whose id is known, if the ledger says which id was first; else go on towards that."""
        first = self._ledger.first_id(topic) if self._ended else None
        if first is not None:
            self._settle(topic, at)
            if self._recreated.update(topic, "" if first == at.topic_id else at.topic_id):
                log(Log.SOURCE_RECREATED, topic=topic, topic_id=at.topic_id, first=first)
        elif at.after == 0:
            at.after = self._want_reading()
        elif self._ended >= at.after and at.recorded:
            self._settle_unknown(topic, at, "the ledger does not hold what was recorded")
        elif self._ended >= at.after:
            self._to_record.add(topic)

    def _settle_unknown(self, topic: str, at: _Topic, error: str) -> None:
        """Go on as if the topic were what it was last, which may give ids a second time."""
        self._settle(topic, at)
        if error not in self._said:
            self._said.add(error)
            log(Log.SOURCE_UNIDENTIFIED, topic=topic, error=error)

    def _settle(self, topic: str, at: _Topic) -> None:
        at.settled = at.answered = True
        at.ask_at, at.after, at.recorded = 0.0, 0, False
        self._open.discard(topic)
        self._to_record.discard(topic)
