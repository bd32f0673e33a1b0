"""Format auto: the first format that reads a line, found without asking those that can't."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from msgspec import structs

from logrouter.core.formats import FORMATS, parser
from logrouter.core.formats.auto import DETECTED, GUESSED, NAME, ORDER, compile_auto, default_order
from logrouter.core.formats.format import FormatSettings, FormatSettingsError
from logrouter.model import Ignored, Parsed, Reason, Rejected

from .test_corpus import CORPUS, format_cases, line_of

TRIED = default_order(FORMATS)
PARSERS = {name: parser(name) for name in (*TRIED, NAME)}
LINES = format_cases()


def reads(found):
    """Whether a parser made something of a line."""
    return isinstance(found, Parsed) or (isinstance(found, Ignored) and found.reason is not Reason.NOT_REQUEST)


def in_turn(kind, case):
    """What comes of trying every format in turn, and the signatures of which fit."""
    fitting = [name for name in TRIED if FORMATS[name].signature(line_of(kind, case))]
    results = [(name, PARSERS[name](line_of(kind, case))) for name in TRIED]
    winner = next(((name, found) for name, found in results if reads(found)), None)
    refused = next((found for name, found in results if name in fitting and isinstance(found, Rejected)), None)
    return fitting, winner, refused


@pytest.mark.parametrize(("kind", "case"), LINES)
def test_it_gives_what_trying_each_in_turn_gives(kind, case):
    """The same event, with the format's name and how sure that is; no event where no format has one."""
    fitting, winner, refused = in_turn(kind, case)
    found = PARSERS[NAME](line_of(kind, case))
    if winner is None:
        assert found == (refused or Ignored(Reason.NOT_REQUEST))
        return
    name, expected = winner
    if isinstance(expected, Parsed):
        confidence = DETECTED if len(fitting) == 1 else GUESSED
        expected = structs.replace(expected, format=name, flags=(*expected.flags, f"format_{name}", confidence))
    assert found == expected


@pytest.mark.parametrize(("kind", "case"), LINES)
def test_no_signature_misses_a_line_that_its_parser_reads(kind, case):
    """Whichever format the line was written for."""
    missed = [
        name
        for name in TRIED
        if reads(PARSERS[name](line_of(kind, case))) and not FORMATS[name].signature(line_of(kind, case))
    ]
    assert missed == []


def test_it_calls_no_more_parsers_than_trying_each_in_turn():
    """In all and for every line, and far fewer over a mixture."""
    calls = Counter()

    def counted(name):
        parse = FORMATS[name].compile(FormatSettings())

        def count(envelope):
            calls[name] += 1
            return parse(envelope)

        return replace(FORMATS[name], compile=lambda _settings: count)

    auto = compile_auto(TRIED, {name: counted(name) for name in TRIED})
    in_all = 0
    for kind, case in LINES:
        before = calls.total()
        auto(line_of(kind, case))
        results = [reads(PARSERS[name](line_of(kind, case))) for name in TRIED]
        needed = results.index(True) + 1 if True in results else len(TRIED)
        assert calls.total() - before <= needed, (kind, case)
        in_all += needed
    assert calls.total() < in_all / 2


def test_the_order_names_formats_that_there_are_and_the_rest_comes_last():
    """A new format is found without being named here."""
    assert set(ORDER) <= set(FORMATS)
    assert default_order({"new": FORMATS["nginx"], **FORMATS}) == (*TRIED, "new")
    assert {*TRIED, NAME} == {name for name, each in FORMATS.items() if each.signature or name == NAME}


@pytest.mark.parametrize("names", [("nginx", NAME), (NAME,)])
def test_a_format_without_a_signature_cannot_be_tried(names):
    """Nor can auto itself."""
    with pytest.raises(FormatSettingsError) as raised:
        parser(NAME, FormatSettings(formats=names))
    assert raised.value.option == f"formats[{len(names) - 1}]"


def test_flags_fit_into_an_event():
    """The schema bounds them."""
    assert max(len(f"format_{name}") for name in FORMATS) <= 32


def test_the_page_tells_the_order():
    """docs/formats/auto.md lists it as it is."""
    page = (CORPUS.parents[1] / "docs" / "formats" / "auto.md").read_text()
    section = page.partition("## The order")[2].partition(": the more")[0]
    assert tuple(section.replace("`", "").replace(",", "").split()) == ORDER
