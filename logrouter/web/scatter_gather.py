"""Reports over all workers: each sums its own partitions, the one that was asked puts the parts together.

A report is whole, or it is a problem that names the partitions that are missing, or it says so itself where the caller
allows that; it is never silently partial.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from logrouter.http_server import problems
from logrouter.http_server.guard import caller_of
from logrouter.http_server.meter import rows_said
from logrouter.http_server.peers import PeerAwayError
from logrouter.http_server.problems import BUSY, NOT_OWNER, PARTITIONS_MISSING, RETRY_SOON, TOO_SLOW, HttpProblem
from logrouter.query import parsing
from logrouter.query.kinds import Invalid, ParameterKind, integer, quoted
from logrouter.query.parameters import Parameter, ParameterFault, Partial, read_parameters
from logrouter.query.schemas import ROWS_HEADER
from logrouter.query.tiers import Hole, Position  # noqa: TC001 - msgspec looks up the types of fields
from logrouter.web.respond import AnsweredPartition
from logrouter.web.scanning import Scanner
from logrouter.web.view import READINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from logrouter.http_server.meter import RowCount
    from logrouter.http_server.peers import Reply
    from logrouter.http_server.work_queue import Job
    from logrouter.query.parsing import Query
    from logrouter.query.reports.declaration import ScatterGatherReport
    from logrouter.web.view import View

PARTIAL_REPORT_PATH: Final = "/internal/v1/parts/"


class PartialReply(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One worker's part of a report, as it is sent to the worker that puts the parts together."""

    partial_report: msgspec.Raw = msgspec.field(name="part")
    """The report's `partial_report`, encoded."""
    positions: list[tuple[int, Position]]
    """Every partition that is in it, and how far it was folded."""
    holes: dict[int, list[Hole]] = {}
    """What partitions lack for good; without those that lack nothing, and not sent if none does."""


class Part(NamedTuple):
    """A worker's part of a report, with the positions of the partitions in it and their holes, if they have any."""

    partial_report: Any
    positions: list[tuple[int, Position]]
    holes: dict[int, list[Hole]]


class Asked(NamedTuple):
    """A question for a report, and the count of the rows that are read for it."""

    request: web.Request
    report: ScatterGatherReport
    query: Query
    read: RowCount


class Gathered(NamedTuple):
    """The parts of a report so far, the partitions that are in them, and for each other one why it is not."""

    partial_reports: list[Any]
    answered: list[AnsweredPartition]
    missing: dict[int, str]


_decode_reply: Final = msgspec.msgpack.Decoder(PartialReply).decode
_encode: Final = msgspec.msgpack.Encoder().encode


def _partitions(text: str) -> frozenset[int] | Invalid:
    numbers = text.split(",")
    if all(number.isascii() and number.isdigit() and len(number) <= 6 for number in numbers):
        return frozenset(map(int, numbers))
    return Invalid(f"must be partition numbers with commas between, not {quoted(text)}")


_HOP_PARAMETERS: Final[tuple[Parameter[Any], ...]] = (
    Parameter("partitions", ParameterKind(_partitions, {}), "The partitions to sum."),
    Parameter("at", integer(0, 10**14), "The time of the query in epoch milliseconds: one range for all workers."),
)


async def answer_partial_report(view: View, request: web.Request, report: ScatterGatherReport) -> web.Response:
    """This worker's part of a report, for another worker; about those of the partitions asked for that it holds."""
    of_hop = {parameter.name for parameter in _HOP_PARAMETERS}
    pairs = list(request.query.items())
    values, faults = read_parameters(_HOP_PARAMETERS, [pair for pair in pairs if pair[0] in of_hop])
    faults += tuple(ParameterFault(name, "is missing") for name, value in values.items() if value is None)
    if faults:
        raise problems.bad_parameters(faults)
    rest = [pair for pair in pairs if pair[0] not in of_hop]
    query = parsing.parse_query(report.parameters, rest, values["at"], view.kept, name=report.name)
    if isinstance(query, tuple):
        raise problems.bad_parameters(query)
    with view.meter.charge(request, 0) as count:
        asked = Asked(request, report, query, count)
        built = await _build_bounded(view, asked, values["partitions"])
    body = _encode(PartialReply(msgspec.Raw(_encode(built.partial_report)), built.positions, built.holes))
    return web.Response(body=body, content_type="application/msgpack", headers={ROWS_HEADER: str(count.total)})


async def scatter_gather(view: View, asked: Asked, pairs: Iterable[tuple[str, str]]) -> Gathered:
    """Ask all holders of partitions at the same time, and for each partition take the first part that one gives.

    *pairs* are the parameters of the request, to be sent along. For a caller who may read some clients or APIs only,
    the report is about these, and where all are known by name other partitions are not asked for. A `HttpProblem` (503)
    if partitions are missing, unless the query allows that and there is at least one part.
    """
    count = view.reader.partitions()
    if count <= 0:
        raise view.not_ready()
    query, caller = asked.query, caller_of(asked.request)
    parameters = urlencode([*pairs, ("at", str(query.now_ms))])
    target = f"{PARTIAL_REPORT_PATH}{asked.report.name}?{parameters}&partitions="
    found, until = Gathered([], [], {}), monotonic() + view.limits.list_timeout
    kind = asked.report.confined_by
    only = caller.confined_to(kind)
    partitions: Iterable[int] = range(count)
    if kind is not None and only is not None and not only.patterns:
        partitions = {view.reader.partition_of(kind + name) for name in only.names}
    untried = {partition: view.candidates(partition) for partition in partitions}
    while untried:
        seconds = _round_timeout(until - monotonic(), untried)
        holders = _next_holders(untried, found)
        asking = (_ask_holder(view, asked, url, target, some, seconds) for url, some in holders.items())
        replies = await asyncio.gather(*asking, return_exceptions=True)
        for (url, some), reply in zip(holders.items(), replies, strict=True):
            for partition in _take_reply(found, url, some, reply):
                untried.pop(partition, None)
    if found.missing and (query.values.get("partial") is not Partial.ALLOW or not found.partial_reports):
        raise _missing(found.missing)
    return found


def _round_timeout(left: float, untried: Mapping[int, Sequence[str]]) -> float:
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


def _take_reply(found: Gathered, url: str, partitions: frozenset[int], reply: Any) -> Iterable[int]:
    """Add a holder's reply, or the reason why there is none, to *found*; the partitions that need no other holder."""
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
        partial_report, positions, holes = reply
        found.partial_reports.append(partial_report)
        found.answered.extend(AnsweredPartition(p, position, url, holes.get(p, ())) for p, position in positions)
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


async def _ask_holder(
    view: View, asked: Asked, url: str, target: str, partitions: frozenset[int], seconds: float
) -> Part:
    if url == view.reader.self_url():
        return await _build_bounded(view, asked, partitions)
    listed = "%2C".join(map(str, sorted(partitions)))
    reply = await view.peers.get(url, target + listed, seconds, caller_of(asked.request))
    asked.read.elsewhere += rows_said(reply.headers)
    if reply.status != 200:
        said = f"answered with status {reply.status}"
        raise _Overloaded(said) if _is_overloaded(reply) else PeerAwayError(said)
    try:
        received = _decode_reply(reply.body)
        partial_report = msgspec.msgpack.decode(received.partial_report, type=asked.report.partial_report)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise PeerAwayError("answered something else") from exc
    given = [partition for partition, _ in received.positions]
    if not given or len(set(given)) < len(given) or not partitions.issuperset(given):
        raise PeerAwayError("answered for other partitions")
    return Part(partial_report, received.positions, received.holes)


def _is_overloaded(reply: Reply) -> bool:
    return reply.status == 503 and any(kind.uri.encode() in reply.body[:1000] for kind in (BUSY, TOO_SLOW))


async def _build_bounded(view: View, asked: Asked, partitions: frozenset[int]) -> Part:
    """This worker's part of a report, once it is the caller's turn.

    Whoever sees a few clients has a few rows read, and waits among those who ask for one, not among lists.
    """
    only = caller_of(asked.request).confined_to(asked.report.confined_by)
    async with view.job(asked.request, scan=only is None or bool(only.patterns)) as job:
        for _ in range(READINGS):
            held = sorted(partitions & (view.owned() | view.reader.replicas()))
            if not held:
                raise view.not_held(min(partitions))
            try:
                part = await _build(view, asked, job, held)
            except LookupError as exc:
                view.note_moved(held, exc)
            else:
                if part is not None:
                    return part
    raise view.not_ready()


async def _build(view: View, asked: Asked, job: Job, held: Sequence[int]) -> Part | None:
    """The part about the partitions in *held*; None if one of them changed hands: what was read is of two moments then.

    `LookupError` if one moved away in the middle of a read.
    """
    reader, kind = view.reader, asked.report.confined_by
    only = caller_of(asked.request).confined_to(kind)
    tokens = [reader.token(partition) for partition in held]
    # Positions before rows: the report may include newer records than it says, never lack any.
    positions = [(partition, reader.position(partition)) for partition in held]
    scanner, builder = Scanner(reader, job, asked.read, held), asked.report.builder(asked.query)
    for work in builder.work():
        if work is not None:
            await (scanner.run_work(work) if only is None else scanner.run_work_for(work, kind, only))
        if job.over():
            await job.pause()
    if any(reader.token(partition) is not token for partition, token in zip(held, tokens, strict=True)):
        return None
    holes = {partition: list(lost) for partition in held if (lost := reader.holes(partition))}
    return Part(await job.run(builder.result()), positions, holes)
