"""Lines written by a pattern are read back as what was written, for every pattern that is accepted at all."""

from __future__ import annotations

import re
from re import _parser as sre_parser

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from logrouter.core.formats import apache, nginx
from logrouter.core.text.escapes import unescape, unescape_json
from logrouter.core.text.json_patterns import compile_members
from logrouter.core.text.line_patterns import (
    ADDRESSES,
    ANY,
    CLF_TIME,
    EPOCH_TIME,
    FIGURES,
    ISO_TIME,
    MAX_VARIABLES,
    NUMBER,
    TOKEN,
    PatternError,
    Variable,
    compile_scan,
    head_of,
    variables_of,
)

SERVERS = nginx.VARIABLES["upstream_addr"][1]
EMPTY = '""'
USER = apache.DIRECTIVES["u"][1]
TEXT = st.text(max_size=12) | st.sampled_from(
    ['a "b" 200 "', "x [01/May/2026:10:00:00 +0000] y", "\\", '\\"', "\t", "- - 1", "é\x7f\u2028", ", 0.001", "a b  c"]
)
VALUES = {
    ANY: TEXT,
    TOKEN: st.from_regex(r"[A-Za-z0-9._/]{1,12}(:[0-9a-z]{1,3}){0,2}|-", fullmatch=True),
    NUMBER: st.from_regex(r"[0-9]{1,12}(\.[0-9]{3})?|-", fullmatch=True),
    ADDRESSES: st.lists(st.ip_addresses().map(str), min_size=1, max_size=4).map(", ".join) | st.just("-"),
    SERVERS: st.from_regex(r"([0-9]{1,3}:80|-)((, | : )(\[::[0-9a-f]\]:80|-)){0,4}", fullmatch=True),
    FIGURES: st.from_regex(r"([0-9]{1,3}|-)((, | : )([0-9]{1,3}|-)){0,4}", fullmatch=True),
    USER: TEXT.map(lambda text: text or EMPTY),
    CLF_TIME: st.just("01/May/2026:10:00:00 +0000"),
    ISO_TIME: st.sampled_from(["2026-05-01T10:00:00+02:00", "2026-05-01T10:00:00Z"]),
    EPOCH_TIME: st.just("1777629600.123"),
}
LITERALS = st.sampled_from(
    [" ", '" "', '"', " - ", "] [", "|", ",", ":", ";", "\t", " rt=", "]", '" ', ' "', "x", ", "]
)


def as_nginx(value):
    """The value as nginx escapes it without further words."""
    return "".join(chr(b) if 0x20 <= b <= 0x7E and b not in b'"\\' else f"\\x{b:02X}" for b in value.encode())


def as_json(value):
    """The value as nginx escapes it in JSON."""
    return orjson.dumps(value).decode()[1:-1]


def as_apache(value):
    """The value as Apache escapes it."""
    short = {"\n": r"\n", "\t": r"\t", "\r": r"\r", '"': r"\"", "\\": r"\\", "\b": r"\b", "\v": r"\v"}
    return "".join(short.get(chr(b)) or (chr(b) if 0x20 <= b <= 0x7E else f"\\x{b:02x}") for b in value.encode())


WAYS = {
    "nginx": (as_nginx, unescape),
    "json": (as_json, unescape_json),
    "apache": (as_apache, apache.unescape),
}


@st.composite
def patterns(draw):
    """Literals and variables in turn."""
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=6))
    pieces = [draw(LITERALS | st.just(""))]
    for number, kind in enumerate(kinds):
        pieces += (Variable(f"${number}", number, "dropped", kind), draw(LITERALS))
    return pieces[: draw(st.sampled_from([len(pieces), len(pieces) - 1]))]


@given(patterns(), st.sampled_from(sorted(WAYS)), st.data())
def test_what_a_server_writes_is_read_back(pieces, way, data):
    """Render-then-read is the identity, whatever clients send, or the pattern is refused as ambiguous."""
    escape, undo = WAYS[way]
    try:
        scan = compile_scan(pieces)
    except PatternError:
        assume(False)
    values = [data.draw(VALUES[variable.kind]) for variable in variables_of(pieces)]
    rendered = (value if value == EMPTY else escape(value) for value in values)
    line = "".join(next(rendered) if isinstance(piece, Variable) else piece for piece in pieces)
    match = scan.fullmatch(line)
    assert match is not None
    assert [undo(group) for group in match.groups()] == values
    assert head_of(pieces).match(line)


def open_repeats(tree, inside=()):
    """The repeats without a bound in a parsed expression, each with the atomic groups and repeats that it is in."""
    for operator, argument in tree:
        if str(operator).endswith("REPEAT"):
            if argument[1] is sre_parser.MAXREPEAT:
                yield (str(operator), inside)
            yield from open_repeats(argument[2], (*inside, str(operator)))
        elif str(operator) == "ATOMIC_GROUP":
            yield from open_repeats(argument, (*inside, "ATOMIC_GROUP"))
        elif str(operator) == "SUBPATTERN":
            yield from open_repeats(argument[3], inside)
        elif str(operator) == "BRANCH":
            for branch in argument[1]:
                yield from open_repeats(branch, inside)


@given(patterns())
def test_no_pattern_can_go_back(pieces):
    """A repeat is possessive or bounded, or the one lazy search that an atomic group closes with what ends it."""
    try:
        expression = compile_scan(pieces).pattern
    except PatternError:
        return
    for operator, inside in open_repeats(sre_parser.parse(expression, re.DOTALL)):
        assert operator == "POSSESSIVE_REPEAT" or (operator, inside[-1]) == ("MIN_REPEAT", "ATOMIC_GROUP")


@given(patterns(), st.text(max_size=60) | TEXT)
def test_no_text_makes_a_scan_raise(pieces, text):
    """A text is a line of the pattern or not."""
    try:
        scan = compile_scan(pieces)
    except PatternError:
        return
    match = scan.fullmatch(text)
    assert match is None or len(match.groups()) == len(variables_of(pieces))


@pytest.mark.parametrize(
    ("pieces", "at", "words"),
    [
        ([], None, "no variable"),
        (["GET"], None, "no variable"),
        ([Variable("$a", 1, ""), Variable("$b", 3, "")], 3, "nothing stands between $a and $b"),
        ([Variable("$a", 1, ""), " ", Variable("$b", 4, ""), " "], 4, "quotes"),
        ([Variable("$t", 1, "", FIGURES), ", ", Variable("$s", 5, "", NUMBER)], 1, "may hold ','"),
        ([Variable("$s", 1, "", NUMBER), "-", Variable("$b", 4, "", NUMBER)], 1, "may hold '-'"),
        ([Variable("$a", 1, "")] * (MAX_VARIABLES + 1), None, "at most"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_and_says_where(pieces, at, words):
    """The message names the variables and the place."""
    with pytest.raises(PatternError) as raised:
        compile_scan(pieces)
    assert words in str(raised.value)
    assert at is None or f"at character {at}:" in str(raised.value)


def test_nothing_tells_two_texts_apart_where_nothing_is_escaped():
    """Quotes are no end if a client may send one."""
    pieces = ['"', Variable("$a", 2, ""), '" "', Variable("$b", 7, ""), '"']
    compile_scan(pieces)
    with pytest.raises(PatternError, match="let the server escape"):
        compile_scan(pieces, escaped=False)


def test_one_text_is_enough_where_nothing_is_escaped():
    """It ends where the rest of the line fits."""
    scan = compile_scan(['"', Variable("$a", 2, ""), '" ', Variable("$s", 7, "", NUMBER)], escaped=False)
    assert scan.fullmatch('"a" 200 "b" 404').groups() == ('a" 200 "b', "404")


@pytest.mark.parametrize(
    ("text", "document", "values"),
    [
        ('{"s":\0}', {"s": 200}, ["200"]),
        ('{"a":{"b":"\0"},"c":"x"}', {"a": {"b": "v"}, "c": "y"}, ["v"]),
        ('{"t":\0,"b":true}', {"t": 0.0125}, ["0.013"]),
        ('{"a":"\0 \0"}', {"a": "1 2 3"}, ["1 2", "3"]),
        ('{"a":"\0"}', {"a": None}, [None]),
        ('{"a":{"b":"\0"}}', {"a": "x"}, [None]),
        ('{"q":"\\"","a":"\0"}', {"a": "v"}, ["v"]),
    ],
)
def test_members_are_read_by_their_names(text, document, values):
    """An object that a transport has taken apart gives the values of the pattern's variables."""
    first, *rest = text.split("\0")
    kinds = [ANY, *([NUMBER] * len(rest))]
    pieces = [first]
    for number, literal in enumerate(rest):
        pieces += (Variable(f"${number}", number, "", kinds[number]), literal)
    assert compile_members(pieces)(document) == values


@pytest.mark.parametrize("text", ["\0 x", "[\0]", '{"\0":1}', '{"a":\0', '{"a":"\0"} x'])
def test_a_pattern_that_writes_no_object_has_no_members(text):
    """Then the line is text."""
    first, rest = text.split("\0")
    assert compile_members([first, Variable("$a", 1, ""), rest]) is None
