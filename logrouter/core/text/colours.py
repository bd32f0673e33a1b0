"""Colours that programs print for terminals, taken out of lines again.

    ESC[32mINFO ESC[0m GET /cart        INFO GET /cart

Programs that do not look whether they write to a terminal colour their lines wherever these go.
"""

from __future__ import annotations

import re
from typing import Final

ESCAPE: Final = "\x1b"
"""Without this character there is no colour: a search for it costs next to nothing."""

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*+[ -/]*+[@-~]|\([0-9A-Z])", re.ASCII)


def without_colours(text: str) -> str:
    """The text without control sequences of ANSI (ECMA-48); other control characters stay."""
    return _SEQUENCE.sub("", text)
