"""Messages of RFC 5424: every field holds what it may, whatever was given, and a parser of its own reads it back."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logrouter.core.framing.newline import frame_line
from logrouter.core.framing.octet_counting import frame_counted
from logrouter.sinks.syslog.message import Header, clean_text, cut_text, render, render_data, render_field, render_time
from tests.unit.sinks.syslog.receiver import parse, split_counted

HEADER = Header(1, 6, 1_795_687_200_000_000, "host", "app", "", "request")
TEXTS = st.text(max_size=60) | st.text(st.sampled_from('"\\]= \n\r\0\t<14>1-é\u0085\u2028'), max_size=30)


def test_a_message():
    """Field by field."""
    data = render_data("logrouter@32473", {"id": "a-1"})
    assert render(HEADER, data, b'{"a":1}', 1000) == (
        b'<14>1 2026-11-26T10:00:00.000Z host app - request [logrouter@32473 id="a-1"] {"a":1}'
    )


def test_without_anything():
    """Every field that may be nil is, and a message may have no text."""
    assert render(Header(23, 7, None, "", "", "", ""), "", b"", 1000) == b"<191>1 - - - - - -"


@pytest.mark.parametrize(
    ("time_us", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_000, "1970-01-01T00:00:00.001Z"),
        (1_001, "1970-01-01T00:00:00.001001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (None, "-"),
    ],
)
def test_times(time_us, expected):
    """In UTC, with six digits of a second at most."""
    assert render_time(time_us) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("", "-"), ("a b", "a_b"), ("ü\n]", "__]"), ("x" * 50, "x" * 48), ("~!", "~!")]
)
def test_fields_of_a_header(text, expected):
    """PRINTUSASCII, and no longer than they may be."""
    assert render_field(text, 48) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [('a"b', r"a\"b"), ("a]b", r"a\]b"), ("a\\b", r"a\\b"), ("a=b ü", "a=b ü"), ("a\nb\0", "a b "), ("", "")],
)
def test_values_of_structured_data(value, expected):
    """Three characters are escaped (RFC 5424, section 6.3.3)."""
    assert render_data("x@1", {"id": value}) == f'[x@1 id="{expected}"]'


def test_names_of_structured_data():
    """Hold no character that ends them."""
    assert render_data("x@1", {'a="] ü' + "n" * 40: "v"}) == f'[x@1 a_____{"n" * 26}="v"]'


@given(
    st.builds(
        Header,
        st.integers(0, 23),
        st.integers(0, 7),
        st.none() | st.integers(-(10**18), 10**18),
        *[TEXTS | st.text(min_size=200, max_size=400)] * 4,
    ),
    st.none() | TEXTS,
    TEXTS,
    st.integers(800, 2000),
)
@example(HEADER, "\\", "\ufeff", 1000)
def test_what_is_rendered_is_read_back(header, found_id, text, max_bytes):
    """Whatever the fields: one message, of which each part is what was given, as far as it may be."""
    data = "" if found_id is None else render_data("logrouter@32473", {"id": found_id})
    message = render(header, data, text.encode(), max_bytes)
    parsed = parse(message)
    assert (parsed.facility, parsed.severity) == (header.facility, header.severity)
    assert [parsed.host, parsed.app_name, parsed.procid, parsed.msgid] == [
        "".join(char if "!" <= char <= "~" else "_" for char in each[:longest]) or "-"
        for each, longest in zip(header[3:], (255, 48, 128, 32), strict=True)
    ]
    assert parsed.data == ({} if found_id is None else {"id": spaced(found_id)})
    assert parsed.text == spaced(text, but="\t")


def spaced(text, but=""):
    """With spaces in the place of control characters."""
    return "".join(" " if unicodedata.category(char) == "Cc" and char not in but else char for char in text)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from([frame_counted, frame_line]))
def test_no_text_forges_a_message(texts, frame):
    """A receiver finds as many messages as there were, in either framing."""
    data = [render_data("logrouter@32473", {"id": text}) for text in texts]
    made = [render(HEADER, each, text.encode(), 1000) for each, text in zip(data, texts, strict=True)]
    stream = b"".join(map(frame, made))
    found = split_counted(stream) if frame is frame_counted else stream.removesuffix(b"\n").split(b"\n")
    assert found == made
    assert all(byte >= 32 or byte == 9 for message in made for byte in message)


@given(st.text(max_size=30), st.integers(-5, 60))
@example("é", 1)
@example("a𝄞", 4)
def test_a_text_is_cut_between_characters(text, longest):
    """To what fits, and no further than by one character."""
    whole = text.encode()
    cut = cut_text(whole, longest)
    assert whole.startswith(cut)
    assert cut.decode() == text[: len(cut.decode())]
    assert len(cut) <= max(longest, 0)
    assert cut == whole or len(cut) > longest - 4


@given(st.text(max_size=2000), st.integers(800, 1200))
def test_a_message_is_no_longer_than_it_may_be(text, max_bytes):
    """Header and all."""
    message = render(HEADER, "", text.encode(), max_bytes)
    assert len(message) <= max_bytes
    assert message.decode()


def test_control_characters_are_spaces():
    """All of ASCII and Latin-1 but TAB; characters that only have such bytes in them stay."""
    assert clean_text("\x00\t\n\r\x1b\x7f\x80\x9fé\u0100\u2028".encode()) == " \t      é\u0100\u2028".encode()
