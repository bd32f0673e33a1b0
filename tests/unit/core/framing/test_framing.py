"""Messages in a stream: what comes out is what went in, whatever it holds and however the stream is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logrouter.core.framing.newline import LineDecoder, frame_line
from logrouter.core.framing.octet_counting import CountedDecoder, FramingError, frame_counted

hostile = st.binary(max_size=40) | st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\x00", b"5 hello", b"<14>1 - - - - - - x", b" ", b"9", b"\xff"]), max_size=6
).map(b"".join)


def pieces(stream, cuts):
    """The stream, cut at these places."""
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[begin:end] for begin, end in pairwise(places)]


CUTS = st.lists(st.integers(0, 10_000), max_size=5)


@given(st.lists(hostile.filter(bool), max_size=6), CUTS)
@example([b"x", b"12 <14>1 forged"], [])
def test_counted_frames_come_back(messages, cuts):
    """Byte by byte; nothing in a message is taken for a frame."""
    decoder = CountedDecoder(1000)
    stream = b"".join(map(frame_counted, messages))
    assert [found for piece in pieces(stream, cuts) for found in decoder.feed(piece)] == messages


@given(st.lists(hostile, max_size=6), CUTS)
def test_lines_come_back_one_for_each_message(messages, cuts):
    """With spaces in the place of what ends a line for somebody."""
    decoder = LineDecoder(1000)
    stream = b"".join(map(frame_line, messages))
    found = [line for piece in pieces(stream, cuts) for line in decoder.feed(piece)]
    assert found == [each.replace(b"\r", b" ").replace(b"\n", b" ").replace(b"\0", b" ") for each in messages]
    assert stream.count(b"\n") == len(messages)


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"x", "a frame does not begin with its length"),
        (b" 5 hello", "a frame does not begin with its length"),
        (b"0 ", "a frame does not begin with its length"),
        (b"-1 x", "a frame does not begin with its length"),
        (b"05 hello", "a frame does not begin with its length"),
        (b"5 hello\n5 hello", "a frame does not begin with its length"),
        (b"11 hello world", "a frame is longer than 10 bytes"),
        (b"9" * 100, "a frame is longer than 10 bytes"),
        ("٣ abc".encode(), "a frame does not begin with its length"),
    ],
)
def test_a_stream_that_is_not_counted(stream, why):
    """Ends there: what is behind can't be told from what is in it."""
    with pytest.raises(FramingError, match=why):
        feed_all(CountedDecoder(10), [stream, b""], [])


def feed_all(decoder, parts, found):
    """Feed a decoder, and put what comes out into *found*."""
    for part in parts:
        found += decoder.feed(part)


@given(CUTS)
def test_messages_before_the_end_of_what_can_be_read_come_out(cuts):
    """However the stream is cut, and none after it."""
    decoder, found = CountedDecoder(10), []
    with pytest.raises(FramingError):
        feed_all(decoder, [*pieces(b"3 one3 two\n5 three", cuts), b""], found)
    assert found == [b"one", b"two"]
    with pytest.raises(FramingError):
        decoder.feed(b"4 four")


def test_what_is_not_complete_waits_and_is_bounded():
    """A frame by its length, a line by what has come."""
    counted, line = CountedDecoder(10), LineDecoder(10)
    assert counted.feed(b"10 hello") == []
    assert counted.feed(b"world1") == [b"helloworld"]
    assert line.feed(b"hello") == []
    assert line.feed(b"world!") == [None]
    assert line.feed(b"x" * 1_000_000) == []
    assert len(line._rest) == 0
    assert line.feed(b"x\nshort\n" + b"y" * 11 + b"\n") == [b"short", None]


@given(st.lists(st.binary(max_size=30), max_size=5), CUTS)
def test_any_stream_is_bounded(streams, cuts):
    """Whatever comes, no more than a message is kept."""
    counted, line = CountedDecoder(10), LineDecoder(10)
    for piece in pieces(b"".join(streams), cuts):
        assert all(found is None or len(found) <= 10 for found in line.feed(piece))
        assert len(line._rest) <= 10
        try:
            assert all(len(found) <= 10 for found in counted.feed(piece))
        except FramingError:
            return
        assert len(counted._rest) <= 13
