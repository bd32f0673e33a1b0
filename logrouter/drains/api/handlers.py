"""The handlers of the drains API: from a path to an owner, from a body to a registration, from that to JSON."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote
from uuid import uuid4

import orjson
from aiohttp import web
from msgspec.structs import replace

from logrouter.core.drains.named_owner import AmbiguousName, ResolvedOwner, resolve_owner
from logrouter.core.drains.owner import OwnerKind
from logrouter.core.drains.registration import DrainState, Registration
from logrouter.core.drains.shown_drain import show_drain
from logrouter.core.drains.wanted import WantedDrain, read_wanted
from logrouter.drains.api.bodies import BODY_SECONDS, read_json
from logrouter.drains.api.problem_types import (
    AMBIGUOUS_NAME,
    NOT_STARTED,
    REGISTRY_AWAY,
    TOO_MANY_DRAINS,
    UNKNOWN_DRAIN,
    unusable_drain,
)
from logrouter.drains.registry_errors import DrainLimitError, RegistryUnavailableError
from logrouter.http_server.guard import Requirement, caller_of, drain_owners
from logrouter.http_server.owner_names import named_owner
from logrouter.http_server.probes import refuse_parameters
from logrouter.http_server.problems import RETRY_SOON, UNKNOWN_PATH, HttpProblem, json_response

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from logrouter.core.drains.owner import Owner
    from logrouter.core.formats.families.app_space import AppSpace
    from logrouter.drains.api.contract import DrainRegistry, DrainReporter, DrainVetting

T = TypeVar("T")

RETRY_SECONDS: Final = 5
"""When to try again what the cluster did not take."""


def make_ids() -> tuple[str, str]:
    """A new drain's id and token, both random: whoever knows one can't tell another."""
    return str(uuid4()), f"d.{uuid4()}"


@dataclass(frozen=True, slots=True)
class DrainHandlers:
    """The handlers of one process.

    *clock* gives epoch milliseconds; *waits_for* says in one line what keeps the process from knowing all drains, and
    nothing once it does.
    """

    registry: DrainRegistry
    vet: DrainVetting
    reporter: DrainReporter
    clock: Callable[[], int]
    waits_for: Callable[[], str]
    new_ids: Callable[[], tuple[str, str]] = field(default=make_ids)
    body_seconds: float = BODY_SECONDS
    changes: set[asyncio.Future[Any]] = field(default_factory=set)
    """Changes that are being made."""

    async def show_all(self, request: web.Request) -> web.Response:
        """All drains of the owner, the oldest first."""
        found = self._drains(self._resolve(request, Requirement.DRAINS_READ))
        return web.Response(body=orjson.dumps([show_drain(one) for one in found]), content_type="application/json")

    async def add(self, request: web.Request) -> web.Response:
        """Make a drain: 201 when Kafka has it. 200 with the one that is there if the owner has one with this URL."""
        resolved = self._resolve(request, Requirement.DRAINS_WRITE)
        wanted = read_wanted(await read_json(request, self.body_seconds))
        if not isinstance(wanted, WantedDrain):
            raise unusable_drain(wanted)
        present = next((one for one in self._drains(resolved) if one.url == wanted.url), None)
        if present is None:
            if faults := await self.vet(wanted):
                raise unusable_drain(faults)
            new = self._register(resolved.owner, wanted, caller_of(request).name)
            present = await self._add(new)
            if present.id == new.id:
                location = f"{request.rel_url.raw_path.rstrip('/')}/{new.id}"
                body = orjson.dumps(show_drain(new))
                headers = {"Location": location}
                return web.Response(status=201, body=body, content_type="application/json", headers=headers)
        return json_response(show_drain(present))

    async def show(self, request: web.Request) -> web.Response:
        """One drain."""
        return json_response(show_drain(self._find(request, Requirement.DRAINS_READ)))

    async def remove(self, request: web.Request) -> web.Response:
        """Remove a drain, and say what it was, as logshuttle does."""
        drain = self._find(request, Requirement.DRAINS_WRITE)
        try:
            if not await self._complete(self.registry.remove(drain.owner, drain.id)):
                raise _unknown_drain()
        except RegistryUnavailableError:
            raise _registry_away() from None
        return json_response(show_drain(drain))

    async def enable(self, request: web.Request) -> web.Response:
        """Let a drain that was disabled have lines again; one that is not stays as it is."""
        drain, now = self._find(request, Requirement.DRAINS_WRITE), self.clock()

        def edit(old: Registration) -> Registration:
            disabled = old.state is DrainState.DISABLED
            return replace(old, state=DrainState.ACTIVE, reason="", updated_ms=now) if disabled else old

        try:
            changed = await self._complete(self.registry.change(drain.id, edit))
        except RegistryUnavailableError:
            raise _registry_away() from None
        if changed is None:
            raise _unknown_drain()
        return json_response(show_drain(changed))

    async def status(self, request: web.Request) -> web.Response:
        """How one drain fares."""
        drain = self._find(request, Requirement.DRAINS_READ)
        return json_response({"id": drain.id, "state": drain.state.value, **self.reporter.status(drain)})

    async def test(self, request: web.Request) -> web.Response:
        """Send one line by a drain, and say what became of it."""
        drain = self._find(request, Requirement.DRAINS_WRITE)
        return json_response({"id": drain.id, **await self.reporter.send_test(drain)})

    async def ready(self, request: web.Request) -> web.Response:
        """The handler of ``/readyz``: 200 once this process knows all drains."""
        refuse_parameters(request)
        if why := self.waits_for():
            raise HttpProblem(NOT_STARTED, why, retry_after=RETRY_SOON)
        return json_response({"ready": True})

    async def octhc(self, request: web.Request) -> web.Response:
        """The handler of ``/octhc``: logshuttle's words for the same, and a status that fits them."""
        refuse_parameters(request)
        good = not self.waits_for()
        return web.Response(text=f"overall_status={'good' if good else 'bad'}", status=200 if good else 503)

    async def _complete(self, change: Coroutine[Any, Any, T]) -> T:
        """What *change* gives. It is made to its end, also if the client goes away, which ends the handler."""
        made = asyncio.ensure_future(change)
        self.changes.add(made)
        made.add_done_callback(self.changes.discard)
        made.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to look at it
        return await asyncio.shield(made)

    def _resolve(self, request: web.Request, requirement: Requirement) -> ResolvedOwner:
        refuse_parameters(request)
        if why := self.waits_for():
            raise HttpProblem(NOT_STARTED, why, retry_after=RETRY_SOON)
        named = named_owner(request)
        if named is None:
            raise HttpProblem(UNKNOWN_PATH, "the path names no owner of drains")
        owners = drain_owners(caller_of(request), requirement)
        known = self.registry.known_pairs(named.name) if named.kind is OwnerKind.APP else ()
        resolved = resolve_owner(named, None if owners.everybody else owners.pairs, known)
        if isinstance(resolved, AmbiguousName):
            paths = " or ".join(map(_explicit_path, resolved.pairs))
            raise HttpProblem(AMBIGUOUS_NAME, f"say which one is meant: {paths}")
        return resolved

    def _drains(self, resolved: ResolvedOwner) -> list[Registration]:
        found = [drain for owner in resolved.owners for drain in self.registry.drains_of(owner)]
        return sorted(found, key=lambda drain: (drain.created_ms, drain.id))

    def _find(self, request: web.Request, requirement: Requirement) -> Registration:
        resolved = self._resolve(request, requirement)
        drain = self.registry.drain(request.match_info["id"])
        # What others have is not there: the same answer as for an id that nobody has.
        if drain is None or drain.owner not in resolved.owners:
            raise _unknown_drain()
        return drain

    def _register(self, owner: Owner, wanted: WantedDrain, who: str) -> Registration:
        drain_id, token = self.new_ids()
        now = self.clock()
        state = DrainState.PENDING if wanted.challenge else DrainState.ACTIVE
        return Registration(
            id=drain_id,
            token=token,
            owner=owner,
            created_ms=now,
            updated_ms=now,
            created_by=who,
            state=state,
            **wanted._asdict(),
        )

    async def _add(self, new: Registration) -> Registration:
        try:
            return await self._complete(self.registry.add(new))
        except DrainLimitError:
            raise HttpProblem(TOO_MANY_DRAINS, "remove one that is needed no more") from None
        except RegistryUnavailableError:
            raise _registry_away() from None


def _explicit_path(pair: AppSpace) -> str:
    app, space = (quote(name, safe="") for name in pair)
    return f"/apps/{app}/spaces/{space}/log-drains"


def _unknown_drain() -> HttpProblem:
    return HttpProblem(UNKNOWN_DRAIN, "the list of the owner's drains has their ids")


def _registry_away() -> HttpProblem:
    return HttpProblem(REGISTRY_AWAY, "nothing was changed for certain; ask again", retry_after=RETRY_SECONDS)
