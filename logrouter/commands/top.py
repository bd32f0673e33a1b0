"""`logrouter top`: the busiest clients and APIs, live in a terminal. The application itself is `top_app`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import rich_click as click

from logrouter.commands.exit_codes import EXIT_USAGE
from logrouter.commands.help_text import Command
from logrouter.commands.terminal import fail, harmless
from logrouter.commands.view_options import ViewError, view_address, view_options
from logrouter.extras import how_to_install

if TYPE_CHECKING:
    from pathlib import Path


@click.command("top", cls=Command)
@click.option(
    "--window",
    default="1h",
    show_default=True,
    type=click.Choice(["15m", "1h", "24h", "7d", "30d", "life"]),
    help="The time range to count. The key w changes it.",
)
@click.option(
    "--every", default=2.0, show_default=True, type=click.FloatRange(0.5, 3600), help="Seconds between two queries."
)
@view_options
def top_command(window: str, every: float, url: str, token_file: Path | None) -> None:
    """Show the busiest clients and APIs, live, with search and a view of each.

    Keys: **Tab** clients or APIs, **s** order, **w** window, **/** search by the beginning of a name, **Enter** one
    client or API, **Escape** back, **p** pause, **r** ask now, **q** quit. Needs the extra `top`:
    `pip install '.[top]'` in a checkout.

    **Examples**

        logrouter top
        logrouter top --window 24h --every 10
        logrouter top --url https://logs.example.org:6066 --token-file ~/.logrouter-token

    **Exit codes**: 0 quit; 1 the table view does not answer, or not with this token; 2 wrong usage, or no terminal.
    """
    from logrouter.process.daemon_threads import run_to_result

    try:
        view = view_address(url, token_file)
    except ViewError as exc:
        fail(harmless(str(exc)), exc.code)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fail("logrouter top needs a terminal; logrouter usage and the table view are for scripts", EXIT_USAGE)
    try:
        from logrouter.commands import top_app
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] != "textual":
            raise
        fail(f"logrouter top needs the extra `top`: {how_to_install('top')}", EXIT_USAGE)
    problem = run_to_result(top_app.run(view, window, every))
    if problem is not None:
        fail(harmless(str(problem)), problem.code)
