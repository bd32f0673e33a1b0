"""The page of a worker that counts what a real broker gives it: from a log line to a pixel."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect

from logrouter.devkafka.ports import claim_port
from tests.conftest import HANG_SECONDS
from tests.integration.stack import Stack, metrics, request_line

pytestmark = [pytest.mark.broker, pytest.mark.slow]
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def stack(broker, tmp_path, unique):
    """Both lanes, one worker, with series of the two largest clients."""
    made = Stack(broker.bootstrap, tmp_path, unique("page"))
    text = made.config.read_text()
    made.config.write_text(text.replace("tables_lane:\n", "tables_lane:\n  metrics: {top_clients: 2}\n"))
    yield made
    made.close()


def get(address):
    """The body at an address; None while there is none."""
    try:
        with urllib.request.urlopen(address, timeout=HANG_SECONDS) as response:  # noqa: S310 - our own address
            return response.read().decode()
    except (urllib.error.URLError, OSError):
        return None


def test_lines_become_figures_on_the_page_and_grow_while_one_looks(stack, tab, eventually):
    """Counts are those of the lines, hostile client ids are text, and new lines appear without a touch."""
    port = claim_port()
    address = f"http://127.0.0.1:{port}"
    stack.route()
    stack.tables(0, port)
    lines = [request_line(n, "client-1", status=500 if n % 10 == 0 else 200) for n in range(200)]
    lines += [request_line(1000 + n, HOSTILE, api="feed") for n in range(50)]
    lines += [request_line(2000 + n, f"small-{n}") for n in range(20)]
    stack.feed(lines)
    eventually(lambda: get(f"{address}/readyz"), message="the worker is ready")

    opened = tab(address, now=int(time.time() * 1000))
    page = opened.open("#/clients?window=1h")
    expect(page.locator("main tbody tr")).to_have_count(22)
    assert page.locator("main tbody th").all_inner_texts()[:2] == ["client-1", HOSTILE]
    page.get_by_role("link", name="client-1").click()
    number = page.locator(".tile .value").first
    expect(number).to_have_text("200")
    expect(page.get_by_role("region", name="By API and status")).to_contain_text("core")
    expect(page.get_by_role("region", name="Newest failures").locator("tbody tr")).to_have_count(20)
    page.get_by_role("region", name="Requests over time").locator("canvas").wait_for()

    stack.feed([request_line(3000 + n, "client-1") for n in range(30)])
    expect(number).to_have_text("230")
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")

    def published():
        samples = metrics(get(f"{address}/metrics") or "").get("logrouter_client_requests", [])
        counts = {labels["client_id"]: value for labels, value in samples}
        return counts if sum(counts.values()) == 300 else None

    assert eventually(published, message="all requests are in the series") == {
        "client-1": 230,
        HOSTILE: 50,
        "other": 20,
    }
