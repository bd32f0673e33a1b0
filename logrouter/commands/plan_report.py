"""The report of `logrouter plan` for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from logrouter.commands.plan_sinks import describe_change
from logrouter.commands.terminal import harmless
from logrouter.printable import json_text

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS: Final = ("accepted", "held", "ignored", "rejected", "schema_failures", "bytes_in", "bytes_out")
_EFFECTS: Final = {
    "lost": ("requests lost: accepted before, and not any more", "bold red"),
    "rejected": ("records newly rejected", "bold red"),
    "gained": ("requests gained", "green"),
    "mended": ("records not rejected any more", "green"),
    "moved": ("events for other topics", "yellow"),
    "rekeyed": ("events with another key", "yellow"),
    "changed": ("events changed", "yellow"),
    "relabelled": ("records ending alike, by another route or for another reason", "yellow"),
}


def show(out: Console, report: dict[str, Any]) -> None:
    """Print the report: what was read, the routes, what differs, samples, and the verdict last."""
    _heading(out, report)
    out.print(_routes(report))
    _numbers(out, report)
    for rejection in report["new_rejections"]:
        where = " ".join(filter(None, (rejection["stage"], rejection["reason"], rejection["pointer"])))
        line = f"new rejection by {rejection['route']}: {where}, {rejection['count']} times"
        out.print(Text(harmless(line), "red"), soft_wrap=True)
    for sample in report["samples"]:
        _sample(out, sample)
    _sinks(out, report["sinks"])
    _verdict(out, report)


def _heading(out: Console, report: dict[str, Any]) -> None:
    old, new, topics = report["old"], report["new"], report["topics"]
    out.print(f"old  {harmless(old['file'])} (generation {old['generation']})", soft_wrap=True)
    out.print(f"new  {harmless(new['file'])} (generation {new['generation']})", soft_wrap=True)
    out.print(f"read {report['records']} records, {report['bytes']} bytes of {', '.join(topics['read']) or 'no topic'}")
    for kind, says in (("only_old", "only the old file reads"), ("only_new", "only the new file reads")):
        if topics[kind]:
            out.print(Text(f"{says}: {', '.join(topics[kind])}", "yellow"), soft_wrap=True)
    if topics["missing"]:
        out.print(Text(f"no such topic: {', '.join(topics['missing'])}", "yellow"), soft_wrap=True)


def _routes(report: dict[str, Any]) -> Table:
    """One row per route, old and new numbers in each cell."""
    table = Table(box=None, pad_edge=False)
    table.add_column("route")
    for column in _COLUMNS:
        table.add_column(column.replace("_", " "), justify="right")
    names = [*report["routes"], *(n for n in report["new_routes"] if n not in report["routes"])]
    names += [n for n in report["vanished_routes"] if n not in names]
    for name in names:
        sides = report["routes"].get(name, {"old": None, "new": None})
        note = " (new)" if name in report["new_routes"] else " (vanished)" if name in report["vanished_routes"] else ""
        cells = [_cell(getattr(sides["old"], column, 0), getattr(sides["new"], column, 0)) for column in _COLUMNS]
        table.add_row(Text(harmless(name) + note, "yellow" if note else ""), *cells)
    return table


def _cell(old: int, new: int) -> Text:
    return Text(str(new), "dim") if old == new else Text(f"{old} → {new}", "bold")


def _numbers(out: Console, report: dict[str, Any]) -> None:
    kinds = [f"{kind} {n['old']} → {n['new']}" for kind, n in report["cardinality"].items() if n["old"] != n["new"]]
    out.print(f"distinct: {', '.join(kinds) if kinds else 'the same'}", soft_wrap=True)
    times = report["throughput"]
    old, new = times["old_us_per_record"], times["new_us_per_record"]
    change = f", {(new / old - 1) * 100:+.0f} %" if old else ""
    out.print(f"time per record: {old:.2f} → {new:.2f} µs{change}", soft_wrap=True)


def _sinks(out: Console, found: dict[str, Any]) -> None:
    if found["unread"]:
        out.print(Text(harmless(f"sinks are not compared: {found['unread']}"), "yellow"), soft_wrap=True)
    for change in found["changes"]:
        out.print(Text(harmless(describe_change(change)), "yellow"), soft_wrap=True)


def _sample(out: Console, sample: dict[str, Any]) -> None:
    out.print(
        Text(f"{sample['effect']} ", _EFFECTS[sample["effect"]][1]) + Text(harmless(sample["record"])), soft_wrap=True
    )
    out.print(Text(harmless(f"  - {sample['old']}"), "red"), soft_wrap=True)
    out.print(Text(harmless(f"  + {sample['new']}"), "green"), soft_wrap=True)
    for change in sample["changes"]:
        out.print(harmless(f"    {change['at']}: {_json(change['old'])} → {_json(change['new'])}"), soft_wrap=True)


def _json(value: Any) -> str:
    return "absent" if value is None else json_text(value)


def _verdict(out: Console, report: dict[str, Any]) -> None:
    if not report["records"]:
        out.print(Text("no records: nothing was compared", "bold yellow"))
    elif not report["differs"]:
        out.print(Text("every record fares the same", "bold green"))
    for effect, (says, style) in _EFFECTS.items():
        if count := report["effects"].get(effect, 0):
            out.print(Text(f"{count} {says}", style))
