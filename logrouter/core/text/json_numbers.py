"""Whole numbers as JSON spells them: a transport that knows one kind of number writes 503 as 503.0.

    503  503.0  5.03e2      503         JSON numbers, as readers give them: int or float
    "503"  "503.0"          503         the same as texts, where a format writes its figures so
    503.5  NaN  true  null  nothing     no whole numbers
    9007199254740992        nothing     beyond 2^53 - 1, where neighbours are one float, and tables count no further

A figure that is read with `as_whole` is an int wherever it is a whole number, so that status, outcome, weight and
tables see it; anything else stays as it is, for the schema to refuse.
"""

from __future__ import annotations

import re
from typing import Any, Final

MAX_WHOLE: Final = (1 << 53) - 1
"""The largest whole number that every JSON reader holds exactly; the schema allows no larger figures."""

_WRITTEN = re.compile(r"(-?[0-9]{1,16}+)(?:\.0{1,16}+)?+", re.ASCII)


def whole(value: object) -> int | None:
    """The whole number that a JSON number is, of either sign and at most `MAX_WHOLE`; None for anything else."""
    if type(value) is float and value.is_integer():  # not so infinity and NaN
        value = int(value)
    return value if type(value) is int and -MAX_WHOLE <= value <= MAX_WHOLE else None


def as_whole(value: Any) -> Any:
    """The whole number that a JSON number is; anything else as it is, for the schema to refuse."""
    if type(value) is not float:
        return value
    number = whole(value)
    return value if number is None else number


def written_whole(value: object) -> int | None:
    """The whole number that a JSON number or a text of digits is; None for anything else."""
    if type(value) is str:
        match = _WRITTEN.fullmatch(value)
        value = int(match[1]) if match is not None else None
    return whole(value)
