"""Registrations of which no delivery can be made, in words that repeat no secret."""

from __future__ import annotations

import asyncio
import json

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from logrouter.core.drains.registration import DrainForm
from logrouter.drains.health import DrainHealth
from logrouter.drains.targets import DrainError, open_drain
from logrouter.sinks.contract import DELIVERED
from tests.conftest import HANG_SECONDS
from tests.integration.drains.targets import connections_to, line, registration
from tests.unit.sinks.loopback import serve


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


def test_a_request_is_signed_with_both_keys():
    """So a receiver goes from one to the other without losing a line."""
    keys = ("whsec_" + "a" * 32, "whsec_" + "b" * 32)

    async def main() -> None:
        async with serve() as heard:
            drain = registration(f"http://127.0.0.1:{heard.port}/", form=DrainForm.NDJSON, signing_keys=keys)
            connections = connections_to(heard.port)
            delivery = open_drain(drain, connections, DrainHealth("1"))
            assert await delivery.deliver([line(1, "é")]) == [DELIVERED]
            await delivery.close()
            await connections.close()
            signed = dict(text.split(": ", 1) for text in heard.heads[0].split("\r\n")[1:] if text)
            for key in keys:
                assert Webhook(key).verify(heard.bodies[0], signed) == json.loads(heard.bodies[0])
            with pytest.raises(WebhookVerificationError):
                Webhook("whsec_" + "c" * 32).verify(heard.bodies[0], signed)

    asyncio.run(asyncio.wait_for(main(), HANG_SECONDS))
