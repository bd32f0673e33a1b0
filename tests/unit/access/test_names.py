"""Sets of names with patterns: the same as by a regular expression, and found by prefixes that leave nothing out."""

import re
from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st

from logrouter.access.names import NOBODY, NameSet, Wildcard, make_name_set

WORDS = st.text("ab-", max_size=6)
WILDCARDS = st.lists(WORDS, min_size=2, max_size=4).map(lambda parts: Wildcard(tuple(parts)))


@given(WILDCARDS, st.text("ab-", max_size=12))
def test_a_wildcard_matches_what_a_regular_expression_would(pattern, name):
    """Any characters between the parts, and none before or behind them."""
    expression = ".*".join(map(re.escape, pattern.parts))
    assert pattern.matches(name) == (re.fullmatch(expression, name) is not None)


@given(st.lists(WORDS | WILDCARDS, max_size=5), st.text("ab-", max_size=8), WORDS)
def test_every_name_is_found_once(given_names, name, within):
    """A name in the set is a listed one, or begins with just one prefix; a filter by prefix changes no more."""
    made = make_name_set(given_names)
    assert made == make_name_set(reversed(given_names))
    fits = name != NOBODY and any(isinstance(one, Wildcard) and one.matches(name) for one in given_names)
    assert (name in made) == (fits or name in given_names)
    assert (name in made.names) <= (not made.fits(name))
    begins = [prefix for prefix in made.prefixes(within) if name.startswith(prefix)]
    if made.fits(name) and name.startswith(within):
        assert len(begins) == 1
    assert all(prefix.startswith(within) for prefix in made.prefixes(within))


def test_an_empty_set_has_nothing():
    """Nor a prefix, which would lead to all names."""
    assert (bool(NameSet()), NameSet().prefixes(), "" in NameSet()) == (False, [], False)
    assert NameSet(frozenset({"a"})).prefixes() == []


def test_patterns_that_nearly_match_take_no_time():
    """The longest name there is, and a pattern that could be tried at each place of it."""
    pattern, name = Wildcard(("", *["a" * 20 + "b"] * 20, "")), "a" * 512
    start = perf_counter()
    for _ in range(100):
        assert not pattern.matches(name)
    assert perf_counter() - start < 1
