"""Which URLs are wanted, and that a search in bytes never misses one of them."""

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logrouter.query.url_filter import FOLDED_TO_ASCII, url_predicate, url_search

URLS = st.text(st.sampled_from("/aAkKsS{}.-\u00df\u017f\u212a\ufb06é*?"), max_size=12)


@pytest.mark.parametrize(
    ("wanted", "url", "found"),
    [
        ("cces", "/api/CCES/items", True),
        ("*CCES*", "/api/cces/items", True),
        ("CCES*", "/api/cces/items", False),
        ("/api/????/*", "/api/cces/items", True),
        ("items/{id}", "/core/items/{id}", True),
        ("items", "/core/orders", False),
        (None, "/core/orders", True),
    ],
)
def test_a_fragment_lies_anywhere_and_a_wildcard_is_the_whole_url(wanted, url, found):
    """Whatever the case of either."""
    assert url_predicate(wanted)(url) is found


@given(wanted=URLS, url=URLS)
@example(wanted="CCES", url="/cce\u017f")
@example(wanted="stra\u00dfe*", url="STRASSE")
def test_bytes_that_hold_a_wanted_url_are_found(wanted, url):
    """Also where one letter of it is written as another one that counts as the same."""
    search = url_search(wanted)
    if search is not None and url_predicate(wanted)(url):
        assert search.may_be_in(b"\x82\xa3" + f"200{url}".encode() + b"\x07")


def test_bytes_without_it_are_passed_over():
    """The longest part without a wildcard is what is looked for; without any there is no search."""
    search = url_search("/a*CCES?")
    assert search is not None
    assert search.may_be_in(b"200/x/cceS/1")
    assert not search.may_be_in(b"200/a/orders")
    assert [url_search(wanted) for wanted in (None, "*", "\u00e9?")] == [None, None, None]


def test_all_letters_that_fold_to_ascii_are_known():
    """As Unicode has them here."""
    letters = map(chr, range(128, sys.maxunicode + 1))
    assert {letter for letter in letters if any(c.isascii() for c in letter.casefold())} == set(FOLDED_TO_ASCII)
