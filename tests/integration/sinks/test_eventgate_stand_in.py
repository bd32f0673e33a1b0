"""The sink `eventgate` against what stands in for one, as its options make it: over HTTP, and over TLS behind nginx."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from logrouter import config
from logrouter.deliver.process import open_delivery
from logrouter.devkafka.ports import claim_port
from logrouter.model import RawRecord
from logrouter.process.watchdog import Watchdog
from logrouter.sinks.contract import DELIVERED, Refused, Skipped, SkipReason
from tests.certificates import Authority
from tests.conftest import HANG_SECONDS, wait_until
from tests.integration.sinks.eventgate_stand_in import EventgateStandIn, StandInAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logrouter.sinks.contract import Settled

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

EXAMPLE = """
version: 1
sources: {lines: {topics: [source], envelope: plain}}
routes: [{name: gateway, from: lines, format: kv, to: gateway.requests}]
"""


def canonical(identity: str, **fields: Any) -> dict[str, Any]:
    """A canonical event without id of the request and without a user agent."""
    meta = {"stream": "gateway.requests", "dt": "2026-05-04T10:00:00.000Z", "id": identity, "uri": "/a|b"}
    http = {"method": "GET", "path": "/a|b", "status_code": 200}
    return {"$schema": "/logrouter/api_request/1.1.0", "meta": meta, "http": http, "weight": 1.0, **fields}


def ready(identity: str, status: object = 200, stream: str = "api-gateway.request") -> dict[str, Any]:
    """An event of the schema, as a route for the stream writes it."""
    meta = {"stream": stream, "dt": "2026-05-04T10:00:00Z", "id": identity, "request_id": "r", "uri": "/"}
    http = {"status_code": status, "request_headers": {"user-agent": "reader/1.0"}}
    return {"$schema": "/api-gateway/request/1.0.0", "meta": meta, "http": http}


def deliver(url: str, *events: dict[str, Any], folder: Path = Path(), **options: Any) -> list[Settled | None]:
    """What becomes of events that a sink with these options delivers. A second until it gives up is a tenth here."""
    sink = {"type": "eventgate", "from": "gateway.requests", "url": url, "retry": {"first_pause_ms": 1}, **options}
    text = EXAMPLE + "sinks: " + orjson.dumps({"events": sink}).decode()
    settings = config.parse(text.encode(), {}, folder=folder)
    batch = [RawRecord("gateway.requests", 0, n, 0, orjson.dumps(each)) for n, each in enumerate(events)]

    async def run() -> list[Settled | None]:
        delivery = open_delivery(settings.sinks["events"], clock=lambda: 10 * time.monotonic())
        try:
            async with asyncio.timeout(HANG_SECONDS):
                return await delivery.deliver(batch)
        finally:
            await delivery.close()

    return asyncio.run(run())


def test_headers_of_our_requests_do_not_get_into_events():
    """Neither a user agent nor the id that eventgate gives a request: both are missing in these events."""
    stand_in = EventgateStandIn()
    with stand_in.listening() as url:
        assert deliver(url, canonical("a"), canonical("b"), ready("c")) == [DELIVERED] * 3

    (request,) = stand_in.requests
    assert request.path == "/v1/events"
    assert {"user-agent", "x-request-id"}.isdisjoint(request.headers)
    first, second, third = stand_in.taken
    assert (first["meta"]["request_id"], second["meta"]["request_id"], third["meta"]["request_id"]) == ("a", "b", "r")
    assert "request_headers" not in first["http"]
    assert third["http"]["request_headers"] == {"user-agent": "reader/1.0"}
    assert first["meta"]["uri"] == "/a%7Cb"
    assert [event["meta"]["stream"] for event in stand_in.taken] == ["api-gateway.request"] * 3


def test_one_batch_ends_as_delivered_refused_and_skipped():
    """An invalid event, one of a blocked client, one that can be produced the second time, and one that is fine."""
    failing = {"b"}
    stand_in = EventgateStandIn(fails=lambda event: event["meta"]["id"] in failing and not failing.clear())
    with stand_in.listening() as url:
        settled = deliver(
            url,
            canonical("a"),
            canonical("b"),
            ready("c", status="200"),
            canonical("d", client_id="bot:7"),
            blocked_clients=["bot:*"],
        )

    assert settled[:2] == [DELIVERED, DELIVERED]
    assert isinstance(settled[2], Refused)
    assert settled[2].status == 207
    assert 'is not of type "integer"' in settled[2].detail
    assert settled[3] == Skipped(SkipReason.BLOCKED)
    assert [event["meta"]["id"] for event in stand_in.taken] == ["a", "b"]
    assert [len(orjson.loads(gzip.decompress(request.body))) for request in stand_in.requests] == [3, 1]


def test_what_a_client_has_above_its_rate_is_not_sent():
    """Of three events of one client at once; those of others go."""
    stand_in = EventgateStandIn()
    clients = ["a", "a", "b", "a", None]
    events = [canonical(str(number), **({"client_id": each} if each else {})) for number, each in enumerate(clients)]
    with stand_in.listening() as url:
        settled = deliver(url, *events, per_client={"events_per_second": 0.01, "burst": 2})

    assert settled == [DELIVERED, DELIVERED, DELIVERED, Skipped(SkipReason.THROTTLED), DELIVERED]
    assert [event["meta"]["id"] for event in stand_in.taken] == ["0", "1", "2", "4"]


def test_a_batch_of_invalid_events_alone_is_400_and_each_is_refused():
    """None is sent again."""
    stand_in = EventgateStandIn()
    with stand_in.listening() as url:
        settled = deliver(url, ready("a", status="200"), ready("b", status=None))

    assert [type(each) for each in settled] == [Refused, Refused]
    assert [each.status for each in settled if isinstance(each, Refused)] == [400, 400]
    assert len(stand_in.requests) == 1


def test_an_event_that_eventgate_can_not_place_is_tried_until_time_is_up():
    """A stream that it does not know is an error to it, which somebody may mend; after the time it is a dead letter."""
    stand_in = EventgateStandIn()
    with stand_in.listening() as url:
        settled = deliver(
            url,
            ready("a"),
            ready("b", stream="new"),
            retry={"first_pause_ms": 300, "give_up_after_seconds": 1},
            timeout_seconds=0.9,
        )

    assert settled[0] == DELIVERED
    assert isinstance(settled[1], Refused)
    assert settled[1].detail == "given up: event is not allowed in stream; new is not a configured stream"
    assert [event["meta"]["id"] for event in stand_in.taken] == ["a"]


def test_a_body_that_is_too_large_for_the_service_goes_out_in_halves():
    """Its limit is set lower than ours, as in front of it, too: nothing is lost, and nothing is sent twice."""
    stand_in = EventgateStandIn()
    stand_in.before = lambda request: StandInAnswer(413) if len(request.body) > 1000 else None
    events = [ready(str(number)) for number in range(20)]
    with stand_in.listening() as url:
        assert deliver(url, *events, compression="none") == [DELIVERED] * 20

    assert sorted(int(event["meta"]["id"]) for event in stand_in.taken) == list(range(20))


NGINX_CONF = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{}}
http {{
  access_log off;
  client_max_body_size 11m;
  client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    ssl_client_certificate {folder}/ca.pem;
    ssl_verify_client on;
    location / {{ proxy_pass {target}; proxy_set_header X-Request-Id $request_id; }}
  }}
}}
"""


@contextmanager
def nginx_before(target: str, folder: Path) -> Iterator[str]:
    """Nginx with TLS, which asks for a certificate and names each request; its URL."""
    ca, other = Authority(folder), Authority(folder, "other-ca")
    ca.issue("server")
    ca.issue("client")
    other.issue("stranger")
    port = claim_port()
    (folder / "nginx.conf").write_text(NGINX_CONF.format(folder=folder, port=port, target=target))
    with Watchdog() as watchdog, (folder / "nginx.log").open("wb") as log:
        command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        process = subprocess.Popen(command, stdout=log, stderr=log, process_group=0)
        watchdog.watch(process.pid)
        try:
            wait_until(lambda: listens(port), "nginx listens")
            yield f"https://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(HANG_SECONDS)


def listens(port: int) -> bool:
    """Whether somebody answers there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# Connections that nginx closes say goodbye in TLS, and a loop that ends with a test does not wait for that.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx)")
def test_behind_nginx_a_private_authority_and_our_certificate_open_the_way(tmp_path):
    """The proxy's own id for the request stays out of events; without the right certificate they wait, all of them."""
    stand_in = EventgateStandIn()
    ours = {"certificate": "client.pem", "key": "client.key"}
    others = {"certificate": "stranger.pem", "key": "stranger.key"}
    ca = {"ca": "ca.pem"}
    patience = {"retry": {"first_pause_ms": 50, "give_up_after_seconds": 1}, "timeout_seconds": 0.9}
    with stand_in.listening() as target, nginx_before(target, tmp_path) as url:
        assert deliver(url, canonical("a"), canonical("b"), folder=tmp_path, tls=ca | ours) == [DELIVERED] * 2
        assert [event["meta"]["request_id"] for event in stand_in.taken] == ["a", "b"]
        assert "x-request-id" in stand_in.requests[0].headers

        refused = [
            deliver(url, canonical("c"), canonical("d"), folder=tmp_path, tls=tls, **patience)
            for tls in (ca, ca | others, ours)
        ]

    # What a user of a wrong certificate sees, had the events not been given up: the sink waits and says this.
    details = [each.detail for settled in refused for each in settled if isinstance(each, Refused)]
    assert len(details) == 6
    assert all(detail.startswith("given up: ") for detail in details)
    assert "No required SSL certificate was sent" in details[0]
    assert "SSL certificate error" in details[2]
    assert "certificate" in details[4]
    assert len(stand_in.taken) == 2
