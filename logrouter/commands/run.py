"""`logrouter run`: both lanes and all sinks on one machine, as child processes that are kept running."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rich_click as click

from logrouter.commands.help_text import Command
from logrouter.commands.options import config_options, settings_of
from logrouter.commands.stop_signal import StopSignal, ignore_reload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.config import Settings
    from logrouter.process.supervisor import Child

_LAST_PORT: Final = 65_535


@click.command("run", cls=Command)
@config_options
@click.option("--route-processes", type=click.IntRange(1, 256), help="How many. Default: one per core.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where tables are kept on disk.")
@click.pass_context
def run_command(
    context: click.Context,
    config_file: Path | None,
    bootstrap: str | None,
    route_processes: int | None,
    data_dir: Path | None,
) -> None:
    """Run all on this machine: a route process per core, a tables worker, a process per sink, each kept running.

    SIGHUP is passed on to the processes of routes and sinks, which read topics.yaml again. A sink that is put into the
    file while this runs gets its process at the next start.

    **Examples**

        logrouter run --bootstrap kafka-1:9092
        logrouter run --route-processes 1 --data-dir /var/lib/logrouter

    **Exit codes**: 0 stopped as asked; 2 wrong usage or configuration. A process that fails is started again.
    """
    ignore_reload()  # until there is a process that can be told
    from logrouter.process.supervisor import Child, supervise

    stop = StopSignal()
    settings = settings_of(config_file, bootstrap)
    program = _program(context)
    given = [
        *(("--config", str(config_file)) if config_file else ()),
        *(("--bootstrap", bootstrap) if bootstrap else ()),
    ]
    name = settings.route_lane.instance or socket.gethostname()
    port = settings.route_lane.metrics.port
    routing = [
        Child(
            f"route-{n}",
            [*program, "route", *given, "--instance", f"{name}-{n}", "--metrics-port", str(port + n if port else 0)],
        )
        for n in range(route_processes or os.cpu_count() or 1)
    ]
    sinks = _sinks(settings, [*program, "sink"], given, name, {port + n for n in range(len(routing))})
    _pass_on_reload([*routing, *sinks])
    where = ("--data-dir", str(data_dir)) if data_dir else ()
    raise SystemExit(
        supervise([*routing, Child("tables", [*program, "tables", *given, *where]), *sinks], stopping=stop)
    )


def _sinks(settings: Settings, program: list[str], given: Sequence[str], name: str, taken: set[int]) -> list[Child]:
    """A process for each sink. Its metrics are at its own port, or the next one that no other process here has."""
    from logrouter.process.supervisor import Child

    taken.add(settings.tables_lane.http.port)
    children = []
    for sink, configured in settings.sinks.items():
        port = configured.options.metrics.port
        while port and port in taken:
            port = port + 1 if port < _LAST_PORT else 0
        taken.add(port)
        own = ["--instance", name, "--metrics-port", str(port)]
        children.append(Child(f"sink-{sink}", [*program, sink, *given, *own], vital=False))
    return children


def _program(context: click.Context) -> list[str]:
    """The command line of a child up to its command, with the log options that we were started with."""
    log = context.find_root().params
    options = ["--log-format", log["log_format"], "--log-level", log["log_level"]]
    return [sys.executable, "-m", "logrouter", *options]


def _pass_on_reload(children: Sequence[Child]) -> None:
    """Send SIGHUP on to *children*: it reloads topics.yaml."""

    def pass_on(number: int, _frame: object) -> None:
        for child in children:
            child.signal(signal.Signals(number))

    signal.signal(signal.SIGHUP, pass_on)
