"""Tokens: how they are written, and whom they let in."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.access.scopes import Via, make_caller
from logrouter.access.tokens import Refusal, Token, Tokens, digest_of, hash_token, is_token, make_token

ONE, TWO = make_token(bytes(32)), make_token(b"\xff" * 32)
WHO = make_caller("one", Via.TOKEN, ["usage:read"])
NOW = 1_790_000_000_000


def kept(token=ONE, **times):
    """What a worker keeps of a token."""
    return Token(WHO, digest_of(hash_token(token)), **times)


def test_a_token_is_recognisable_and_what_is_kept_is_its_sha256():
    """Scanners find it by prefix and length; nobody finds it by what is kept."""
    assert "lrt_" + "0" * 43 + ONE[-6:] == ONE
    assert len(ONE) == len(TWO) == 53
    assert hash_token(ONE) == "sha256:" + hashlib.sha256(ONE.encode()).hexdigest()


@given(st.binary(min_size=32, max_size=32), st.integers(0, 52), st.sampled_from("0aZ_-é"))
def test_one_wrong_character_makes_it_no_token(random, place, char):
    """Mistyped or cut, it is refused before anything is compared."""
    token = make_token(random)
    changed = token[:place] + char + token[place + 1 :]
    assert is_token(token)
    assert is_token(changed) == (changed == token)
    assert not is_token(token[:place])


@given(st.text())
def test_whatever_is_sent_lets_nobody_in(text):
    """Headers hold anything."""
    assert Tokens([kept()]).find(text, NOW) is Refusal.INVALID


def test_a_token_lets_in_its_own_caller_only():
    """Among many, wherever it stands."""
    callers = [make_caller(f"c{n}", Via.TOKEN, ["usage:read"]) for n in range(50)]
    sent = [make_token(bytes([n]) * 32) for n in range(50)]
    tokens = Tokens([Token(who, digest_of(hash_token(text))) for who, text in zip(callers, sent, strict=True)])
    assert [tokens.find(text, NOW) for text in sent] == callers
    assert tokens.find(TWO, NOW) is Refusal.INVALID


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ({}, WHO),
        ({"expires_ms": NOW}, Refusal.EXPIRED),
        ({"expires_ms": NOW + 1}, WHO),
        ({"not_before_ms": NOW + 1}, Refusal.EARLY),
        ({"not_before_ms": NOW, "expires_ms": NOW + 1}, WHO),
    ],
)
def test_a_token_is_good_from_then_until_then(times, found):
    """Times are looked at with every request."""
    assert Tokens([kept(**times)]).find(ONE, NOW) == found
