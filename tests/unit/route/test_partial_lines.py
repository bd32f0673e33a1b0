"""Cut lines across batches, aborted transactions and owners of a partition, without a broker."""

from __future__ import annotations

from collections import Counter
from functools import partial

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter import config
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.core.join.partition_clock import BREAK_MS
from logrouter.kafka.errors import ClientError
from logrouter.route.batch import BatchProcessor
from logrouter.route.output import BatchOutput
from logrouter.route.partial_lines import PartialLines
from tests.fake_kafka import messages
from tests.fake_kafka.messages import START

AT = ("cri", 0)
CONFIG = """
version: 1
sources: {s: {topics: cri, envelope: cri%s}}
routes: [{name: edge, from: s, match: {stream: stdout, looks_like: request}, format: envoy, to: clean}]
"""
JOINED = CONFIG % ", join_partial: {max_bytes: 2000, max_wait_seconds: 10}"
REQUEST = orjson.dumps(
    {
        "meta": {"uri": "/a/b", "dt": "2026-05-04T10:00:00Z", "request_id": "r1"},
        "http": {"method": "GET", "status_code": 200},
        "total_time_ms": 5,
    }
).decode()
Message = partial(messages.Message, topic=AT[0])
YEAR_MS = 365 * 86_400_000
SKEWS = st.sampled_from([0, YEAR_MS, -YEAR_MS]) | st.integers(-YEAR_MS, YEAR_MS)
HELD = ("_unmatched", "held", "decode", "partial")


def piece(text: str, *, last: bool = False, stream: str = "stdout") -> bytes:
    """One record of a container's file."""
    return f"2026-05-04T10:00:00.000000001Z {stream} {'F' if last else 'P'} {text}".encode()


class Owner:
    """A process that has the partition; *text* is its topics.yaml."""

    def __init__(self, text: str = JOINED) -> None:
        self.now_ms = START
        self.skew_ms = 0
        self.partial_lines = PartialLines(lambda: self.now_ms)
        self.take_file(text)

    def take_file(self, text: str) -> None:
        """A new route table."""
        table = config.parse(text.encode(), {}).table
        self.partial_lines.configure(None, table)
        self.processor = BatchProcessor(
            table,
            cluster="test",
            rollup_partitions=1,
            dead_letters=DeadLetterSettings("dead", 4000),
            clock_ms=lambda: self.now_ms + self.skew_ms,
            partial_lines=self.partial_lines,
        )

    def batch(self, messages: list[Message]) -> BatchOutput:
        """A batch on its way."""
        return self.processor.process(self.partial_lines.screen(messages, self.now_ms + self.skew_ms).kept)

    def commit(self, messages: list[Message]) -> BatchOutput:
        """A batch that is committed."""
        output = self.batch(messages)
        self.partial_lines.publish(output, None, [])
        self.partial_lines.committed(output)
        return output

    def idle(self, now_ms: int) -> BatchOutput:
        """Turns without records until a moment."""
        for turn_ms in range(self.now_ms, now_ms, BREAK_MS):
            self.now_ms = turn_ms
            self.commit([])
        self.now_ms = now_ms
        return self.commit([])


def uris(output: BatchOutput) -> list[str]:
    """Of the clean events."""
    return [orjson.loads(value)["meta"]["uri"] for _, value, _ in output.events]


def test_pieces_of_two_batches_are_one_event():
    """It is the last piece's, flagged; every record has an outcome of its own."""
    owner = Owner()
    first = owner.commit([Message(piece(REQUEST[:40]), 0), Message(piece("other", last=True, stream="stderr"), 1)])
    second = owner.commit([Message(piece(REQUEST[40:50]), 2), Message(piece(REQUEST[50:], last=True), 3)])
    ((_, value, _),) = second.events
    event = orjson.loads(value)

    assert first.counts == {HELD: 1, ("_unmatched", "ignored", "", "unmatched"): 1}
    assert second.counts == {HELD: 1, ("edge", "accepted", "", ""): 1}
    assert (event["meta"]["uri"], event["source"]["offset"], event["flags"]) == ("/a/b", 3, ["rejoined"])
    assert (first.metadata, second.metadata) == ({AT: "pieces1 0"}, {AT: ""})
    assert first.dead_letters == second.dead_letters == []


def test_without_the_option_pieces_are_dead_letters():
    """As always."""
    output = Owner(CONFIG % "").commit([Message(piece(REQUEST[:40]), 0), Message(piece(REQUEST[40:], last=True), 1)])

    assert output.counts[("edge", "rejected", "decode", "partial")] == 1
    assert (output.metadata, output.partial_lines, uris(output)) == ({}, {}, [])


@pytest.mark.parametrize("how", ["records", "clock", "size", "reload"])
def test_line_that_is_given_up_ends_as_without_the_option(how):
    """Each piece once, with its own place, as a further outcome of its record."""
    owner = Owner()
    owner.commit([Message(piece(REQUEST[:40]), 0), Message(piece(REQUEST[40:50]), 1)])
    if how == "records":
        output = owner.commit([Message(piece("other", last=True, stream="stderr"), 2, at=START + 10_000)])
    elif how == "clock":
        assert owner.idle(START + 9_999).dead_letters == []
        output = owner.idle(START + 10_000)
    elif how == "size":
        output = owner.commit([Message(piece("x" * 2000), 2)])
    else:
        owner.take_file(CONFIG % "")
        output = owner.commit([])
    keys = [key for key, _, _ in output.dead_letters]

    assert keys[-2:] == [b"cri:0:0", b"cri:0:1"]
    assert output.copies == {("edge", "rejected", "decode", "partial"): 2}
    assert output.partial_lines.keys() == output.metadata.keys() == {AT}
    assert owner.idle(owner.now_ms + 60_000).dead_letters == []


@pytest.mark.parametrize("how", ["time", "size"])
def test_the_end_of_a_line_that_was_given_up_is_no_line_of_its_own(how):
    """Who makes a line long enough to be cut may write its last piece like a request."""
    owner = Owner()
    owner.commit([Message(piece("x" * 40), 0)])
    if how == "time":
        owner.commit([Message(piece("other", last=True, stream="stderr"), 1, at=START + 10_000)])
    else:
        owner.commit([Message(piece("x" * 2000), 1, at=START + 9_999)])
    forged = owner.commit([Message(piece(REQUEST, last=True), 2, at=START + 10_001)])
    real = owner.commit([Message(piece(REQUEST, last=True), 3, at=START + 10_002)])

    assert forged.counts == {("edge", "rejected", "decode", "partial"): 1}
    assert uris(real) == ["/a/b"]


def test_owner_that_follows_has_what_waits():
    """It reads the pieces again, and publishes and counts nothing of what was read before."""
    log = [Message(piece(REQUEST[:40]), 4), Message(piece(REQUEST, last=True, stream="stderr"), 5)]
    log += [Message(piece(REQUEST[40:50]), 6), Message(b"no line", 7)]
    metadata = Owner().commit(log).metadata[AT]
    owner = Owner()
    assert owner.partial_lines.replay(AT, 8, metadata) == 4
    output = owner.commit([*log, Message(piece(REQUEST[50:], last=True), 8)])

    assert output.counts == {("edge", "accepted", "", ""): 1}
    assert output.positions == {AT: 9}
    assert uris(output) == ["/a/b"]


def test_metadata_of_somebody_else_is_left_alone():
    """Other programs have committed there before."""
    assert Owner().partial_lines.replay(AT, 8, "2026-05-04") == 8
    assert Owner().partial_lines.replay(AT, 8, "pieces1 9") == 8


def test_file_that_does_not_join_any_more_gives_up_what_waits():
    """As a reload does: the fleet is edited while a partition moves."""
    log = [Message(piece(REQUEST[:40]), 4), Message(piece("whole", last=True, stream="stderr"), 5)]
    log += [Message(piece(REQUEST[40:50]), 6)]
    metadata = Owner().commit(log).metadata[AT]
    owner = Owner(CONFIG % "")
    assert owner.partial_lines.replay(AT, 7, metadata) == 4
    output = owner.commit(log)

    assert [key for key, _, _ in output.dead_letters] == [b"cri:0:4", b"cri:0:6"]
    assert (output.counts, output.copies) == ({}, {("edge", "rejected", "decode", "partial"): 2})
    assert output.metadata == {AT: ""}
    assert not owner.partial_lines
    assert owner.commit([]).dead_letters == []


def test_pieces_behind_a_missing_one_are_given_up():
    """They may have been its rest; the end of their line, which comes later, is no line."""
    log = [Message(piece("x" * 9), 4), Message(piece("y", stream="stderr"), 5), Message(piece("x"), 6)]
    metadata = Owner().commit(log).metadata[AT]
    owner = Owner()
    assert owner.partial_lines.replay(AT, 7, metadata) == 4
    output = owner.commit([*log[1:], Message(piece(REQUEST, last=True), 7)])

    assert [key for key, _, _ in output.dead_letters] == [b"cri:0:7", b"cri:0:6"]
    assert output.counts == {("edge", "rejected", "decode", "partial"): 1}
    assert uris(output) == []
    assert uris(owner.commit([Message(piece(REQUEST, last=True), 8)])) == ["/a/b"]


@pytest.mark.parametrize("then", ["abort", "owner"])
def test_a_gap_is_not_forgotten_before_something_behind_it_is_committed(then):
    """A batch that is undone, or an owner who goes on from the offset that the loss was committed with."""
    owner, tail = Owner(), Message(piece(REQUEST, last=True), 9)
    owner.commit([Message(piece("x"), 3)])
    owner.partial_lines.begin_after_gap(AT, 9)
    said = BatchOutput(positions={AT: 9})
    owner.partial_lines.process([], said, START)
    owner.partial_lines.publish(said, None, [])
    owner.partial_lines.committed(said)
    if then == "abort":
        owner.batch([tail])
        owner.partial_lines.aborted()
    else:
        owner = Owner()
        assert owner.partial_lines.replay(AT, 9, said.metadata[AT]) == 3

    output = owner.commit([tail])

    assert uris(output) == []
    assert output.counts == {("edge", "rejected", "decode", "partial"): 1}
    assert uris(owner.commit([Message(piece(REQUEST, last=True), 10)])) == ["/a/b"]


@given(st.data())
def test_no_tail_is_read_as_a_line_whatever_retention_has_left(data):
    """Clients write lines that are cut so that their last pieces look like requests; others write honest ones."""
    values: list[bytes] = []
    for number in range(data.draw(st.integers(1, 8))):
        stream = data.draw(st.sampled_from(["stdout", "stderr"]))
        before = data.draw(st.integers(0, 3))
        values += [piece("x" * 9, stream=stream)] * before
        name = "forged" if before else f"honest{number}"
        values.append(piece(REQUEST.replace("/a/b", f"/{name}"), last=True, stream=stream))
    log = [Message(value, offset) for offset, value in enumerate(values)]
    committed = data.draw(st.integers(0, len(log)))
    first = data.draw(st.integers(0, len(log)))
    metadata = Owner().commit(log[:committed]).metadata.get(AT, "")
    owner, begin = Owner(), first
    gap = first > committed
    if gap:
        owner.partial_lines.begin_after_gap(AT, first)
        committed = first
    else:
        begin = max(owner.partial_lines.replay(AT, committed, metadata), first)
    if data.draw(st.booleans(), label="abort"):
        owner.batch(log[begin:])
        owner.partial_lines.aborted()
        begin = committed
        if gap:
            owner.partial_lines.begin_after_gap(AT, first)
    outcomes: Counter[str] = Counter()
    published: list[str] = []
    for message in log[begin:]:
        output = owner.commit([message])
        published += uris(output)
        outcomes.update({what: n for (_, what, _, _), n in output.counts.items()})

    assert "/forged" not in published
    assert outcomes.total() == len(log) - committed
    ends = [m.offset() for m in log[committed:] if b" F " in m.value() and b" stdout " in m.value()]
    clear = [m.value() for m in log if ends and m.offset() > ends[0]]
    assert [uri for value in clear for uri in [_honest(value)] if uri and uri not in published] == []


def _honest(value: bytes) -> str:
    name = value.partition(b'"uri":"')[2].partition(b'"')[0].decode()
    return name if name.startswith("/honest") and b" stdout " in value else ""


@given(st.data())
def test_no_clock_on_the_wall_gives_a_line_up_early_or_late(data):
    """It may be years wrong, and jump while the line waits: records' times and what passes in the process count."""
    owner = Owner()
    owner.skew_ms = data.draw(SKEWS)
    owner.commit([Message(piece(REQUEST[:40]), 0, at=START - 500)])
    while owner.now_ms < START + 9_000:
        owner.skew_ms = data.draw(SKEWS)
        owner.now_ms += data.draw(st.integers(1_000, BREAK_MS - 1))
        if owner.now_ms < START + 10_000:
            assert owner.commit([]).copies == {}
    given_up = owner.now_ms >= START + 10_000
    assert bool(owner.commit([]).copies) == given_up
    assert given_up or uris(owner.commit([Message(piece(REQUEST[40:], last=True), 1)])) == ["/a/b"]


def test_words_behind_the_places_are_left_alone_and_places_of_a_newer_version_end_the_lane():
    """What is committed beside an offset may say more; what can't be read may not be skipped."""
    assert Owner().partial_lines.replay(AT, 8, "pieces1 4,1! topic=x pieces9") == 4
    with pytest.raises(ClientError, match="the offset committed for cri:0: a newer version of logrouter has written"):
        Owner().partial_lines.replay(AT, 8, "pieces2 4")


@given(st.data())
def test_every_line_comes_out_once_whatever_happens(data):
    """Over batches of any size, aborts of one or two of them, and new owners who read on from what is committed."""
    values: list[bytes] = []
    expected: Counter[str] = Counter()
    for number in range(data.draw(st.integers(1, 8))):
        line = REQUEST.replace("/a/b", f"/{number}")
        places = sorted(data.draw(st.lists(st.integers(1, len(line) - 1), max_size=3)))
        parts = [line[a:b] for a, b in zip([0, *places], [*places, len(line)], strict=True)]
        for index, part in enumerate(parts):
            values += [piece("noise", last=True, stream="stderr")] * data.draw(st.integers(0, 1))
            values.append(piece(part, last=index == len(parts) - 1))
        expected[f"/{number}"] += 1
    log = [Message(value, offset) for offset, value in enumerate(values)]
    steps = data.draw(st.lists(st.sampled_from(["commit", "commit", "abort", "kill"]), max_size=15))
    owner, at, committed, metadata = Owner(), 0, 0, ""
    published: list[str] = []
    in_flight: BatchOutput | None = None
    outcomes: Counter[str] = Counter()

    def finish_commit() -> None:
        nonlocal committed, metadata
        assert in_flight is not None
        owner.partial_lines.committed(in_flight)
        committed, metadata = in_flight.positions.get(AT, committed), in_flight.metadata.get(AT, metadata)
        published.extend(uris(in_flight))
        for (_, outcome, _, _), n in in_flight.counts.items():
            outcomes[outcome] += n

    while at < len(log) or in_flight is not None:
        messages = log[at : at + data.draw(st.integers(1, 4))]
        step = steps.pop() if steps else "commit"
        output = owner.batch(messages)
        if step == "kill":
            owner, in_flight = Owner(), None
            at = owner.partial_lines.replay(AT, committed, metadata)
        elif step == "abort":
            owner.partial_lines.aborted()
            # Back to the first record of what is discarded; records that were only read again are past.
            first = [each.first[AT] for each in (in_flight, output) if each is not None and AT in each.first]
            at, in_flight = min(first, default=at + len(messages)), None
        else:
            if in_flight is not None:
                finish_commit()
            at += len(messages)
            owner.partial_lines.publish(output, None, [])
            in_flight = output if messages else None

    assert Counter(published) == expected
    assert outcomes.total() == len(log)
    assert outcomes["accepted"] == expected.total()
    assert not owner.partial_lines
