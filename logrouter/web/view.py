"""What the handlers of one worker share: its tables, its peers, its clock and its limits."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logrouter.http_server.meter import payer
from logrouter.http_server.problems import BUSY, NOT_OWNER, NOT_READY, RETRY_SOON, TOO_SLOW, HttpProblem
from logrouter.http_server.work_queue import BusyError, Places, Turns, WorkQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from aiohttp import web
    from prometheus_client import CollectorRegistry

    from logrouter.http_server.meter import Meter
    from logrouter.http_server.peers import Peers
    from logrouter.http_server.work_queue import Job
    from logrouter.query.reader import TableReader
    from logrouter.query.tiers import Tier


READINGS: Final = 3
"""How often rows are read for an answer before they count as being moved."""

MAX_CANDIDATES: Final = 4
"""Workers that are asked for a partition before it counts as missing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of work and waiting, in seconds and numbers."""

    point_timeout: float = 1.0
    """For another worker's answer about one client."""
    last_timeout: float = 5.0
    """For the answer of the last worker to be asked, when others have failed."""
    list_timeout: float = 10.0
    """For a whole list: this worker's part and those of the others."""
    scans: int = 2
    """Lists that are computed at the same time."""
    scans_waiting: int = 16
    """Lists of one caller that may wait, and a few times as many of all; further ones are refused with 503."""
    questions: int = 4
    """Questions about single clients or APIs that are computed at the same time, one of each caller."""
    questions_waiting: int = 64
    """Such questions of one caller that may wait, and a few times as many of all."""
    hops: int = 32
    """Questions about single clients or APIs that other workers are asked at the same time, a quarter of it for one
    caller: those that wait there for their turn should not run into `point_timeout`, nor hold all connections."""
    admitted: int = 8
    """Requests that are looked at in one pass of the event loop; the others wait for the next."""
    slice: float = 0.008
    """Seconds that a job may hold the event loop before others have their turn."""


def hop_places(limits: Limits) -> Places:
    """Places for questions that other workers are asked for callers."""
    waiting = limits.questions_waiting
    return Places(limits.hops, _CALLERS * waiting, each=limits.hops // 4, each_waiting=waiting)


_CALLERS: Final = 4
"""How many callers may have as much waiting as one may."""


def work_queues(limits: Limits) -> tuple[WorkQueue, WorkQueue]:
    """The queue of lists and that of questions about single subjects. They share the turns."""
    turns, scans, questions = Turns(limits.slice), limits.scans_waiting, limits.questions_waiting
    return (
        WorkQueue(turns, Places(limits.scans, _CALLERS * scans, each=limits.scans, each_waiting=scans)),
        WorkQueue(turns, Places(limits.questions, _CALLERS * questions, each=1, each_waiting=questions)),
    )


@dataclass(frozen=True, slots=True)
class View:
    """What every handler of one worker needs. Made by `web.app.build_app`; *clock* gives epoch milliseconds."""

    reader: TableReader
    peers: Peers
    clock: Callable[[], int]
    registry: CollectorRegistry
    kept: Mapping[Tier, int]
    limits: Limits
    meter: Meter
    scans: WorkQueue
    questions: WorkQueue
    hops: Places
    waits_for: Callable[[], str] = str
    """What this worker waits for while it is not ready, in one line; empty if it is only the tables."""

    def partition_of(self, subject: str) -> int:
        """The partition of a subject; `HttpProblem` 503 while the number of partitions is unknown."""
        if self.reader.partitions() <= 0:
            raise self.not_ready()
        return self.reader.partition_of(subject)

    def owned(self) -> frozenset[int]:
        """The partitions that this worker answers for as their owner now."""
        return self.reader.owned() if self.reader.ready() else frozenset()

    def holds(self, partitions: Iterable[int]) -> bool:
        """Whether this worker can answer for all of these now, as owner or from replicas."""
        return (self.owned() | self.reader.replicas()).issuperset(partitions)

    def note_moved(self, partitions: Iterable[int], exc: LookupError) -> None:
        """Return if *partitions*, which a reader could not go on with, changed hands and can be read again here.

        Raises `HttpProblem` 503 if they are held here no more, and *exc* itself if it is a bug of ours.
        """
        if not self.holds(partitions):
            raise self.not_ready() from exc
        if type(exc) is not LookupError:
            raise exc

    def candidates(self, partition: int) -> list[str]:
        """Base URLs of the workers to ask for a partition, one after the other, this one among them.

        The owner's figures are the newest. Replicas come behind it: our own, which costs no hop, then those of others.
        """
        me = self.reader.self_url()
        if partition in self.owned():
            return [me]
        owner = self.reader.owner_url(partition)
        found = [] if owner is None or owner == me else [owner]
        if partition in self.reader.replicas():
            found.append(me)
        found += [url for url in self.reader.other_urls(partition) if url not in (owner, me)]
        return found[:MAX_CANDIDATES]

    @asynccontextmanager
    async def job(self, request: web.Request, *, scan: bool = False) -> AsyncIterator[Job]:
        """A place to compute an answer, once it is the caller's turn: among lists if it is one that scans.

        `HttpProblem` 503 if too many wait, or if it takes too long, waiting included.
        """
        queue = self.scans if scan else self.questions
        try:
            async with asyncio.timeout(self.limits.list_timeout), queue.acquire(payer(request)) as job:
                yield job
        except BusyError as exc:
            raise _busy() from exc
        except TimeoutError as exc:
            raise HttpProblem(TOO_SLOW, "ask for a shorter window", retry_after=RETRY_SOON) from exc

    @asynccontextmanager
    async def hop(self, request: web.Request) -> AsyncIterator[None]:
        """A place to ask another worker, once it is the caller's turn; `HttpProblem` 503 if too many wait."""
        try:
            async with self.hops.place(payer(request)):
                yield
        except BusyError as exc:
            raise _busy() from exc

    @staticmethod
    def not_ready(waits_for: str = "") -> HttpProblem:
        """The answer while tables are recovered or partitions move, or while *waits_for* keeps them from that."""
        if waits_for:
            return HttpProblem(NOT_READY, waits_for, retry_after=RETRY_SOON)
        return HttpProblem(NOT_READY, "the tables are being recovered or moved; ask again", retry_after=RETRY_SOON)

    @staticmethod
    def not_held(partition: int) -> HttpProblem:
        """The answer to another worker that took this one for a holder of a partition."""
        detail = f"partition {partition} is not held here"
        return HttpProblem(NOT_OWNER, detail, partition=partition, retry_after=RETRY_SOON)


def _busy() -> HttpProblem:
    return HttpProblem(BUSY, "too many answers are being computed; ask again", retry_after=RETRY_SOON)
