"""Lines as messages of syslog: every field, what is cut, and that no text makes a second message."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.drains.line import Line
from logrouter.core.framing.newline import LineDecoder, frame_line
from logrouter.core.framing.octet_counting import CountedDecoder, frame_counted
from logrouter.sinks.lines.messages import LineMessages, render_line

LINE = Line("e-1", 1_764_000_000_123_456, "shop-prod", "web.5d4f8", 3, b"hello")


def test_a_line_is_one_message_of_rfc_5424():
    """The id is in the structured data, so that a line that comes again can be known."""
    assert render_line(LINE, 1_000) == (
        b'<11>1 2025-11-24T16:00:00.123456Z shop-prod web.5d4f8 - - [logrouter@32473 id="e-1"] hello'
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (Line("a", None, "", "", 6, b""), b'<14>1 - - - - - [logrouter@32473 id="a"]'),
        (Line("", 0, "h", "router", 6, b"x"), b"<14>1 1970-01-01T00:00:00.000Z h router - - - x"),
        (Line("i" * 129, None, "h", "a", 7, b"x"), b"<15>1 - h a - - - x"),
        (Line("a", None, "h", "a", 99, b"x"), b'<14>1 - h a - - [logrouter@32473 id="a"] x'),
        (Line("a", None, "h", "a", -1, b"x"), b'<14>1 - h a - - [logrouter@32473 id="a"] x'),
        (
            Line('"]\\\n', None, "a b\n", "w\x00é]", 6, b"1\r\n<14>1 - f f - - - 2\x00\t\xc2\x85"),
            b'<14>1 - a_b_ w__] - - [logrouter@32473 id="\\"\\]\\\\ "] 1  <14>1 - f f - - - 2 \t ',
        ),
    ],
)
def test_what_a_field_may_not_hold_is_replaced(line, message):
    """Unknown times, empty names, severities that there are not, and what could end a field or a message."""
    assert render_line(line, 1_000) == message


def test_what_is_too_long_is_cut_between_two_characters():
    """Not in the middle of one; the fields before the text stay whole."""
    head = len(render_line(Line("a", None, "h", "a", 6, b""), 1_000)) + 1
    long = Line("a", None, "h", "a", 6, "aé𝄞z".encode())

    cut = [render_line(long, head + size)[head:].decode() for size in range(9)]
    assert cut == ["", "a", "a", "aé", "aé", "aé", "aé", "aé𝄞", "aé𝄞z"]


def test_a_batch_is_a_frame_for_each_line():
    """Datagrams have none."""
    lines = [LINE, Line("e-2", None, "h", "a", 6, b"x")]
    messages = [render_line(line, 1_000) for line in lines]

    frames = LineMessages(frame_counted, 1_000).encode(lines)
    datagrams = LineMessages(None, 1_000).encode(lines)

    assert frames.request == [b"%d %b" % (len(each), each) for each in messages]
    assert frames.size == sum(map(len, frames.request))
    assert datagrams.request == messages
    assert datagrams.settled == [None, None]


LINES = st.builds(
    Line,
    st.text(max_size=140),
    st.none() | st.integers(-(10**20), 10**20),
    st.text(max_size=300),
    st.text(max_size=60),
    st.integers(-3, 12),
    st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")),
)
HEAD = re.compile(rb"<\d{1,2}>1 \S+ [!-~]{1,255} [!-~]{1,48} - - (?:-|\[[^\r\n\x00]*\])(?: [^\r\n\x00]*)?")


@pytest.mark.parametrize(("frame", "decoder"), [(frame_counted, CountedDecoder), (frame_line, LineDecoder)])
@given(lines=st.lists(LINES, max_size=5))
def test_whatever_is_in_lines_a_receiver_reads_one_message_for_each(frame, decoder, lines):
    """None is forged, none is lost, and their order stays."""
    frames = LineMessages(frame, 5_000).encode(lines).request or []

    read = decoder(100_000).feed(b"".join(frames))

    assert read == [render_line(line, 5_000) for line in lines]
    assert all(HEAD.fullmatch(each) for each in read)
