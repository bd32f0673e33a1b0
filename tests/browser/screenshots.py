"""The pictures in the README: `make screenshots` looks at made-up figures, which are the same each time."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from tests.browser import stage
from tests.conftest import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "docs" / "images"
REQUESTS = 50_000
DAYS = 15
APIS = {"core": 40, "feed/v1": 22, "media": 14, "search": 10, "geo/v2": 6, "-": 2}
STATUSES = {200: 820, 201: 40, 304: 55, 400: 18, 404: 34, 429: 10, 500: 9, 503: 7, 0: 7}
FAULTS: tuple[dict[str, str] | None, ...] = (
    {"code": "UC", "message": "upstream connection terminated"},
    {"code": "URX", "message": "retry limit exceeded"},
    None,
)
PICTURES = (
    ("overview", "#/?window=7d", "light", 1280, 1010),
    ("client", "#/clients/mobile-app-3?window=7d", "dark", 1280, 1230),
    ("phone", "#/clients/mobile-app-3?window=24h", "light", 390, 844),
)


def requests() -> Iterator[dict[str, Any]]:
    """A week of an imagined gateway: busy by day, quiet by night, with one bad evening."""
    draw = Random(20)
    clients = [f"{kind}-{n}" for kind in ("mobile-app", "partner", "web", "reports", "kiosk") for n in range(1, 9)]
    draw.shuffle(clients)
    weights = [1 / (rank + 1) ** 0.8 for rank in range(len(clients))]
    made = 0
    while made < REQUESTS:
        ago = int(draw.random() * DAYS * 24 * stage.HOUR)
        hour = ((stage.NOW - ago) / stage.HOUR) % 24
        if draw.random() > 0.25 + 0.75 * max(math.sin((hour - 7) / 24 * 2 * math.pi), 0.05) ** 0.8:
            continue
        bad = 40 * stage.HOUR < ago < 43 * stage.HOUR and draw.random() < 0.25
        status = 503 if bad else draw.choices(list(STATUSES), list(STATUSES.values()))[0]
        api = draw.choices(list(APIS), list(APIS.values()))[0]
        more: dict[str, Any] = {"latency_ms": int(draw.lognormvariate(5.2 if bad else 3.6, 0.7))}
        if api == "-":
            status, more["path"] = 404, draw.choice(["/wp-login.php", "/.env", "/admin/", "/core/v0/items"])
        else:
            more["path"] = f"/{api}/{draw.choice(['items', 'users', 'page', 'status'])}/{draw.choice('123456')}"
        if status >= 500:
            more["error"] = draw.choice(FAULTS)
        made += 1
        size = {"bytes_in": draw.randrange(200, 900), "bytes_out": int(draw.lognormvariate(9, 1))}
        yield stage.request(
            draw.choices(clients, weights)[0], api, ago, status, request_id=f"{made:08x}", **size, **more
        )


def main() -> None:
    """Takes the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with stage.site(*requests()) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=stage.CHROMIUM, args=stage.FLAGS)
        for name, state, scheme, width, height in PICTURES:
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
            )
            page = context.new_page()
            page.set_default_timeout(HANG_SECONDS * 1000)
            page.clock.install(time=stage.NOW / 1000)
            page.goto(f"{site.address}/{state}")
            page.locator("#badge[data-state=fresh]:not([data-busy])").wait_for()
            page.screenshot(path=FOLDER / f"{name}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
