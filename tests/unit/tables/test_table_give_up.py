"""What a worker may still write when its partitions are given away."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from types import SimpleNamespace

from logrouter.tables.table import UsageTable


def test_giving_up_waits_for_what_was_begun_and_nothing_begins_after_it():
    """A sweep and a flush are under way when partitions are revoked; both would go on after the next member owns."""
    said = []

    class Producer:
        async def wait_acknowledged(self):
            said.append("acknowledged")

    table = object.__new__(UsageTable)
    table.folds, table._locks, table._given_up = {0: object(), 1: object()}, defaultdict(asyncio.Lock), False
    table.app = SimpleNamespace(producer=Producer())

    async def work(partition, _fold):
        said.append(f"begun {partition}")
        await asyncio.sleep(0.01)
        said.append(f"done {partition}")

    async def sweep():
        for partition in (0, 1, 0):
            await table._run_alone(partition, work)

    async def scenario():
        sweeping = asyncio.ensure_future(sweep())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await table.give_up()
        said.append("given up")
        await sweeping

    asyncio.run(scenario())
    assert said == ["begun 0", "done 0", "acknowledged", "given up"]
