"""`logrouter callers`: who called a URL, asked once, for people and for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from logrouter.commands.exit_codes import EXIT_FAILED
from logrouter.commands.help_text import Command
from logrouter.commands.terminal import console, fail, harmless, is_text, print_json
from logrouter.commands.view_options import NOT_AS_DOCUMENTED, ViewError, view_address, view_options, window_option

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console


@click.command("callers", cls=Command)
@click.argument("fragment")
@window_option
@click.option("--status", metavar="STATUS", help="Only requests with it: 404, or a pattern such as 4?? or 5xx.")
@click.option("--limit", type=click.IntRange(1, 1000), default=25, show_default=True, help="How many to list.")
@view_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object, as the table view has it.")
def callers_command(fragment: str, window: str, url: str, token_file: Path | None, **options: Any) -> None:
    """Show who called a URL, over all APIs: clients by URL, the most frequent first.

    FRAGMENT is a part of the URL, such as `/orders`, or a pattern of all of it with `*` or `?`; case does not matter.
    URLs are counted by path template, without their query. A token that may read all clients is needed unless the
    table view is open to all.

    **Examples**

        logrouter callers /orders
        logrouter callers '*cces*' --window 7d --status 4xx
        logrouter callers /orders --json | jq '.callers[] | {client_id, url, count}'

    **Exit codes**: 0 shown; 1 no answer, or none with this token; 2 wrong usage.
    """
    from logrouter.commands.view_client import ask_callers
    from logrouter.process.daemon_threads import run_to_result

    try:
        if not fragment or not is_text(fragment):
            raise click.BadParameter("must be a part of a URL: UTF-8, and not empty", param_hint="FRAGMENT")
        asked = {"contains": fragment, "window": window, "status": options["status"], "limit": options["limit"]}
        answer = run_to_result(ask_callers(view_address(url, token_file), asked))
        if options["as_json"]:
            print_json(answer)
        else:
            _show(console(), answer, window)
    except ViewError as exc:
        fail(harmless(str(exc)), exc.code)
    except NOT_AS_DOCUMENTED:
        fail(f"{url} is no table view: its answer is not as documented", EXIT_FAILED)


def _show(out: Console, answer: dict[str, Any], window: str) -> None:
    """Print the callers, what may be missing, and how fresh the figures are."""
    from rich.table import Table
    from rich.text import Text

    from logrouter.commands import humanise

    callers = answer["callers"]
    out.print(Text(f"{_sum(answer)}, {humanise.window_words(window)}", "bold"))
    if callers:
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
        for name in ("client", "URL"):
            table.add_column(name, overflow="fold")
        for name in ("requests", "failed"):
            table.add_column(name, justify="right")
        table.add_column("status", overflow="fold")
        for row in callers:
            statuses = ", ".join(humanise.status(name)[0] for name in row["status"])
            table.add_row(
                *(harmless(row["client_id"]), harmless(row["url"]), _figure(row)),
                *(humanise.count(row["failed"]) if row["failed"] else "", harmless(statuses)),
            )
        out.print()
        out.print(table)
    if answer["max_unlisted"]:
        most = humanise.count(answer["max_unlisted"])
        out.print(Text(f"\nno client and URL that is not listed has more requests than {most}", "dim"))
    if why := humanise.staleness(answer):
        out.print()
        out.print(Text(why, "yellow"))


def _sum(answer: dict[str, Any]) -> str:
    """How many requests were found: all of them only if no row may have dropped one."""
    from logrouter.commands import humanise

    whole = not answer["max_unlisted"] and all(row["at_least"] == row["at_most"] for row in answer["callers"])
    if not whole and not answer["count"]:
        return "none for sure"
    found = f"{humanise.count(answer['count'])} {'request' if answer['count'] == 1 else 'requests'}"
    return found if whole else f"at least {found}"


def _figure(row: dict[str, Any]) -> str:
    """A count, and between which figures the true one lies where it is not known exactly."""
    from logrouter.commands import humanise

    count, low, high = (humanise.count(row[name]) for name in ("count", "at_least", "at_most"))
    return count if low == high else f"{count} ({low} to {high})"
