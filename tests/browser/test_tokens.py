"""Where the table view wants a token, the page asks for it once and keeps it to itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from logrouter.access.policy import CLOSED, Policy
from logrouter.access.scopes import Via, client_scope, make_caller
from logrouter.access.tokens import Token, digest_of, hash_token, make_token
from logrouter.core.rollup.subjects import SubjectKind
from tests.browser import stage

ALL, ONE = make_token(b"all".ljust(32)), make_token(b"one".ljust(32))


def kept(token, name, *scopes):
    """A token as topics.yaml has it."""
    return Token(make_caller(name, Via.TOKEN, scopes), digest_of(hash_token(token)))


@pytest.fixture(scope="module")
def guarded():
    """A site that lets in an analyst, and client-2."""
    policy = Policy(tokens=(kept(ALL, "analyst", "usage:read"), kept(ONE, "second", client_scope("client-2"))))
    with stage.site(*stage.ordinary(), access=policy) as made:
        yield made


def enter(page, token):
    """Fills in the dialog."""
    page.get_by_role("dialog").get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Use the token").click()


def test_a_token_is_asked_for_once_and_never_in_an_address(tab, guarded):
    """Figures appear, a reload asks no more, another tab does; the token is in headers alone."""
    opened = tab(guarded.address)
    sent = []
    opened.page.on("request", lambda request: sent.append(request.url))
    page = opened.open("#/clients/client-1")
    expect(page.get_by_role("dialog", name="A token is needed")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_label("Token", exact=True)).to_be_focused()
    enter(page, ALL)
    expect(page.locator(".tile .value").first).to_have_text("12")
    page.reload()
    expect(page.locator(".tile .value").first).to_have_text("12")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert not any(ALL in url for url in sent)
    assert page.evaluate("document.cookie + JSON.stringify(localStorage)").count(ALL) == 0
    assert ALL not in page.content()

    other = tab(guarded.address).open("#/clients/client-1")
    expect(other.get_by_role("dialog")).to_be_visible()


def test_a_wrong_token_is_told_and_another_can_be_given(tab, guarded):
    """And it can be forgotten."""
    page = tab(guarded.address).open()
    enter(page, "lrt_wrong")
    expect(page.locator("#token-why")).to_contain_text("The token was refused")
    enter(page, ALL)
    expect(page.get_by_role("link", name="client-1")).to_be_visible()
    page.get_by_role("button", name="Token").click()
    page.get_by_role("button", name="Forget it").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize("text", ["two words", "t\u00f6ken", "\u20ac"])
def test_what_cannot_be_a_token_is_not_sent(tab, guarded, text):
    """No header could carry it: the field says so, rather than that nobody answers."""
    page = tab(guarded.address).open()
    enter(page, text)
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.locator("#token-value").evaluate("field => field.validity.patternMismatch")
    expect(page.locator("#badge")).to_have_text("\u2715 A token is needed")
    enter(page, f" {ALL} ")
    expect(page.get_by_role("link", name="client-1")).to_be_visible()


def test_csv_is_saved_with_the_token(tab, guarded):
    """A link alone could not send it."""
    page = tab(guarded.address).open("#/clients")
    enter(page, ALL)
    expect(page.get_by_role("link", name="client-1")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Clients by figures as CSV").click()
    assert download.value.suggested_filename == "clients-by-figures.csv"
    assert download.value.path().read_text().splitlines()[1].startswith("client-1,")


def test_a_caller_of_one_client_sees_that_one(tab, guarded):
    """Its own page is whole, everything else leads to the list of what it may read."""
    page = tab(guarded.address).open()
    enter(page, ONE)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your clients")
    figures = page.get_by_role("region", name="Your clients by figures")
    expect(figures.locator("tbody tr")).to_have_count(1)
    expect(figures.locator("tbody tr")).to_contain_text("client-2")
    figures.get_by_role("link", name="client-2").click()
    expect(page.locator(".tile .value").first).to_have_text("3")
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    page.get_by_role("navigation").get_by_role("link", name="APIs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your clients")


def test_a_caller_of_one_client_finds_it_by_the_search(tab, guarded):
    """That APIs are not for it does not end the search."""
    page = tab(guarded.address).open()
    enter(page, ONE)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your clients")
    page.get_by_role("combobox").fill("cli")
    page.clock.fast_forward(1_000)
    expect(page.get_by_role("option")).to_have_count(2)
    expect(page.get_by_role("option").first).to_contain_text("client-2")
    assert "does not answer" not in page.locator("#found").inner_text()


def test_a_file_that_lacks_partitions_is_called_so(tab, guarded):
    """Lines alone would look like all of them."""
    opened = tab(guarded.address)
    brief = '{"at":"2026-09-21T14:13:20.000Z","stale":false,"lag":0,"watermark":null,"missing":[1]}'
    opened.page.route("**format=csv*", lambda route: route.fulfill(body="x", headers={"Logrouter-Freshness": brief}))
    page = opened.open("#/clients")
    enter(page, ALL)
    expect(page.get_by_role("link", name="client-1")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Clients by figures as CSV").click()
    assert download.value.suggested_filename == "clients-by-figures-partial.csv"


def test_a_client_that_the_token_does_not_allow_is_refused_in_words(tab, guarded):
    """Once and with a way on. Nothing of it is shown, nor whether there is one; another token shows it."""
    page = tab(guarded.address).open("#/clients/client-1")
    expect(page.locator("#token-why")).to_have_text("These figures are shown to callers with a token.")
    enter(page, ONE)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your token does not allow this")
    expect(page.locator("#badge")).to_have_text("✕ Not allowed")
    assert page.locator(".tile, .panel").count() == 0
    page.get_by_role("button", name="Token").click()
    enter(page, ALL)
    expect(page.locator(".tile .value").first).to_have_text("12")
    page.get_by_role("button", name="Token").click()
    enter(page, ONE)
    page.get_by_role("link", name="What it allows").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your clients")


def test_a_token_that_reads_no_usage_is_told_so_and_stays_told(tab):
    """Also when the page has asked again; a scope that is added meanwhile shows what it allows."""
    with stage.site(*stage.ordinary(), access=Policy(tokens=(kept(ONE, "scraper", "metrics:read"),))) as scraped:
        page = tab(scraped.address).open()
        enter(page, ONE)
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_have_text("Your token does not allow this")
        with page.expect_response("**/v1/clients?**"):
            page.clock.fast_forward(61_000)
        expect(page.locator("#badge:not([data-busy])")).to_have_text("\u2715 Not allowed")
        expect(heading).to_have_text("Your token does not allow this")
        scraped.replace_tokens(kept(ONE, "scraper", "metrics:read", client_scope("client-2")))
        page.clock.fast_forward(61_000)
        expect(heading).to_have_text("Your clients")
        expect(page.locator("tbody tr")).to_contain_text("client-2")


def test_where_nobody_is_let_in_the_operator_reads_what_to_do(tab):
    """The reason that the table view gives is shown in the dialog."""
    with stage.site(access=CLOSED) as closed:
        page = tab(closed.address).open()
        expect(page.locator("#token-why")).to_contain_text("access is not configured")


def test_where_everybody_is_let_in_no_token_is_mentioned(tab, ordinary):
    """No dialog and no button."""
    page = tab(ordinary.address).open()
    expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#token")).to_be_hidden()


def test_a_caller_of_apis_sees_these_and_no_client_of_theirs(tab):
    """Its APIs are listed and open; clients are names in them that lead nowhere; reports are about its APIs."""
    with stage.site(
        *stage.ordinary(), access=Policy(tokens=(kept(ONE, "developers", "usage:read:api=feed*"),))
    ) as made:
        page = tab(made.address).open()
        enter(page, ONE)
        expect(page.get_by_role("heading", level=1)).to_have_text("Your APIs")
        expect(page.locator("main .title")).to_contain_text("these APIs and no others: feed*.")
        figures = page.get_by_role("region", name="Your APIs by figures")
        expect(figures.locator("tbody tr")).to_have_count(1)
        figures.get_by_role("link", name="feed/v1").click()
        expect(page.locator(".tile .value").first).to_have_text("4")
        expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
        clients = page.get_by_role("region", name="Top clients")
        expect(clients.locator("tbody tr").first).to_contain_text("client-2")
        assert clients.locator("tbody a").count() == 0
        page.get_by_role("navigation").get_by_role("link", name="Reports").click()
        outcomes = page.get_by_role("region", name="Success and failure by API")
        expect(outcomes.locator("tbody").get_by_role("link").first).to_have_text("feed/v1")
        expect(page.locator("#badge")).to_have_attribute("data-state", "fresh")
        assert "core" not in page.locator("main").inner_text()
        page.get_by_role("navigation").get_by_role("link", name="Clients").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Your APIs")


def test_a_caller_of_apis_finds_these_by_the_search(tab):
    """Clients are not for it, which does not end the search."""
    with stage.site(
        *stage.ordinary(), access=Policy(tokens=(kept(ONE, "developers", "usage:read:api=feed*"),))
    ) as made:
        page = tab(made.address).open()
        enter(page, ONE)
        expect(page.get_by_role("heading", level=1)).to_have_text("Your APIs")
        page.get_by_role("combobox").fill("fe")
        page.clock.fast_forward(1_000)
        expect(page.get_by_role("option").first).to_contain_text("feed/v1")
        assert "does not answer" not in page.locator("#found").inner_text()
        page.get_by_role("combobox").fill("feed/v1")
        page.get_by_role("combobox").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("API feed/v1")


def test_the_page_takes_names_for_the_callers_as_the_server_does(tab, guarded):
    """Else a link would lead to a refusal, or be missing."""
    patterns = ["core", "pay*", "*-eu", "a*b*c", "ab*ba", "*", "%2A", "-", "%C3%BC%2F*"]
    names = ["core", "Core", "pay", "payments", "a-eu", "eu", "abc", "abbcc", "acb", "aba", "abba", "*", "-", "ü/x", ""]
    page = tab(guarded.address).open()
    found = page.evaluate(
        """async ([scopes, names]) => {
            const { isOneOf, ownNames } = await import("./assets/access.js");
            return scopes.map((scope) => names.map((name) => isOneOf(ownNames([scope]).api, name)));
        }""",
        [[f"usage:read:api={pattern}" for pattern in patterns], names],
    )
    callers = [make_caller("x", Via.TOKEN, [f"usage:read:api={pattern}"]) for pattern in patterns]
    assert found == [[caller.may_read(SubjectKind.API, name) for name in names] for caller in callers]
