"""What the demo shows: a live page in a terminal, one line every few seconds elsewhere, a summary at the end."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from logrouter.demo import processes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logrouter.demo.checks import Check
    from logrouter.demo.processes import Cast

TOP: Final = 8
_MARKERS: Final = 2
_NUMBERS: Final = re.compile(r"[0-9,]+")
_SAME_AGAIN_SECONDS: Final = 2.9


@dataclass(slots=True)
class Picture:
    """What the route process and the table view say of themselves at one moment."""

    read: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    clients: int = 0
    in_tables: int = 0
    lag: int | None = None
    top: list[Mapping[str, Any]] = field(default_factory=list)
    missing: str = ""

    @property
    def published(self) -> int:
        """Events on the clean topic."""
        return self.outcomes["accepted"]


def look(stage: Cast) -> Picture:
    """Ask both processes; what one of them cannot tell now is left out, and *missing* says so."""
    picture = Picture()
    try:
        _from_metrics(picture, stage.route_url)
    except OSError as error:
        picture.missing = str(error)
    try:
        _from_tables(picture, processes.get_json(f"{stage.tables_url}/v1/clients?window=life&limit={TOP}"))
    except OSError as error:
        picture.missing = str(error)
    return picture


def _from_metrics(picture: Picture, url: str) -> None:
    for sample in processes.samples(f"{url}/metrics"):
        value = int(sample.value)
        if sample.name == "logrouter_records_read_total":
            picture.read += value
        elif sample.name == "logrouter_events_total":
            outcome, reason = sample.labels["outcome"], sample.labels["reason"]
            picture.outcomes[outcome] += value
            if outcome == "ignored":
                picture.ignored[reason] += value
            elif outcome == "rejected":
                picture.rejected[f"{sample.labels['stage']} {reason}"] += value


def _from_tables(picture: Picture, answer: Mapping[str, Any]) -> None:
    picture.clients, picture.in_tables = answer["total"]["clients"], answer["total"]["count"]
    picture.top = answer["clients"]
    lags = [partition["lag"] for partition in answer["freshness"]["partitions"]]
    # The marker that ends a transaction takes an offset and is never folded, nor are aborted records.
    picture.lag = None if None in lags else sum(max(lag - _MARKERS, 0) for lag in lags)


class Screen:
    """Where the demo prints to: live when the output is a terminal, else plain lines. A context manager."""

    def __init__(self, *, quiet: bool = False) -> None:
        # With --json the output is the document alone; progress goes to stderr.
        self._console = Console(highlight=False, stderr=quiet)
        self._live: Live | None = None
        self._last = self._kind = ""
        self._said = 0.0
        self.plain = not self._console.is_terminal

    def say(self, line: str) -> None:
        """One line of progress; on a terminal it replaces the one before."""
        if line == self._last:
            return
        if self.plain and not self._is_due(line):
            return
        self._last = line
        if self.plain:
            self._console.print(escape(line), soft_wrap=True)
        else:
            self._render(escape(line))

    def _is_due(self, line: str) -> bool:
        """Whether a line says more than that time goes by, or the last one of its kind is long ago."""
        kind, now = _NUMBERS.sub("", line), time.monotonic()
        if kind == self._kind and now < self._said + _SAME_AGAIN_SECONDS:
            return False
        self._kind, self._said = kind, now
        return True

    def show(self, picture: Picture, fed: int, stage: Cast, *, rate: float | None = None) -> None:
        """The present state; *rate* in lines per second, if lines are fed at one."""
        if self.plain:
            self.say(_line(picture, fed))
        else:
            self._render(_page(picture, fed, stage, rate))

    def end(self) -> None:
        """Leave the live page as it is; whatever follows is printed below it."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def print(self, content: Any) -> None:
        """Something that stays."""
        self.end()
        self._console.print(content, soft_wrap=True)

    def _render(self, content: Any) -> None:
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=False)
            self._live.start()
        self._live.update(content, refresh=True)


def _line(picture: Picture, fed: int) -> str:
    return (
        f"fed {fed:,} · read {picture.read:,} · published {picture.published:,}"
        f" · ignored {picture.outcomes['ignored']:,} ({_reasons(picture.ignored)})"
        f" · rejected {picture.outcomes['rejected']:,} ({_reasons(picture.rejected)})"
        f" · in the tables {picture.in_tables:,} of {picture.clients:,} clients"
    )


def _reasons(counts: Counter[str]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common()) or "none"


def _page(picture: Picture, fed: int, stage: Cast, rate: float | None) -> Group:
    lines = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    lines.add_column(justify="left")
    lines.add_column(justify="right", style="bold")
    lines.add_column(style="dim")
    lines.add_row("lines fed", f"{fed:,}", f"{rate:,.0f} lines/s" if rate else "")
    lines.add_row("lines read", f"{picture.read:,}")
    lines.add_row("requests published", f"{picture.published:,}", "topic api-gateway.request")
    lines.add_row("ignored", f"{picture.outcomes['ignored']:,}", _reasons(picture.ignored))
    lines.add_row("rejected", f"{picture.outcomes['rejected']:,}", _reasons(picture.rejected))
    lag = "unknown" if picture.lag is None else f"{picture.lag:,}"
    lines.add_row("in the tables", f"{picture.in_tables:,}", f"{picture.clients:,} clients, lag {lag} records")
    links = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for what, where in addresses(stage):
        links.add_row(what, where)
    return Group("", lines, "", top_table(picture.top), "", links, _note(picture))


def addresses(stage: Cast) -> list[tuple[str, str]]:
    """What can be looked at, and where."""
    return [
        ("page", f"{stage.tables_url}/"),
        ("table view", f"{stage.tables_url}/v1/clients?window=15m"),
        ("metrics", f"{stage.route_url}/metrics  {stage.tables_url}/metrics"),
        ("Kafka", f"{stage.bootstrap}  (logrouter plan, explain: --bootstrap {stage.bootstrap})"),
    ]


def _note(picture: Picture) -> str:
    return f"[yellow]{escape(picture.missing)}[/]" if picture.missing else "[dim]Ctrl-C ends everything[/]"


def top_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """The busiest clients."""
    table = Table("client", "requests", "errors", "mean ms", box=None, padding=(0, 3, 0, 0), header_style="dim")
    for column in table.columns[1:]:
        column.justify = "right"
    for entry in entries:
        latency = entry["latency_ms"] or {"mean": None}
        mean = "" if latency["mean"] is None else f"{latency['mean']:.1f}"
        name = "- (no client id)" if entry["client_id"] == "-" else escape(entry["client_id"])
        table.add_row(name, f"{entry['count']:,}", f"{entry['errors']:,}", mean)
    return table


def check_table(checks: Sequence[Check]) -> Table:
    """The recount: what was expected, what was found."""
    table = Table("", "expected", "found", "", box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.columns[1].justify = table.columns[2].justify = "right"
    for check in checks:
        verdict = "[green]ok[/]" if check.ok else "[bold red]WRONG[/]"
        table.add_row(check.what, f"{check.expected:,}", f"{check.found:,}", verdict)
    return table
