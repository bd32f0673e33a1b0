"""One client or one API: its summary and its series, answered here or by the worker that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import orjson
from aiohttp import web

from logrouter.query import answers, questions
from logrouter.query.answers import SUBJECT_FIELD
from logrouter.query.reader import Tier
from logrouter.query.spans import Window, span
from logrouter.web import problems
from logrouter.web.access import caller_of
from logrouter.web.names import name_of
from logrouter.web.peers import PeerAwayError
from logrouter.web.problems import NOT_OWNER, OWNER_AWAY, UNKNOWN_SUBJECT, Problem
from logrouter.web.view import RETRY_SOON, document

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from logrouter.access.scopes import Caller
    from logrouter.query.answers import Answer
    from logrouter.web.peers import Reply
    from logrouter.web.view import View

COLLECTION: Final = {"c": "clients", "a": "apis"}
LAST_24H: Final = Window("24h", 24 * 60)


def summary(view: View, kind: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/v1/clients/{client_id}`` and ``/v1/apis/{api}``."""

    async def handle(request: web.Request) -> web.Response:
        name = name_of(kind, request)
        if faults := questions.nothing(request.query.items()):
            raise problems.bad_parameters(faults)
        return await _answer(view, request, kind, name, "", lambda now_ms: _summary(view, kind, name, now_ms))

    return handle


def series(view: View, kind: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of ``/v1/clients/{client_id}/series`` and ``/v1/apis/{api}/series``."""

    async def handle(request: web.Request) -> web.Response:
        name = name_of(kind, request)
        asked = questions.series(kind, request.query.items(), view.clock(), view.kept)
        if isinstance(asked, tuple):
            raise problems.bad_parameters(asked)
        return await _answer(view, request, kind, name, "/series", lambda _: _series(view, kind, name, asked))

    return handle


def _summary(view: View, kind: str, name: str, now_ms: int) -> Answer:
    life = view.reader.rows(kind + name, Tier.LIFE, (0,))[0]
    if life is None:
        raise _unknown(kind)
    day = span(LAST_24H, now_ms, view.kept)
    rows = [
        cell
        for segment in day.segments
        for cell in view.reader.rows(kind + name, segment.tier, range(segment.start, segment.stop))
    ]
    return answers.summary(kind, name, life, rows, day)


def _series(view: View, kind: str, name: str, asked: questions.Series) -> Answer:
    if view.reader.rows(kind + name, Tier.LIFE, (0,))[0] is None:
        raise _unknown(kind)
    rows = view.reader.rows(kind + name, asked.step.tier, range(asked.start, asked.stop))
    return answers.series(kind, name, asked, rows)


def _unknown(kind: str) -> Problem:
    return Problem(UNKNOWN_SUBJECT, f"no request of this {SUBJECT_FIELD[kind]} has been counted")


async def _answer(
    view: View, request: web.Request, kind: str, name: str, suffix: str, local: Callable[[int], Answer]
) -> web.Response:
    """Answers from our tables or, once, from those of the worker that holds the subject."""
    hop = view.peers.is_hop(request)
    partition = view.partition_of(kind + name)
    if partition in view.reader.owned():
        return _local(view, partition, local)
    if hop:
        raise Problem(NOT_OWNER, "the partition has moved", partition=partition, retry_after=RETRY_SOON)
    path = f"/v1/{COLLECTION[kind]}/{_segment(name)}{suffix}"
    query = urlencode(list(request.query.items()))
    return await _remote(view, partition, f"{path}?{query}" if query else path, caller_of(request))


def _local(view: View, partition: int, local: Callable[[int], Answer]) -> web.Response:
    # Nothing is awaited in here: readiness, rows and position are those of one moment.
    if not view.reader.ready():
        raise view.not_ready()
    now_ms = view.clock()
    try:
        return document(local(now_ms), now_ms, view.freshness([partition]))
    except LookupError as exc:
        if view.holds([partition]):
            raise
        raise view.not_ready() from exc


async def _remote(view: View, partition: int, target: str, caller: Caller) -> web.Response:
    url = view.reader.owner_url(partition)
    if url is None or url == view.reader.self_url():
        raise _away(partition, "no worker holds it at the moment")
    try:
        reply = await view.peers.get(url, target, view.limits.point_timeout, caller)
    except PeerAwayError as exc:
        raise _away(partition, str(exc)) from exc
    if not _relayable(reply):
        raise _away(partition, f"answered with status {reply.status}")
    return web.Response(body=reply.body, status=reply.status, content_type=reply.content_type)


def _relayable(reply: Reply) -> bool:
    """Whether this is an answer of an owner. A 404 of something else that listens there is not "unknown client"."""
    if reply.status == 200:
        return reply.content_type == "application/json"
    if reply.status not in (400, 404) or reply.content_type != problems.CONTENT_TYPE:
        return False
    try:
        kind = orjson.loads(reply.body)["type"]
    except (ValueError, KeyError, TypeError):
        return False
    return kind in (UNKNOWN_SUBJECT.uri, problems.BAD_PARAMETER.uri)


def _away(partition: int, reason: str) -> Problem:
    return Problem(
        OWNER_AWAY,
        f"partition {partition} cannot be asked: {reason}",
        partition=partition,
        retry_after=RETRY_SOON,
    )


def _segment(name: str) -> str:
    # "." and ".." alone would be taken for steps in the path by whoever normalises it.
    return quote(name, safe="").replace(".", "%2E")
