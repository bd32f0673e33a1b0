"""Reports over all workers: each sums its own partitions, the one that was asked puts the shares together.

A report is whole, or it is a problem that names the partitions that are missing, or it says so itself where the caller
allows that; it is never silently partial.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from logrouter.http_server import problems
from logrouter.http_server.guard import caller_of
from logrouter.http_server.peers import PeerAwayError
from logrouter.http_server.problems import BUSY, NOT_OWNER, PARTITIONS_MISSING, RETRY_SOON, TOO_SLOW, HttpProblem
from logrouter.http_server.work_queue import BusyError
from logrouter.query import parsing
from logrouter.query.kinds import Invalid, ParameterKind, integer, quoted
from logrouter.query.parameters import Parameter, ParameterFault, Partial, read
from logrouter.query.tiers import Position  # noqa: TC001 - msgspec looks up the types of fields
from logrouter.web.respond import Placed
from logrouter.web.scanning import do, do_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from logrouter.access.scopes import Caller
    from logrouter.http_server.peers import Reply
    from logrouter.query.answers import Answer
    from logrouter.query.endpoints import Endpoint
    from logrouter.query.parsing import Query
    from logrouter.query.reports.work import Report
    from logrouter.web.view import View

PART_PATH: Final = "/internal/v1/parts/"


class Recipe(NamedTuple):
    """How a report is made: the share of a worker, how it is read again, and the answer from all shares."""

    report: Callable[[Query], Report]
    decode: Callable[[msgspec.Raw], Any]
    answer: Callable[[Query, Sequence[Any]], Answer]


class Share(msgspec.Struct, forbid_unknown_fields=True):
    """One worker's share of a report, as it travels between workers."""

    part: msgspec.Raw
    positions: list[tuple[int, Position]]
    """Every partition that is in it, and how far."""


class Gathered(NamedTuple):
    """All shares of a report, what they reach to, and why which partitions are not in it."""

    parts: list[Any]
    placed: list[Placed]
    missing: dict[int, str]


_decode_share: Final = msgspec.msgpack.Decoder(Share).decode
_encode: Final = msgspec.msgpack.Encoder().encode


def _partitions(text: str) -> frozenset[int] | Invalid:
    numbers = text.split(",")
    if all(number.isascii() and number.isdigit() and len(number) <= 6 for number in numbers):
        return frozenset(map(int, numbers))
    return Invalid(f"must be partition numbers with commas between, not {quoted(text)}")


_OF_PART: Final[tuple[Parameter[Any], ...]] = (
    Parameter("partitions", ParameterKind(_partitions, {}), "The partitions to sum."),
    Parameter("at", integer(0, 10**14), "The time of the question, in epoch milliseconds: one window for all workers."),
)


async def answer_part(view: View, request: web.Request, endpoint: Endpoint, recipe: Recipe) -> web.Response:
    """This worker's share for another one; only about partitions that are held here."""
    of_part = {parameter.name for parameter in _OF_PART}
    pairs = list(request.query.items())
    values, faults = read(_OF_PART, [pair for pair in pairs if pair[0] in of_part])
    faults += tuple(ParameterFault(name, "is missing") for name, value in values.items() if value is None)
    if faults:
        raise problems.bad_parameters(faults)
    rest = [pair for pair in pairs if pair[0] not in of_part]
    query = parsing.parse_query(endpoint.parameters, rest, values["at"], view.kept, name=endpoint.name)
    if isinstance(query, tuple):
        raise problems.bad_parameters(query)
    part, positions = await _share(view, recipe.report(query), values["partitions"], caller_of(request).only)
    body = _encode(Share(msgspec.Raw(_encode(part)), positions))
    return web.Response(body=body, content_type="application/msgpack")


async def gather(
    view: View, endpoint: Endpoint, recipe: Recipe, query: Query, pairs: Iterable[tuple[str, str]], caller: Caller
) -> Gathered:
    """Every partition's share from the first of its holders that gives one; all holders are asked at the same time.

    A `HttpProblem` unless all partitions are in them, or need not be. A caller who may read some clients only gets a
    report of these; other partitions are not even asked for.
    """
    count = view.reader.partitions()
    if count <= 0:
        raise view.not_ready()
    parameters = urlencode([*pairs, ("at", str(query.now_ms))])
    target = f"{PART_PATH}{endpoint.name}?{parameters}&partitions="
    found, until = Gathered([], [], {}), monotonic() + view.limits.list_timeout
    asked_of = range(count) if caller.only is None else {view.reader.partition_of(f"c{name}") for name in caller.only}
    untried = {partition: view.candidates(partition) for partition in asked_of}
    while untried:
        seconds = _patience(until - monotonic(), untried)
        holders = _next_holders(untried, found)
        asking = (
            _ask(view, url, target, recipe, query, partitions, caller, seconds) for url, partitions in holders.items()
        )
        replies = await asyncio.gather(*asking, return_exceptions=True)
        for (url, partitions), reply in zip(holders.items(), replies, strict=True):
            for partition in _settle(found, url, partitions, reply):
                untried.pop(partition, None)
    if found.missing and (query.values.get("partial") is not Partial.ALLOW or not found.parts):
        raise _missing(found.missing)
    return found


def _patience(left: float, untried: Mapping[int, Sequence[str]]) -> float:
    """How long to wait for this round, in seconds: half of what is left if some partition has other holders."""
    return max(left, 0.0) * (0.5 if any(len(urls) > 1 for urls in untried.values()) else 1.0)


def _next_holders(untried: dict[int, list[str]], found: Gathered) -> dict[str, frozenset[int]]:
    """Whom to ask for which partitions next; what has nobody left to ask stays missing and is tried no more."""
    holders: dict[str, set[int]] = {}
    for partition, urls in list(untried.items()):
        if urls:
            holders.setdefault(urls.pop(0), set()).add(partition)
        else:
            found.missing.setdefault(partition, "no worker holds it at the moment")
            del untried[partition]
    return {url: frozenset(partitions) for url, partitions in holders.items()}


def _settle(found: Gathered, url: str, partitions: frozenset[int], reply: Any) -> Iterable[int]:
    """Take a holder's reply in, or why there is none; the partitions that are settled by it."""
    if isinstance(reply, _Overloaded):
        found.missing.update(dict.fromkeys(partitions, str(reply)))
        return partitions
    if isinstance(reply, PeerAwayError):
        reason = str(reply)
    elif isinstance(reply, HttpProblem) and reply.kind in (problems.NOT_READY, NOT_OWNER):
        reason = reply.detail
    elif isinstance(reply, BaseException):
        raise reply
    else:
        part, positions = reply
        found.parts.append(part)
        found.placed.extend(Placed(partition, position, url) for partition, position in positions)
        given = {partition for partition, _ in positions}
        for partition in given:
            found.missing.pop(partition, None)
        found.missing.update(dict.fromkeys(partitions - given, "no worker holds it at the moment"))
        return given
    found.missing.update(dict.fromkeys(partitions, reason))
    return ()


def _missing(reasons: dict[int, str]) -> HttpProblem:
    listed = [{"partition": partition, "reason": reason} for partition, reason in sorted(reasons.items())]
    names = ", ".join(str(entry["partition"]) for entry in listed)
    detail = f"a list needs every partition, and these cannot be asked now: {names}"
    return HttpProblem(PARTITIONS_MISSING, detail, missing=listed, retry_after=RETRY_SOON)


class _Overloaded(Exception):  # noqa: N818 - a reply, not a failure of ours
    """A holder has the partitions but too much to do: no reason to make another one do the same work."""


async def _ask(
    view: View,
    url: str,
    target: str,
    recipe: Recipe,
    query: Query,
    partitions: frozenset[int],
    caller: Caller,
    seconds: float,
) -> tuple[Any, list[tuple[int, Position]]]:
    if url == view.reader.self_url():
        return await _share(view, recipe.report(query), partitions, caller.only)
    listed = "%2C".join(map(str, sorted(partitions)))
    reply = await view.peers.get(url, target + listed, seconds, caller)
    if reply.status != 200:
        said = f"answered with status {reply.status}"
        raise _Overloaded(said) if _is_overloaded(reply) else PeerAwayError(said)
    try:
        share = _decode_share(reply.body)
        part = recipe.decode(share.part)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise PeerAwayError("answered something else") from exc
    given = [partition for partition, _ in share.positions]
    if not given or len(set(given)) < len(given) or not partitions.issuperset(given):
        raise PeerAwayError("answered for other partitions")
    return part, share.positions


def _is_overloaded(reply: Reply) -> bool:
    return reply.status == 503 and any(kind.uri.encode() in reply.body[:1000] for kind in (BUSY, TOO_SLOW))


async def _share(
    view: View, report: Report, partitions: frozenset[int], only: frozenset[str] | None
) -> tuple[Any, list[tuple[int, Position]]]:
    """This worker's share of a report; about no client but *only* these, if given, else at most so many at a time."""
    try:
        # Whoever sees a few clients has a few rows read, and does not wait for those who have all read.
        turn = view.turns.take() if only is None else nullcontext()
        async with asyncio.timeout(view.limits.list_timeout), turn:
            return await _made(view, report, partitions, only)
    except BusyError as exc:
        raise HttpProblem(BUSY, "too many lists are being computed; ask again", retry_after=RETRY_SOON) from exc
    except TimeoutError as exc:
        raise HttpProblem(TOO_SLOW, "ask for a shorter window", retry_after=RETRY_SOON) from exc


async def _made(
    view: View, report: Report, partitions: frozenset[int], only: frozenset[str] | None
) -> tuple[Any, list[tuple[int, Position]]]:
    held = sorted(partitions & (view.owned() | view.reader.replicas()))
    if not held:
        raise view.not_held(min(partitions))
    # Positions before rows: the report may include newer records than it says, never lack any.
    positions = [(partition, view.reader.position(partition)) for partition in held]
    try:
        for work in report.work():
            if work is not None:
                await (do(view, work, held) if only is None else do_for(view, work, held, only))
            await asyncio.sleep(0)
    except LookupError as exc:
        raise view.not_ready() from exc
    return report.part(), positions
