"""`logrouter topics`: creates the output topics, and reports where the present ones differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import rich_click as click

from logrouter.commands.exit_codes import EXIT_DRIFT, EXIT_FAILED
from logrouter.commands.help_text import Command
from logrouter.commands.options import config_options, settings_of
from logrouter.commands.terminal import console, fail, harmless, print_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from logrouter.kafka.topics import TopicFinding

_STYLES: Final = {"created": "green", "present": "dim", "missing": "yellow", "drift": "red"}


@click.command("topics", cls=Command)
@config_options
@click.option("--dry-run", is_flag=True, help="Create nothing: only say what is missing and what drifted.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per topic.")
def topics_command(config_file: Path | None, bootstrap: str | None, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001 - click flags
    """Create the output topics that topics.yaml needs, and report where the present ones differ.

    Exits with 3 when a topic is missing (with --dry-run) or differs; nothing that exists is ever changed.

    **Examples**

        logrouter topics --bootstrap kafka-1:9092
        logrouter topics --dry-run --json | jq 'select(.state != "present")'
    """
    from logrouter.route import process

    settings = settings_of(config_file, bootstrap, sinks=())
    try:
        findings = process.ensure_topics(settings, dry_run=dry_run)
    except process.ClientError as exc:
        fail(str(exc), EXIT_FAILED)
    _show(findings, as_json=as_json)
    if any(finding.state in {"missing", "drift"} for finding in findings):
        raise SystemExit(EXIT_DRIFT)


def _show(findings: Iterable[TopicFinding], *, as_json: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    if as_json:
        for finding in findings:
            print_json(finding)
        return
    table = Table("topic", "state", "detail", box=None)
    for finding in findings:
        table.add_row(finding.name, Text(finding.state, _STYLES[finding.state]), harmless(finding.detail))
    console().print(table)
