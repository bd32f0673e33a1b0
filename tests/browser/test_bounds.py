"""What is not listed, how many that is, and what stands out: a short table must not hide what one looks for."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.stage import HOUR, MINUTE, request, site
from tests.browser.test_page import rows


def test_clients_of_an_api_that_are_not_listed_are_bounded(tab):
    """Of 30 clients 25 are listed; another may have as many requests as the last of these."""
    with site(*(request(f"client-{n:02}") for n in range(30) for _ in range(4))) as made:
        page = tab(made.address).open("#/apis/core")
        clients = page.get_by_role("region", name="Top clients", exact=True)
        assert len(rows(page, "Top clients")) == 25
        expect(clients.locator(".note")).to_have_text(
            "These counts are exact. A client that is not listed had at most 4 requests. "
            "20 requests are of no listed client."
        )


def test_a_dead_backend_stands_first_however_few_requests_it_got(tab):
    """The gateway stops to ask it; a backend that only said 404 lives."""
    busy = [request(backend=f"10.0.0.{n}:80") for n in range(30) for _ in range(9)]
    dead = [request(status=502, backend="10.0.0.98:80"), request(status=503, backend="10.0.0.98:80")]
    hanging = [request(status=504, backend="10.0.0.99:80"), request(status=499, backend="10.0.0.99:80")]
    alive = [request(status=404, backend="10.0.0.97:80") for _ in range(3)]
    with site(*busy, *dead, *hanging, *alive) as made:
        page = tab(made.address).open("#/apis/core")
        panel = page.get_by_role("region", name="Backends", exact=True)
        shown = rows(page, "Backends")
        assert [(row[0], row[1], row[2]) for row in shown[:3]] == [
            ("10.0.0.98:80", "2", "all 2 failed"),
            ("10.0.0.99:80", "2", "none of 2 succeeded"),
            ("10.0.0.0:80", "9", ""),
        ]
        assert len(shown) == 25
        expect(panel.locator(".note")).to_have_text("8 more, with 66 requests.")
        expect(panel.locator(".dead")).to_have_count(2)


def test_only_a_whole_list_of_urls_says_how_many_requests_are_of_none_of_it(tab):
    """A filter leaves out what does not fit: that is of other URLs only by the way."""
    with site(*(request(path=f"/core/{chr(97 + n)}", status=404 if n == 3 else 200) for n in range(20))) as made:
        opened = tab(made.address)
        note = opened.open("#/clients/client-1").get_by_role("region", name="Top URLs", exact=True).locator(".note")
        expect(note).to_have_text(
            "These counts are exact. A URL that is not listed had at most 1 request. 5 requests are of no listed URL."
        )
        opened.open("#/clients/client-1?status=404")
        expect(note).to_have_text("These counts are exact.")


def test_requests_that_the_client_left_have_one_word(tab):
    """In the report of outcomes as in charts and tables."""
    with site(request(status=499, outcome="aborted"), request(status=0)) as made:
        page = tab(made.address).open("#/reports")
        assert rows(page, "Success and failure by API") == [["core", "client left", "\u2013", "2"]]


def test_a_comparison_that_is_left_out_says_why(tab):
    """Counting began in the middle of the time before."""
    with site(request(), request(ago=30 * HOUR)) as made:
        page = tab(made.address).open()
        expect(page.locator(".compared")).to_have_text(
            "Not compared: the time before is not known in full, as counting began 20 Sep 08:13."
        )


def test_on_a_phone_who_called_a_url_is_seen_with_how_often(tab):
    """The figures stand beside the names, not out of sight behind them."""
    with site(*(request(path="/core/orders/17/items", ago=n * MINUTE) for n in range(3))) as made:
        opened = tab(made.address)
        opened.page.set_viewport_size({"width": 390, "height": 844})
        page = opened.open("#/?url=orders")
        head = page.get_by_role("region", name="Who called this URL?", exact=True).get_by_text("Requests", exact=True)
        head.wait_for()
        box = head.bounding_box()
        assert box["x"] + box["width"] < 380


def test_how_many_called_a_url_besides_is_a_lower_bound(tab):
    """What rows have dropped is in no sum, so that of the rest says it may be more."""
    with site(*(request(path=f"/core/orders/o{n}x") for n in range(150))) as made:
        page = tab(made.address).open("#/?url=orders")
        note = page.get_by_role("region", name="Who called this URL?", exact=True).locator(".note")
        expect(note.first).to_contain_text("is not listed had at most")
        expect(note.first).not_to_contain_text("of no listed")
    with site(*(request(f"client-{n}", path="/core/orders") for n in range(70))) as made:
        page = tab(made.address).open("#/?url=orders")
        note = page.get_by_role("region", name="Who called this URL?", exact=True).locator(".note")
        expect(note.last).to_have_text("At least 20 more requests are of such URLs.")
