"""The `logrouter` command: the one place that puts the lanes, their settings and the process together.

Exit codes: 0 done or stopped as asked, 1 a lane failed, 2 wrong usage or configuration, 3 `topics` found drift,
4 `check` found nothing worse than warnings, 5 `usage` found no such client, 75 fenced by another process (a supervisor
should start us again).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import orjson
import rich_click as click
from rich.console import Console
from rich.table import Table

from logrouter import __version__, config
from logrouter.commands.check import check_command, schema_command
from logrouter.commands.completion import completion_command
from logrouter.commands.explain import explain_command
from logrouter.commands.options import config_options as _config_options
from logrouter.commands.options import overridden
from logrouter.commands.options import settings_of as _settings
from logrouter.commands.plan import plan_command
from logrouter.commands.terminal import EXIT_DRIFT, EXIT_FAILED, EXIT_FENCED, EXIT_USAGE
from logrouter.commands.terminal import fail as _fail
from logrouter.commands.token import token_command
from logrouter.commands.top import top_command
from logrouter.commands.usage import usage_command
from logrouter.telemetry.log import Log, configure_logging, log

click.rich_click.TEXT_MARKUP = "markdown"
click.rich_click.MAX_WIDTH = 100


class _Stop:
    """SIGTERM and SIGINT as a question a loop can ask: has somebody told us to stop?"""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: object) -> None:
        self._asked = True

    def __call__(self) -> bool:
        return self._asked


def _escape(text: str) -> str:
    return text.replace("[", r"\[")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="logrouter")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="LOGROUTER_LOG_FORMAT",
    help="How the log of lanes is written on stderr.  [default: text]",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    envvar="LOGROUTER_LOG_LEVEL",
    help="What is worth a line in that log.  [default: info]",
)
def cli(log_format: str, log_level: str) -> None:
    """Routes API-gateway request lines out of mixed Kafka log topics: nothing lost, nothing doubled.

    **Examples**

        logrouter demo                 # a real Kafka, made-up lines, everything live
        logrouter topics               # create the topics that topics.yaml needs
        logrouter run                  # both lanes on this machine

    **Exit codes**: 0 done, 1 failed, 2 wrong usage or configuration, 3 drift found, 4 warnings only,
    5 no such client, 75 fenced.
    """
    configure_logging(json=log_format == "json", level=log_level)


@cli.command()
@_config_options
@click.option("--instance", envvar="LOGROUTER_INSTANCE", help="Stable name of this process. Default: the host name.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Port of /metrics, /livez and /readyz; 0: any.")
def route(config_file: Path | None, bootstrap: str | None, instance: str | None, metrics_port: int | None) -> None:
    """Run one route process: mixed topics in; events, dead letters and partial sums out.

    Start as many as you have cores, each with its own --instance; they share the partitions. An edited topics.yaml
    comes into force by itself, and at once by SIGHUP; a wrong one changes nothing.

    **Examples**

        logrouter route --instance route-0
        LOGROUTER_INSTANCE=$HOSTNAME logrouter route --config /etc/logrouter/topics.yaml
    """
    from logrouter.route import health, process  # noqa: PLC0415 - a command loads only the lane it runs

    stop = _Stop()
    settings = _settings(config_file, bootstrap, instance)
    host_name = socket.gethostname()
    lane = process.lane(settings, default_instance=host_name, stopping=stop)
    port = settings.route_lane.metrics.port if metrics_port is None else metrics_port

    def parse(data: bytes) -> config.Settings:
        path = Path(settings.file)
        return overridden(config.parse(data, os.environ, name=str(path), folder=path.parent), bootstrap, instance)

    reloader = process.reloader(lane, settings, default_instance=host_name, parse=parse)
    signal.signal(signal.SIGHUP, lambda _number, _frame: reloader.signal())
    try:
        health.serve(lane, settings.route_lane.metrics.host, port, reloader)
        reloader.start()
        lane.run()
    except process.ClientError as exc:
        _fail(str(exc), EXIT_USAGE)
    except health.PortTakenError as exc:
        _fail(str(exc), EXIT_FAILED)  # unlike a wrong setting, this may heal: a supervisor should try again
    except process.FatalError as exc:
        log(Log.FENCED if exc.fenced else Log.LANE_FAILED, lane="route", error=str(exc))
        if isinstance(exc, process.StuckError):
            os._exit(EXIT_FENCED)  # an ordinary exit would wait for the thread that never comes back
        raise SystemExit(EXIT_FENCED if exc.fenced else EXIT_FAILED) from None


@cli.command()
@_config_options
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where tables are kept on disk.")
@click.option("--host", help="Address to listen on for the table view.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the table view.")
@click.option("--advertise", metavar="URL", help="URL under which the other workers reach this one.")
@click.option("--instance", envvar="LOGROUTER_INSTANCE", help="Stable name of this worker. Default: the host name.")
def tables(
    config_file: Path | None,
    bootstrap: str | None,
    data_dir: Path | None,
    host: str | None,
    port: int | None,
    advertise: str | None,
    instance: str | None,
) -> None:
    """Run one tables worker: partial sums in, per-client tables out, and the table view over HTTP.

    **Examples**

        logrouter tables --data-dir /var/lib/logrouter
        logrouter tables --port 6067 --data-dir .data/tables-1      # a second one on the same machine
        curl localhost:6066/v1/clients?window=24h

    **Exit codes**: 0 stopped as asked; 1 failed; 2 wrong usage or configuration; 75 fenced, to be started again.
    """
    from logrouter.tables import worker  # noqa: PLC0415 - a command loads only the lane it runs
    from logrouter.tables.settings import SettingsError, from_settings  # noqa: PLC0415

    settings = _settings(config_file, bootstrap)
    try:
        chosen = from_settings(
            settings, data_dir=data_dir, host=host, port=port, advertise=advertise, instance=instance
        )
    except SettingsError as exc:
        _fail(str(exc), EXIT_USAGE)
    raise SystemExit(worker.run(chosen))


@cli.command()
@_config_options
@click.option("--route-processes", type=click.IntRange(1, 256), help="How many. Default: one per core.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where tables are kept on disk.")
def run(config_file: Path | None, bootstrap: str | None, route_processes: int | None, data_dir: Path | None) -> None:
    """Run both lanes on this machine: a route process per core and a tables worker, each kept running.

    **Examples**

        logrouter run --bootstrap kafka-1:9092
        logrouter run --route-processes 1 --data-dir /var/lib/logrouter

    **Exit codes**: 0 stopped as asked; 2 wrong usage or configuration. A process that fails is started again.
    """
    from logrouter.process.supervisor import Child, supervise  # noqa: PLC0415 - a command loads only what it runs

    stop = _Stop()
    settings = _settings(config_file, bootstrap)
    given = [
        *(("--config", str(config_file)) if config_file else ()),
        *(("--bootstrap", bootstrap) if bootstrap else ()),
    ]
    name = settings.route_lane.instance or socket.gethostname()
    port = settings.route_lane.metrics.port
    count = route_processes or os.cpu_count() or 1
    children = [
        Child(
            f"route-{n}",
            [*_self(), "route", *given, "--instance", f"{name}-{n}", "--metrics-port", str(port + n if port else 0)],
        )
        for n in range(count)
    ]
    routing = tuple(children)

    def reload(number: int, _frame: object) -> None:
        for child in routing:
            child.signal(signal.Signals(number))

    signal.signal(signal.SIGHUP, reload)
    where = ("--data-dir", str(data_dir)) if data_dir else ()
    children.append(Child("tables", [*_self(), "tables", *given, *where]))
    raise SystemExit(supervise(children, stopping=stop))


def _self() -> list[str]:
    context: dict[str, str] = click.get_current_context().find_root().params  # type: ignore[union-attr]  # never None here
    return [
        sys.executable,
        "-m",
        "logrouter",
        "--log-format",
        context["log_format"],
        "--log-level",
        context["log_level"],
    ]


@cli.command()
@_config_options
@click.option("--dry-run", is_flag=True, help="Create nothing: only say what is missing and what drifted.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per topic.")
def topics(config_file: Path | None, bootstrap: str | None, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001 - click flags
    """Create the output topics that topics.yaml needs, and report where the present ones differ.

    Exits with 3 when a topic is missing (with --dry-run) or differs; nothing that exists is ever changed.

    **Examples**

        logrouter topics --bootstrap kafka-1:9092
        logrouter topics --dry-run --json | jq 'select(.state != "present")'
    """
    from logrouter.route import process  # noqa: PLC0415 - a command loads only what it runs

    settings = _settings(config_file, bootstrap)
    try:
        findings = process.ensure_topics(settings, dry_run=dry_run)
    except process.ClientError as exc:
        _fail(str(exc), EXIT_FAILED)
    if as_json:
        for finding in findings:
            click.echo(orjson.dumps(finding))
    else:
        table = Table("topic", "state", "detail", box=None)
        styles = {"created": "green", "present": "dim", "missing": "yellow", "drift": "red"}
        for finding in findings:
            table.add_row(finding.name, f"[{styles[finding.state]}]{finding.state}[/]", _escape(finding.detail))
        Console(highlight=False).print(table)
    if any(finding.state in {"missing", "drift"} for finding in findings):
        raise SystemExit(EXIT_DRIFT)


@cli.command("test")
@click.argument("config_file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per test.")
def run_cases(config_file: Path | None, as_json: bool) -> None:  # noqa: FBT001 - a click flag
    """Run the `tests:` of a topics.yaml: lines in, and what must become of them. Needs no broker.

    Exits with 1 when a test fails.

    **Examples**

        logrouter test
        logrouter test new-topics.yaml --json | jq 'select(.passed | not)'
    """
    from logrouter.config import cases  # noqa: PLC0415 - only this command needs it

    results = cases.run(_settings(config_file, None))
    console = Console(highlight=False)
    for result in results:
        if as_json:
            click.echo(
                orjson.dumps({"number": result.number, "passed": result.passed, "differences": result.differences})
            )
            continue
        console.print(f"test {result.number}: " + ("[green]passed[/]" if result.passed else "[red]failed[/]"))
        for d in result.differences:
            console.print(f"  {_escape(d.at)}: expected {_escape(_json(d.expected))}, found {_escape(_json(d.found))}")
    failed = sum(not result.passed for result in results)
    if not as_json:
        console.print(f"{len(results) - failed} passed, {failed} failed")
    if failed:
        raise SystemExit(EXIT_FAILED)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


@cli.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9092, show_default=True, help="Port to listen on; 0: any."
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Keep the data here. Default: temporary."
)
def broker(port: int, data_dir: Path | None) -> None:
    """Run the embedded Apache Kafka alone: one node, for development. Ctrl-C stops it.

    **Example**

        logrouter broker --port 9092 --data-dir .data/kafka

    **Exit codes**: 0 stopped as asked; 1 it could not be started; 2 wrong usage.
    """
    from logrouter.devkafka import broker  # noqa: PLC0415 - needs the "broker" extra

    try:
        broker.serve(port, data_dir)
    except broker.DevKafkaError as exc:
        _fail(str(exc), EXIT_FAILED)


@cli.command()
@click.option("--once", is_flag=True, help="Feed a bounded number of lines, check every number, print a summary, end.")
@click.option("--lines", type=click.IntRange(1), help="How many lines --once feeds.  [default: 20000]")
@click.option("--json", "as_json", is_flag=True, help="With --once: the summary as JSON.")
def demo(once: bool, lines: int | None, as_json: bool) -> None:  # noqa: FBT001 - click flags
    """Show the whole path live: a real Kafka, a mixed stream of made-up log lines, both lanes, the table view.

    **Examples**

        logrouter demo
        logrouter demo --once --lines 50000 --json

    **Exit codes**: 0 all numbers right, or stopped as asked; 1 something failed or a number is wrong; 2 wrong usage.
    """
    from logrouter.demo import session  # noqa: PLC0415 - needs the "broker" extra

    raise SystemExit(session.run(once=once, lines=lines or 20_000, as_json=as_json))


for _command in (
    check_command,
    schema_command,
    explain_command,
    plan_command,
    token_command,
    usage_command,
    top_command,
    completion_command,
):
    cli.add_command(_command)


def main() -> None:
    """Entry point of the `logrouter` command."""
    cli(prog_name="logrouter")


if __name__ == "__main__":
    main()
