"""`logrouter usage`: one client's usage, asked once, for people and for scripts."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final

import orjson
import rich_click as click
from rich.table import Table
from rich.text import Text

from logrouter.commands import humanise as say
from logrouter.commands.terminal import console, fail, harmless, is_text
from logrouter.commands.view_options import AskError, ViewAddress, view_of, view_options

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

_WINDOW: Final = re.compile(r"life|[1-9]\d{0,5}[mhd]")
_COLUMNS: Final = 8
"""Status codes that have a column of their own, the most frequent."""
_ERRORS: Final = 10
_STYLES: Final = {"2": "green", "3": "cyan", "4": "yellow", "5": "red"}


@click.command("usage")
@click.argument("client")
@click.option("--window", default="24h", show_default=True, metavar="WINDOW", help="15m, 1h, 24h, 7d, ... or life.")
@view_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object, as the table view has it.")
def usage_command(client: str, window: str, url: str, token_file: Path | None, as_json: bool) -> None:  # noqa: FBT001 - a click flag
    """Show what one client has used: how much, of what, with which trouble, and against the stretch before.

    CLIENT is the client id exactly as it is counted; `-` is everybody without one. A token is needed unless the table
    view is open to all.

    **Examples**

        logrouter usage client-7
        logrouter usage client-7 --window 7d --url https://logs.example.org:6066 --token-file ~/.logrouter-token
        logrouter usage client-7 --json | jq '.window | {count, errors}'

    **Exit codes**: 0 shown; 1 no answer, or none with this token; 2 wrong usage; 5 this client was never counted.
    """
    try:
        if not _WINDOW.fullmatch(window):
            raise click.BadParameter("must be life or a length such as 15m, 1h, 24h or 7d", param_hint="--window")
        if not client or not is_text(client):
            raise click.BadParameter("must be a client id: UTF-8, and not empty", param_hint="CLIENT")
        answer = asyncio.run(_ask(view_of(url, token_file), client, window))
    except AskError as exc:
        fail(harmless(str(exc)), exc.code)
    if as_json:
        click.echo(orjson.dumps(answer))
    else:
        _show(console(), answer, window)


async def _ask(view: ViewAddress, client: str, window: str) -> dict[str, Any]:
    """Summary, APIs and errors of the same window, as one object."""
    compare = None if window == "life" else "previous"
    from logrouter.commands.view_client import Asker  # noqa: PLC0415 - see commands.asking

    async with Asker(view) as asker:
        # The summary first: a client that is unknown or not allowed is one error, not three.
        summary = await asker.get("clients", client, window=window, compare=compare)
        apis, errors = await asyncio.gather(
            asker.get("clients", client, "apis", window=window), asker.get("clients", client, "errors", window=window)
        )
    return {
        **{name: summary[name] for name in ("client_id", "lifetime", "window", "previous") if name in summary},
        "apis": apis["apis"],
        "errors": errors["errors"],
        "recent": errors.get("recent", []),
        "freshness": summary["freshness"],
    }


def _show(out: Console, answer: dict[str, Any], window: str) -> None:
    now, before = answer["window"], answer.get("previous")
    out.print(Text.assemble((harmless(answer["client_id"]), "bold"), f"  {say.window_words(window)}", style="default"))
    out.print(Text(f"{say.moment(now['from'])} to {say.moment(now['to'])}", "dim"))
    out.print()
    out.print(_numbers(now, before))
    life = answer["lifetime"]
    out.print(Text(f"\n{say.count(life['count'])} requests since {say.moment(life['first_seen'])}", "dim"))
    if answer["apis"]:
        out.print()
        out.print(_apis(answer["apis"]))
    if answer["errors"]:
        out.print()
        out.print(_errors(answer["errors"]))
    if why := say.staleness(answer):
        out.print()
        out.print(Text(why, "yellow"))


def _numbers(now: dict[str, Any], before: dict[str, Any] | None) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    then = before or {}
    failed = Text(say.count(now["errors"]), "red" if now["errors"] else "")
    late = {name: say.millis(say.latency(now, name)) for name in ("p50", "p95", "p99")}
    rows: tuple[tuple[str, str | Text, str, str], ...] = (
        ("requests", say.count(now["count"]), _sampled(now), say.change(now["count"], then.get("count"))),
        ("failed", failed, say.percent(now["errors"], now["count"]), say.change(now["errors"], then.get("errors"))),
        (
            "latency p95",
            late["p95"],
            f"p50 {late['p50']}, p99 {late['p99']}",
            say.change(say.latency(now, "p95"), say.latency(then, "p95")),
        ),
        (
            "traffic",
            say.size(say.traffic(now)),
            f"{say.size(now['bytes']['out'])} out, {say.size(now['bytes']['in'])} in",
            say.change(say.traffic(now), say.traffic(then) if then else None),
        ),
    )
    for name, value, detail, changed in rows:
        table.add_row(Text(name, "dim"), value, Text(detail, "dim"), changed)
    return table


def _sampled(figures: dict[str, Any]) -> str:
    """The sum of weights, where the gateway logs a sample."""
    return "" if round(figures["weighted"]) == figures["count"] else f"{say.count(figures['weighted'])} weighted"


def _apis(apis: list[dict[str, Any]]) -> Table:
    totals: dict[str, int] = {}
    for row in apis:
        for code, number in row["status"].items():
            totals[code] = totals.get(code, 0) + number
    codes = sorted(sorted(totals, key=lambda code: (-totals[code], code))[:_COLUMNS])
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("API")
    for name in ("requests", "failed", *codes, *(["other"] if len(totals) > len(codes) else [])):
        table.add_column(Text(name, _STYLES.get(name[0], "")), justify="right")
    for row in apis:
        counted = [row["status"].get(code, 0) for code in codes]
        rest = [row["count"] - sum(counted)] if len(totals) > len(codes) else []
        cells = [say.count(number) if number else "" for number in (*counted, *rest)]
        failed = say.percent(row["errors"], row["count"])
        table.add_row(harmless(row["api"]), say.count(row["count"]), failed, *cells)
    return table


def _errors(errors: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("error", overflow="fold")
    table.add_column("requests", justify="right")
    for row in errors[:_ERRORS]:
        table.add_row(harmless(row["error"]), say.count(row["count"]))
    if len(errors) > _ERRORS:
        table.add_row(Text(f"and {len(errors) - _ERRORS} others", "dim"), say.count(_sum(errors[_ERRORS:])))
    return table


def _sum(errors: list[dict[str, Any]]) -> int:
    return sum(row["count"] for row in errors)
