"""What terminals are told about colours is no part of a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.text.colours import ESCAPE, without_colours


@pytest.mark.parametrize(
    ("printed", "line"),
    [
        ("\x1b[32mINFO\x1b[0m GET /cart", "INFO GET /cart"),
        ("\x1b[1;38;5;208mx\x1b[m", "x"),
        ("\x1b[38:2::255:0:0mx\x1b(B\x1b[m", "x"),
        ("\x1b[?25lx\x1b[K", "x"),
        ('\x1b[0m{"a":1}\x1b[0m', '{"a":1}'),
        ("[32mno escape[0m", "[32mno escape[0m"),
        ("\x1b[32", "\x1b[32"),  # cut in the middle
        ("\x1b", "\x1b"),
        ("\x1b[\nx", "\x1b[\nx"),
    ],
)
def test_sequences_go_and_text_stays(printed, line):
    """Colours, erasures, cursors and character sets; nothing that is none of these."""
    assert without_colours(printed) == line


@given(st.text(alphabet=st.sampled_from("\x1b[]();0123456789mK?x \n"), max_size=60))
def test_nothing_is_added_and_text_without_escape_is_left_alone(text):
    """What stays is what was there, in its order."""
    found = without_colours(text)
    rest = iter(text)
    assert all(char in rest for char in found)
    assert found == text or ESCAPE in text
