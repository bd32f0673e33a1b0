"""The configurations in docs/examples are whole: nothing to find fault with, and their own tests pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from logrouter import config
from logrouter.cli import cli
from logrouter.config import cases
from logrouter.config.lint import check

EXAMPLES = sorted((Path(__file__).parents[3] / "docs" / "examples").glob("*.yaml"))

pytestmark = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


def test_check_finds_nothing(example: Path) -> None:
    """No error and no warning."""
    assert [str(problem) for problem in check(example, {}).problems] == []


def test_its_tests_pass_and_ask_of_every_source(example: Path) -> None:
    """Each line becomes what the file says, and no source and no route goes without a line."""
    settings = config.load(example, {})
    results = cases.run(settings)

    assert [(result.number, result.differences) for result in results if not result.passed] == []
    assert {case.source for case in settings.tests} == {source.name for source in settings.table.sources}
    routes = {route.name for source in settings.table.sources for route in source.routes}
    assert routes - {case.expect.route for case in settings.tests} == set()


def test_explain_gives_an_object_for_each_line(example: Path) -> None:
    """Lines on standard input, one record each, are answered in order."""
    settings = config.load(example, {})
    for source in settings.table.sources:
        lines = [case.line.replace("\n", " ") for case in settings.tests if case.source == source.name]
        given = "".join(f"{line}\n" for line in lines)
        arguments = ["explain", "--json", "--config", str(example), "--source", source.name]
        result = CliRunner().invoke(cli, arguments, input=given.encode(), catch_exceptions=False)
        found = [json.loads(line) for line in result.stdout.splitlines()]

        assert result.exit_code == 0
        assert [each["record"]["offset"] for each in found] == list(range(len(lines)))
        assert {each["outcome"] for each in found} <= {"accepted", "ignored", "rejected"}
