"""No client's address gets around the route's policy, wherever in a line it stands and whatever stands around it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter import config
from logrouter.core import ids
from logrouter.core.pipeline import process
from logrouter.model import Accepted, RawRecord

if TYPE_CHECKING:
    from logrouter.core.routing import Source

NOW = 1_777_888_800_000
ADDRESSES = st.sampled_from(["192.0.2.77", "2001:db8:1:2::77"])
SOURCES = (
    "[remote_user, ident, x-client, x-real-ip, user, caller, client, api_client, user-agent, request_capture_0, "
    "http.client_ip]"
)
"""Sources that a route may name, most of them written by clients or by whoever configures the server."""

COMBINED = '{address} - {user} [04/May/2026:09:59:58 +0000] "GET /a/b HTTP/1.1" 200 5 "-" "{agent}"'
LINES = {
    "nginx": COMBINED,
    "apache": f"{COMBINED} 12",
    "builds": COMBINED,
    "wso2_http": COMBINED,
    "aws_clf": '{address} {user} {user} [04/May/2026:09:59:58 +0000] "GET /a HTTP/1.1" 200 5 6f1c9a70 6f1c9a71',
    "haproxy": (
        "{address}:51234 [04/May/2026:09:59:58.250] web core/app1 0/0/1/11/12 200 517 - - ---- 1/1/0/0/0 0/0 "
        '{{{user}|{agent}}} "GET /a/b HTTP/1.1"'
    ),
    "kv": 'time=2026-05-04T09:59:58Z method=GET path=/a status=200 fwd="{address}" client={user} user_agent="{agent}"',
    "auto": COMBINED,
}
BESIDE = st.sampled_from(
    ["-", "ann", "{address}", "[{address}]", "{address}:443", "x {address}", "::ffff:192.0.2.77", "curl/8 ({address})"]
)
BEFORE = st.lists(
    st.sampled_from(
        [
            "web1",
            "{address}",
            "[{address}]",
            '"{address}, 10.0.0.1"',
            "10.0.0.1",
            "-",
            "tag:",
            "Nov  9 12:11:55 h nginx:",
        ]
    ),
    max_size=3,
).map(lambda words: "".join(f"{word} " for word in words))


@cache
def source_of(kind: str) -> Source:
    """A route of one format that publishes addresses cut to their network."""
    text = f"""
version: 1
kafka: {{bootstrap.servers: localhost:9092}}
sources:
  s: {{topics: [t], envelope: plain}}
routes:
  - name: r
    from: s
    match: {{looks_like: request}}
    format: {kind}
    enrich: {{client_id: {SOURCES}, api: {{from: [], paths: [{{glob: "/{{api}}/**"}}]}}}}
    client_ip: {{policy: truncate, trusted_hops: 1}}
    to: out
"""
    return config.parse(text.encode(), {}).table.source_of("t")


@pytest.mark.parametrize("kind", sorted(LINES))
@given(address=ADDRESSES, before=BEFORE, user=BESIDE, agent=BESIDE)
def test_no_event_is_called_by_a_whole_address(kind, address, before, user, agent):
    """Neither its client id, nor its key, nor its address: columns in front, odd users, any source of an id."""
    line = (before + LINES[kind].replace("{user}", user).replace("{agent}", agent)).replace("{address}", address)
    record = RawRecord("t", 0, 7, NOW, line.replace("{{", "{").replace("}}", "}").encode())
    for outcome in process(source_of(kind), record, NOW, ids.for_partition("c", "t", 0)):
        if isinstance(outcome, Accepted):
            shown = orjson.dumps(
                [
                    outcome.event.get("client_id"),
                    (outcome.key or b"").decode(),
                    outcome.event.get("http", {}).get("client_ip"),
                ]
            ).decode()
            assert address not in shown
            assert "192.0.2.77" not in shown
