"""`logrouter sink`: one process of a sink, and a test of its target."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import rich_click as click

from logrouter.commands.exit_codes import EXIT_FAILED, EXIT_USAGE
from logrouter.commands.help_text import Command
from logrouter.commands.lane_end import run_to_end
from logrouter.commands.options import complete_sink, config_options, names_in, overridden, settings_of
from logrouter.commands.reload_signal import ReloadSignal
from logrouter.commands.stop_signal import StopSignal
from logrouter.commands.terminal import console, fail, print_json

if TYPE_CHECKING:
    from logrouter.config import Settings
    from logrouter.config.compile.sinks import ConfiguredSink


_TEST: Final = "test"


@click.command("sink", cls=Command)
@click.argument("words", nargs=-1, required=True, metavar="[test] NAME", shell_complete=complete_sink)
@config_options
@click.option("--instance", envvar="LOGROUTER_INSTANCE", help="Stable name of this process. Default: the host name.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Port of /metrics, /livez and /readyz; 0: any.")
@click.option("--json", "as_json", is_flag=True, help="With `test`: print what came of it as one JSON object.")
def sink_command(
    words: tuple[str, ...],
    config_file: Path | None,
    bootstrap: str | None,
    instance: str | None,
    metrics_port: int | None,
    *,
    as_json: bool,
) -> None:
    """Run one process of a sink: events of topics to a target outside of Kafka; or send it a test event.

    Start as many as you like, each with its own --instance; they share the partitions. An edited topics.yaml comes into
    force by itself, and at once by SIGHUP; a wrong one changes nothing.

    With `test` before the name one event that says so (`meta.domain` is `canary`) goes to the target, once, and what
    became of it is printed. No Kafka is needed.

    **Examples**

        logrouter sink search
        logrouter sink search --instance search-1 --metrics-port 9102
        logrouter sink test search --json

    **Exit codes** of `test`: 0 the target has the event; 1 it has not; 2 wrong usage or configuration.
    """
    if len(words) > 2 or (len(words) == 2 and words[0] != _TEST):
        raise click.UsageError(f"one NAME is needed, with `test` before it or not; got: {' '.join(words)}")
    if words == (_TEST,):
        raise click.UsageError("which sink is to be tested? logrouter sink test NAME")
    if as_json and len(words) == 1:
        raise click.UsageError("--json goes with `test`")
    name = words[-1]
    if len(words) > 1:
        _, sink = _settings_and_sink(name, config_file, bootstrap, instance)
        raise SystemExit(_test(sink, as_json=as_json))
    _run(name, config_file, bootstrap, instance, metrics_port)


def _settings_and_sink(
    name: str, config_file: Path | None, bootstrap: str | None, instance: str | None
) -> tuple[Settings, ConfiguredSink]:
    settings = settings_of(config_file, bootstrap, instance, sinks=(name,))
    if name not in settings.sinks:
        known = ", ".join(names_in("sinks", config_file)) or "none"
        fail(f"{settings.file} has no sink {name!r}; it has: {known}", EXIT_USAGE)
    return settings, settings.sinks[name]


def _test(sink: ConfiguredSink, *, as_json: bool) -> int:
    """Send one event and print what became of it; the exit code."""
    from dataclasses import asdict

    from logrouter.deliver.probe import probe

    report = probe(sink)
    if as_json:
        print_json(asdict(report) | {"taken": report.is_taken})
    else:
        answer = f"status {report.status}" if report.status else report.trouble or "none"
        out = console()
        out.print(f"sent     1 event, {report.size} bytes, id {report.event_id}, to {report.url}", soft_wrap=True)
        out.print(
            f"answer   {answer} after {report.seconds:g} s{': ' * bool(report.detail)}{report.detail}", soft_wrap=True
        )
        out.print(f"{'taken' if report.is_taken else 'not taken':<8} {report.meaning}", soft_wrap=True)
    return 0 if report.is_taken else EXIT_FAILED


def _run(
    name: str, config_file: Path | None, bootstrap: str | None, instance: str | None, metrics_port: int | None
) -> NoReturn:
    hangup = ReloadSignal()  # before anything that takes time: without a handler SIGHUP ends the process
    from logrouter import config
    from logrouter.deliver import process
    from logrouter.status_port import app

    stop = StopSignal()
    settings, sink = _settings_and_sink(name, config_file, bootstrap, instance)
    host_name = socket.gethostname()
    lane = process.make_lane(settings, name, host_name, stopping=stop)
    metrics = sink.options.metrics
    port = metrics.port if metrics_port is None else metrics_port

    def parse(data: bytes) -> Settings:
        path = Path(settings.file)
        new = config.parse(data, os.environ, name=str(path), folder=path.parent, sinks=(name,))
        return overridden(new, bootstrap, instance)

    reloader = process.make_reloader(lane, settings, name, host_name, parse=parse)
    hangup.serve_with(reloader.request_reload)

    def work() -> None:
        app.serve(lane, metrics.host, port, reloader, name="sink")
        reloader.start()
        lane.run()

    run_to_end("sink", work)
