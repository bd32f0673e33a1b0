"""Makes a cell smaller whose encoding is larger than a record may be: names of four bytes a character, in full maps.

No request is lost by it: names go into `OTHER`, or are dropped with what bounds them, and of the recent failures the
oldest go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logrouter.core.rollup.cells import MAX_CLIENTS, MAX_PAIRS, OTHER, STATUS_WIDTH, CellSlack, saturate_cell, url_room
from logrouter.core.rollup.ranked import trim_ranked

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.rollup.cells import Cell


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
    cell.url_latency = {}
    for names in (cell.outcome, cell.peer, cell.error, cell.backend, cell.version):
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
