"""Addresses in headers that a route publishes: they go through its policy as the client's own does."""

from __future__ import annotations

import orjson
import pytest

from logrouter import config
from logrouter.core import ids
from logrouter.core.pipeline import process
from logrouter.core.redact import ip_policy
from logrouter.model import Accepted, RawRecord

KEY = "k" * 40
NOW = 1_777_630_000_000
HEADERS = ("x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip", "x-version", "user-agent", "x-note")


def headers_of(sent: dict, policy: str = "truncate") -> dict:
    """The headers of the event of a request that had these, of each of two requests."""
    file = f"""version: 1
sources: {{s: {{topics: t, envelope: plain}}}}
privacy: {{hash_key: '${{KEY}}'}}
routes:
  - {{name: r, from: s, to: out, format: envoy, client_ip: {policy}, request_headers: {orjson.dumps(sorted({*HEADERS, *sent})).decode()}}}
"""  # noqa: E501 - a list in flow style
    table = config.parse(file.encode(), {"KEY": KEY}).table
    record = orjson.dumps(
        {"http": {"method": "GET", "status_code": 200, "request_headers": sent}, "meta": {"uri": "/"}}
    )
    event_id = ids.for_partition("c", "t", 0)
    events = [
        found.event
        for _ in range(2)
        for found in process(table.source_of("t"), RawRecord("t", 0, 0, NOW, record), NOW, event_id)
        if isinstance(found, Accepted)
    ]
    assert events[0]["http"].get("request_headers") == events[1]["http"].get("request_headers")
    return events[0]["http"].get("request_headers")


NAMES = """
    x-forwarded-for x-original-forwarded-for x-vercel-forwarded-for x-real-ip true-client-ip cf-connecting-ip
    cf-connecting-ipv6 x-client-ip x-cluster-client-ip fastly-client-ip x-envoy-external-address x-azure-clientip
    x-azure-socketip x-appengine-user-ip remote-addr x-remote-ip forwarded via x-forwarded x-nf-client-connection-ip
    client-ip wl-proxy-client-ip x-envoy-downstream-remote-address x-forwarded-client-address
""".split()  # noqa: SIM905 - a list of so many reads worse


@pytest.mark.parametrize("name", NAMES)
def test_an_address_in_a_header_made_for_one_is_truncated(name):
    """Whatever proxy's header it is, and whatever is around it."""
    assert headers_of({name: "192.0.2.77, 2001:db8:1:2::77"}) == {name: "192.0.2.0, 2001:db8:1::"}


@pytest.mark.parametrize(
    ("sent", "published"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("192.0.2.77:4711, unknown", "192.0.2.0:4711, unknown"),
        (
            'for="[2001:db8:1:2::77]:4711";proto=https, for=192.0.2.77',
            'for="[2001:db8:1::]:4711";proto=https, for=192.0.2.0',
        ),
        ("unknown", "unknown"),
        ("", None),
    ],
)
def test_every_form_of_a_chain(sent, published):
    """With ports, brackets and parameters; what is no address stays."""
    found = headers_of({"forwarded": sent, "user-agent": "curl/8"})
    assert found == (
        {"user-agent": "curl/8"} if published is None else {"user-agent": "curl/8", "forwarded": published}
    )


@pytest.mark.parametrize(
    ("policy", "published"),
    [
        ("keep", "192.0.2.77"),
        ("truncate", "192.0.2.0"),
        ("hash", ip_policy("hash", KEY.encode())("192.0.2.77")),
    ],
)
def test_the_policy_is_that_of_the_route(policy, published):
    """All of them."""
    sent = {"x-real-ip": "192.0.2.77", "user-agent": "curl/8"}
    assert headers_of(sent, policy) == {"user-agent": "curl/8", "x-real-ip": published}


def test_other_headers_are_as_they_were():
    """A version of four numbers is none, and a value is looked at anew under another name."""
    sent = {"x-version": "4.12.0.7", "user-agent": "Chrome/120.0.0.0", "x-note": "192.0.2.77"}
    assert headers_of(sent) == sent
    assert headers_of({"x-real-ip": "192.0.2.77", "x-client-ip": "4.12.0.7"}) == {
        "x-real-ip": "192.0.2.0",
        "x-client-ip": "4.12.0.0",
    }
