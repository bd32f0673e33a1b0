"""Real lines through `explain --json`: one of the results that are right must be part of what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from logrouter.cli import cli

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
CASES = [orjson.loads(line) for line in (HERE / "lines.jsonl").read_bytes().splitlines()]


def is_part(part: Any, whole: Any) -> bool:
    """Whether *whole* has all of *part*: lists element by element, "__absent__" for a key that must be missing."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key not in whole if value == "__absent__" else key in whole and is_part(value, whole[key])
            for key, value in part.items()
        )
    if isinstance(part, list):
        return (
            isinstance(whole, list)
            and len(part) == len(whole)
            and all(is_part(one, other) for one, other in zip(part, whole, strict=True))
        )
    return bool(part == whole) and isinstance(part, bool) == isinstance(whole, bool)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_real_line_becomes_what_is_right(case):
    """Accepted with the right values, rejected or ignored, as the case says."""
    config = case["config"]
    path = HERE / config.removeprefix("CASES/") if config.startswith("CASES/") else PROJECT / config
    arguments = ["explain", "--config", str(path), "--source", case["source"], "--json"]
    result = CliRunner().invoke(cli, arguments, input=case["line"].encode() + b"\n")
    assert result.exit_code == 0, result.output
    explained = orjson.loads(result.output)

    assert any(is_part(right, explained) for right in case["right"]), explained
