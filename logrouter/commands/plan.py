"""`logrouter plan`: what another topics.yaml would do to the records that are in the source topics now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from logrouter.commands.exit_codes import EXIT_DIFFERENT, EXIT_USAGE
from logrouter.commands.help_text import Command
from logrouter.commands.options import config_options
from logrouter.commands.plan_sinks import compare_sinks, read_file
from logrouter.commands.terminal import console, fail, print_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logrouter.config import Settings
    from logrouter.core.dryrun.plan import Comparison, Timing


@click.command("plan", cls=Command)
@click.argument("new_file", metavar="NEW.yaml", type=click.Path(path_type=Path, dir_okay=False))
@config_options
@click.option("--records", type=click.IntRange(1), help="How many of the last records are read.  [default: 10000]")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Read what was written in the last minutes.")
@click.option(
    "--samples", type=click.IntRange(0, 100), default=3, show_default=True, help="Records shown of each difference."
)
@click.option(
    "--fail-on",
    type=click.Choice(["difference", "loss", "never"]),
    default="difference",
    show_default=True,
    help="What makes the exit code 1: any difference, lost requests and new rejections only, or nothing.",
)
@click.option("--json", "as_json", is_flag=True, help="The whole comparison as one JSON object.")
def plan_command(
    new_file: Path,
    config_file: Path | None,
    bootstrap: str | None,
    records: int | None,
    minutes: float | None,
    samples: int,
    fail_on: str,
    as_json: bool,  # noqa: FBT001 - a click flag
) -> None:
    """Show what NEW.yaml would change: real records through the running table and the new one, and what differs.

    The last records of all source topics are read, of those that either file names. Nothing is written, and no
    consumer group is left behind. The cluster is the one of --config.

    Sinks are compared by their options: which are new, gone or changed, and which processes have to be restarted for
    that. They do not count for the exit code.

    **Examples**

        logrouter plan new-topics.yaml
        logrouter plan new-topics.yaml --minutes 15 --samples 10
        logrouter plan new-topics.yaml --fail-on loss --json | jq .effects

    **Exit codes**: 0 every record fares the same; 1 some do not (see --fail-on); 2 nothing could be compared: wrong
    usage or configuration, or Kafka does not answer.
    """
    from logrouter.commands import plan_report

    old, new = read_file(config_file, bootstrap), read_file(new_file, bootstrap)
    report = _compare(old.settings, new.settings, records, minutes, samples) | {"sinks": compare_sinks(old, new)}
    if as_json:
        print_json(report)
    else:
        plan_report.show(console(), report)
    if (fail_on == "difference" and report["differs"]) or (fail_on == "loss" and report["loses"]):
        raise SystemExit(EXIT_DIFFERENT)


def _compare(old: Settings, new: Settings, records: int | None, minutes: float | None, samples: int) -> dict[str, Any]:
    from logrouter.commands.records import now_ms
    from logrouter.core.dryrun.plan import Comparison, Side, compare_tables
    from logrouter.kafka import reader
    from logrouter.kafka.errors import ClientError
    from logrouter.kafka.records import LOOP_HEADER

    since_ms = None if minutes is None else now_ms() - int(minutes * 60_000)
    wanted = 10_000 if records is None and minutes is None else records
    comparison = Comparison(samples)
    try:
        cluster = reader.describe_cluster(old.kafka)
        topics = _topics(old, new, cluster.topics)
        before = Side(old.table, cluster.id, loop_header=LOOP_HEADER)
        after = Side(new.table, cluster.id, loop_header=LOOP_HEADER)
        tail = reader.read_tail(old.kafka, topics["read"], records=wanted, since_ms=since_ms)
        timing = compare_tables(tail, before, after, comparison, now_ms=now_ms(), clock=time.perf_counter)
    except ClientError as exc:
        fail(str(exc), EXIT_USAGE)
    return _report(old, new, topics, comparison, timing) | {
        "new_routes": sorted(after.routes - before.routes),
        "vanished_routes": sorted(before.routes - after.routes),
    }


def _topics(old: Settings, new: Settings, existing: Iterable[str]) -> dict[str, list[str]]:
    """The topics that either table takes from, which of them are only one's, and which are not there."""
    there = frozenset(existing)
    takes = [{topic for topic in there if settings.table.source_of(topic) is not None} for settings in (old, new)]
    named = {name for settings in (old, new) for source in settings.table.sources for name in source.topics}
    return {
        "read": sorted(takes[0] | takes[1]),
        "only_old": sorted(takes[0] - takes[1]),
        "only_new": sorted(takes[1] - takes[0]),
        "missing": sorted(named - there),
    }


def _report(
    old: Settings, new: Settings, topics: dict[str, list[str]], comparison: Comparison, timing: Timing
) -> dict[str, Any]:
    """The comparison as plain data."""
    names = comparison.old.routes | comparison.new.routes
    old_us, new_us = timing.us_per_record()
    return {
        "differs": comparison.differs,
        "loses": comparison.loses,
        "records": comparison.records,
        "bytes": comparison.bytes,
        "old": {"file": old.file, "generation": old.generation},
        "new": {"file": new.file, "generation": new.generation},
        "topics": topics,
        "effects": {effect.value: count for effect, count in comparison.effects.items()},
        "routes": {
            name: {"old": comparison.old.routes.get(name), "new": comparison.new.routes.get(name)}
            for name in sorted(names)
        },
        "new_rejections": [
            {**rejection._asdict(), "count": count} for rejection, count in comparison.rejections.most_common()
        ],
        "cardinality": {
            kind: {"old": len(names), "new": len(comparison.new.names[kind])}
            for kind, names in comparison.old.names.items()
        },
        "throughput": {"old_us_per_record": round(old_us, 2), "new_us_per_record": round(new_us, 2)},
        "samples": [
            {
                "record": sample.place,
                "effect": sample.effect.value,
                "old": sample.old,
                "new": sample.new,
                "changes": [change._asdict() for change in sample.changes],
            }
            for sample in comparison.samples
        ],
    }
