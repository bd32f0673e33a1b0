"""`logrouter explain`: what becomes of a record, stage by stage, and why."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import rich_click as click
from rich.text import Text

from logrouter.commands import records as inputs
from logrouter.commands.options import complete_source, config_options, settings_of
from logrouter.commands.terminal import EXIT_FAILED, EXIT_USAGE, console, fail, harmless
from logrouter.core import ids
from logrouter.core.dryrun.explain import as_dict, explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from logrouter.config import Settings
    from logrouter.core.dryrun.explain import Explanation
    from logrouter.model import RawRecord

_MARKS: Final = {True: ("yes", "green"), False: ("no", "red"), None: ("-", "dim")}
_COLOURS: Final = {"accepted": "bold green", "held": "bold cyan", "ignored": "bold yellow", "rejected": "bold red"}
_SAID: Final = frozenset(
    {
        "stage",
        "passed",
        "says",
        "line",
        "route",
        "topic",
        "partition",
        "offset",
        "bytes",
        "tokens",
        "shape",
        "client_id",
    }
    | {"api", "client_ip", "weight", "not_tried", "topics", "key", "id", "pointer", "message", "schema", "source"}
)
"""Details that a step's line has said already."""


@click.command("explain")
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
    settings = settings_of(config_file, bootstrap)
    table = settings.table
    if source_name is not None and table.source_named(source_name) is None:
        known = ", ".join(source.name for source in table.sources)
        fail(f"there is no source {source_name!r}; there are {known}", EXIT_USAGE)
    try:
        explanations = _explanations(settings, given, source_name, topic)
        _show(explanations, as_json=as_json)
    except inputs.RecordSourceError as exc:
        fail(str(exc), EXIT_FAILED)


def _explanations(
    settings: Settings, given: str | None, source_name: str | None, topic: str | None
) -> Iterator[Explanation]:
    is_file = given is not None and Path(given).is_file()
    place = inputs.place_of(given) if given is not None and not is_file else None
    wanted = place or (ids.coordinates(given) if given is not None and not is_file else None)
    if wanted is not None:
        cluster, record = inputs.from_kafka(settings, wanted)
        yield _explain(settings, record, cluster, source_name)
        return
    if topic is None or source_name is not None:
        source_name = source_name or settings.table.sources[0].name
        topic = topic or _topic_of(settings, source_name)
    if given is None or given == "-":
        records: Iterable[RawRecord] = inputs.lines(sys.stdin.buffer, topic)
    elif is_file:
        records = inputs.lines_of(Path(given), topic)
    else:
        fail(f"{given} is no file, no TOPIC:PARTITION:OFFSET and no event id", EXIT_USAGE)
    for record in records:
        yield _explain(settings, record, inputs.LINES_CLUSTER, source_name)


def _topic_of(settings: Settings, source_name: str) -> str:
    """The topic that lines of a source are taken to come from: one of its own, else its name."""
    names = next(source.topics for source in settings.table.sources if source.name == source_name)
    return min(names, default=source_name)


def _explain(settings: Settings, record: RawRecord, cluster: str, source_name: str | None) -> Explanation:
    from logrouter.kafka.records import LOOP_HEADER  # noqa: PLC0415 - with the rest of the Kafka side, on demand

    return explain(
        settings.table,
        record,
        now_ms=inputs.now_ms(),
        event_id=ids.for_partition(cluster, record.topic, record.partition),
        source_name=source_name,
        loop_header=LOOP_HEADER,
        dead_letter_topic=settings.outputs.dead_letter.topic,
        throttled=cluster != inputs.LINES_CLUSTER,
    )


def _show(explanations: Iterable[Explanation], *, as_json: bool) -> None:
    out = console()
    for number, explanation in enumerate(explanations):
        found = as_dict(explanation)
        if as_json:
            click.echo(orjson.dumps(found, default=str))
        else:
            if number:
                out.print()
            _print(out, found)


def _print(out: Console, found: dict[str, Any]) -> None:
    """One record for people: a line per step, what it saw below, and the events at the end."""
    line = None
    for step in found["steps"]:
        if step.get("line") != line:
            line = step.get("line")
            out.print(Text(f"line {line + 1}" if line is not None else "record", "bold underline"), soft_wrap=True)
        mark, style = _MARKS[step["passed"]]
        shown = Text(f"{step['stage']:<10}", "bold") + Text(f"{mark:<4}", style) + Text(harmless(step["says"]))
        out.print(shown, soft_wrap=True)
        for name, value in step.items():
            for text in _below(name, value):
                out.print(Text(f"{'':<14}{text}", "dim"), soft_wrap=True)
    for event in found["events"]:
        for text in orjson.dumps(event, option=orjson.OPT_INDENT_2).decode("utf-8", "replace").split("\n"):
            out.print(Text(f"{'':<14}{harmless(text)}", "cyan"), soft_wrap=True)
    verdict = " ".join(filter(None, (found["outcome"], "by", found["route"])))
    why = ": ".join(filter(None, (found["stage"], found["reason"], found.get("pointer"))))
    if len(found["outcomes"]) > 1:
        ends = Counter(outcome["outcome"] for outcome in found["outcomes"])
        why = "; ".join(filter(None, (why, "in all " + ", ".join(f"{count} {end}" for end, count in ends.items()))))
    out.print(Text(verdict, _COLOURS[found["outcome"]]) + Text(f" ({why})" if why else ""), soft_wrap=True)


def _below(name: str, value: Any) -> Iterator[str]:
    """The lines below a step's own for one of its details."""
    if name in _SAID or value in (None, "", [], {}):
        return
    if name == "why":
        yield from map(harmless, value)
    elif isinstance(value, list) and isinstance(value[0], dict):
        yield from (harmless(f"{name}: " + ", ".join(f"{k} {v}" for k, v in item.items())) for item in value)
    elif isinstance(value, dict | list):
        yield harmless(f"{name}: {orjson.dumps(value, default=str).decode('utf-8', 'replace')}")
    else:
        yield harmless(f"{name}: {value}")
