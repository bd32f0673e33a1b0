"""Registrations as they lie in their topic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.drains.owner import Owner, OwnerKind
from logrouter.core.drains.registration import DrainForm, DrainState, Registration, decode, encode
from logrouter.core.formats.families.app_space import AppSpace

ONE = Registration(
    id="6b1f",
    token="d.77",  # noqa: S106 - of nobody
    owner=Owner(OwnerKind.APP, "shop-prod", AppSpace("shop", "prod")),
    url="https://user:secret@logs.example.org/in?key=hidden",
    created_ms=1_777_888_000_000,
    updated_ms=1_777_888_000_001,
    form=DrainForm.LOGPLEX,
    request={"status_code": {"ge": 500}},
    signing_keys=("whsec_c2VjcmV0",),
    state=DrainState.DISABLED,
    reason="410",
)


def test_a_registration_comes_back_as_it_was():
    """All of it, secrets too: Kafka is where it is kept."""
    assert decode(encode(ONE)) == ONE


def test_its_text_shows_no_secret():
    """Neither the URL nor a key."""
    assert repr(ONE) == f"Registration(id='6b1f', owner={ONE.owner!r})"


@pytest.mark.parametrize("value", [b"", b"null", b"{}", b'{"v":1}', encode(ONE).replace(b'"v":1', b'"v":2')])
def test_what_nobody_here_has_written_is_none(value):
    """A record of a later version, or of somebody else."""
    assert decode(value) is None


@given(st.binary())
def test_any_bytes_are_read_without_an_error(value):
    """They are no registration."""
    assert decode(value) is None
