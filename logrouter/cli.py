"""The `logrouter` command: the names of its commands, each a module of `logrouter.commands`, and the log options.

Nothing but the command that is called gets imported, so that help, completion and `--version` are there at once.
"""

from __future__ import annotations

from typing import Final

import rich_click as click

from logrouter import __version__
from logrouter.commands.lazy_group import LazyGroup
from logrouter.commands.terminal import ending_in_words, harmless_tracebacks

COMMANDS: Final = {
    "broker": (
        "logrouter.commands.broker",
        "Run the embedded Apache Kafka alone: one node, for development. Ctrl-C stops it.",
    ),
    "callers": (
        "logrouter.commands.callers",
        "Show who called a URL, over all APIs: clients by URL, the most frequent first.",
    ),
    "check": (
        "logrouter.commands.check",
        "Check a topics.yaml: every problem at once, with its place. Needs no broker.",
    ),
    "completion": (
        "logrouter.commands.completion",
        "Print the completion script of a shell, to be read when it starts.",
    ),
    "demo": (
        "logrouter.commands.demo",
        "Show the whole path live: a real Kafka, mixed made-up log lines, both lanes, a sink, the table view.",
    ),
    "drains": (
        "logrouter.commands.drains",
        "List, make, test and remove log drains: where an app's, a site's, an API's or a client's logs also go.",
    ),
    "explain": (
        "logrouter.commands.explain",
        "Show a record's way through topics.yaml, stage by stage: what was asked of it, why, and what it becomes.",
    ),
    "plan": (
        "logrouter.commands.plan",
        "Show what NEW.yaml would change: real records through the running table and the new one, and what differs.",
    ),
    "route": (
        "logrouter.commands.route",
        "Run one route process: mixed topics in; events, dead letters and partial sums out.",
    ),
    "run": (
        "logrouter.commands.run",
        "Run all on this machine: a route process per core, a tables worker, a process per sink, each kept running.",
    ),
    "schema": (
        "logrouter.commands.schema",
        "Print the JSON Schema of topics.yaml, for completion and checks while typing in an editor.",
    ),
    "sink": (
        "logrouter.commands.sink",
        "Run one process of a sink: events of topics to a target outside of Kafka; or send it a test event.",
    ),
    "tables": (
        "logrouter.commands.tables",
        "Run one tables worker: partial sums in, per-client tables out, and the table view over HTTP.",
    ),
    "test": (
        "logrouter.commands.run_tests",
        "Run the `tests:` of a topics.yaml: lines in, and what must become of them. Needs no broker.",
    ),
    "token": (
        "logrouter.commands.token",
        "Make a token for the table view.",
    ),
    "top": (
        "logrouter.commands.top",
        "Show the busiest clients and APIs, live, with search and a view of each.",
    ),
    "topics": (
        "logrouter.commands.topics",
        "Create the output topics that topics.yaml needs, and report where the present ones differ.",
    ),
    "usage": (
        "logrouter.commands.usage",
        "Show what one client has used: how much, of what, with which trouble, and against the time before.",
    ),
}
"""Every command: the module that has it, and the first paragraph of its help."""


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
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
        logrouter run                  # both lanes and every sink, on this machine

    **Exit codes**: 0 done, 1 failed, 2 wrong usage or configuration, 3 drift found, 4 warnings only,
    5 no such client, 75 fenced.
    """
    from logrouter.telemetry.log import configure_logging  # noqa: PLC0415 - help and completion write no log

    configure_logging(json=log_format == "json", level=log_level)


def main() -> None:
    """Entry point of the `logrouter` command."""
    harmless_tracebacks()
    with ending_in_words():
        cli(prog_name="logrouter")


if __name__ == "__main__":
    main()
