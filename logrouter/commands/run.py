"""`logrouter run`: both lanes and all sinks on one machine, as child processes that are kept running."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from logrouter.commands.help_text import Command
from logrouter.commands.options import config_options, overridden, settings_of
from logrouter.commands.stop_signal import StopSignal, ignore_reload

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.config import Settings
    from logrouter.process.child import WantedChild
    from logrouter.reload.reloader import Reloader
    from logrouter.reload.versions import ConfigVersions, ReloadOutcome


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

    A sink that is put into topics.yaml while this runs gets a process, and that of one that is taken out is ended. A
    wrong file changes nothing. SIGHUP has the file read at once, here and by the processes of routes and sinks.

    **Examples**

        logrouter run --bootstrap kafka-1:9092
        logrouter run --route-processes 1 --data-dir /var/lib/logrouter

    **Exit codes**: 0 stopped as asked; 2 wrong usage or configuration. A process that fails is started again.
    """
    ignore_reload()  # until there is a process that can be told
    from logrouter.commands.run_fleet import RunFleet
    from logrouter.process.supervisor import Supervisor
    from logrouter.process.watchdog import Watchdog

    stop = StopSignal()
    settings = _without_routes(settings_of(config_file, bootstrap))
    given = [
        *(("--config", str(config_file)) if config_file else ()),
        *(("--bootstrap", bootstrap) if bootstrap else ()),
    ]
    fleet = RunFleet(
        _program(context),
        given,
        instance=settings.route_lane.instance or socket.gethostname(),
        routes=route_processes or os.cpu_count() or 1,
        tables=("--data-dir", str(data_dir)) if data_dir else (),
    )
    with Watchdog() as watchdog:
        supervisor = Supervisor(fleet.wanted(settings), watchdog)
        reloader, versions = _follow(settings, bootstrap, supervisor.note_reading)

        def changes() -> list[WantedChild] | None:
            version = versions.activate() if versions.is_swap_due() else None
            return None if version is None else fleet.wanted(version.settings)

        def reload(_number: int, _frame: object) -> None:
            supervisor.pass_on_reload()
            reloader.request_reload()

        signal.signal(signal.SIGHUP, reload)
        reloader.start()
        try:
            code = supervisor.run(stopping=stop, changes=changes)
        finally:
            ignore_reload()
            reloader.stop()
    raise SystemExit(code)


def _without_routes(settings: Settings) -> Settings:
    """*settings* without what only route processes use: lookups may be large, and versions are kept."""
    return replace(settings, table=replace(settings.table, sources=()))


def _follow(
    settings: Settings, bootstrap: str | None, note_reading: Callable[[], None]
) -> tuple[Reloader[Settings], ConfigVersions[Settings]]:
    """What reads the file of *settings* again, not started yet, and its versions, of which *settings* is the first.

    *note_reading* is called after each reading that leaves the processes as they are, but the first. Also after that of
    a wrong file: a sink's process reads its own part alone, and may find that right where the whole is not.
    """
    from logrouter import config
    from logrouter.config.settings import reread_config
    from logrouter.reload.reloader import ConfigFile, Reloader
    from logrouter.reload.versions import ConfigVersions, ReloadResult, Version

    path = Path(settings.file)
    readings = itertools.count()

    def parse(data: bytes) -> Settings:
        new = config.parse(data, os.environ, name=str(path), folder=path.parent)
        return _without_routes(overridden(new, bootstrap))

    def on_reading(outcome: ReloadOutcome) -> None:
        # A new version is for who follows it to tell: until then processes would be started as they were wanted before.
        if next(readings) and outcome.result is not ReloadResult.APPLIED:
            note_reading()

    def version(new: Settings) -> Version[Settings]:
        return Version(new, new.table)

    versions = ConfigVersions(version(settings), file=settings.file)
    source = ConfigFile(
        path=path, content=lambda: reread_config(path), parse=parse, version=version, refusal=lambda _new: ""
    )
    return Reloader(versions, source, inputs=settings.inputs, on_reading=on_reading), versions


def _program(context: click.Context) -> list[str]:
    """The command line of a child up to its command, with the log options that we were started with."""
    log = context.find_root().params
    options = ["--log-format", log["log_format"], "--log-level", log["log_level"]]
    return [sys.executable, "-m", "logrouter", *options]
