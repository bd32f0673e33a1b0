"""The application of `logrouter top`: a list that refreshes by itself, and a view of one client or API."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Sparkline, Static

from logrouter.commands import humanise
from logrouter.commands.exit_codes import EXIT_UNKNOWN
from logrouter.commands.terminal import harmless
from logrouter.commands.view_client import ViewClient
from logrouter.commands.view_options import NOT_AS_DOCUMENTED, Answer, ViewAddress, ViewError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.timer import Timer

WINDOWS: Final = ("15m", "1h", "24h", "7d", "30d", "life")
SORTS: Final = {"count": "requests", "errors": "failed", "bytes": "traffic", "latency": "mean latency"}
KINDS: Final = {"clients": ("client_id", "client"), "apis": ("api", "API")}
"""By the name of the list in the HTTP API: the member of a row that names it, and the word for people."""
LIMIT: Final = 100
"""Rows of a list."""
TYPING_SECONDS: Final = 0.15
"""Seconds without another letter before a list is fetched: each is work for all workers, even if nobody waits."""
_STEPS: Final = {"15m": "minute", "1h": "minute", "24h": "hour", "7d": "hour"}
_ABSENT: Final = {"clients": "- (no client id)", "apis": "- (no API)"}


class LiveScreen(Screen[None]):
    """A screen that fetches its figures again every `TopApp.every` seconds and on the key r.

    Subclasses implement `fetch` and `show`. A figure that cannot be fetched leaves what is shown as it is, with the
    reason below; a token that is refused, and a first answer that does not come, end the application.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "window", "Window"),
        Binding("p", "pause", "Pause"),
        Binding("r", "now", "Ask now"),
        Binding("q", "app.quit", "Quit"),
    ]

    app: TopApp

    def __init__(self) -> None:
        super().__init__()
        self.status = Static(id="status")
        self.heading = Static(id="heading")
        self._at: float | None = None
        self._problem: str | None = None
        self._note: str | None = None

    def on_mount(self) -> None:
        """Start fetching."""
        self.set_interval(self.app.every, self._tick)
        self.set_interval(1.0, self.show_status)
        self.action_now()

    def on_screen_resume(self) -> None:
        """Fetch at once what is shown again, after another screen."""
        if self._at is not None:
            self.action_now()

    def _tick(self) -> None:
        if not self.app.paused and self.app.screen is self:
            self.action_now()

    def action_now(self) -> None:
        """Fetch now, and drop the answer that is still awaited."""
        self._update_figures()

    def action_pause(self) -> None:
        """Stop fetching, or go on."""
        self.app.paused = not self.app.paused
        self.show_status()

    def action_window(self) -> None:
        """Change to the next longer window, from the longest to the shortest."""
        self.app.window = WINDOWS[(WINDOWS.index(self.app.window) + 1) % len(WINDOWS)]
        self.action_now()

    @work(exclusive=True, group="fetch")
    async def _update_figures(self) -> None:
        try:
            answer = await self.fetch()
            self._note = humanise.staleness(answer)
            self.show(answer)
        except ViewError as exc:
            if exc.status in (401, 403) or (self._at is None and exc.code != EXIT_UNKNOWN):
                self.app.exit(exc)
                return
            self._problem = harmless(str(exc))
        except NOT_AS_DOCUMENTED:
            self.app.exit(ViewError("this is no table view: its answer is not as documented"))
            return
        else:
            self._problem, self._at = None, monotonic()
        self.show_status()

    def show_status(self) -> None:
        """Show how old the figures are, and whether any are missing."""
        if self._problem is not None:
            self.status.update(Text(f"not updated: {self._problem}", "red"))
        elif self._at is None:
            self.status.update(Text("asking ...", "dim"))
        else:
            state = "paused" if self.app.paused else self._note or "up to date"
            style = "yellow" if self.app.paused or self._note else "green"
            self.status.update(Text.assemble((state, style), (f", updated {monotonic() - self._at:.0f} s ago", "dim")))

    async def fetch(self) -> Answer:
        """Return the answer that `show` is called with; raises `ViewError`."""
        raise NotImplementedError

    def show(self, answer: Answer) -> None:
        """Put the answer of `fetch` on the screen."""
        raise NotImplementedError


class ListScreen(LiveScreen):
    """The busiest clients or APIs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "kind", "Clients/APIs", priority=True),
        Binding("s", "sort", "Order"),
        Binding("slash", "search", "Search"),
        Binding("escape", "clear", "Clear search", show=False),
    ]
    AUTO_FOCUS = "DataTable"

    def __init__(self) -> None:
        super().__init__()
        self.kind = self.shown = "clients"
        self.sort = "count"
        self.prefix = ""
        self.table: DataTable[Text] = DataTable(cursor_type="row", zebra_stripes=True)
        self.field = Input(placeholder="beginning of a name", max_length=512, id="search")
        self.names: list[str] = []
        self._typing: Timer | None = None

    def compose(self) -> ComposeResult:
        """Heading, search field (when asked for), list, state, keys."""
        yield self.heading
        self.field.display = False
        yield self.field
        yield self.table
        yield self.status
        yield Footer()

    def action_kind(self) -> None:
        """Change from clients to APIs, or back."""
        self.kind = "apis" if self.kind == "clients" else "clients"
        self.action_now()

    def action_sort(self) -> None:
        """Change to the next order."""
        orders = list(SORTS)
        self.sort = orders[(orders.index(self.sort) + 1) % len(orders)]
        self.action_now()

    def action_search(self) -> None:
        """Open the search field."""
        self.field.display = True
        self.field.focus()

    def action_clear(self) -> None:
        """Close the search field and list everything."""
        self.field.value = ""
        self.field.display = False
        self.table.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """List what begins with what is typed."""
        self.prefix = event.value
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING_SECONDS, self.action_now)

    def on_input_submitted(self) -> None:
        """Go from the search field to the list."""
        self.table.focus()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open the client or API of the row."""
        if event.cursor_row < len(self.names):
            self.app.push_screen(DetailScreen(self.shown, self.names[event.cursor_row]))

    async def fetch(self) -> Answer:
        """The list; the one that is shown if this caller may not have the other."""
        try:
            return await self._list()
        except ViewError as exc:
            if exc.status != 403 or self.kind == self.shown:
                raise
            self.app.notify(f"this token may not list {KINDS[self.kind][1]}s", severity="warning")
            self.kind = self.shown
            return await self._list()

    async def _list(self) -> Answer:
        return await self.app.get(
            self.kind, window=self.app.window, sort=self.sort, limit=LIMIT, prefix=self.prefix or None
        )

    def show(self, answer: Answer) -> None:
        """Fill the list; the cursor stays on the name it was on."""
        self.shown = self.kind
        field, word = KINDS[self.kind]
        rows = answer[self.kind]
        row = self.table.cursor_row
        kept = self.names[row] if row < len(self.names) else None
        self.names = [entry[field] for entry in rows]
        self.table.clear(columns=True)
        self.table.add_column(word, width=40)
        for key, title in SORTS.items():
            self.table.add_column(Text(f"{title} ▼" if key == self.sort else title, justify="right"))
        for entry in rows:
            self.table.add_row(*_cells(self.kind, entry[field], entry))
        if kept in self.names:
            self.table.move_cursor(row=self.names.index(kept))
        begins = f" beginning with {harmless(self.prefix)}" if self.prefix else ""
        title = "Clients" if self.kind == "clients" else "APIs"
        self.heading.update(
            Text.assemble(
                (f"{title}{begins}", "bold"),
                f"  {humanise.window_words(self.app.window)}, by {SORTS[self.sort]}",
                "" if answer.get("exact", True) else "; others may be as large as the last of these",
            )
        )


def _cells(kind: str, name: str, entry: dict[str, Any]) -> list[Text]:
    shown = _ABSENT[kind] if name == "-" else harmless(name)
    failed = f"{humanise.count(entry['errors'])} ({humanise.percent(entry['errors'], entry['count'])})"
    return [
        Text(shown, overflow="ellipsis", no_wrap=True),
        Text(humanise.count(entry["count"]), justify="right"),
        Text(failed, "red" if entry["errors"] else "", justify="right"),
        Text(humanise.size(humanise.traffic(entry)), justify="right"),
        Text(humanise.millis(humanise.latency(entry, "mean")), justify="right"),
    ]


class DetailScreen(LiveScreen):
    """One client or API."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", "Back")]

    def __init__(self, kind: str, name: str) -> None:
        super().__init__()
        self.kind = kind
        self.subject = name
        self.numbers = Static(id="numbers")
        self.line = Sparkline([0.0], summary_function=max)
        self.peers: DataTable[Text] = DataTable(cursor_type="none")
        self.errors: DataTable[Text] = DataTable(cursor_type="none")

    def compose(self) -> ComposeResult:
        """Heading, numbers, requests over time, peers, errors, state, keys."""
        yield self.heading
        with VerticalScroll():
            yield self.numbers
            yield self.line
            yield self.peers
            yield self.errors
        yield self.status
        yield Footer()

    async def fetch(self) -> Answer:
        """Summary, series, peers and errors, as one answer."""
        window, get = self.app.window, self.app.get
        compare = None if window == "life" else "previous"
        peer = "apis" if self.kind == "clients" else "clients"
        answer = await get(self.kind, self.subject, window=window, compare=compare)
        span = {"window": "30d" if window == "life" else window, "step": _STEPS.get(window, "day")}
        answer["points"] = (await get(self.kind, self.subject, "series", **span))["points"]
        answer["peers"] = (await get(self.kind, self.subject, peer, window=window))[peer]
        answer["errors"] = (await get(self.kind, self.subject, "errors", window=window))["errors"]
        return answer

    def show(self, answer: Answer) -> None:
        """Everything that is known of the client or API."""
        peer = "apis" if self.kind == "clients" else "clients"
        word = KINDS[self.kind][1]
        shown = _ABSENT[self.kind] if self.subject == "-" else harmless(self.subject)
        self.heading.update(Text.assemble((f"{word} {shown}", "bold"), f"  {humanise.window_words(self.app.window)}"))
        now, before = answer["window"], answer.get("previous")
        numbers = _numbers(now, humanise.as_long_as(now, before) if before else {})
        why = humanise.comparison(answer)
        self.numbers.update(Text.assemble(numbers, "\n", (why, "dim")) if why else numbers)
        self.line.data = [float(point["count"]) for point in answer["points"]] or [0.0]
        _fill(self.peers, KINDS[peer][1], [(row[KINDS[peer][0]], row["count"]) for row in answer["peers"][:10]])
        _fill(self.errors, "error", [(row["error"], row["count"]) for row in answer["errors"][:10]])


def _numbers(now: dict[str, Any], before: dict[str, Any]) -> Text:
    late = " ".join(f"{name} {humanise.millis(humanise.latency(now, name))}" for name in ("p50", "p95", "p99"))
    failed = f"{humanise.count(now['errors'])} ({humanise.percent(now['errors'], now['count'])})"
    rows = (
        ("requests", humanise.count(now["count"]), humanise.change(now["count"], before.get("count"))),
        ("failed", failed, humanise.change(now["errors"], before.get("errors"))),
        ("latency", late, humanise.change(humanise.latency(now, "p95"), humanise.latency(before, "p95"))),
        (
            "traffic",
            humanise.size(humanise.traffic(now)),
            humanise.change(humanise.traffic(now), humanise.traffic(before) if before else None),
        ),
    )
    return Text("\n").join(
        Text.assemble((f"{name:<10}", "dim"), f"{value:<36}", changed) for name, value, changed in rows
    )


def _fill(table: DataTable[Text], title: str, rows: list[tuple[str, int]]) -> None:
    table.clear(columns=True)
    table.add_column(title, width=44)
    table.add_column(Text("requests", justify="right"), width=12)
    for name, number in rows:
        table.add_row(
            Text(harmless(name), overflow="ellipsis", no_wrap=True), Text(humanise.count(number), justify="right")
        )


class TopApp(App[ViewError]):
    """`logrouter top`. *get* fetches from the table view, as `ViewClient.get` does; *every* is in seconds.

    It returns None when it is quit, and the `ViewError` that ended it otherwise.
    """

    CSS = """
    #heading { padding: 0 1; height: 1; }
    #status { padding: 0 1; height: 1; }
    #numbers { padding: 1 1; height: auto; }
    Sparkline { height: 4; margin: 0 1; }
    DataTable { height: auto; max-height: 1fr; margin: 1 0 0 0; }
    ListScreen DataTable { height: 1fr; margin: 0; }
    """
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, get: Callable[..., Awaitable[Answer]], window: str, every: float) -> None:
        super().__init__()
        self.get = get
        self.window = window
        self.every = every
        self.paused = False

    def on_mount(self) -> None:
        """Show the list."""
        self.push_screen(ListScreen())


async def run(view: ViewAddress, window: str, every: float) -> ViewError | None:
    """Run the application until it is quit. Returns the error that ended it before, if one did."""
    async with ViewClient(view) as client:
        return await TopApp(client.get, window, every).run_async()
