"""Registrations of which no delivery can be made, in words that repeat no secret."""

from __future__ import annotations

import pytest

from logrouter.core.drains.registration import DrainForm
from logrouter.drains.health import DrainHealth
from logrouter.drains.targets import DrainError, open_drain
from tests.integration.drains.targets import connections_to, registration


@pytest.mark.parametrize(
    ("url", "options", "why"),
    [
        ("ftp://me:secret@h/", {}, "url: must begin with one of "),
        ("syslog://h", {"form": DrainForm.NDJSON}, "form: ndjson does not go with syslog+tcp://"),
        ("syslog+udp://h", {"form": DrainForm.LOGPLEX}, "form: logplex does not go with syslog+udp://"),
        ("syslog://h", {"framing": "secret"}, "framing: must be one of octet-counting, newline"),
        ("https://h/", {"ca": "secret"}, "ca: is no certificate in PEM"),
        ("https://h/", {"ca": "é secret"}, "ca: is no certificate in PEM"),
        ("syslog+tls://h/", {"ca": "-----BEGIN CERTIFICATE-----\nsecret"}, "ca: is no certificate in PEM"),
        ("https://h/", {"signing_keys": ("secret",)}, "signing_keys: "),
        ("https://h/", {"signing_keys": ("whsec_secret",)}, "signing_keys: "),
    ],
)
def test_what_cannot_be_opened_is_said_in_one_line(url, options, why):
    """Such as what a later version has written."""
    with pytest.raises(DrainError) as caught:
        open_drain(registration(url, **options), connections_to(514), DrainHealth("1"))
    assert str(caught.value).startswith(why)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
