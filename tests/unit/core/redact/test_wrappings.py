"""No secret survives a random wrapping; the forms and the layers are those of the fuzz target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz import redaction


@given(st.binary(max_size=24))
def test_no_secret_survives_a_random_wrapping(data):
    """Nested in JSON, in strings of JSON, in lists and pairs, percent-encoded, in quotes, behind text, and cut."""
    redaction.check_wrapped(data)


@given(st.binary(max_size=400))
def test_any_bytes_can_be_shown(data):
    """They come back as bytes, not much longer than they were."""
    redaction.check_bytes(data)


def test_the_check_finds_what_is_not_hidden(monkeypatch):
    """With a mask that hides nothing, the first wrapping is a fault."""
    monkeypatch.setattr(redaction.Disclosure, "text", lambda _self, text: text)
    with pytest.raises(AssertionError, match="out of"):
        redaction.check_wrapped(b"")
