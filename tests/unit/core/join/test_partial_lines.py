"""Cut lines put together again: as if they had never been cut, bounded, and found again by whoever reads on."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.envelopes import ENVELOPES
from logrouter.core.envelopes.partial import FragmentText, fragment_of, join_fragments
from logrouter.core.join import partial_lines
from logrouter.core.join.partial_lines import PartialLineBuffer, PartialLineLimits, decode_places
from logrouter.model import Envelope, RawRecord

BOUNDS = PartialLineLimits(max_bytes=100, max_wait_ms=1000)
POD = {"namespace_name": "prod", "pod_name": "shop-1", "container_name": "shop"}
TIME = "2026-05-01T10:00:00.123456789Z"


def record(offset: int, value: bytes = b"x") -> RawRecord:
    """A record of the one partition."""
    return RawRecord("t", 0, offset, 0, value)


class Partition:
    """Records one after the other: what each is routed as."""

    def __init__(self, bounds: PartialLineLimits = BOUNDS) -> None:
        self.lines = PartialLineBuffer(bounds)
        self.offset = 0
        self.doubted: list[int] = []

    def take(self, key: str, text: str, *, last: bool, at_ms: int = 0) -> tuple[list[int], str | int | None]:
        """Offsets of pieces given up, and the text of a whole line, or the offset of a record routed as it is."""
        here, self.offset = self.offset, self.offset + 1
        taken = self.lines.take(FragmentText((key,), last, text), record(here), at_ms)
        self.doubted += [here] if taken.rest else []
        now = None if taken.held else here if taken.begins is None else taken.whole
        return [each.offset for each in taken.given_up], now


def test_pieces_of_several_containers_do_not_mix():
    """A line ends with its last piece; a line in one piece passes."""
    partition = Partition()

    assert partition.take("a", "1", last=False) == ([], None)
    assert partition.take("b", "x", last=False) == ([], None)
    assert partition.take("c", "whole", last=True) == ([], 2)
    assert partition.take("a", "2", last=False) == ([], None)
    assert partition.take("b", "y", last=True) == ([], "xy")
    assert partition.take("a", "3", last=True) == ([], "123")
    assert not partition.lines


def test_line_that_is_too_long_is_given_up_to_its_end():
    """What was kept and what still comes is routed piece by piece; the next line is whole again."""
    partition = Partition()
    partition.take("a", "x" * 60, last=False)

    assert partition.take("a", "x" * 60, last=False) == ([0], 1)
    assert partition.take("a", "x", last=False) == ([], 2)
    assert partition.take("a", "x", last=True) == ([], 3)
    partition.take("a", "1", last=False)
    assert partition.take("a", "2", last=True) == ([], "12")


def test_rest_of_a_line_whose_beginning_is_gone_is_no_line_of_its_own():
    """Nobody knows whose it was: of every container one line is doubted, for as long as a line may wait."""
    partition = Partition()
    partition.take("a", "1", last=False, at_ms=0)
    partition.lines.note_missing(record(-1), 0)

    assert partition.take("b", "whole?", last=True, at_ms=10) == ([0], 1)
    assert partition.doubted == [1]
    assert partition.take("b", "whole", last=True, at_ms=20) == ([], 2)
    partition.take("c", "2", last=False, at_ms=30)
    partition.take("c", "3", last=True, at_ms=40)
    partition.take("a", "rest", last=True, at_ms=50)
    partition.take("c", "1", last=False, at_ms=60)
    assert partition.take("c", "2", last=True, at_ms=70) == ([], "12")
    assert partition.doubted == [1, 3, 4, 5]
    assert partition.take("d", "whole", last=True, at_ms=1000) == ([], 8)
    assert partition.doubted == [1, 3, 4, 5]
    assert not partition.lines


def test_line_whose_end_does_not_come_is_given_up():
    """By the time of whatever record comes, or by the clock; its end is known when it comes after all."""
    partition = Partition()
    partition.take("a", "1", last=False, at_ms=0)
    partition.take("a", "2", last=False, at_ms=900)

    assert partition.take("b", "other", last=True, at_ms=999) == ([], 2)
    assert partition.take("b", "other", last=True, at_ms=1000) == ([0, 1], 3)
    assert partition.take("a", "late", last=True, at_ms=1500) == ([], 4)
    partition.take("a", "1", last=False, at_ms=2000)
    assert [each.offset for each in partition.lines.expire(3000)] == [5]
    assert partition.lines.expire(4000) == ()
    assert not partition.lines


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3000), st.booleans()), max_size=400))
def test_what_waits_is_bounded(steps):
    """In pieces, so that their places fit beside an offset, and in bytes; each record is routed or waits, once."""
    partition = Partition(PartialLineLimits(max_bytes=10_000, max_wait_ms=10**9))
    routed: list[int] = []
    for number, (key, size, last) in enumerate(steps):
        given_up, now = partition.take(str(key), "x" * size, last=last, at_ms=number)
        routed += given_up
        routed += [now] if isinstance(now, int) else []
    waiting = [
        fragment.record.offset
        for line in partition.lines.snapshot().values()
        if not line.lost
        for fragment in line.fragments
    ]

    assert len(waiting) <= partial_lines.MAX_FRAGMENTS
    assert len(partition.lines.encode_places()) <= 4000
    assert len(set(routed)) == len(routed)
    assert not set(routed) & set(waiting)


def test_a_line_that_made_room_stays_known_to_its_end():
    """The one of many pieces that is the oldest; of what came after it nothing is given up."""
    partition = Partition(PartialLineLimits(max_bytes=10_000, max_wait_ms=10**9))
    for number in range(partial_lines.MAX_FRAGMENTS):
        partition.take("long", "x", last=False, at_ms=number)
    given_up, now = partition.take("other", "1", last=False, at_ms=1000)
    end = partition.lines.take(FragmentText(("long",), last=True, text="forged"), record(999), 1001)

    assert (given_up, now) == (list(range(partial_lines.MAX_FRAGMENTS)), None)
    assert end.rest
    assert partition.take("other", "2", last=True, at_ms=1002) == ([], "12")


def test_most_pieces_far_apart_fit_beside_an_offset():
    """Kafka takes 4096 bytes there."""
    lines = PartialLineBuffer(BOUNDS)
    for number in range(partial_lines.MAX_FRAGMENTS + 10):
        lines.take(FragmentText((str(number),), last=False, text=""), record(number * 2**43), 0)

    assert len(lines.snapshot()) == partial_lines.MAX_FRAGMENTS
    assert len(lines.encode_places()) < 4096


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.booleans(), st.integers(0, 500)), max_size=40))
def test_places_lead_back_to_the_same_state(steps):
    """Whoever reads the records at these places again, and nothing else, goes on as the one before would have."""
    partition, times, pieces = Partition(), [], []
    at_ms = 0
    for key, size, last, later in steps:
        at_ms += later
        times.append(at_ms)
        pieces.append((key, size, last))
        partition.take(key, "x" * size, last=last, at_ms=at_ms)
    again = PartialLineBuffer(BOUNDS)
    for offset, lost in decode_places(partition.lines.encode_places()).items():
        key, size, last = pieces[offset]
        again.take_again(FragmentText((key,), last, "x" * size), record(offset), times[offset], lost=lost)

    assert set(again.snapshot()) == set(partition.lines.snapshot())
    for key, line in partition.lines.snapshot().items():
        found = again.snapshot()[key]
        assert (found.fragments, found.size, found.lost) == (line.fragments, line.size, line.lost) or line.lost
    assert again.encode_places() == partition.lines.encode_places()


@given(st.text(max_size=200) | st.text("0123456789abcdz!,- ", max_size=50).map(lambda text: f"pieces1 {text}"))
def test_any_text_beside_an_offset_can_be_there(text):
    """Other programs keep there what they like."""
    found = decode_places(text)

    assert all(offset >= 0 for offset in found)
    assert decode_places(None) == {}


def _cut(kind: str, parts: list[str], index: int) -> bytes:
    last = index == len(parts) - 1
    tag = "F" if last else "P"
    match kind:
        case "cri":
            return f"{TIME} stdout {tag} {parts[index]}".encode()
        case "cri docker":
            return orjson.dumps({"log": parts[index] + ("\n" if last else ""), "stream": "stdout", "time": TIME})
        case "rsyslog":
            return orjson.dumps({"msg": f"{TIME} stdout {tag} {parts[index]}", "kubernetes": POD, "host": "n1"})
        case "rsyslog docker":
            fields = {"log": parts[index] + ("\n" if last else ""), "stream": "stdout", "time": TIME, "kubernetes": POD}
            return orjson.dumps(fields)
        case "kubernetes":
            return orjson.dumps({"log": parts[index], "logtag": tag, "stream": "stdout", "kubernetes": POD})
    numbered = {
        "partial_message": "true",
        "partial_id": "7",
        "partial_ordinal": str(index),
        "partial_last": str(last).lower(),
    }
    return orjson.dumps({"log": parts[index], "container_name": "shop", **(numbered if len(parts) > 1 else {})})


@given(
    st.sampled_from(["cri", "cri docker", "rsyslog", "rsyslog docker", "kubernetes", "kubernetes numbered"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1).filter(
        lambda t: t[0] != " "
    ),
    st.data(),
)
def test_a_line_put_together_is_as_if_never_cut(kind, line, data):
    """Cut anywhere and put together, the record is read like the one that the runtime had not cut."""
    places = data.draw(st.lists(st.integers(1, len(line)), min_size=1, max_size=4).map(sorted))
    parts = [line[a:b] for a, b in zip([0, *places], [*places, len(line)], strict=True)]
    decode = ENVELOPES[kind.partition(" ")[0]].decode
    lines, whole = PartialLineBuffer(PartialLineLimits(10_000, 1000)), None
    for index in range(len(parts)):
        value = _cut(kind, parts, index)
        found = decode(value)
        assert isinstance(found, Envelope)
        piece = fragment_of(found)
        assert piece is not None
        taken = lines.take(piece, record(index, value), 0)
        assert taken.held is (index < len(parts) - 1)
        if taken.begins is not None:
            whole = join_fragments(found.shape, taken.begins.value or b"", taken.whole)
    assert whole is not None
    cut, never = decode(whole), decode(_cut(kind, [line], 0))

    assert isinstance(cut, Envelope)
    assert isinstance(never, Envelope)
    assert (cut.text, cut.time, cut.host, cut.program, cut.flags) == (
        never.text, never.time, never.host, never.program, never.flags,
    )  # fmt: skip


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"{}", b"no line", b'{"log": 7}', b"\xff P"])
def test_what_is_no_piece_is_not_put_together(value):
    """It can't come, and does no harm if it does."""
    assert join_fragments("docker", value, "text") is None
