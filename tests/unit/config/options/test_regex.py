"""Regular expressions: linear time on any text, and the bytes that a match needs."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logrouter.config.options.regex import RegexError, compile_regex
from logrouter.config.options.topics import split_topics
from tests.conftest import HANG_SECONDS, examples

MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+$", "a" * MEGABYTE + "!"),
        ("(x+x+)+y", "x" * MEGABYTE),
        ("(a|aa)+$", "a" * MEGABYTE + "!"),
        ("(.*)*=.*", "a" * MEGABYTE),
        ("([a-zA-Z0-9]+)*[!?]$", "a1" * (MEGABYTE // 2)),
        (r"^(\w+\s?)*$", "ab " * (MEGABYTE // 3) + "\x00"),
        ("(.*,){20}x", "1," * (MEGABYTE // 2)),
        ("(a|b)*a(a|b){12}c", "ab" * (MEGABYTE // 2)),
        ("é+[^é]+ü", "é" * (MEGABYTE // 2)),
    ],
)
def test_expressions_that_hang_other_engines_finish(pattern: str, text: str) -> None:
    """A megabyte takes a moment, whatever the expression."""
    accepts = compile_regex(pattern).accepts
    began = time.perf_counter()

    assert not accepts(text)
    assert time.perf_counter() - began < HANG_SECONDS


def test_expressions_on_topics_finish_too() -> None:
    """What selects topics is asked of every topic of the cluster, and takes linear time as well."""
    _, (expression,) = split_topics(["^(([a-z]+)+|x)+[0-9]"])
    began = time.perf_counter()

    assert not expression.fullmatch("a" * 249)
    assert expression.fullmatch("a" * 248 + "1")
    assert time.perf_counter() - began < HANG_SECONDS


@pytest.mark.parametrize(
    ("pattern", "needs"),
    [
        ("api-gateway", [b"api-gateway"]),
        ("^api-gateway$", [b"api-gateway"]),
        ("^api-gateway-[0-9]+$", [b"api-gateway-"]),
        ("gateway|frontend", [b"frontend", b"gateway"]),
        ("gateway|gw", None),
        ("(gateway)", None),
        ("front(end|door)-prod", [b"front"]),
        ("abcd?efgh", [b"efgh"]),
        ("abcde*fg", [b"abcd"]),
        ("abcde+fghi", [b"abcde"]),
        ("abcd{0,2}efgh", [b"efgh"]),
        ("abcdefg{2}", [b"abcdef"]),
        (r"a\.b\.c\.d", [b"a.b.c.d"]),
        (r"core\/v1\/page", [b"core"]),
        (r"\bgateway\b", [b"gateway"]),
        (r"gat\d\dway1", [b"way1"]),
        ("[[:alpha:]]gateway[]x]more", [b"gateway"]),
        ("a{,3}bcdef", [b"bcdef"]),
        ("(?i)gateway", None),
        ("gate(?i:way)", None),
        (r"\x67ateway", None),
        (r"\Qgate.way\E", None),
        (".*", None),
    ],
)
def test_needs_are_the_longest_plain_stretch_of_each_alternative(pattern: str, needs: list[bytes] | None) -> None:
    """What is optional, of a class or in a group is no part of it; syntax that is not looked into gives none."""
    found = compile_regex(pattern).needs

    assert (sorted(found) if found is not None else None) == needs


def test_needs_of_a_folded_expression_are_unknown() -> None:
    """Without regard to case there is no one text to look for."""
    assert compile_regex("gateway", fold_case=True).needs is None
    assert compile_regex("gateway", fold_case=True).accepts("GateWay")


@pytest.mark.parametrize(
    ("pattern", "impossible"),
    [
        ("a^b", True),
        ("a$b", True),
        (r"x\Ay", True),
        (r"x\zy", True),
        ("[ab]+^c", True),
        (r"\d$\d|x^", True),
        ("a*^b", False),
        ("^^a$$", False),
        ("a^b|c", False),
        ("(a)^", False),
        ("a$(b)?", False),
        ("(?m)a$\n^b", False),
        (r"a\^b\$c", False),
        ("[a^]b[$]c", False),
    ],
)
def test_impossible_expressions_are_told(pattern: str, impossible: bool) -> None:
    """Only where a character surely stands before the beginning or after the end."""
    assert compile_regex(pattern).impossible is impossible


def test_text_that_is_not_unicode_is_searched() -> None:
    """A lone surrogate can't raise."""
    assert compile_regex("b").accepts("a\ud800b")


_PIECES = (
    r"""gate way abcd a é . ^ $ | ( ) (?: [ab] [^a] * + ? {2} {0,3} \. \d \w \b \x61 \pL (?i) \Q \E { } ] , - \/"""
)
PIECES = _PIECES.split()
_TEXTS = "gate way abcd a b é 1 { } , - /"
TEXTS = _TEXTS.split()


@given(
    pattern=st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    text=st.lists(st.sampled_from(TEXTS), max_size=8),
)
@settings(max_examples=examples(1500), deadline=None)
def test_what_is_accepted_holds_what_is_needed(pattern: str, text: list[str]) -> None:
    """A text that matches has one of the needed byte strings in it, and nothing matches an impossible expression."""
    try:
        made = compile_regex(pattern)
    except RegexError:
        return
    whole = "".join(text)
    if made.accepts(whole):
        assert made.needs is None or any(token in whole.encode() for token in made.needs)
        assert not made.impossible


@given(st.text("ab^$()|*+?{}[]\\1,xQE.é", max_size=12))
@settings(max_examples=examples(500), deadline=None)
def test_any_text_is_an_expression_or_a_regex_error(pattern: str) -> None:
    """Nothing else is raised, and RE2 agrees with Python where both know the expression and the text is plain."""
    try:
        made = compile_regex(pattern)
    except RegexError:
        return
    if re.fullmatch(r"[ab.é|()^]*", pattern):
        assert made.accepts("abé") is (re.search(pattern, "abé") is not None)
