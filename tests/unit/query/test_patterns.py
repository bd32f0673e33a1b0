"""Wildcards and status patterns, against the plainest way to say what they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.query.parameters import MAX_PATTERN, MAX_REPEATS
from logrouter.query.patterns import (
    NameFilter,
    compile_wildcard,
    compile_wildcards,
    statuses_matching,
    union_of_statuses,
)

LONG = "~" * 300
"""So many letters that a set with this pattern is not left to RE2; no name here matches it."""


def plainly(pattern, name):
    """What a wildcard means, letter by letter."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return plainly(pattern[1:], name) or bool(name and plainly(pattern, name[1:]))
    return bool(name) and pattern[0] in ("?", name[0]) and plainly(pattern[1:], name[1:])


@given(st.text("ab*?", max_size=7), st.text("ab", max_size=8))
def test_wildcards_match_as_they_read(pattern, name):
    """Every pattern of few letters, with every name of few."""
    assert compile_wildcard(pattern)(name) == plainly(pattern, name)


@given(st.lists(st.text("ab*?é\0.", max_size=7), max_size=6), st.text("abé\0.", max_size=8))
def test_a_set_tells_which_of_its_patterns_match(patterns, name):
    """By their numbers, in order, and the same by both ways to look for them."""
    expected = [number for number, pattern in enumerate(patterns) if plainly(pattern, name)]
    assert compile_wildcards(patterns)(name) == expected
    assert compile_wildcards([*patterns, LONG])(name) == expected


class Letters(str):  # noqa: SLOT000 - it counts
    """A name that counts how many of its letters are looked at."""

    looks = 0

    def casefold(self):
        """The letters, one by one."""
        for letter in str.casefold(self):
            self.looks += 1
            yield letter


@pytest.mark.parametrize(
    "pattern",
    ["*a" + "?" * 120 + "b*", "*".join("ab" * 32), "*" + "a" * 126, "?" * 128],
    ids=["gap", "stars", "run", "any"],
)
def test_the_worst_patterns_look_once_at_each_letter_of_a_name(pattern):
    """As many as a question may have, hostile ones, against a name that nearly matches: one pass, not one for each."""
    name = Letters("ab" * 256)
    compile_wildcards([pattern[:MAX_PATTERN]] * 2 * MAX_REPEATS)(name)
    assert name.looks == 512


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("Core*", "CORE/v1", True),
        ("*[a-z]*", "x[A-Z]y", True),
        ("*[a-z]*", "xby", False),
        ("a.c", "abc", False),
        ("*\n*", "a\nb", True),
        ("*bc*cd", "xxxbcd", False),
        ("STRASSE", "straße", True),
        ("(?i)x", "x", False),
        ("*", "", True),
    ],
)
def test_wildcards_know_nothing_but_star_and_question_mark(pattern, name, matches):
    """Case does not matter; all else stands for itself."""
    assert compile_wildcard(pattern)(name) is matches


@given(st.text(max_size=128), st.text(max_size=512))
def test_any_pattern_is_answered(pattern, name):
    """No pattern raises, and a name matches itself with its special characters covered."""
    assert compile_wildcard(pattern)(name) in (True, False)
    assert compile_wildcard(name.replace("*", "?"))(name)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("404", {"404"}),
        ("50*", {f"50{n}" for n in range(10)}),
        ("4??", {f"{n}" for n in range(400, 500)}),
        ("5xX", {f"{n}" for n in range(500, 600)}),
        ("---", {"---"}),
        ("40", None),
        ("40x4", None),
        ("", None),
        ("4-4", None),
        ("٤٠٤", None),
    ],
)
def test_status_patterns(pattern, expected):
    """Digits, x or ? for one, * for the rest."""
    assert statuses_matching(pattern) == expected


def test_all_statuses_and_none():
    """`*` is every status and the missing one; no pattern is no restriction."""
    assert len(statuses_matching("*")) == 1001
    assert union_of_statuses([]) is None
    assert union_of_statuses([statuses_matching("404"), statuses_matching("403")]) == {"404", "403"}


def test_names_are_picked_by_prefix_include_and_exclude():
    """The prefix is exact in case; one include is enough; an exclude always wins."""
    wanted = NameFilter("co", ("*v1", "*V2"), ("*test*",)).predicate()
    names = ["core/v1", "core/v2", "Core/v1", "core/v3", "core-test/v1", "x/v1"]
    assert [name for name in names if wanted(name)] == ["core/v1", "core/v2"]
    assert NameFilter().predicate() is None
