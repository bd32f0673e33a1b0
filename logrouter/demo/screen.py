"""What the demo shows: a live page in a terminal, one line every few seconds elsewhere, a summary at the end."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from logrouter.commands.harmless_console import HarmlessConsole
from logrouter.commands.terminal import harmless
from logrouter.demo.processes import fetch_json, read_samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logrouter.demo.checks import Check
    from logrouter.demo.processes import LaneProcesses

TOP: Final = 8
_MARKERS: Final = 2
_NUMBERS: Final = re.compile(r"[0-9,]+")
_SAME_AGAIN_SECONDS: Final = 2.9


@dataclass(slots=True)
class Snapshot:
    """What the metrics of the route process and of the sink's, and the table view show at one moment.

    Counts are of lines or requests; *top* are entries of the view's list of clients, *lag* is in rollup records, and
    *missing* is the error of a process that did not answer, else "".
    """

    read: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    clients: int = 0
    in_tables: int = 0
    lag: int | None = None
    top: list[Mapping[str, Any]] = field(default_factory=list)
    delivered: int = 0
    """Events that the sink's target has taken, as the sink's process says."""
    refused: int = 0
    waiting: int = 0
    """Events that the sink has read and is not done with."""
    is_sink_up: bool | None = None
    """Whether the target took the last request; None before the first."""
    missing: str = ""

    @property
    def published(self) -> int:
        """Events written to the topics of events."""
        return self.outcomes["accepted"]


def take_snapshot(lanes: LaneProcesses) -> Snapshot:
    """Ask all processes. What one of them does not answer is left at zero, with the error in *missing*."""
    snapshot = Snapshot()
    try:
        _from_metrics(snapshot, lanes.route_url)
    except OSError as error:
        snapshot.missing = str(error)
    try:
        _from_sink(snapshot, lanes.sink_url)
    except OSError as error:
        snapshot.missing = str(error)
    try:
        _from_tables(snapshot, fetch_json(f"{lanes.tables_url}/v1/clients?window=life&limit={TOP}"))
    except OSError as error:
        snapshot.missing = str(error)
    return snapshot


def _from_metrics(snapshot: Snapshot, url: str) -> None:
    for sample in read_samples(f"{url}/metrics"):
        value = int(sample.value)
        if sample.name == "logrouter_records_read_total":
            snapshot.read += value
        elif sample.name == "logrouter_events_total":
            outcome, reason = sample.labels["outcome"], sample.labels["reason"]
            snapshot.outcomes[outcome] += value
            if outcome == "ignored":
                snapshot.ignored[reason] += value
            elif outcome == "rejected":
                snapshot.rejected[f"{sample.labels['stage']} {reason}"] += value


def _from_sink(snapshot: Snapshot, url: str) -> None:
    for sample in read_samples(f"{url}/metrics"):
        value = int(sample.value)
        if sample.name == "logrouter_sink_events_total":
            if sample.labels["result"] == "delivered":
                snapshot.delivered += value
            elif sample.labels["result"] == "refused":
                snapshot.refused += value
        elif sample.name == "logrouter_sink_waiting_records":
            snapshot.waiting += value
        elif sample.name == "logrouter_sink_up":
            snapshot.is_sink_up = bool(value)


def _from_tables(snapshot: Snapshot, answer: Mapping[str, Any]) -> None:
    snapshot.clients, snapshot.in_tables = answer["total"]["clients"], answer["total"]["count"]
    snapshot.top = answer["clients"]
    lags = [partition["lag"] for partition in answer["freshness"]["partitions"]]
    # The marker that ends a transaction takes an offset and is never folded, nor are aborted records.
    snapshot.lag = None if None in lags else sum(max(lag - _MARKERS, 0) for lag in lags)


class Screen:
    """Where the demo prints to: a live page on a terminal, else plain lines. *quiet* prints to stderr instead."""

    def __init__(self, *, quiet: bool = False) -> None:
        # With --json the output is the document alone; progress goes to stderr.
        self._console = HarmlessConsole(highlight=False, stderr=quiet)
        self._live: Live | None = None
        self._last = self._wording = ""
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
        """Whether a line differs from the last one in more than its numbers, or that one is long enough ago."""
        wording, now = _NUMBERS.sub("", line), time.monotonic()
        if wording == self._wording and now < self._said + _SAME_AGAIN_SECONDS:
            return False
        self._wording, self._said = wording, now
        return True

    def show(self, snapshot: Snapshot, fed: int, lanes: LaneProcesses, *, rate: float | None = None) -> None:
        """Show a snapshot; *fed* is how many lines were fed, *rate* how many a second, None for as fast as possible."""
        if self.plain:
            self.say(_line(snapshot, fed))
        else:
            self._render(_page(snapshot, fed, lanes, rate))

    def end(self) -> None:
        """Stop updating the live page; what follows is printed below it."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def print(self, content: Any) -> None:
        """Print below the live page, which ends."""
        self.end()
        self._console.print(content, soft_wrap=True)

    def _render(self, content: Any) -> None:
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=False)
            self._live.start()
        self._live.update(content, refresh=True)


def _line(snapshot: Snapshot, fed: int) -> str:
    return (
        f"fed {fed:,} · read {snapshot.read:,} · published {snapshot.published:,}"
        f" · ignored {snapshot.outcomes['ignored']:,} ({_reasons(snapshot.ignored)})"
        f" · rejected {snapshot.outcomes['rejected']:,} ({_reasons(snapshot.rejected)})"
        f" · in the tables {snapshot.in_tables:,} of {snapshot.clients:,} clients"
        f" · delivered to the sink {snapshot.delivered:,} ({_sink_state(snapshot)})"
    )


def _sink_state(snapshot: Snapshot) -> str:
    refused = f", {snapshot.refused:,} refused" if snapshot.refused else ""
    is_up = {None: "no answer yet", True: "up", False: "down"}[snapshot.is_sink_up]
    return f"{snapshot.waiting:,} waiting{refused}, {is_up}"


def _reasons(counts: Counter[str]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common()) or "none"


def _page(snapshot: Snapshot, fed: int, lanes: LaneProcesses, rate: float | None) -> Group:
    lines = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    lines.add_column(justify="left")
    lines.add_column(justify="right", style="bold")
    lines.add_column(style="dim")
    lines.add_row("lines fed", f"{fed:,}", f"{rate:,.0f} lines/s" if rate else "")
    lines.add_row("lines read", f"{snapshot.read:,}")
    lines.add_row("requests published", f"{snapshot.published:,}", "topic api-gateway.request")
    lines.add_row("ignored", f"{snapshot.outcomes['ignored']:,}", _reasons(snapshot.ignored))
    lines.add_row("rejected", f"{snapshot.outcomes['rejected']:,}", _reasons(snapshot.rejected))
    lag = "unknown" if snapshot.lag is None else f"{snapshot.lag:,}"
    lines.add_row("in the tables", f"{snapshot.in_tables:,}", f"{snapshot.clients:,} clients, lag {lag} records")
    lines.add_row("delivered to the sink", f"{snapshot.delivered:,}", _sink_state(snapshot))
    links = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for what, where in addresses(lanes):
        links.add_row(what, where)
    return Group("", lines, "", top_table(snapshot.top), "", links, _note(snapshot))


def addresses(lanes: LaneProcesses) -> list[tuple[str, str]]:
    """What can be opened while the demo runs: name and URL or address."""
    return [
        ("page", f"{lanes.tables_url}/"),
        ("table view", f"{lanes.tables_url}/v1/clients?window=15m"),
        (lanes.config.sink, lanes.config.page),
        ("metrics", f"{lanes.route_url}/metrics  {lanes.tables_url}/metrics  {lanes.sink_url}/metrics"),
        ("Kafka", f"{lanes.bootstrap}  (logrouter plan, explain: --bootstrap {lanes.bootstrap})"),
    ]


def _note(snapshot: Snapshot) -> str:
    return f"[yellow]{escape(snapshot.missing)}[/]" if snapshot.missing else "[dim]Ctrl-C ends everything[/]"


def top_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """A table of the busiest clients, from entries of the table view's list."""
    table = Table("client", "requests", "errors", "mean ms", box=None, padding=(0, 3, 0, 0), header_style="dim")
    for column in table.columns[1:]:
        column.justify = "right"
    for entry in entries:
        latency = entry["latency_ms"] or {"mean": None}
        mean = "" if latency["mean"] is None else f"{latency['mean']:.1f}"
        name = "- (no client id)" if entry["client_id"] == "-" else escape(harmless(entry["client_id"]))
        table.add_row(name, f"{entry['count']:,}", f"{entry['errors']:,}", mean)
    return table


def check_table(checks: Sequence[Check]) -> Table:
    """A table of checks: expected, found, and whether they agree."""
    table = Table("", "expected", "found", "", box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.columns[1].justify = table.columns[2].justify = "right"
    for check in checks:
        verdict = "[green]ok[/]" if check.ok else "[bold red]WRONG[/]"
        table.add_row(check.what, f"{check.expected:,}", f"{check.found:,}", verdict)
    return table
