"""What clients sent is text on the page, whatever it looks like; and the page may run nothing but its own files."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from logrouter.core.rollup.cells import MAX_NAME
from tests.browser.stage import HOUR, request, site

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    '"><svg/onload=alert(3)>',
    "javascript:alert(4)",
    "{{7*7}}${7*7}",
    "__proto__",
    "constructor",
    "a\u202egnp.exe",
    "</title></table><iframe srcdoc='<script>alert(5)</script>'>",
    "x" * MAX_NAME,
    "%3Cscript%3E",
    "a/b?c#d",
]


def hostile_requests():
    """Each text as client, API, path, error message, error code and request id, failed and not."""
    for number, text in enumerate(HOSTILE):
        more = {"error": {"code": text[:64], "message": text}, "request_id": text[:64]}
        yield request(text, text, ago=HOUR + number, path=text)
        yield request(text, text, ago=HOUR + number, status=500, path=text, **more)


@pytest.fixture(scope="module")
def hostile():
    """A site whose figures hold nothing else."""
    with site(*hostile_requests()) as made:
        yield made


def assert_untouched(page):
    """No element is there that the page does not make itself."""
    made = "script:not([src^='assets/']), iframe, object, embed, svg, form[action], link[href^='http'], img:not([src='assets/icon.svg'])"
    assert page.locator(made).count() == 0
    assert page.locator("a[href^='javascript']").count() == 0
    inline = "() => [...document.querySelectorAll('*')].flatMap(e => [...e.attributes].map(a => a.name)).filter(n => n.startsWith('on'))"
    assert page.evaluate(inline) == []
    assert page.evaluate("Object.prototype.count === undefined")


@pytest.mark.parametrize("state", ["#/", "#/clients", "#/apis?window=7d", "#/reports"])
def test_names_in_lists_stay_text(tab, hostile, state):
    """Every list shows the names as they are, and the end of the test sees no dialog, fault or violation."""
    page = tab(hostile.address).open(state)
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    if state in ("#/clients", "#/apis?window=7d"):
        shown = page.locator("main tbody th").all_inner_texts()
        assert set(shown) == set(HOSTILE)
    assert_untouched(page)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["clients", pytest.param("apis", marks=pytest.mark.long)])
def test_one_hostile_name_is_opened_from_the_list_and_stays_text(tab, hostile, kind, name):
    """Title, heading, URLs, errors and newest failures; the address leads to exactly this name."""
    page = tab(hostile.address).open(f"#/{kind}")
    page.locator("main tbody th a").filter(has_text=name).first.wait_for()
    links = {link.inner_text(): link for link in page.locator("main tbody th a").all()}
    links[name].click()
    expect(page.locator("h1 .name")).to_have_text(name)
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    expect(page.get_by_role("region", name="Newest failures").locator("tbody tr")).to_have_count(1)
    expect(page.locator(".tile .value").first).to_have_text("2")
    assert_untouched(page)


def test_an_address_made_by_somebody_else_is_text_as_well(tab, hostile):
    """Names, filters and nonsense behind the # are shown or refused, and run nothing."""
    opened = tab(hostile.address)
    page = opened.page
    for state in (
        "#/clients/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E-nobody",
        "#/clients?include=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "#/clients?window=%22%3E%3Cscript%3E&sort=%3Cb%3E",
        "#/clients/%E0%A4%A",
        "#javascript:alert(1)",
        "#/clients/..",
        "#/../../etc",
        "#/clients/a/b/c",
        "#/clients?from=yesterday",
    ):
        opened.open(state)
        page.reload()
        page.get_by_role("heading", level=1).wait_for()
        assert_untouched(page)


def test_the_policy_is_in_force(tab, ordinary):
    """Markup from text, inline scripts, handlers and eval are all refused: a mistake here would run nothing."""
    opened = tab(ordinary.address)
    page = opened.open()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert (
        page.evaluate("""() => {
        try { document.createElement('div').innerHTML = '<b>x</b>'; return 'made'; } catch (error) { return error.name; }
    }""")
        == "TypeError"
    )
    # In a task of its own: what the test's own connection runs is let through.
    assert (
        page.evaluate("""() => new Promise((done) => setTimeout(() => {
        try { done(new Function('return 1')()); } catch (error) { done(error.name); }
    }))""")
        == "EvalError"
    )
    assert (
        page.evaluate("""() => {
        try { document.createElement('img').setAttribute('onerror', 'alert(1)'); return 'set'; } catch (error) { return error.name; }
    }""")
        == "TypeError"
    )
    page.evaluate("""() => new Promise((done) => {
        const far = document.createElement('img');
        far.onerror = done;
        far.src = 'http://192.0.2.1/x.png';
        document.body.append(far);
    })""")
    violated = page.evaluate("window.violations.splice(0)")
    assert {violation.split()[0] for violation in violated} >= {"require-trusted-types-for", "img-src"}
    assert opened.faults
    opened.faults.clear()


def test_nothing_is_asked_of_anybody_else(tab, ordinary):
    """Every request of a visit to all views goes to the worker that served the page."""
    opened = tab(ordinary.address)
    asked = []
    opened.page.on("request", lambda sent: asked.append(sent.url))
    for state in ("#/", "#/clients", "#/clients/client-1", "#/apis/core", "#/reports"):
        page = opened.open(state)
        expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    assert len(asked) > 30
    assert [url for url in asked if not url.startswith(ordinary.address + "/")] == []
