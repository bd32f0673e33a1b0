"""The page shows what the table view answers, and its address holds all that it shows."""

from __future__ import annotations

import csv
import re
from random import Random
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from logrouter.core.text.timestamps import rfc3339
from tests.browser.stage import HOUR, MINUTE, NOW, request, site


def rows(page, panel):
    """The texts of a panel's first table, row by row, all of one moment: the page may be about to show others."""
    table = page.get_by_role("region", name=panel, exact=True).locator("table").first
    table.locator("tbody tr").first.wait_for()
    texts = table.evaluate("t => [...t.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.innerText))")
    return [[plain(cell) for cell in row] for row in texts]


def plain(text):
    """A text without the spaces that keep a number and its unit together."""
    return text.replace("\u00a0", " ").strip()


def value(page, name):
    """The value of a tile and what stands below it."""
    tile = page.locator(".tile", has=page.get_by_text(name, exact=True))
    tile.wait_for()
    return [plain(text) for text in tile.locator("dd").all_inner_texts()]


def test_the_start_page_shows_totals_and_the_busiest(tab, ordinary):
    """Totals over everything, how they differ from before, top clients and APIs, each a link."""
    page = tab(ordinary.address).open()

    assert value(page, "Requests")[:2] == ["16", "▲167 % more"]
    assert value(page, "Clients")[0] == "3"
    assert [row[:3] for row in rows(page, "Top clients")] == [
        ["client-1", "12", "25 %"],
        ["client-2", "3", "0 %"],
        ["no client id", "1", "100 %"],
    ]
    assert [row[:2] for row in rows(page, "Top APIs")] == [["core", "11"], ["feed/v1", "4"], ["no API", "1"]]
    page.get_by_role("link", name="client-1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Client client-1")


def test_a_list_that_may_lack_somebody_says_so(tab):
    """Of many clients that are about equally large it is not known who comes first; what is shown is right."""
    with site(*(request(f"client-{n}", ago=HOUR) for n in range(9) for _ in range(1 + (n == 0)))) as made:
        made.reader.room = 1
        page = tab(made.address).open("#/clients")
        assert rows(page, "Clients by figures")[0][:2] == ["client-0", "2"]
        note = page.get_by_text("The figures are exact. Clients that are missing have 1 request at most.")
        expect(note).to_be_visible()


def test_a_client_is_shown_whole(tab, ordinary):
    """Figures against the day before, by API and status, failures by message, the newest ones, URLs with their bound."""
    page = tab(ordinary.address).open("#/clients/client-1")

    assert value(page, "Requests")[:2] == ["12", "▲100 % more"]
    assert value(page, "Failed") == ["25 %", "▲25 points higher", "3 requests"]
    assert rows(page, "By API and status") == [
        ["core", "11", "18 %", "8", "1", "", "1", "1"],
        ["feed/v1", "1", "100 %", "", "", "1", "", ""],
    ]
    assert rows(page, "Failures") == [["404 client_error", "1"], ["503 backend_error", "1"], ["E7 no backend", "1"]]
    newest = rows(page, "Newest failures")
    assert newest[0] == ["21 Sep 11:13:20", "404", "404 client_error", "feed/v1", "/feed/v1/gone", "r-404"]
    assert [row[1] for row in newest] == ["404", "500", "503"]
    assert rows(page, "Top URLs")[0] == ["/core/things", "11", "2", "200\n304\n500\n+1"]
    expect(page.get_by_role("region", name="Top URLs", exact=True)).to_contain_text("These counts are exact.")
    expect(page.locator(".seen")).to_have_text(re.compile(r"18 requests in all, the first 20 Sep 03:13"))


def test_an_api_is_shown_the_other_way_round(tab, ordinary):
    """Its clients instead of its APIs; a name with a slash is one name."""
    page = tab(ordinary.address).open("#/apis/feed%2Fv1")

    expect(page.get_by_role("heading", level=1)).to_have_text("API feed/v1")
    assert rows(page, "Top clients") == [["client-2", "3"], ["client-1", "1"]]
    page.get_by_role("region", name="Top clients").get_by_role("link", name="client-2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Client client-2")


def test_charts_are_drawn_and_say_the_same_as_a_table(tab, ordinary):
    """Bars stacked by class of status: what is drawn is not empty, and the table adds up to the total."""
    page = tab(ordinary.address).open("#/clients/client-1")
    panel = page.get_by_role("region", name="Requests over time")
    panel.locator("canvas").wait_for()
    drawn = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(n => n)"
    assert panel.locator("canvas").evaluate(drawn)
    expect(panel.locator(".legend")).to_contain_text("2xx success 8")
    panel.get_by_text("As a table").click()

    table = rows(page, "Requests over time")
    heads = panel.locator("thead th").all_inner_texts()
    assert heads == ["Begin (hour, UTC)", "2xx success", "3xx redirect", "4xx client error", "5xx server error"]
    # 24 hours back is amid an hour: it is cut there, and begins when the figures do.
    assert (len(table), table[-1][0]) == (25, "20 Sep 14:14")
    assert table[0] == ["21 Sep 14:00, still growing", "1", "0", "0", "0"]
    assert [sum(int(row[at]) for row in table) for at in range(1, 5)] == [8, 1, 1, 2]


def test_numbers_and_chart_of_a_week_are_about_the_same_requests(tab):
    """Both begin at the full hour a week ago, and the legend says so."""
    with site(request(), request(ago=7 * 24 * HOUR + 10 * MINUTE), request(ago=7 * 24 * HOUR + HOUR)) as week:
        page = tab(week.address).open("#/clients/client-1?window=7d")
        legend = page.get_by_role("region", name="Requests over time").locator(".legend")
        expect(legend).to_contain_text("2xx success 2")
        expect(legend).to_contain_text("since 14 Sep 14:00")
        assert value(page, "Requests")[0] == "2"


def test_all_panels_of_a_view_ask_for_one_stretch_and_add_up(tab, ordinary):
    """Whatever stretch: each request of a view has the same times, and the bars add up to the card."""
    draw = Random(7)
    stretches = ["window=1h", "window=24h", "window=7d", "window=30d"]
    for _ in range(6):
        begin = NOW - int(draw.choice([20, 200, 900]) * HOUR * draw.random()) - 2 * HOUR
        end = begin + int((NOW - begin) * draw.random())
        stretches.append(f"from={rfc3339(begin)}" + draw.choice(["", f"&to={rfc3339(end)}"]))
    opened = tab(ordinary.address)
    asked = []
    opened.page.on("request", lambda request: asked.append(request.url) if "/v1/" in request.url else None)
    for path in ("/", "/clients/client-1", "/apis/core", "/reports"):
        for stretch in stretches:
            asked.clear()
            page = opened.open(f"#{path}?{stretch}")
            expect(page.locator("#badge:not([data-busy])[data-state=fresh]")).to_be_visible()
            times = [parse_qs(urlsplit(url).query) for url in asked if "whoami" not in url]
            assert len(times) >= 3, (path, stretch)
            assert {tuple((name, *one.get(name, ())) for name in ("window", "from", "to")) for one in times} == {
                tuple((name, *parse_qs(stretch).get(name, ())) for name in ("window", "from", "to"))
            }, (path, stretch)
            if path != "/reports":
                legend = page.get_by_role("region", name="Requests over time").locator(".legend b").all_inner_texts()
                card = page.locator(".tile .value").first.get_attribute("title")
                assert sum(int(text.replace(",", "")) for text in legend) == int(card.replace(",", "")), (path, stretch)


def test_who_called_a_url_is_asked_once_it_is_typed(tab, ordinary, eventually):
    """By a part of it in any case, over all APIs and none; each client is a link, and the address holds the question."""
    opened = tab(ordinary.address)
    page = opened.open()
    panel = page.get_by_role("region", name="Who called this URL?", exact=True)
    expect(panel).to_contain_text("A part of a URL in the field above")
    expect(panel.get_by_role("link")).to_have_count(0)

    panel.get_by_label("Part of a URL").fill("FEED")
    panel.get_by_label("Part of a URL").press("Enter")
    assert rows(page, "Who called this URL?") == [
        ["client-2", "/feed/v1/things", "3", "", "200"],
        ["client-1", "/feed/v1/gone", "1", "1", "404"],
    ]
    expect(panel).to_contain_text("These counts are exact.")
    eventually(lambda: opened.state() == "#/?url=FEED", message="the address holds the question")
    with page.expect_download() as download:
        panel.get_by_role("link", name="CSV").click()
    assert [line["client_id"] for line in csv.DictReader(download.value.path().read_text().splitlines())] == [
        "client-2",
        "client-1",
    ]

    page.get_by_label("Part of a URL").fill("*nothing*")
    page.get_by_label("Part of a URL").press("Enter")
    expect(panel).to_contain_text("Nobody called such a URL in this time.")
    page.get_by_label("Part of a URL").fill("")
    page.get_by_label("Part of a URL").press("Enter")
    expect(panel).to_contain_text("A part of a URL in the field above")


def test_reports_show_calls_outcomes_and_what_no_api_serves(tab, ordinary):
    """The three reports over all clients."""
    page = tab(ordinary.address).open("#/reports")

    assert ["core", "success", "\u2013", "9"] in rows(page, "Success and failure by API")
    assert rows(page, "URLs that no API serves") == [["/wp-login.php", "1", "1", "404"]]
    expect(page.get_by_role("region", name="Calls by API over time").locator(".legend")).to_contain_text("core 11")


@pytest.mark.parametrize(
    "state",
    [
        "#/",
        "#/?window=7d",
        "#/clients?sort=errors&window=30d",
        "#/clients/client-1?window=7d&contains=things&status=5xx",
        "#/clients/client-1?from=2026-09-21T10%3A00%3A00Z&to=2026-09-21T12%3A00%3A00Z",
        "#/apis/feed%2Fv1?window=1h",
        "#/reports",
    ],
)
def test_an_address_shows_the_same_to_whoever_opens_it(tab, ordinary, eventually, state):
    """What one sees after opening an address, reloading it, or coming back to it, is the same."""
    opened = tab(ordinary.address)
    page = opened.open(state)
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    seen = page.locator("main").inner_text()
    page.reload()
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    assert page.locator("main").inner_text() == seen
    assert opened.state() == state
    page.goto(f"{ordinary.address}/#/apis/core?window=7d")
    expect(page.get_by_role("heading", level=1)).to_have_text("API core")
    page.go_back()
    eventually(lambda: page.locator("main").inner_text() == seen, message="the same is shown again")


def test_what_one_chooses_goes_into_the_address(tab, ordinary, eventually):
    """Window, order, pattern and filters; the window goes along to the next view."""
    opened = tab(ordinary.address)
    page = opened.open("#/clients")
    page.get_by_role("link", name="Last 7 days").click()
    page.get_by_label("Order by").select_option("errors")
    page.get_by_label("Only Clients that match").fill("client")
    page.get_by_label("Only Clients that match").press("Enter")
    expect(page).to_have_url(f"{ordinary.address}/#/clients?window=7d&sort=errors&include=*client*")
    names = lambda: [row[0] for row in rows(page, "Clients by figures")]  # noqa: E731
    eventually(lambda: names() == ["client-1", "client-2"], message="those that match, by errors")
    page.get_by_role("link", name="client-1").click()
    expect(page).to_have_url(f"{ordinary.address}/#/clients/client-1?window=7d")
    page.get_by_label("Only statuses").fill("5xx")
    page.get_by_label("Only statuses").press("Enter")
    expect(page).to_have_url(f"{ordinary.address}/#/clients/client-1?window=7d&status=5xx")
    statuses = page.get_by_role("region", name="Top URLs", exact=True).locator("tbody .chip")
    expect(statuses).to_have_text(["500", "503"])


def test_any_stretch_of_time_can_be_chosen(tab, ordinary):
    """From and to, in UTC; an end before the beginning is told, not asked."""
    opened = tab(ordinary.address)
    page = opened.open("#/clients/client-1")
    page.get_by_role("button", name="Custom").click()
    page.get_by_label("From").fill("2026-09-21T10:00")
    page.get_by_label("to", exact=True).fill("2026-09-21T09:00")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_have_text("The end must come after the beginning.")
    page.get_by_label("to", exact=True).fill("2026-09-21T12:00")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".tile").first.locator(".value")).to_have_text("4")
    assert opened.state() == "#/clients/client-1?from=2026-09-21T10%3A00%3A00Z&to=2026-09-21T12%3A00%3A00Z"


def test_a_part_of_a_chart_can_be_chosen_by_dragging(tab, ordinary):
    """What is dragged over becomes the stretch of time."""
    opened = tab(ordinary.address)
    page = opened.open("#/clients/client-1?window=24h")
    over = page.get_by_role("region", name="Requests over time").locator(".u-over")
    over.wait_for()
    box = over.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 50, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile("from="))
    chosen = dict(re.findall(r"(from|to)=2026-09-21T(\d\d)", opened.state()))
    # The chart is of 24 hours that begin at 15:00; an edge may be rounded to the minute before or after.
    assert chosen["from"] in ("02", "03")
    assert chosen["to"] in ("08", "09")


def test_lists_go_on_from_page_to_page(tab):
    """Each client is on exactly one page, and the way back leads to the first."""
    with site(*(request(f"client-{n:03d}") for n in range(120))) as many:
        page = tab(many.address).open("#/clients")
        found = []
        for left in (True, True, False):
            found += [row[0] for row in rows(page, "Clients by figures")]
            expect(page.get_by_role("link", name="Next")).to_be_visible(visible=left)
            if left:
                page.get_by_role("link", name="Next").click()
                expect(page.locator("main tbody")).not_to_contain_text(found[-1])
        assert sorted(found) == [f"client-{n:03d}" for n in range(120)]
        page.get_by_role("link", name="First page").click()
        expect(page.locator("main tbody")).to_contain_text("client-000")


def test_figures_can_be_taken_away_as_csv(tab, ordinary):
    """The link of each table saves it."""
    page = tab(ordinary.address).open("#/clients?window=24h")
    rows(page, "Clients by figures")
    with page.expect_download() as download:
        page.get_by_role("link", name="Clients by figures as CSV").click()
    table = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert [(row["client_id"], row["count"]) for row in table][:2] == [("client-1", "12"), ("client-2", "3")]


def test_figures_refresh_by_themselves_while_somebody_looks(tab):
    """New requests appear; nothing is asked while paused, or while the page is hidden; the age is shown."""
    with site(request()) as live:
        opened = tab(live.address)
        page = opened.open("#/clients/client-1?window=1h")
        number = page.locator(".tile").first.locator(".value")
        at_rest = page.locator("#badge:not([data-busy])")
        expect(number).to_have_text("1")
        expect(at_rest).to_be_visible()  # answers that are on their way would come after what the clock skips
        live.fold(request(ago=2 * MINUTE))
        page.clock.fast_forward(6_000)
        expect(number).to_have_text("2")
        expect(page.locator("#age")).to_have_text(re.compile(r"updated \d s ago"))

        expect(at_rest).to_be_visible()
        asked = []
        page.on("request", lambda sent: asked.append(sent.url))
        page.get_by_role("button", name="Pause").click()
        page.clock.fast_forward(60_000)
        expect(page.locator("#age")).to_have_text(re.compile(r"updated 1 min ago"))
        assert asked == []
        live.fold(request(ago=3 * MINUTE))
        page.get_by_role("button", name="Resume").click()
        expect(number).to_have_text("3")

        expect(at_rest).to_be_visible()
        page.evaluate(
            "Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true });"
            "window.away = true; document.dispatchEvent(new Event('visibilitychange'))"
        )
        asked.clear()
        page.clock.fast_forward(60_000)
        expect(page.locator("#age")).to_have_text(re.compile(r"updated 1 min ago"))
        assert asked == []
        live.fold(request(ago=4 * MINUTE))
        page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
        expect(number).to_have_text("4")


def test_an_answer_that_has_not_changed_is_not_sent_again(tab, ordinary):
    """The second time there are only 304s, and nothing on the page is made anew."""
    opened = tab(ordinary.address)
    page = opened.open("#/clients/client-1?window=7d")
    rows(page, "Top URLs")
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    page.evaluate("window.kept = document.querySelector('main table')")
    found = []
    page.on("response", lambda response: found.append(response.status) if "/v1/" in response.url else None)
    with page.expect_response("**/urls?**"):
        page.get_by_role("button", name="Refresh").click()
    expect(page.locator("#badge:not([data-busy])")).to_be_visible()
    assert set(found) == {304}
    assert page.evaluate("window.kept.isConnected")


def test_dark_and_light_follow_the_system_or_the_choice(tab, ordinary):
    """The choice is kept over a reload."""
    page = tab(ordinary.address, color_scheme="dark").open()
    back = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(back)
    page.get_by_role("button", name="Theme: Auto").click()
    light = page.evaluate(back)
    assert dark != light
    page.reload()
    assert page.evaluate(back) == light
    page.get_by_role("button", name="Theme: Light").click()
    assert page.evaluate(back) == dark


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_moves_while_it_loads_and_nothing_is_wider_than_the_window(tab, ordinary, width):
    """The layout is there before the figures are."""
    page = tab(ordinary.address, viewport={"width": width, "height": 900}).open("#/clients/client-1")
    rows(page, "Top URLs")
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    assert page.evaluate("window.shifts") < 0.1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_numbers_are_written_as_people_read_them(tab, ordinary):
    """The functions that all numbers pass through, at their edges."""
    page = tab(ordinary.address).open()
    call = "async ([name, ...given]) => (await import('/assets/format.js'))[name](...given)"

    def say(*given):
        found = page.evaluate(call, list(given))
        return found.replace("\u00a0", " ") if isinstance(found, str) else found

    assert [say("short", n) for n in (0, 9999, 12_345, 3_456_789)] == ["0", "9,999", "12.3K", "3.46M"]
    assert [say("bytes", n) for n in (0, 999, 1000, 123_456, 10**18)] == ["0 B", "999 B", "1 kB", "123 kB", "1 EB"]
    assert [say("millis", n) for n in (None, 0.5, 12.3, 999, 1500, 90_000)] == [
        "\u2013",
        "0.5 ms",
        "12 ms",
        "999 ms",
        "1.5 s",
        "90 s",
    ]
    assert [say("percent", n) for n in (0, 0.00001, 0.0123, 0.5, 0.9995, 1)] == [
        "0 %",
        "< 0.01 %",
        "1.2 %",
        "50 %",
        "99.95 %",
        "100 %",
    ]
    assert say("time", "2026-09-21T14:13:20Z") == "21 Sep 14:13"
    assert say("change", 3, 0)["text"] == "none before"
    assert say("change", 100, 100)["trend"] == "same"
    assert say("change", 2000, 100)["text"] == "20 times as much"
    assert say("shift", 0.02, 0.05) == {"arrow": "▼", "text": "3 points lower", "trend": "down"}


def test_a_window_asks_for_steps_that_are_kept_and_not_too_many(tab, ordinary):
    """Minutes for an hour, hours up to a month, days beyond; all within what the API answers."""
    page = tab(ordinary.address).open()
    call = "async ([query, now]) => (await import('/assets/state.js')).seriesParameters(query, now)"
    now = 1_790_000_000_000

    found = {window: page.evaluate(call, [{"window": window}, now])["step"] for window in ("1h", "24h", "7d", "30d")}
    assert found == {"1h": "minute", "24h": "hour", "7d": "hour", "30d": "hour"}
    old = page.evaluate(call, [{"from": "2026-06-01T00:00:00Z", "to": "2026-06-02T00:00:00Z"}, now])
    assert old == {"step": "day", "from": "2026-06-01T00:00:00Z", "to": "2026-06-02T00:00:00Z"}
    hour = page.evaluate(call, [{"from": "2026-09-21T10:00:00Z", "to": "2026-09-21T12:00:00Z"}, now])
    assert hour["step"] == "minute"
    assert HOUR == 60 * MINUTE
