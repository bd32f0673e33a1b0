"""A drain as it is shown: never what may be a secret."""

from __future__ import annotations

import pytest

from logrouter.core.drains.owner import Owner, OwnerKind
from logrouter.core.drains.registration import Registration
from logrouter.core.drains.shown_drain import show_drain, show_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("syslog+tls://logs.example.org:6514", "syslog+tls://logs.example.org:6514"),
        ("https://u:p@logs.example.org/in?key=k#f", "https://logs.example.org/in"),
        ("https://logs.example.org?key=k/x@y", "https://logs.example.org"),
        ("https://u@[2001:db8::1]:8080/a@b", "https://[2001:db8::1]:8080/a@b"),
    ],
)
def test_a_url_without_user_and_query(url, shown):
    """Where it leads can still be seen."""
    assert show_url(url) == shown


def test_secrets_are_counted_and_not_shown():
    """A certificate is none, but long."""
    drain = Registration(
        id="i",
        token="d.t",  # noqa: S106 - as Heroku has it
        owner=Owner(OwnerKind.API, "a"),
        url="https://planted@h",
        created_ms=0,
        updated_ms=1,
        ca="planted",
        signing_keys=("planted", "planted"),
    )
    shown = show_drain(drain)

    assert "planted" not in str(shown)
    assert (shown["signing_keys"], shown["private_ca"], shown["token"]) == (2, True, "d.t")
    assert (shown["created_at"], shown["updated_at"]) == ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.001Z")
