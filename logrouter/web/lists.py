"""Top lists over all workers: each sums its own partitions, the one that was asked merges.

A list is whole or it is a problem that names the partitions that are missing; it is never silently partial.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from logrouter.query import answers, questions, top
from logrouter.query.parameters import LIMIT, SORT, WINDOW, Fault, Kind, Parameter, Wrong, integer, quoted, read
from logrouter.query.reader import Position
from logrouter.query.spans import span
from logrouter.query.top import Board, Entry, Ranked, Tally
from logrouter.web import problems
from logrouter.web.access import caller_of
from logrouter.web.peers import PeerAwayError
from logrouter.web.problems import BUSY, NOT_OWNER, PARTITIONS_MISSING, TOO_SLOW, Problem
from logrouter.web.turns import BusyError
from logrouter.web.view import RETRY_SOON, document

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from logrouter.access.scopes import Caller
    from logrouter.query.spans import Segment
    from logrouter.web.view import View

PART_PATH: Final = "/internal/v1/top"
_CHECK_EVERY: Final = 64
"""Rows between two looks at the time."""


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """One worker's share of a list, as it travels between workers."""

    entries: list[tuple[str, Tally]]
    subjects: int
    total: Tally
    positions: list[tuple[int, int, int]]
    """(partition, offset, end) of every partition that is in it."""

    def ranked(self) -> Ranked:
        """The share as the merge takes it."""
        return Ranked([Entry(*entry) for entry in self.entries], self.subjects, self.total)


_decode_part: Final = msgspec.json.Decoder(Part).decode
_encode_part: Final = msgspec.json.Encoder().encode


def _partitions(text: str) -> frozenset[int] | Wrong:
    numbers = text.split(",")
    if all(number.isascii() and number.isdigit() and len(number) <= 6 for number in numbers):
        return frozenset(map(int, numbers))
    return Wrong(f"must be partition numbers with commas between, not {quoted(text)}")


PART: Final[tuple[Parameter[Any], ...]] = (
    Parameter("kind", Kind(lambda text: text if text in ("c", "a") else Wrong("must be c or a"), {}), "Subject kind."),
    Parameter("partitions", Kind(_partitions, {}), "The partitions to sum."),
    Parameter("at", integer(0, 10**14), "The time of the question, in epoch milliseconds: one window for all workers."),
    *(WINDOW, SORT, LIMIT),
)


def ranking(view: View, kind: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/v1/clients`` and ``/v1/apis``."""

    async def handle(request: web.Request) -> web.Response:
        asked = questions.top(request.query.items())
        if isinstance(asked, tuple):
            raise problems.bad_parameters(asked)
        now_ms = view.clock()
        parts = await _gather(view, kind, asked, now_ms, caller_of(request))
        merged = top.merge((part.ranked() for _, part in parts), asked.sort, asked.limit)
        fresh = [answers.freshness(p, Position(o, e), url) for url, part in parts for p, o, e in part.positions]
        fresh.sort(key=lambda entry: entry["partition"])
        body = top.answer(kind, asked, span(asked.window, now_ms, view.kept), merged)
        return document(body, now_ms, fresh)

    return handle


def part(view: View) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of `PART_PATH`: only for other workers, and only about partitions that are held here."""

    async def handle(request: web.Request) -> web.Response:
        if not view.peers.is_hop(request):
            raise Problem(problems.UNKNOWN_PATH, "the index at / lists what there is")
        values, faults = read(PART, request.query.items())
        faults += tuple(Fault(name, "is missing") for name, value in values.items() if value is None)
        if faults:
            raise problems.bad_parameters(faults)
        asked = questions.Top(values["window"], values["sort"], values["limit"])
        share = await _share(view, values["kind"], asked, values["at"], values["partitions"])
        return web.Response(body=_encode_part(share), content_type="application/json")

    return handle


async def _gather(view: View, kind: str, asked: questions.Top, now_ms: int, caller: Caller) -> list[tuple[str, Part]]:
    """Every owner's part, asked at the same time; a `Problem` unless all partitions are in them."""
    owners = _owners(view)
    urls = list(owners)
    replies = await asyncio.gather(
        *(_ask(view, url, kind, asked, now_ms, owners[url], caller) for url in urls), return_exceptions=True
    )
    missing: dict[int, str] = {}
    parts: list[tuple[str, Part]] = []
    for url, reply in zip(urls, replies, strict=True):
        if isinstance(reply, Part):
            parts.append((url, reply))
        elif isinstance(reply, PeerAwayError):
            missing |= dict.fromkeys(owners[url], str(reply))
        elif isinstance(reply, Problem) and reply.kind in (problems.NOT_READY, NOT_OWNER):
            missing |= dict.fromkeys(owners[url], reply.detail)
        else:
            raise reply
    if missing:
        raise _missing(missing)
    return parts


def _owners(view: View) -> dict[str, frozenset[int]]:
    """Which partitions to ask of whom."""
    count = view.reader.partitions()
    if count <= 0:
        raise view.not_ready()
    owned = view.reader.owned()
    urls: dict[str, set[int]] = {}
    missing: dict[int, str] = {}
    for partition in range(count):
        url = view.reader.self_url() if partition in owned else view.reader.owner_url(partition)
        if url is None or (url == view.reader.self_url() and partition not in owned):
            missing[partition] = "no worker holds it at the moment"
        else:
            urls.setdefault(url, set()).add(partition)
    if missing:
        raise _missing(missing)
    return {url: frozenset(partitions) for url, partitions in urls.items()}


def _missing(reasons: dict[int, str]) -> Problem:
    listed = [{"partition": partition, "reason": reason} for partition, reason in sorted(reasons.items())]
    names = ", ".join(str(entry["partition"]) for entry in listed)
    detail = f"a list needs every partition, and these cannot be asked now: {names}"
    return Problem(PARTITIONS_MISSING, detail, missing=listed, retry_after=RETRY_SOON)


async def _ask(
    view: View, url: str, kind: str, asked: questions.Top, now_ms: int, partitions: frozenset[int], caller: Caller
) -> Part:
    if url == view.reader.self_url():
        return await _share(view, kind, asked, now_ms, partitions)
    query = {
        "kind": kind,
        "partitions": ",".join(map(str, sorted(partitions))),
        "at": str(now_ms),
        "window": asked.window.text,
        "sort": asked.sort.value,
        "limit": str(asked.limit),
    }
    reply = await view.peers.get(url, f"{PART_PATH}?{urlencode(query)}", view.limits.list_timeout, caller)
    if reply.status != 200:
        raise PeerAwayError(f"answered with status {reply.status}")
    try:
        share = _decode_part(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise PeerAwayError("answered something else") from exc
    if sorted(entry[0] for entry in share.positions) != sorted(partitions):
        raise PeerAwayError("answered for other partitions")
    return share


async def _share(view: View, kind: str, asked: questions.Top, at_ms: int, partitions: frozenset[int]) -> Part:
    """This worker's part of a list, at most so many at a time."""
    try:
        async with asyncio.timeout(view.limits.list_timeout), view.turns.take():
            return await _sum(view, kind, asked, at_ms, partitions)
    except BusyError as exc:
        raise Problem(BUSY, "too many lists are being computed; ask again", retry_after=RETRY_SOON) from exc
    except TimeoutError as exc:
        raise Problem(TOO_SLOW, "ask for a shorter window", retry_after=RETRY_SOON) from exc


async def _sum(view: View, kind: str, asked: questions.Top, at_ms: int, partitions: frozenset[int]) -> Part:
    _check_holds(view, partitions)
    # Positions before rows: the list may include newer records than it says, never lack any.
    positions = [(p, *view.reader.position(p)) for p in sorted(partitions)]
    segments = span(asked.window, at_ms, view.kept).segments
    single = len(segments) == 1 and segments[0].stop - segments[0].start == 1
    board = Board(asked.sort, asked.limit, single=single)
    try:
        for segment in segments:
            await _scan(view, kind, segment, partitions, board)
    except LookupError as exc:
        _check_holds(view, partitions)
        raise view.not_ready() from exc
    for _ in board.sift():
        await asyncio.sleep(0)
    _check_holds(view, partitions)
    ranked = board.ranked()
    return Part([(entry.name, entry.tally) for entry in ranked.entries], ranked.subjects, ranked.total, positions)


async def _scan(view: View, kind: str, segment: Segment, partitions: frozenset[int], board: Board) -> None:
    reader = view.reader
    every = reader.owned() == partitions
    until = perf_counter() + view.limits.slice
    for number, (name, _, cell) in enumerate(reader.scan(kind, *segment), 1):
        if every or reader.partition_of(kind + name) in partitions:
            board.add(name, cell)
        if number % _CHECK_EVERY == 0 and perf_counter() > until:
            await asyncio.sleep(0)
            _check_holds(view, partitions)
            until = perf_counter() + view.limits.slice
    await asyncio.sleep(0)


def _check_holds(view: View, partitions: Iterable[int]) -> None:
    if not view.reader.ready():
        raise view.not_ready()
    if not view.holds(partitions):
        raise Problem(NOT_OWNER, "a partition has moved", retry_after=RETRY_SOON)
