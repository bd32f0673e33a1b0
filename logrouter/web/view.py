"""What the handlers of one worker share: its tables, its peers, its clock and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson
from aiohttp import web

from logrouter.web.problems import NOT_READY, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client import CollectorRegistry

    from logrouter.query.answers import Answer
    from logrouter.query.reader import TableReader, Tier
    from logrouter.web.peers import Peers
    from logrouter.web.turns import Turns

RETRY_SOON: Final = 2
"""Seconds after which recovered or moved partitions are usually served again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of work and waiting, in seconds and numbers."""

    point_timeout: float = 1.0
    """For another worker's answer about one client."""
    list_timeout: float = 10.0
    """For a whole list, this worker's part and the others'."""
    scans: int = 2
    """Lists that are computed at the same time."""
    scans_waiting: int = 16
    """Lists that may wait their turn; more are told to come back."""
    slice: float = 0.004
    """How long a scan may hold the event loop before others get their turn."""


@dataclass(frozen=True, slots=True)
class View:
    """One worker's table view."""

    reader: TableReader
    peers: Peers
    clock: Callable[[], int]
    registry: CollectorRegistry
    kept: Mapping[Tier, int]
    limits: Limits
    turns: Turns

    def partition_of(self, subject: str) -> int:
        """The partition of a subject, once it is known how many there are."""
        if self.reader.partitions() <= 0:
            raise self.not_ready()
        return self.reader.partition_of(subject)

    def holds(self, partitions: Iterable[int]) -> bool:
        """Whether this worker answers for all of these now."""
        return self.reader.ready() and self.reader.owned().issuperset(partitions)

    @staticmethod
    def not_ready() -> Problem:
        """The answer while tables are recovered or partitions move."""
        return Problem(NOT_READY, "the tables are being recovered or moved; ask again", retry_after=RETRY_SOON)


def json_response(body: Answer) -> web.Response:
    """A JSON document."""
    return web.Response(body=orjson.dumps(body), content_type="application/json")
