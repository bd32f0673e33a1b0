"""Liveness, readiness, metrics and the index page."""

import asyncio
import re
import threading
from types import SimpleNamespace

import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily

from logrouter.http_server.problems import HttpProblem
from logrouter.telemetry.metrics import QUERY_SECONDS
from logrouter.web import health
from logrouter.web.view import View
from tests.conftest import HANG_SECONDS


def query_labels():
    """Endpoint and code of every series there is."""
    return {(s.labels["endpoint"], s.labels["code"]) for m in QUERY_SECONDS.collect() for s in m.samples}


def test_liveness_does_not_depend_on_tables_and_readiness_does(fleet):
    """A worker that recovers must not be killed for it, and must not get queries."""

    async def main():
        async with fleet(1) as (worker,):
            assert (await worker.get("/readyz")).json == {"ready": True, "partitions": [0, 1, 2, 3, 4, 5]}
            worker.reader.is_ready = False
            assert (await worker.get("/livez")).status == 200
            reply = await worker.get("/readyz")
            assert reply.status == 503
            assert reply.json["type"] == "urn:logrouter:problem:not-ready"
            assert "Retry-After" in reply.headers

    asyncio.run(main())


def test_readiness_says_what_is_waited_for():
    """While the cluster is away, say, nobody should look for a fault in the tables."""

    async def main():
        view = SimpleNamespace(reader=SimpleNamespace(ready=lambda: False), waits_for=lambda: "the cluster is away")
        view.not_ready = View.not_ready
        request = make_mocked_request("GET", "/readyz")

        with pytest.raises(HttpProblem) as raised:
            await health.ready_handler(view)(request)

        assert (raised.value.kind.status, raised.value.detail) == (503, "the cluster is away")

    asyncio.run(main())


def test_metrics_are_those_of_the_registry_in_the_format_asked_for(fleet):
    """Prometheus text by default, OpenMetrics on request."""
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc(3)

    async def main():
        async with fleet(1, registry=registry) as (worker,):
            plain = await worker.get("/metrics")
            assert plain.headers["Content-Type"].startswith("text/plain")
            assert b"things_total 3.0" in plain.body
            opened = await worker.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
            assert opened.headers["Content-Type"].startswith("application/openmetrics-text")
            assert opened.body.endswith(b"# EOF\n")

    asyncio.run(main())


def test_a_long_scrape_lets_other_requests_through(fleet):
    """While metrics are written, a probe is answered in between: here the scrape ends only because it was."""
    begun, answered = threading.Event(), threading.Event()

    class Slow:
        """A collector that waits."""

        def collect(self):
            """Until the probe is answered."""
            begun.set()
            assert answered.wait(HANG_SECONDS)
            yield GaugeMetricFamily("slow", "The last of many series.", 1)

    async def main():
        registry = CollectorRegistry()
        registry.register(Slow())
        async with fleet(1, registry=registry) as (worker,):
            scrape = asyncio.create_task(worker.get("/metrics"))
            assert await asyncio.to_thread(begun.wait, HANG_SECONDS)
            assert (await worker.get("/livez")).status == 200
            answered.set()
            assert b"slow 1.0" in (await scrape).body

    asyncio.run(main())


def test_query_metrics_have_bounded_labels(fleet):
    """Whatever is asked, no client id, path or method becomes a label."""
    before = query_labels()

    async def main():
        async with fleet(2) as workers:
            for target in ("/v1/clients/client-1", "/v1/clients/nobody", "/v1/apis", "/nope/abc", "/v1/clients?x=1"):
                await workers[0].get(target)
            await workers[0].get("/v1/clients", "PROPFIND")

    asyncio.run(main())
    labels = query_labels()
    assert {("client", "200"), ("client", "404"), ("apis", "200"), ("part_apis", "200"), ("none", "404")} <= labels
    names = {"index", "livez", "readyz", "metrics", "clients", "client", "client_series", "whoami"}
    assert {endpoint for endpoint, _ in labels - before} <= names | {
        "apis",
        "api",
        "api_series",
        "part_apis",
        "part_clients",
        "none",
    }


def test_the_index_page_lists_every_endpoint_and_loads_nothing(fleet):
    """Its links work, its parameters are the declared ones, and its policy forbids scripts and outside resources."""

    async def main():
        async with fleet(1) as (worker,):
            page = await worker.get("/reference")
            text = page.body.decode()
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert "script" not in text
            links = re.findall(r'href="([^"]+)"', text)
            assert len(links) >= 6
            for link in links:
                assert (await worker.get(link)).status == 200
            for word in ("window", "sort", "limit", "from", "to", "step", "by"):
                assert f"<code>{word}</code>" in text
            assert re.fullmatch(
                r"default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; frame-ancestors 'none'",
                page.headers["Content-Security-Policy"],
            )

    asyncio.run(main())
