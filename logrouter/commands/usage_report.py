"""What `logrouter usage` shows of one client, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from logrouter.commands import humanise
from logrouter.commands.terminal import harmless

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS: Final = 8
"""Status codes that have a column of their own, the most frequent."""
_ERRORS: Final = 10


def show(out: Console, answer: dict[str, Any], window: str) -> None:
    """Print the figures of the window, the client's APIs and errors, and how fresh they are."""
    now, before = answer["window"], answer.get("previous")
    out.print(
        Text.assemble((harmless(answer["client_id"]), "bold"), f"  {humanise.window_words(window)}", style="default")
    )
    begin = f"{humanise.moment(now['from'])} to" if now["from"] else "up to"
    out.print(Text(f"{begin} {humanise.moment(now['to'])}", "dim"))
    out.print()
    out.print(_numbers(now, before))
    if compared := humanise.comparison(answer):
        out.print(Text(compared, "dim"))
    life = answer["lifetime"]
    out.print(Text(f"\n{humanise.count(life['count'])} requests since {humanise.moment(life['first_seen'])}", "dim"))
    if answer["apis"]:
        out.print()
        out.print(_apis(answer["apis"]))
    if answer["errors"]:
        out.print()
        out.print(_errors(answer["errors"]))
    if why := humanise.staleness(answer):
        out.print()
        out.print(Text(why, "yellow"))


def _numbers(now: dict[str, Any], before: dict[str, Any] | None) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    then = humanise.as_long_as(now, before) if before else {}
    failed = Text(humanise.count(now["errors"]), "red" if now["errors"] else "")
    late = {name: humanise.millis(humanise.latency(now, name)) for name in ("p50", "p95", "p99")}
    rows: tuple[tuple[str, str | Text, str, str], ...] = (
        ("requests", humanise.count(now["count"]), _sampled(now), humanise.change(now["count"], then.get("count"))),
        (
            "failed",
            failed,
            humanise.percent(now["errors"], now["count"]),
            humanise.change(now["errors"], then.get("errors")),
        ),
        (
            "latency p95",
            late["p95"],
            f"p50 {late['p50']}, p99 {late['p99']}",
            humanise.change(humanise.latency(now, "p95"), humanise.latency(then, "p95")),
        ),
        (
            "traffic",
            humanise.size(humanise.traffic(now)),
            f"{humanise.size(now['bytes']['out'])} out, {humanise.size(now['bytes']['in'])} in",
            humanise.change(humanise.traffic(now), humanise.traffic(then) if then else None),
        ),
    )
    for name, value, detail, changed in rows:
        table.add_row(Text(name, "dim"), value, Text(detail, "dim"), changed)
    return table


def _sampled(figures: dict[str, Any]) -> str:
    """The sum of weights, where the gateway logs a sample."""
    return "" if round(figures["weighted"]) == figures["count"] else f"{humanise.count(figures['weighted'])} weighted"


def _apis(apis: list[dict[str, Any]]) -> Table:
    totals: dict[str, int] = {}
    for row in apis:
        for code, number in row["status"].items():
            totals[code] = totals.get(code, 0) + number
    codes = sorted(sorted(totals, key=lambda code: (-totals[code], code))[:_COLUMNS])
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("API")
    for name in ("requests", "failed", *codes, *(["other"] if len(totals) > len(codes) else [])):
        shown, style = humanise.status(name)
        table.add_column(Text(harmless(shown), style), justify="right")
    for row in apis:
        counted = [row["status"].get(code, 0) for code in codes]
        rest = [row["count"] - sum(counted)] if len(totals) > len(codes) else []
        cells = [humanise.count(number) if number else "" for number in (*counted, *rest)]
        failed = humanise.percent(row["errors"], row["count"])
        table.add_row(harmless(row["api"]), humanise.count(row["count"]), failed, *cells)
    return table


def _errors(errors: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("error", overflow="fold")
    table.add_column("requests", justify="right")
    for row in errors[:_ERRORS]:
        table.add_row(harmless(row["error"]), humanise.count(row["count"]))
    if len(errors) > _ERRORS:
        table.add_row(Text(f"and {len(errors) - _ERRORS} others", "dim"), humanise.count(_sum(errors[_ERRORS:])))
    return table


def _sum(errors: list[dict[str, Any]]) -> int:
    return sum(row["count"] for row in errors)
