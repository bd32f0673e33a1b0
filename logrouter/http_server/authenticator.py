"""Authentication: of callers by their tokens, and of other workers by the signature of a hop."""

from __future__ import annotations

import re
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import web

from logrouter.access.rates import UNKNOWN, Buckets, bucket_key
from logrouter.access.scopes import ANYONE, HERE, Caller, Via
from logrouter.access.tokens import PREFIX, Refusal, Tokens
from logrouter.config.options.endpoint import is_loopback
from logrouter.http_server.bearer import BearerVerifier
from logrouter.http_server.keys import GivenKeys
from logrouter.http_server.problems import (
    ISSUER_AWAY,
    NOT_ALLOWED,
    NOT_AUTHENTICATED,
    RETRY_SOON,
    TOO_MANY_REQUESTS,
    UNTRUSTED_HOP,
    WRONG_CONTENT,
    HttpProblem,
)
from logrouter.telemetry.metrics import ACCESS_REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.access.policy import Policy
    from logrouter.http_server.keys import KeySet
    from logrouter.http_server.peers import Peers

_CALLER: Final = web.RequestKey("caller", Caller)
_PORT: Final = re.compile(r":[0-9]{0,5}\Z")
REALM: Final = 'Bearer realm="logrouter"'
UNCONFIGURED: Final = (
    "access is not configured, so nobody is let in: give topics.yaml a section `access` with tokens, tokens_file or "
    "jwt, or `access: {mode: open}` where everybody who reaches the port may read all usage"
)
WRONG_NAME: Final = (
    "this worker is open, but not by any name: ask it by `localhost`, by an address, or by a name in access.hosts"
)
AS_JSON: Final = "access is open: send `Content-Type: application/json`, which no web page can without asking"
_SAID: Final = {
    Refusal.MISSING: "send a token in the header `Authorization: Bearer ...`",
    Refusal.INVALID: "the token is not valid",
    Refusal.EXPIRED: "the token has expired",
    Refusal.EARLY: "the token is not valid yet",
}


def caller_of(request: web.Request) -> Caller:
    """The caller of an authenticated request; `KeyError` for a route whose requirement is NOTHING."""
    return request[_CALLER]


def known_caller(request: web.Request) -> Caller | None:
    """The caller of a request; None if it was not authenticated."""
    return request.get(_CALLER)


class DrainManners(NamedTuple):
    """How a process lets callers in that has drains as well: a token may stand alone in the header, as logshuttle's do.

    *on_loopback* says that it listens on loopback: where access is open, the machine itself may do all with drains.
    """

    on_loopback: bool


class Authenticator:
    """Authenticates requests by a policy, and limits how often a caller may ask.

    Made by whoever builds an application; opened and closed by the application, in the loop that serves.
    """

    def __init__(
        self,
        policy: Policy,
        peers: Peers,
        clock: Callable[[], int],
        steady: Callable[[], float] = monotonic,
        drains: DrainManners | None = None,
    ) -> None:
        """*clock* gives epoch milliseconds, by which tokens expire; *steady* seconds, by which rates go.

        *drains* is None for a process without an API of drains.
        """
        self.policy = policy
        self.peers = peers
        self.tokens = Tokens(policy.tokens)
        self.bearers = None if policy.jwt is None else BearerVerifier(policy.jwt)
        self._clock = clock
        self._steady = steady
        self._drains = drains
        self._callers = Buckets(policy.rate)
        self._strangers = Buckets(policy.strangers)

    def replace_tokens(self, tokens: Tokens) -> None:
        """Accept these tokens, and no others, from now on. Called in the loop that serves."""
        self.tokens = tokens

    def replace_keys(self, keys: KeySet) -> None:
        """Verify JWTs with these keys from now on. Called in the loop that serves."""
        if self.bearers is not None:
            self.bearers.keys = GivenKeys(keys)

    async def open(self) -> None:
        """Start fetching keys, if the policy has an issuer. Called once, in the loop that serves."""
        if self.bearers is not None:
            await self.bearers.keys.open()

    async def close(self) -> None:
        """Stop fetching keys."""
        if self.bearers is not None:
            await self.bearers.keys.close()

    async def identify(self, request: web.Request) -> Caller:
        """Authenticate a request and return its caller, which `caller_of` gives from now on.

        `HttpProblem` 401 without valid credentials, 403 for a hop or host name that is not trusted, 429 over a rate,
        503 while the keys of the issuer cannot be fetched.
        """
        if self.policy.open and not _by_right_name(self.policy.hosts, request):
            ACCESS_REFUSED.labels("host").inc()
            raise HttpProblem(NOT_ALLOWED, WRONG_NAME)
        caller = self.forwarded_caller(request)
        if caller is None:
            caller = self._anybody(request) if self.policy.open else await self._authenticate(request)
        request[_CALLER] = caller
        if caller.via in (Via.TOKEN, Via.JWT):
            wait = self._callers.take(f"{caller.via}:{caller.name}", self._steady())
            if wait > 0:
                raise _too_many("caller_rate", wait)
        return caller

    def _anybody(self, request: web.Request) -> Caller:
        """Whoever asks where access is open; `HttpProblem` 415 for a body that a web page could have sent from here."""
        if self._drains is None or not self._drains.on_loopback or not _is_from_here(request):
            return ANYONE
        if request.method == "POST" and request.content_type != "application/json":
            ACCESS_REFUSED.labels("content_type").inc()
            raise HttpProblem(WRONG_CONTENT, AS_JSON)
        return HERE

    def forwarded_caller(self, request: web.Request) -> Caller | None:
        """The caller in whose name another worker asks; None if the request is no hop.

        A forged one is a 403, and charged to the address that it came from: never to the caller whom it names.
        """
        try:
            return self.peers.forwarded_caller(request)
        except HttpProblem as problem:
            if problem.kind is UNTRUSTED_HOP:
                self._charge_stranger(request)
                ACCESS_REFUSED.labels("hop").inc()
            raise

    async def _authenticate(self, request: web.Request) -> Caller:
        found = await self._find(request)
        if isinstance(found, Caller):
            return found
        self._charge_stranger(request)
        ACCESS_REFUSED.labels(found.value).inc()
        if found is Refusal.NO_KEYS:
            raise HttpProblem(
                ISSUER_AWAY, "the keys of the tokens' issuer could not be fetched", retry_after=RETRY_SOON
            )
        detail = UNCONFIGURED if self.unconfigured else _SAID[found]
        challenge = REALM if found is Refusal.MISSING else f'{REALM}, error="invalid_token"'
        raise challenged(HttpProblem(NOT_AUTHENTICATED, detail), challenge)

    def _charge_stranger(self, request: web.Request) -> None:
        """Count a refused request for its address; `HttpProblem` 429 for one too many.

        Only what was refused counts, so that nobody is kept out by a neighbour behind the same address.
        """
        wait = self._strangers.take(bucket_key(request.remote), self._steady())
        if wait > 0:
            raise _too_many("address_rate", wait)

    async def _find(self, request: web.Request) -> Caller | Refusal:
        given = request.headers.getall("Authorization", [])
        if not given:
            return Refusal.MISSING
        scheme, space, token = given[0].partition(" ")
        if self._drains is not None and not space:
            scheme, token = "bearer", scheme
        if len(given) > 1 or scheme.lower() != "bearer":
            return Refusal.INVALID
        if token.startswith(PREFIX) or self.bearers is None:
            return self.tokens.find(token, self._clock())
        return await self.bearers.find(token)

    @property
    def unconfigured(self) -> bool:
        """Whether the policy lets nobody in."""
        return not (self.policy.open or len(self.tokens) or self.bearers)


def refusal(detail: str) -> HttpProblem:
    """The 403 of a caller that lacks a scope, counted as such."""
    ACCESS_REFUSED.labels("scope").inc()
    return challenged(HttpProblem(NOT_ALLOWED, detail), f'{REALM}, error="insufficient_scope"')


def challenged(problem: HttpProblem, challenge: str) -> HttpProblem:
    """*problem* with the header ``WWW-Authenticate``."""
    problem.headers["WWW-Authenticate"] = challenge
    return problem


def _by_right_name(names: frozenset[str] | None, request: web.Request) -> bool:
    """Whether a request came by a name that is ours.

    A web page can make a browser on this machine ask us, by a name of its own that it lets point to loopback, and would
    be shown the answer. It can't make the browser say another name, nor an address.
    """
    if names is None:
        return True
    name = _PORT.sub("", request.headers.get("Host", "")).lower()
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    return name in names or bucket_key(bare) != UNKNOWN


def _is_from_here(request: web.Request) -> bool:
    """Whether a request comes from this machine, and not by way of a proxy on it."""
    by_proxy = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "Via"))
    return request.remote is not None and is_loopback(request.remote) and not by_proxy


def _too_many(reason: str, wait: float) -> HttpProblem:
    ACCESS_REFUSED.labels(reason).inc()
    return HttpProblem(TOO_MANY_REQUESTS, "ask less often", retry_after=max(1, ceil(wait)))
