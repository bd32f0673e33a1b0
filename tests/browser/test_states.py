"""Loading, empty, failed, stale, partial, unknown: each of them is said, and none of them loses what was there."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from tests.browser.stage import request, site


def problem(route, slug, status, detail="for this test", **headers):
    """Answers with a problem."""
    body = {"type": f"urn:logrouter:problem:{slug}", "title": slug, "status": status, "detail": detail}
    route.fulfill(status=status, json=body, headers={"Content-Type": "application/problem+json", **headers})


def altered(page, pattern, **members):
    """Answers at *pattern* get other members; those of `freshness` are added to it."""

    def alter(route):
        response = route.fetch()
        body = response.json()
        body["freshness"] |= members.get("freshness", {})
        body |= {name: value for name, value in members.items() if name != "freshness"}
        route.fulfill(status=200, headers={"Content-Type": "application/json"}, body=json.dumps(body))

    page.route(pattern, alter)


def test_while_it_loads_the_shape_is_there(tab, ordinary):
    """Skeletons until the answers come, and busy for screen readers."""
    opened = tab(ordinary.address)
    held, holding = [], [True]
    opened.page.route("**/v1/clients/**", lambda route: held.append(route) if holding else route.continue_())
    page = opened.open("#/clients/client-1")
    expect(page.locator(".skeleton").first).to_be_visible()
    assert page.locator("[aria-busy=true]").count() >= 4
    expect(page.locator("#badge")).to_have_text("○ Loading")
    holding.clear()
    for route in held:
        route.continue_()
    expect(page.locator("#badge")).to_have_text("● Up to date")
    assert page.locator(".skeleton, [aria-busy=true]").count() == 0


def test_a_time_without_requests_is_said_to_be_one(tab, ordinary):
    """Zeros and sentences, not holes."""
    page = tab(ordinary.address).open("#/clients/client-2?from=2026-09-20T02:00:00Z&to=2026-09-20T03:00:00Z")
    expect(page.locator(".tile .value").first).to_have_text("0")
    for panel, said in (
        ("By API and status", "No requests in this time."),
        ("Failures", "No requests in this time."),
        ("Top URLs", "No URL to show"),
        ("Latency over time", "No request in this time has a latency."),
    ):
        expect(page.get_by_role("region", name=panel, exact=True)).to_contain_text(said)


def test_empty_tables_are_said_to_be_empty(tab):
    """A new installation shows a page, not errors."""
    with site() as empty:
        page = tab(empty.address).open()
        expect(page.get_by_role("region", name="Top clients")).to_contain_text("Nothing in this time.")
        expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")


def test_a_client_that_was_never_counted(tab, ordinary):
    """Says so, with a way on; a name that exists is shown again afterwards."""
    page = tab(ordinary.address).open("#/clients/Client-1")
    expect(page.get_by_role("heading", level=1)).to_have_text("No such client")
    expect(page.locator("main")).to_contain_text("Nothing was ever counted for “Client-1”")
    expect(page.locator("#said")).to_have_text("No such client")
    page.get_by_role("link", name="All clients").click()
    page.get_by_role("link", name="client-1").click()
    expect(page.locator("h1 .name")).to_have_text("client-1")


def test_a_client_that_is_counted_while_one_waits_appears(tab):
    """By itself: the page goes on asking for it."""
    with site(request()) as growing:
        page = tab(growing.address).open("#/clients/newcomer")
        expect(page.get_by_role("heading", level=1)).to_have_text("No such client")
        growing.fold(request("newcomer"), request("newcomer"))
        page.clock.fast_forward(15_000)
        expect(page.locator("h1 .name")).to_have_text("newcomer")
        expect(page.locator(".tile .value").first).to_have_text("2")


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_browsers_cannot_ask_for(tab, ordinary, name):
    """Is told to be one; no other client is shown in its place."""
    page = tab(ordinary.address).open(f"#/clients/{name}")
    expect(page.get_by_role("heading", level=1)).to_have_text("This name cannot be asked for")


def test_a_panel_that_fails_leaves_the_others_alone(tab, ordinary):
    """And comes back by itself."""
    opened = tab(ordinary.address)
    opened.page.route("**/urls?**", lambda route: problem(route, "too-slow", 503, **{"Retry-After": "2"}))
    page = opened.open("#/clients/client-1")
    urls = page.get_by_role("region", name="Top URLs", exact=True)
    expect(urls).to_contain_text("This took too long. A shorter window helps.")
    expect(page.locator(".tile .value").first).to_have_text("12")
    expect(page.locator("#badge")).to_have_text("✕ Not all could be updated")
    page.unroute("**/urls?**")
    page.clock.fast_forward(6_000)
    expect(urls.locator("tbody tr").first).to_be_visible()
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")


def test_figures_stay_when_they_cannot_be_updated(tab, ordinary):
    """With the reason beside them, and with their age."""
    opened = tab(ordinary.address)
    page = opened.open("#/clients/client-1")
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    page.route("**/v1/**", lambda route: problem(route, "not-ready", 503, **{"Retry-After": "2"}))
    page.get_by_role("button", name="Refresh").click()
    table = page.get_by_role("region", name="By API and status", exact=True)
    expect(table).to_contain_text("Not updated: The tables are being recovered or moved.")
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(page.locator(".tile .value").first).to_have_text("12")
    expect(page.locator("#badge")).to_have_attribute("data-state", "failed")


def test_when_nobody_answers_the_page_says_so_and_recovers(tab, ordinary):
    """The network is away and comes back."""
    opened = tab(ordinary.address)
    page = opened.open("#/clients/client-1")
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    page.route("**/v1/**", lambda route: route.abort())
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("#badge")).to_have_text("✕ Offline")
    page.unroute("**/v1/**")
    page.clock.fast_forward(6_000)
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    assert page.locator(".trouble:visible").count() == 0


def test_a_standby_that_answers_is_named(tab, ordinary):
    """Stale is not hidden."""
    opened = tab(ordinary.address)
    altered(opened.page, "**/v1/clients/client-1?**", freshness={"stale": True})
    page = opened.open("#/clients/client-1")
    expect(page.locator("#badge")).to_have_text("◐ Standby answers, may be behind")
    expect(page.locator("#badge")).to_have_attribute("data-state", "stale")


def test_figures_behind_the_log_are_told_by_how_much(tab, ordinary):
    """A lag beyond that of a transaction's marker."""
    opened = tab(ordinary.address)
    partition = {"partition": 0, "offset": 10, "end": 500, "lag": 489, "role": "active", "watermark": None}
    altered(opened.page, "**/v1/clients/client-1?**", freshness={"partitions": [partition]})
    page = opened.open("#/clients/client-1")
    expect(page.locator("#badge")).to_have_text("◐ 489 batches behind")


def test_how_fresh_figures_are_is_told_though_they_stay_the_same(tab):
    """An unchanged answer is not sent again, but that a copy answers now is, and that the owner is back."""
    with site(request(), request("client-2")) as quiet:
        page = tab(quiet.address).open("#/clients/client-1")
        badge, refresh = page.locator("#badge"), page.get_by_role("button", name="Refresh")
        expect(badge).to_have_text("● Up to date")
        quiet.reader.held, quiet.reader.is_ready = quiet.reader.mine, False
        refresh.click()
        expect(badge).to_have_text("◐ Standby answers, may be behind")
        quiet.reader.is_ready, quiet.reader.behind = True, 9
        refresh.click()
        expect(badge).to_have_text("◐ 9 batches behind")
        quiet.reader.behind = 0
        refresh.click()
        expect(badge).to_have_text("● Up to date")


def test_a_list_that_lacks_partitions_is_called_partial(tab, ordinary):
    """With the partitions that are missing."""
    opened = tab(ordinary.address)
    missing = [{"partition": 3, "reason": "away"}, {"partition": 1, "reason": "away"}]
    altered(opened.page, "**/v1/clients?**", partial=True, freshness={"missing": missing})
    page = opened.open()
    expect(page.locator("#badge")).to_have_text("◔ Partial: 2 partitions missing")
    expect(page.locator("#badge")).to_have_attribute("title", "Partitions that did not answer: 1, 3")


def test_without_the_charting_library_there_are_tables(tab, ordinary):
    """Figures are shown, and why there are no charts."""
    opened = tab(ordinary.address)
    opened.page.route("**/vendor/**", lambda route: route.fulfill(status=404, body="{}"))
    page = opened.open("#/clients/client-1")
    panel = page.get_by_role("region", name="Requests over time")
    expect(panel).to_contain_text("The charting library is missing on this server")
    expect(panel.locator("tbody tr")).to_have_count(25)
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")


def test_a_list_with_a_bound_says_so(tab):
    """More URLs than are kept: which counts are exact, how many requests another has at most, and how many had others."""
    many = [request(path=f"/core/{n % 150}") for n in range(600)]
    with site(*many, *(request(path="/core/often") for _ in range(300))) as crowded:
        page = tab(crowded.address).open("#/clients/client-1")
        urls = page.get_by_role("region", name="Top URLs", exact=True)
        expect(urls.locator("tbody tr").first).to_contain_text("/core/often")
        expect(urls.locator(".note")).to_contain_text("A URL that is not listed had at most 4 requests.")
