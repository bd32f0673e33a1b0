"""A latency moves the time of an event by no more than the line can prove, in every format.

Servers that log the end of a request also say how long it took, and the event gets the time of the beginning. A figure
in the wrong unit would move it by days. So every number of every line of the corpus is replaced by others, and what
comes out is compared with the times that the line has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from logrouter.core.formats import parser
from logrouter.core.formats.format import FormatSettings
from logrouter.core.text.timestamps import epoch_ms
from logrouter.model import Envelope, Parsed

from .test_corpus import format_cases, line_of, settings_of_case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logrouter.model import Parser

NUMBER = re.compile(r'(?<=[\s"=:,(\[])\d{1,20}(?:\.\d{1,9})?(?=[\s",}\])]|ms|s|$)', re.ASCII)
TIMES = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d)?"
    r"|\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d(?:\.\d+)? [+-]\d{4}|(?<![\d.])\d{10,19}(?:\.\d+)?(?![\d.])"
)
FIGURES = (
    "0",
    "7",
    "12",
    "503",
    "1714557",
    "12413002",
    "9" * 12,
    "0.527",
    "12.000",
    "86400.000",
    "12.0",
    "1.5",
    "0.000001",
)
ANY_FIGURE = st.integers(0, 10**19).map(str) | st.decimals(0, 10**6, places=3).map(str)
IN_PIECES = '"nanos"'
"""Times that protobuf writes as seconds and nanoseconds, which `TIMES` does not find."""


class Case(NamedTuple):
    """A line of the corpus that is a request, how it is read, and the places of its numbers.

    *plain*: there are no settings. *timed*: the time that it is read with stands in it as `TIMES` finds times.
    """

    kind: str
    parse: Parser
    plain: bool
    timed: bool
    line: Envelope
    places: list[tuple[int, int]]


def requests() -> Iterator[Case]:
    """Every line of the corpus that is a request."""
    for kind, case in format_cases():
        line = line_of(kind, case)
        told = settings_of_case(kind, case)
        parse = parser(kind, told)
        found = parse(line)
        if line.text and isinstance(found, Parsed):
            places = [match.span() for match in NUMBER.finditer(line.text)]
            timed = IN_PIECES not in line.text and moved_by(found, line.text) is not None
            yield Case(kind, parse, told == FormatSettings(), timed, line, places)


def moved_by(found: Parsed, text: str) -> int | None:
    """How many milliseconds the time of a request is from the nearest that its line has; None if it has none."""
    if found.time is None or found.time in text:
        return None if found.time is None else 0
    begin = epoch_ms(found.time)
    times = [ms for match in TIMES.finditer(text) if (ms := epoch_ms(match[0])) is not None]
    return min(abs(ms - begin) for ms in times) if begin is not None and times else None


LINES = list(requests())


def with_figure(line: Envelope, place: tuple[int, int], figure: str) -> Envelope:
    """The line with another number in one place."""
    start, end = place
    return replace(line, text=line.text[:start] + figure + line.text[end:], document=None)


def check_time(case: Case, place: tuple[int, int], figure: str) -> None:
    """Whatever stands where a number was: what was taken from the time is what the event says that it took."""
    changed = with_figure(case.line, place, figure)
    found = case.parse(changed)
    if isinstance(found, Parsed) and case.timed and (moved := moved_by(found, changed.text)):
        took = found.event.get("total_time_ms")
        assert type(took) is int, changed.text
        assert moved <= took, changed.text


def check_unit(case: Case, place: tuple[int, int], figure: str) -> None:
    """Without a pattern or a unit, N is N milliseconds at most, or seconds with the three decimals of nginx."""
    line = case.line
    if not case.plain or line.text[place[1] : place[1] + 1].isalpha() or IN_PIECES in line.text:
        return
    before, after = case.parse(line), case.parse(with_figure(line, place, figure))
    if isinstance(before, Parsed) and isinstance(after, Parsed):
        took = after.event.get("total_time_ms")
        if type(took) is int and took != before.event.get("total_time_ms"):
            seconds = len(figure.partition(".")[2]) == 3
            assert took <= float(figure) * (1000 if seconds else 1) + 1, (line.text, figure)


@pytest.mark.parametrize("kind", sorted({case.kind for case in LINES}))
def test_a_latency_moves_a_time_by_what_the_line_proves_and_no_more(kind):
    """Every number of every line in turn, and the figures that have been mistaken for others."""
    for case in (each for each in LINES if each.kind == kind):
        for place in case.places:
            for figure in FIGURES:
                check_time(case, place, figure)
                check_unit(case, place, figure)


@given(st.sampled_from([(case, place) for case in LINES for place in case.places]), ANY_FIGURE)
def test_any_figure_in_any_place_keeps_this(where, figure):
    """As above, with numbers of any size."""
    check_time(*where, figure)
    check_unit(*where, figure)


def test_there_are_lines_whose_time_is_moved():
    """Formats of servers that log the end of a request: without them the tests above would look at nothing."""
    moved = {case.kind for case in LINES if moves(case.parse(case.line), case.line.text)}

    assert {"json", "nginx", "traefik"} <= moved


def moves(found: object, text: str) -> bool:
    """Whether the time of a request is none that its line has."""
    return isinstance(found, Parsed) and IN_PIECES not in text and bool(moved_by(found, text))
