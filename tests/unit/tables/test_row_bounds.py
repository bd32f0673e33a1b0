"""The largest row that there can be goes through: as a record of the changelog, and in a batch of the producer."""

from __future__ import annotations

import random

from aiokafka.producer.message_accumulator import BatchBuilder

from logrouter.core.rollup.cells import (
    MAX_CLIENTS,
    MAX_MINUTE,
    MAX_NAME,
    MAX_NAMES,
    MAX_PAIRS,
    MAX_RECENT,
    MAX_SUM,
    MAX_URL_LATENCIES,
    MAX_URLS_OF_API,
    MAX_WEIGHT,
    ApiParts,
    Cell,
    CellSlack,
    Failure,
    merge_cells,
)
from logrouter.core.rollup.ranked import MAX_GROUPS, NAMES_OF_GROUP, Slack
from logrouter.core.rollup.sketches import MAX_BUCKET, ZERO
from logrouter.query.tiers import Tier
from logrouter.tables import rows
from logrouter.tables.app import CHANGELOG, PRODUCER_BATCH_BYTES

_CHARACTERS = [chr(code) for code in range(0x10000, 0x20000)]
_random = random.Random(7)
_SNAPPY = 2
_FRAME = 200
"""Bytes of a batch and of a record beside key and value, at most."""


def name(length):
    """A name of characters of four bytes that no compression makes smaller."""
    return "".join(_random.choices(_CHARACTERS, k=length))


def names(number, length):
    """A full map."""
    return {name(length): MAX_SUM for _ in range(number)}


def largest_cell():
    """Every sum, every name and every map as large as the decoder of rollup records and rows lets pass."""
    cell = Cell(MAX_MINUTE, *[MAX_SUM] * 9)
    cell.weight = MAX_WEIGHT
    cell.status = dict.fromkeys(range(1000), MAX_SUM)
    cell.outcome, cell.error = names(MAX_NAMES + 1, MAX_NAME + 3), names(MAX_NAMES + 1, MAX_NAME + 3)
    cell.peer = names(MAX_PAIRS + 1, MAX_NAME + 3)
    cell.clients = names(MAX_CLIENTS, MAX_NAME)
    cell.url, cell.failed = (names(NAMES_OF_GROUP * MAX_URLS_OF_API, MAX_NAME + 3) for _ in range(2))
    cell.sketch = dict.fromkeys(range(ZERO, MAX_BUCKET + 1), MAX_SUM)
    latencies = {name: cell.sketch.copy() for name in names(MAX_URL_LATENCIES, MAX_NAME)}
    cell.parts = ApiParts(*(names(MAX_PAIRS + 1, MAX_NAME + 3) for _ in range(2)), latencies)
    cell.slack = CellSlack(*(Slack(MAX_SUM, names(MAX_GROUPS, MAX_NAME)) for _ in range(3)), MAX_SUM)
    cell.recent = [Failure(MAX_SUM, *(name(MAX_NAME) for _ in range(4))) for _ in range(MAX_RECENT)]
    return cell


def test_largest_row_is_a_record_that_the_changelog_takes():
    """Otherwise the broker would refuse it, and the worker would end and try again for ever."""
    key = rows.key_of(Tier.LIFE, 0, "c" + name(MAX_NAME))
    cell = largest_cell()
    value = rows.encode(MAX_SUM, cell)
    found = rows.decode_cell(value)  # checks every bound
    assert len(value) > PRODUCER_BATCH_BYTES  # or the next assertion would show nothing
    batch = BatchBuilder(PRODUCER_BATCH_BYTES, _SNAPPY)
    assert batch.append(timestamp=None, key=key, value=value) is not None
    batch.close()
    assert batch.size() <= len(key) + len(value) + _FRAME <= int(CHANGELOG["max.message.bytes"])
    assert found.count == cell.count == MAX_SUM
    assert found.slack.url.floor == MAX_SUM


def test_merging_the_largest_cells_makes_a_row_all_the_same():
    """A row is what many partial sums amount to; what it may hold does not grow with their number."""
    row = Cell(0)
    for _ in range(3):
        merge_cells(row, largest_cell())
    value = rows.encode(MAX_SUM, row)
    rows.decode_cell(value)  # checks every bound
    assert len(value) <= rows.MAX_ROW_BYTES + 8
