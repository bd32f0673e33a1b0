"""`logrouter test`: runs the `tests:` of a topics.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from logrouter.commands.exit_codes import EXIT_FAILED
from logrouter.commands.help_text import Command
from logrouter.commands.options import settings_of
from logrouter.commands.terminal import console, harmless, print_json
from logrouter.printable import json_text

if TYPE_CHECKING:
    from rich.console import Console

    from logrouter.config.cases import CaseResult


@click.command("test", cls=Command)
@click.argument("config_file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per test.")
def test_command(config_file: Path | None, as_json: bool) -> None:  # noqa: FBT001 - a click flag
    """Run the `tests:` of a topics.yaml: lines in, and what must become of them. Needs no broker.

    Exits with 1 when a test fails.

    **Examples**

        logrouter test
        logrouter test new-topics.yaml --json | jq 'select(.passed | not)'
    """
    from logrouter.config import cases

    results = cases.run(settings_of(config_file, None, sinks=()))
    failed = sum(not result.passed for result in results)
    if as_json:
        for result in results:
            print_json({"number": result.number, "passed": result.passed, "differences": result.differences})
    else:
        out = console()
        for result in results:
            _show(out, result)
        out.print(f"{len(results) - failed} passed, {failed} failed")
    if failed:
        raise SystemExit(EXIT_FAILED)


def _show(out: Console, result: CaseResult) -> None:
    from rich.text import Text

    verdict = Text("passed", "green") if result.passed else Text("failed", "red")
    out.print(Text(f"test {result.number}: ") + verdict)
    for found in result.differences:
        values = f"expected {json_text(found.expected)}, found {json_text(found.found)}"
        out.print(harmless(f"  {found.at}: {values}"), soft_wrap=True)
