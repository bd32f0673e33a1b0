"""`logrouter check`: what is wrong with a topics.yaml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rich_click as click

from logrouter.commands.exit_codes import EXIT_USAGE, EXIT_WARNINGS
from logrouter.commands.help_text import Command
from logrouter.commands.terminal import console, harmless, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from logrouter.config.lint import Findings
    from logrouter.config.yaml.problems import Problem

MAX_SHOWN: Final = 200
"""Problems that people are shown: who mends these mends the others, and each takes a look at all lines above it."""
_ERROR: Final = "error"
_STYLES: Final = {"error": "bold red", "warning": "bold yellow"}


@click.command("check", cls=Command)
@click.argument("config_file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON array: severity, path, line, column, message of each.")
def check_command(config_file: Path | None, as_json: bool) -> None:  # noqa: FBT001 - a click flag
    """Check a topics.yaml: every problem at once, with its place. Needs no broker.

    Errors keep the file from being used. Warnings are about what is valid and will hardly do what was meant: a route
    that no record reaches, conditions that contradict each other, a source or lookup that nothing uses, an expression
    that selects an output, a test that occurs twice. Most warnings are found once there are no errors.

    **Examples**

        logrouter check
        logrouter check new-topics.yaml && mv new-topics.yaml topics.yaml
        logrouter check --json | jq -r '.[] | [.line, .message] | @tsv'

    **Exit codes**: 0 nothing found; 2 errors; 4 warnings only.
    """
    from logrouter import config
    from logrouter.config import lint
    from logrouter.kafka.client import explain_refusal

    try:
        found = lint.check(config_file, os.environ, refusal=explain_refusal)
    except config.ConfigError as exc:
        found = lint.Findings(exc.file, "", exc.problems, None)
    if as_json:
        print_json([_plain(problem) for problem in found.problems])
    else:
        _show(console(), found)
    errors = sum(problem.severity == _ERROR for problem in found.problems)
    if found.problems:
        raise SystemExit(EXIT_USAGE if errors else EXIT_WARNINGS)


def _plain(problem: Problem) -> dict[str, str | int | None]:
    return {
        "severity": problem.severity,
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
    }


def _show(out: Console, found: Findings) -> None:
    from rich.text import Text

    lines = found.text.splitlines()
    for problem in found.problems[:MAX_SHOWN]:
        _show_problem(out, found.file, lines, problem)
    if len(found.problems) > MAX_SHOWN:
        out.print(f"and {len(found.problems) - MAX_SHOWN} more, all of which --json tells", soft_wrap=True)
    errors = sum(problem.severity == _ERROR for problem in found.problems)
    if found.settings is None:
        out.print(Text(_counted(errors, len(found.problems) - errors), _STYLES["error"]), soft_wrap=True)
        return
    sources = found.settings.table.sources
    routes = {route.name for source in sources for route in source.routes}
    says = _counted(0, len(found.problems)) if found.problems else "ok"
    of = _phrase((len(sources), "source"), (len(routes), "route"), (len(found.settings.sinks), "sink"))
    text = f"{says}: {of}, generation {found.settings.generation}"
    out.print(Text(text, _STYLES["warning"] if found.problems else "green"), soft_wrap=True)


def _show_problem(out: Console, file: str, lines: Sequence[str], problem: Problem) -> None:
    from rich.text import Text

    from logrouter.config.secret_options import may_name_secret
    from logrouter.config.yaml.excerpt import excerpt

    place = ":".join(str(part) for part in (file, problem.line, problem.column) if part is not None)
    style = _STYLES[problem.severity]
    what = f"{problem.path}: {problem.message}" if problem.path else problem.message
    out.print(
        Text.assemble((harmless(f"{place}: "), "bold"), (f"{problem.severity}: ", style), harmless(what)),
        soft_wrap=True,
    )
    shown = excerpt(lines, problem, may_name_secret)
    if shown is not None:
        number = f"{problem.line:>5}"
        out.print(Text.assemble((f"{number} | ", "dim"), shown[0]), soft_wrap=True)
        out.print(Text.assemble((f"{'':>5} | ", "dim"), (shown[1], style)), soft_wrap=True)


def _counted(errors: int, warnings: int) -> str:
    return _phrase((errors, "error"), (warnings, "warning"))


def _phrase(*counts: tuple[int, str]) -> str:
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count)
