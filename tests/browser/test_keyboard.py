"""Everything can be done without a pointer, and is told to those who do not see it."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def focused(page):
    """What has the focus, in a word."""
    return page.evaluate(
        "() => { const e = document.activeElement; return e.id || e.textContent.trim() || e.tagName; }"
    )


def test_the_search_is_a_combobox(tab, ordinary):
    """`/` goes to it; names appear as one types; arrows choose, Enter opens, Escape leaves; the focus is always told."""
    page = tab(ordinary.address).open()
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    page.keyboard.press("/")
    field = page.get_by_role("combobox")
    expect(field).to_be_focused()
    page.keyboard.type("cl")
    page.clock.fast_forward(200)
    expect(page.get_by_role("option")).to_have_text([re.compile("client-1"), re.compile("client-2"), "clientopen “cl”"])
    expect(field).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#said")).to_have_text("2 names found")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option", selected=True)).to_contain_text("client-2")
    assert field.get_attribute("aria-activedescendant") == page.get_by_role("option", selected=True).get_attribute("id")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    page.keyboard.type("ient-2")
    page.clock.fast_forward(200)
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("h1 .name")).to_have_text("client-2")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.locator("#said")).to_have_text("client-2: 3 requests in the last 24 hours, 0 failed.")


def test_what_is_typed_quickly_is_asked_once(tab, ordinary):
    """The last word counts."""
    opened = tab(ordinary.address)
    asked = []
    page = opened.open()
    page.on("request", lambda sent: asked.append(sent.url) if "prefix=" in sent.url else None)
    # By the page's clock no time passes between two keys, however slow the machine is.
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 10)
    page.get_by_role("combobox").press_sequentially("feed", delay=0)
    page.clock.fast_forward(200)
    expect(page.get_by_role("option").first).to_contain_text("feed/v1")
    assert len(asked) == 2
    assert all("prefix=feed&" in url for url in asked)


def test_an_id_that_is_known_needs_no_list(tab, ordinary):
    """Enter opens what is typed."""
    page = tab(ordinary.address).open()
    page.get_by_role("combobox").fill("client-1")
    page.get_by_role("combobox").press("Enter")
    expect(page.locator("h1 .name")).to_have_text("client-1")


def test_the_way_through_the_page_by_tab(tab, ordinary):
    """First a link past the bars, then what one sees from top to bottom; every stop is marked."""
    page = tab(ordinary.address).open()
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    stops = []
    for _ in range(16):
        page.keyboard.press("Tab")
        stops.append(focused(page))
        width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert width != "0px", stops[-1]
    assert stops == [
        *("Skip to the figures", "logrouter", "Overview", "Clients", "APIs", "Reports", "search", "theme"),
        *("1h", "24h", "7d", "30d", "Custom", "pause", "refresh", "CSV"),
    ]
    page.keyboard.press("Shift+Tab")
    for _ in range(14):
        page.keyboard.press("Shift+Tab")
    assert focused(page) == "Skip to the figures"
    page.keyboard.press("Enter")
    assert focused(page) == "main"


def test_charts_are_read_by_arrow_keys(tab, ordinary):
    """Each point is told, with its time."""
    page = tab(ordinary.address).open("#/clients/client-1")
    plot = page.get_by_role("img", name=re.compile("Requests over time"))
    plot.locator("canvas").wait_for()
    plot.focus()
    page.keyboard.press("End")
    spoken = page.get_by_role("region", name="Requests over time").locator("[aria-live]")
    expect(spoken).to_have_text(
        "21 Sep 14:00, still growing: 2xx success 1, 3xx redirect 0, 4xx client error 0, 5xx server error 0"
    )
    page.keyboard.press("ArrowLeft")
    expect(spoken).to_have_text(re.compile("^21 Sep 13:00: 2xx success 1"))


def test_the_focus_survives_a_refresh(tab, ordinary):
    """A link in a table that is filled anew keeps the focus, if it is still there."""
    page = tab(ordinary.address).open("#/clients/client-1")
    link = page.get_by_role("region", name="By API and status").get_by_role("link", name="core")
    link.focus()
    page.evaluate("""async () => {
        const dom = await import('/assets/dom.js');
        const body = document.querySelector('[aria-label="By API and status"] .body');
        dom.replace(body, [...body.childNodes].map((node) => node.cloneNode(true)));
    }""")
    expect(link).to_be_focused()


def test_landmarks_names_and_tables(tab, ordinary):
    """One main, one heading of the first level, and a name for everything that can be used or read."""
    page = tab(ordinary.address).open("#/clients/client-1")
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    for role in ("banner", "main", "contentinfo", "search"):
        assert page.get_by_role(role).count() >= 1, role
    assert page.get_by_role("navigation", name="Sections").count() == 1
    assert page.get_by_role("main").count() == page.get_by_role("heading", level=1).count() == 1
    nameless = """() => [...document.querySelectorAll('button, a[href], input, select, section, [role=img], nav')]
        .filter((e) => e.offsetParent !== null)
        .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length))
        .map((e) => e.outerHTML)"""
    assert page.evaluate(nameless) == []
    bare = "() => [...document.querySelectorAll('table')].filter((t) => !t.caption || !t.querySelector('th[scope=row]')).length"
    assert page.evaluate(bare) == 0
    assert page.evaluate("document.documentElement.lang") == "en"


def test_colours_can_be_read(tab, ordinary):
    """Text against its background has a contrast of 4.5 to 1 or more, in both themes."""
    ratio = """() => {
        const light = (text) => {
            const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((n) => n / 255).map((n) => (n <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (e) => {
            for (; e; e = e.parentElement) {
                const colour = getComputedStyle(e).backgroundColor;
                if (!colour.endsWith(', 0)') && colour !== 'transparent') return colour;
            }
            return 'rgb(255, 255, 255)';
        };
        const found = [];
        for (const e of document.querySelectorAll('body *')) {
            if (!e.offsetParent || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
            const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
            const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 30)}`);
        }
        return found;
    }"""
    for scheme in ("light", "dark"):
        page = tab(ordinary.address, color_scheme=scheme).open("#/clients/client-1")
        expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
        assert page.evaluate(ratio) == [], scheme
