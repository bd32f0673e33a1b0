"""Makes a cell fit that is too large to be encoded: sums that no number carries, names of four bytes in full maps.

No request is lost by it: names go into `OTHER`, or are dropped with what bounds them, and of the recent failures the
oldest go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.rollup.cells import (
    MAX_CLIENTS,
    MAX_PAIRS,
    MAX_SUM,
    MAX_WEIGHT,
    OTHER,
    STATUS_WIDTH,
    ApiParts,
    CellSlack,
    url_room,
)
from logrouter.core.rollup.ranked import trim_ranked

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.rollup.cells import Cell
    from logrouter.core.rollup.ranked import Slack


def encode_within(cell: Cell, limit: int, encode: Callable[[], bytes]) -> bytes:
    """What *encode* makes of *cell*, which is made smaller, in place, until that has at most *limit* bytes."""
    value, room = encode(), MAX_PAIRS
    while len(value) > limit and room:
        room //= 2
        _shrink(cell, room)
        value = encode()
    return value


def _shrink(cell: Cell, room: int) -> None:
    """Leave at most *room* names in every map of names, and fewer in those that hold fewer by themselves."""
    parts = cell.parts or ApiParts()
    parts.url_latency = {}
    for names in (cell.outcome, cell.peer, cell.error, parts.backend, parts.version):
        _fold_names(names, room)
    slack = cell.slack or CellSlack()
    urls = min(room, url_room(cell)) // 2
    slack.url = trim_ranked(cell.url, slack.url, urls, STATUS_WIDTH)
    slack.failed = trim_ranked(cell.failed, slack.failed, urls, STATUS_WIDTH)
    slack.clients = trim_ranked(cell.clients, slack.clients, min(room, MAX_CLIENTS) // 2, 0)
    cell.slack = None if slack == CellSlack() else slack
    del cell.recent[room // 4 :]
    saturate_cell(cell)


def _fold_names(names: dict[str, int], room: int) -> None:
    """Count all but the *room* most frequent names under `OTHER`."""
    if len(names) <= room:
        return
    ranked = sorted(((n, name) for name, n in names.items() if name != OTHER), reverse=True)
    rest = names.get(OTHER, 0) + sum(n for n, _ in ranked[room:])
    names.clear()
    names.update((name, n) for n, name in ranked[:room])
    names[OTHER] = rest


_SUMS: Final = ("count", "bytes_in", "bytes_out", "latency_sum", "latency_max", "latency_count")


def saturate_cell(cell: Cell) -> None:
    """Cap every sum at what the encoding can carry, so that an absurd input does not stop the lane."""
    for name in _SUMS:
        setattr(cell, name, min(getattr(cell, name), MAX_SUM))
    cell.weight = min(cell.weight, MAX_WEIGHT)
    parts = cell.parts or ApiParts()
    by_number: tuple[dict[int, int], ...] = (cell.status, cell.sketch, *parts.url_latency.values())
    by_name: tuple[dict[str, int], ...] = (
        *(cell.outcome, cell.peer, cell.url, cell.failed, cell.error, cell.clients, parts.backend, parts.version),
        *(slack.over for slack in _slacks(cell)),
    )
    for numbers in by_number:
        numbers.update((key, MAX_SUM) for key, n in list(numbers.items()) if n > MAX_SUM)
    for names in by_name:
        names.update((key, MAX_SUM) for key, n in list(names.items()) if n > MAX_SUM)
    for slack in _slacks(cell):
        slack.floor = min(slack.floor, MAX_SUM)
    if cell.slack is not None:
        cell.slack.unassigned = min(cell.slack.unassigned, MAX_SUM)


def _slacks(cell: Cell) -> list[Slack]:
    slack = cell.slack or CellSlack()
    return [each for each in (slack.url, slack.failed, slack.clients) if each is not None]
