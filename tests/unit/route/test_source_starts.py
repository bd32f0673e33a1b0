"""Where partitions begin and go on, and what is said about lost records: one transaction says it, whatever happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from confluent_kafka import KafkaError

from logrouter import config
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.kafka.assignment import FROM_THE_BEGINNING, Assignment
from logrouter.kafka.damaged import DamagedRangeError
from logrouter.kafka.errors import FatalError
from logrouter.kafka.offset_lookup import Found
from logrouter.kafka.offset_reset import LogRange
from logrouter.route.ledger import RecreatedTopics
from logrouter.route.output import BatchOutput
from logrouter.route.partial_lines import PartialLines
from logrouter.route.settings import LaneSettings
from logrouter.route.source_starts import SourceStarts
from logrouter.telemetry.metrics import REGISTRY
from tests.fake_kafka.messages import START, Message

AT, OTHER, LATE = ("logs", 0), ("logs", 1), ("late", 0)
SETTINGS = LaneSettings({}, "g", "i", DeadLetterSettings("dead", 100), "rollup", 1)
TABLE = config.parse(
    b"""
version: 1
sources:
  all: {topics: logs, envelope: cri, join_partial: {}}
  new: {topics: late, envelope: cri, from: latest}
routes: [{name: r, from: [all, new], format: envoy, to: out}]
""",
    {},
    folder=Path(),
).table


class Stopped:
    """librdkafka's error in place of a record, after which it reads the partition no further."""

    def __init__(self, at, offset, code=KafkaError._AUTO_OFFSET_RESET):
        self._at, self._offset, self._error = at, offset, KafkaError(code)

    def topic(self):
        return self._at[0]

    def partition(self):
        return self._at[1]

    def offset(self):
        return self._offset

    def error(self):
        return self._error


class Parts:
    """One consumer that has AT, and the cluster's answers: `answer` gives one to all open questions."""

    def __init__(self):
        self.asked, self.answers, self.started, self.sought = {}, {}, {}, {}
        self.recreated = RecreatedTopics()
        self.assignment = Assignment(self)
        self.searched, self.ends = [], {}
        self.starts = SourceStarts(
            PartialLines(), lambda: START, lambda _settings: self, self.recreated, self._find_readable
        )
        self.starts.connect(self.assignment)
        self.starts.configure(SETTINGS, TABLE)
        self.starts._partial_lines.configure(SETTINGS, TABLE)
        self.assign(AT)

    # The consumer
    def restart(self, starts):
        self.started |= starts

    def resume(self, partitions):
        pass

    def seek(self, at, offset):
        self.sought[at] = offset

    # The search for the end of a damaged batch
    def _find_readable(self, _kafka, at, offset):
        self.searched.append((at, offset))
        if (at, offset) not in self.ends:
            raise DamagedRangeError("no answer")
        return self.ends[at, offset]

    # The look-up
    def ask(self, partitions, *, with_range=False):
        self.asked |= dict.fromkeys(partitions, with_range)

    def discard(self, at):
        self.asked.pop(at, None)

    def take(self):
        answers, self.answers = self.answers, {}
        return answers

    # What happens
    def assign(self, *partitions):
        self.assignment.add_partitions(partitions)
        start = self.starts.assigned(partitions)
        assert start == (dict.fromkeys(partitions, 0), partitions)
        self.assignment.hold(partitions)

    def answer(self, offset, *, log=None, text="", epoch=None, topic_id="new"):
        """Where the partitions that were asked about go on."""
        asked, self.asked, self.started = self.asked, {}, {}
        self.answers = {
            at: Found(offset, text, epoch, topic_id, LogRange(*log) if log and ranged else None)
            for at, ranged in asked.items()
        }
        ready = self.starts.take_ready(START)
        assert set(ready) == set(self.started)
        self.assignment.release(ready)
        return self.started

    def begin(self, offset, *, log, **said):
        """The same with as many questions as it takes."""
        while self.asked:
            started = self.answer(offset, log=log, **said)
        return started

    def turn(self):
        """Where partitions go on without an answer of the cluster."""
        self.started = {}
        ready = self.starts.take_ready(START)
        assert set(ready) == set(self.started)
        self.assignment.release(ready)
        return self.started

    def publish(self):
        """What the next transaction says: its offsets, and the ranges of lost records."""
        output = BatchOutput()
        changed = self.starts.process([], output, START)
        assert changed is bool(output.positions)
        self.starts.publish(output, None, [])
        return output.positions, [orjson.loads(letter)["lost"] for _key, letter, _headers in output.dead_letters]


@pytest.fixture
def parts():
    """A lane that has just got AT."""
    return Parts()


def counted():
    """Records of the topic that were lost so far."""
    return REGISTRY.get_sample_value("logrouter_records_lost_total", {"topic": "logs"}) or 0


def test_a_partition_begins_at_what_is_committed(parts):
    """With the leader's epoch. Until then what comes of it is too early, and an error of it says nothing."""
    assert parts.starts.screen([Message(b"", 0, 0), Message(b"", 7, 1)], START).kept[0].partition() == 1
    assert parts.starts.take_error(Stopped(AT, 0))

    assert parts.answer(7, epoch=3, text="topic1 new") == {AT: (7, 3)}
    assert parts.publish() == ({}, [])
    assert len(parts.starts.screen([Message(b"", 7, 0)], START).kept) == 1


def test_a_partition_begins_at_the_fragments_that_wait(parts):
    """Not with the epoch, which is about another record."""
    assert parts.answer(7, epoch=3, text="pieces1 4,1") == {AT: (4, None)}


@pytest.mark.parametrize(("at", "start", "said"), [(AT, FROM_THE_BEGINNING, {}), (LATE, 9, {LATE: 9})])
def test_a_partition_without_offset_begins_as_its_source_says(at, start, said):
    """The end that was found is committed, or a second process would begin at a later one."""
    parts = Parts()
    parts.asked.clear()
    parts.assignment.remove_partitions([AT])
    parts.assign(at)

    assert parts.begin(None, log=(2, 9)) == {at: (start, None)}
    assert parts.publish() == (said, [])


def test_what_was_lost_is_said_once_with_the_offset_behind_it(parts):
    """And counted when that is committed."""
    before = counted()
    assert parts.answer(3) == {AT: (3, None)}
    parts.starts.take_error(Stopped(AT, 3))

    assert parts.answer(3, log=(8, 20)) == {AT: (8, None)}
    assert parts.publish() == ({AT: 8}, [{"first": 3, "end": 8}])
    assert counted() == before
    parts.starts.committed(BatchOutput())
    assert counted() == before + 5
    assert parts.publish() == ({}, [])


def test_letter_holds_no_bytes(parts):
    """Its key is the place of the first record."""
    parts.answer(3)
    parts.starts.take_error(Stopped(AT, 3))
    parts.answer(3, log=(8, 20))
    output = BatchOutput()
    parts.starts.process([], output, START)
    ((key, letter, headers),) = output.dead_letters

    found = orjson.loads(letter)
    assert key == b"logs:0:3"
    assert headers[:2] == [("logrouter-stage", b"read"), ("logrouter-reason", b"records_lost")]
    assert found["raw"] == {"bytes": 0, "truncated": False, "encoding": "utf-8", "text": ""}
    assert found["detail"] == "offsets 3 to 7 were deleted before they were read; reading goes on at offset 8"


@pytest.mark.parametrize("published", [False, True])
def test_an_aborted_transaction_has_the_loss_decided_anew(parts, published):
    """Records that were read up to 5 are not, after all, and are gone by now: they are part of what is lost."""
    parts.answer(3)
    parts.assignment.note_read([Message(b"", 3, 0), Message(b"", 4, 0)])
    parts.starts.take_error(Stopped(AT, 5))
    assert parts.answer(3, log=(8, 20)) == {AT: (8, None)}
    if published:
        assert parts.publish()[1] == [{"first": 5, "end": 8}]

    parts.starts.aborted()
    parts.assignment.seek_back({AT: 3})

    assert parts.sought == {}
    assert parts.publish() == ({}, [])
    assert parts.answer(3, log=(8, 20)) == {AT: (8, None)}
    assert parts.publish() == ({AT: 8}, [{"first": 3, "end": 8}])


def test_what_came_before_the_error_counts_as_read(parts):
    """In the same call: it is processed, and if that is undone, reading goes back there."""
    parts.answer(3)
    messages = [Message(b"", 3, 0), Message(b"", 4, 0)]
    parts.assignment.note_read(messages)
    parts.starts.take_error(Stopped(AT, 5))

    assert parts.starts.screen(messages, START).kept == messages
    parts.assignment.seek_back({AT: 3})
    assert parts.answer(3, log=(8, 20)) == {AT: (8, None)}
    assert parts.publish()[1] == [{"first": 3, "end": 8}]


def test_an_error_of_where_a_partition_has_waited_says_nothing(parts):
    """Offset 0 may be gone long since, and librdkafka may tell that after the partition was sent elsewhere."""
    parts.answer(9)
    assert parts.starts.take_error(Stopped(AT, 0))

    assert (parts.asked, parts.publish()) == ({}, ({}, []))


def test_an_error_before_the_first_record_of_a_group_that_has_not_begun_loses_nothing(parts):
    """It may be of where the partition has waited, or of a beginning that retention has moved since."""
    assert parts.answer(None) == {AT: (FROM_THE_BEGINNING, None)}
    parts.starts.take_error(Stopped(AT, 0))

    assert parts.answer(None, log=(3, 20)) == {AT: (3, None)}
    assert parts.publish() == ({}, [])


def test_an_error_of_before_an_abort_does_not_move_on(parts):
    """Records 3 and 4 are to be read again, and are gone by now."""
    parts.answer(3)
    parts.assignment.note_read([Message(b"", 3, 0), Message(b"", 4, 0)])
    parts.starts.aborted()
    parts.assignment.seek_back({AT: 3})
    parts.starts.take_error(Stopped(AT, 5))

    assert parts.answer(3, log=(8, 20)) == {AT: (8, None)}
    assert parts.publish()[1] == [{"first": 3, "end": 8}]


def test_an_error_of_the_former_topic_does_not_move_on_in_the_new_one(parts):
    """Its first records are not read yet."""
    parts.begin(9, text="topic1 old", log=(0, 50))
    parts.starts.take_error(Stopped(AT, 9))

    assert parts.answer(9, text="topic1 old", log=(0, 50)) == {AT: (0, None)}


def test_a_partition_that_leaves_takes_its_loss_with_it(parts):
    """Whoever has it next finds out the same."""
    parts.answer(3)
    parts.starts.take_error(Stopped(AT, 3))
    parts.answer(3, log=(8, 20))
    parts.starts.forget(AT)
    parts.assignment.remove_partitions([AT])

    assert parts.publish() == ({}, [])
    parts.starts.aborted()
    assert parts.asked == {}


def test_a_loss_does_not_include_fragments_that_are_read_again(parts):
    """Records from 4 on were read, up to 7; of those from 4 to 5 nothing is left."""
    parts.answer(7, text="pieces1 4,2")
    parts.starts.take_error(Stopped(AT, 4))

    assert parts.answer(7, text="pieces1 4,2", log=(6, 20)) == {AT: (6, None)}
    assert parts.publish() == ({}, [])


def test_an_end_that_is_too_early_is_asked_for_twice(parts):
    """A new leader may need a moment to say how far it has come."""
    parts.answer(9)
    parts.starts.take_error(Stopped(AT, 9))

    assert parts.answer(9, log=(0, 5)) == {}
    assert parts.asked == {AT: True}
    assert parts.answer(9, log=(0, 9)) == {AT: (9, None)}

    parts.starts.take_error(Stopped(AT, 9))
    parts.answer(9, log=(0, 5))
    with pytest.raises(
        FatalError, match=r"logs \[0\]: group g goes on at offset 9, but the log ends at 5: .*--to-offset 5"
    ):
        parts.answer(9, log=(0, 5))


def test_replaced_records_stop_the_lane(parts):
    """The log has grown past the offset, with other records before it."""
    parts.answer(9)
    parts.starts.take_error(Stopped(AT, 9, KafkaError._LOG_TRUNCATION))
    parts.answer(9, log=(0, 50))

    with pytest.raises(FatalError, match="has other records before that"):
        parts.answer(9, log=(0, 50))


def test_a_topic_made_anew_is_read_from_its_start(parts):
    """Its fragments were those of the former one. Nobody knows how far that one went."""
    assert parts.begin(9, text="topic1 old", log=(0, 50)) == {AT: (0, None)}
    assert parts.publish() == ({AT: 0}, [{"first": 9}])
    assert parts.assignment.topic_ids == {AT: "new"}


def test_a_topic_that_is_made_anew_meanwhile_is_noticed(parts):
    """Although its offsets can still be read."""
    parts.answer(9, text="topic1 old", topic_id="old")
    parts.recreated.update("logs", "new")
    assert list(parts.starts.take_ready(START)) == []

    assert parts.begin(12, text="topic1 old", log=(0, 50)) == {AT: (0, None)}
    assert parts.publish() == ({AT: 0}, [{"first": 12}])


DAMAGED = Stopped(AT, 40, KafkaError._BAD_COMPRESSION)


@pytest.fixture
def skipping(parts):
    """The same with `on_unreadable: skip`, at offset 30; a batch from 40 to 49 is damaged."""
    parts.begin(30, log=(0, 100))
    parts.starts.configure(replace(SETTINGS, skips_unreadable=True), TABLE)
    parts.ends[AT, 40] = 50
    parts.started = {}
    return parts


def test_a_damaged_batch_is_passed_over_once_and_said(skipping):
    """What was read before it is committed first; errors that had come already change nothing."""
    before = counted()
    for _ in range(3):
        assert not skipping.starts.take_error(DAMAGED)  # others report it
    assert (skipping.turn(), skipping.turn()) == ({AT: (50, None)}, {})
    assert skipping.searched == [(AT, 40)]

    output = BatchOutput()
    assert skipping.starts.process([], output, START)
    skipping.starts.publish(output, None, [])
    skipping.starts.committed(output)
    (letter,) = [orjson.loads(letter) for _, letter, _ in output.dead_letters]

    assert output.positions == {AT: 50}
    assert (letter["reason"], letter["lost"]) == ("records_lost", {"first": 40, "end": 50})
    assert counted() == before + 10


def test_a_damaged_batch_is_passed_over_again_after_an_abort(skipping):
    """Nothing of it is committed then: reading begins at the committed offset, and meets the batch once more."""
    skipping.starts.take_error(DAMAGED)
    skipping.turn()
    skipping.publish()
    skipping.starts.aborted()
    assert skipping.begin(30, log=(0, 100)) == {AT: (30, None)}
    assert skipping.publish() == ({}, [])

    skipping.starts.take_error(DAMAGED)
    skipping.turn()
    assert skipping.publish() == ({AT: 50}, [{"first": 40, "end": 50}])


def test_a_damaged_batch_is_not_passed_over_while_records_before_it_are_to_be_read_again(skipping):
    """A rebalance or a doubt about the topic may send them back in the same call that tells of the damage."""
    skipping.starts.take_error(DAMAGED)
    skipping.assignment.seek_back({AT: 37})

    assert skipping.turn() == {AT: (37, None)}
    assert (skipping.searched, skipping.publish()) == ([], ({}, []))
    skipping.starts.take_error(DAMAGED)
    assert skipping.turn() == {AT: (50, None)}
    assert skipping.publish() == ({AT: 50}, [{"first": 40, "end": 50}])


@pytest.mark.parametrize(("committed", "lost"), [(60, None), (45, {"first": 45, "end": 50})])
def test_damage_among_records_that_were_read_before_is_no_reason_to_read_others_twice(parts, committed, lost):
    """They are read for the fragments among them: the batch was whole when they were read first."""
    parts.answer(committed, text="pieces1 10,2")
    parts.starts.configure(replace(SETTINGS, skips_unreadable=True), TABLE)
    parts.ends[AT, 40] = 50
    parts.starts.take_error(DAMAGED)

    assert parts.turn() == {AT: (50, None)}
    assert parts.publish() == (({AT: 50}, [lost]) if lost else ({}, []))
    assert parts.starts._partial_lines.is_replaying(AT) is (lost is None)


def test_a_damaged_batch_without_a_known_end_stands_still(skipping):
    """It is not searched again with every error, of which there are several in a second."""
    skipping.ends.clear()
    for _ in range(3):
        skipping.starts.take_error(DAMAGED)
        assert skipping.turn() == {}

    assert skipping.searched == [(AT, 40)]
    assert skipping.publish() == ({}, [])


def test_a_damaged_batch_without_a_known_end_is_tried_again_where_the_file_says_so(skipping):
    """No partition is held for what another version of topics.yaml does not want."""
    skipping.ends.clear()
    skipping.starts.take_error(DAMAGED)
    skipping.turn()
    skipping.starts.configure(SETTINGS, TABLE)

    assert skipping.turn() == {AT: (40, None)}


def test_a_topic_that_is_made_anew_while_it_is_asked_about_is_asked_about_again(parts):
    """The answer may be about the former one, and nobody would look again."""
    parts.answers = {AT: Found(9, "topic1 old", None, "old", None)}
    parts.recreated.update("logs", "new")
    discarded, parts.asked, parts.answers = parts.asked, {}, {}

    assert list(parts.starts.take_ready(START)) == []
    assert (discarded, parts.asked) == ({AT: False}, {AT: False})
    assert parts.begin(9, text="topic1 old", log=(0, 50)) == {AT: (0, None)}


def test_retention_that_passes_the_same_place_twice_is_said_as_two_losses(parts):
    """Nothing has been read in between, and what was said first is not committed yet."""
    parts.answer(3)
    parts.starts.take_error(Stopped(AT, 3))
    parts.answer(3, log=(8, 20))
    assert parts.publish()[1] == [{"first": 3, "end": 8}]
    parts.starts.take_error(Stopped(AT, 8))

    assert parts.answer(3, log=(15, 20)) == {AT: (15, None)}
    assert parts.publish()[1] == [{"first": 8, "end": 15}]


def test_a_damaged_batch_stops_its_partition_by_default(parts):
    """It is an operator's decision to lose records."""
    parts.begin(30, log=(0, 100))
    parts.started = {}
    parts.starts.take_error(DAMAGED)

    assert (parts.searched, parts.started) == ([], {})
