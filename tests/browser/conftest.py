"""Chromium, pages in it that report what is wrong with them, and sites to open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser import stage
from tests.conftest import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

expect.set_options(timeout=HANG_SECONDS * 1000)

WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({ type: 'layout-shift', buffered: true });
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium per file: another test's event loop must find none of Playwright's."""
    if not stage.CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {stage.CHROMIUM} (Debian's package chromium)")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=stage.CHROMIUM, args=stage.FLAGS)
        yield made
        made.close()


class Tab:
    """A page, and everything that went wrong in it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: (self.faults.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("console", self._console)
        page.add_init_script(WATCH)

    def _console(self, message: Any) -> None:
        # Answers that are errors are states of the page; the browser writes them down by itself.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def open(self, state: str = "#/") -> Page:
        self.page.goto(f"{self.address}/{state}")
        return self.page

    def state(self) -> str:
        """What stands behind the # now."""
        return str(self.page.evaluate("location.hash"))


@pytest.fixture
def tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Make a tab on a site, `tab(site.address)`; when the test ends it must have had no fault and no violation."""
    opened: list[tuple[Any, Tab]] = []

    def make(address: str, *, now: int = stage.NOW, **options: Any) -> Tab:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(HANG_SECONDS * 1000)
        page = context.new_page()
        page.clock.install(time=now / 1000)
        made = Tab(page, address)
        opened.append((context, made))
        return made

    yield make
    for context, made in opened:
        violations = made.page.evaluate("window.violations ?? []")
        context.close()
        assert made.faults == []
        assert violations == []


@pytest.fixture(scope="module")
def ordinary() -> Iterator[stage.Site]:
    """A site with ordinary requests, which no test changes."""
    with stage.site(*stage.ordinary()) as made:
        yield made
