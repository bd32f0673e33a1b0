"""The examples in docs/table-view.md are true."""

import asyncio
import re
from pathlib import Path

import orjson
import pytest

from logrouter.http_server import problems

PAGE = (Path(__file__).parents[3] / "docs" / "table-view.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```(?:\n```json\n(.*?)```)?", PAGE, re.DOTALL)
CALLS = [
    (match[1].strip("'"), int(match[2] or 200), example if block.count("curl") == 1 else "")
    for block, example in BLOCKS
    for match in re.finditer(r"curl -s ('?)http://localhost:6066(?P<target>\S+?)\1(?: # (\d+))?\n", block)
    for match in [(None, match["target"], match[3])]
]
# Names that are data, not structure.
DATA = {"status", "status_class", "outcome", "error", "apis", "by"}


def shape(value, name=""):
    """The keys and kinds of a document, without its data."""
    if isinstance(value, dict):
        return "object" if name in DATA else {key: shape(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0], name)] if value else []
    return type(value).__name__


@pytest.mark.parametrize(("target", "status", "example"), CALLS, ids=[call[0] for call in CALLS])
def test_a_documented_call_gives_the_documented_answer(fleet, target, status, example):
    """Status and structure are as shown, through every worker."""

    async def main():
        async with fleet() as workers:
            for worker in workers:
                reply = await worker.get(target)
                assert reply.status == status
                if example:
                    assert shape(reply.json) == shape(orjson.loads(example))

    asyncio.run(main())


def test_the_examples_are_found():
    """The pattern above still reads the page."""
    assert len(CALLS) >= 30
    assert sum(bool(example) for *_, example in CALLS) == 9


def test_every_type_of_problem_is_documented():
    """Slug and status are in the table, and nothing else is."""
    documented = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", PAGE, re.MULTILINE)
    assert documented == [(kind.slug, str(kind.status)) for kind in problems.PROBLEM_TYPES]
