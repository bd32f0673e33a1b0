"""`logrouter explain`: what becomes of a record, stage by stage, and why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from logrouter.commands.exit_codes import EXIT_FAILED, EXIT_USAGE
from logrouter.commands.help_text import Command
from logrouter.commands.options import complete_source, config_options, settings_of
from logrouter.commands.terminal import fail

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from logrouter.config import Settings
    from logrouter.core.dryrun.explain import Explanation
    from logrouter.model import RawRecord


@click.command("explain", cls=Command)
@click.argument("given", metavar="[FILE|TOPIC:PARTITION:OFFSET|EVENT_ID]", required=False)
@config_options
@click.option(
    "--source",
    "source_name",
    metavar="NAME",
    shell_complete=complete_source,
    help="The source that lines belong to. Default: the first.",
)
@click.option("--topic", metavar="NAME", help="The topic that lines are taken to come from.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per record.")
def explain_command(
    given: str | None,
    config_file: Path | None,
    bootstrap: str | None,
    source_name: str | None,
    topic: str | None,
    as_json: bool,  # noqa: FBT001 - a click flag
) -> None:
    """Show a record's way through topics.yaml, stage by stage: what was asked of it, why, and what it becomes.

    The record is a line on standard input or of a file, one in Kafka, or the one that an event was made from. Nothing
    is written anywhere, and secrets are redacted. Lines need no broker.

    **Examples**

        tail -n 1 gateway.log | logrouter explain --source kubernetes
        logrouter explain rsyslog-notice:0:4711
        logrouter explain 5f0c91aa-17cb-8003-8000-000000491c00
        logrouter explain lines.json --json | jq -r '[.outcome, .route, .reason] | @tsv'

    **Exit codes**: 0 explained, whatever the outcome; 1 no such record, or Kafka does not answer; 2 wrong usage or
    configuration.
    """
    from logrouter.commands import explain_report
    from logrouter.commands.records import RecordSourceError

    settings = settings_of(config_file, bootstrap, sinks=())
    table = settings.table
    if source_name is not None and table.source_named(source_name) is None:
        known = ", ".join(source.name for source in table.sources)
        fail(f"there is no source {source_name!r}; there are {known}", EXIT_USAGE)
    try:
        explain_report.show(_explanations(settings, given, source_name, topic), as_json=as_json)
    except RecordSourceError as exc:
        fail(str(exc), EXIT_FAILED)


def _explanations(
    settings: Settings, given: str | None, source_name: str | None, topic: str | None
) -> Iterator[Explanation]:
    from logrouter.commands.records import LINES_CLUSTER, find_record, parse_place, read_file, read_lines
    from logrouter.core import ids

    is_file = given is not None and Path(given).is_file()
    place = parse_place(given) if given is not None and not is_file else None
    wanted = place or (ids.coordinates(given) if given is not None and not is_file else None)
    if wanted is not None:
        found = find_record(settings, wanted)
        yield _explain(settings, found.record, found.cluster, source_name, found.topic_id)
        return
    if topic is None or source_name is not None:
        source_name = source_name or settings.table.sources[0].name
        topic = topic or _topic_of(settings, source_name)
    if given is None or given == "-":
        records: Iterable[RawRecord] = read_lines(sys.stdin.buffer, topic)
    elif is_file:
        records = read_file(Path(given), topic)
    else:
        fail(f"{given} is no file, no TOPIC:PARTITION:OFFSET and no event id", EXIT_USAGE)
    for record in records:
        yield _explain(settings, record, LINES_CLUSTER, source_name)


def _topic_of(settings: Settings, source_name: str) -> str:
    """The topic that lines of a source are taken to come from: one of its own, else its name."""
    names = next(source.topics for source in settings.table.sources if source.name == source_name)
    return min(names, default=source_name)


def _explain(
    settings: Settings, record: RawRecord, cluster: str, source_name: str | None, topic_id: str = ""
) -> Explanation:
    from logrouter.commands.records import LINES_CLUSTER, now_ms
    from logrouter.core import ids
    from logrouter.core.dryrun.explain import explain_record
    from logrouter.kafka.records import LOOP_HEADER

    return explain_record(
        settings.table,
        record,
        now_ms=now_ms(),
        event_id=ids.for_partition(cluster, record.topic, record.partition, topic_id),
        source_name=source_name,
        loop_header=LOOP_HEADER,
        dead_letter_topic=settings.outputs.dead_letter.topic,
        throttled=cluster != LINES_CLUSTER,
    )
