"""Request lines of the demo's gateway, each with its truth: what the line says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.demo import vocabulary
from logrouter.demo.random_draws import uniform_draws, weighted_draws
from logrouter.demo.templates import GENERATIONS, SHAPES, compile_template, envelope, escape, hole, request

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from logrouter.demo.random_draws import TimeFields

_SHAPE_WEIGHTS: Final = dict(zip(SHAPES, (15, 40, 30, 15), strict=True))
_GENERATION_WEIGHTS: Final = dict(zip(GENERATIONS, (1, 2, 2, 75, 20), strict=True))
_ANONYMOUS_SHARE: Final = 0.15
_REQUEST_ID: Final = "00000000-0000-4000-8000-"


class Truth(NamedTuple):
    """What a request line says: *number* counts requests from 0, *client* is None for anonymous ones.

    *time_ms* is the request's start as the line states it, which is to the second. *api* is None where the line does
    not name it (the oldest generation).
    """

    number: int
    client: str | None
    api: str | None
    status: int
    time_ms: int


class _Form(NamedTuple):
    """One template, and whether its lines name the API."""

    template: bytes
    names_api: bool


def request_id(number: int) -> str:
    """The `meta.request_id` of request *number*."""
    return f"{_REQUEST_ID}{number:012d}"


def request_number(identifier: str) -> int:
    """The inverse of `request_id`."""
    return int(identifier[len(_REQUEST_ID) :])


class Requests:
    """Makes request lines of the gateway for clients with these *ids*, the busiest first."""

    def __init__(self, rng: random.Random, clock: TimeFields, ids: list[str]) -> None:
        self._clock = clock
        self._count = 0
        self._forms = {anonymous: _forms(rng, anonymous=anonymous) for anonymous in (False, True)}
        zipf = [1 / rank**1.1 for rank in range(1, len(ids) + 1)]
        self._clients = weighted_draws(rng, list(enumerate(ids)), zipf)
        self._anonymous = weighted_draws(rng, (True, False), (_ANONYMOUS_SHARE, 1 - _ANONYMOUS_SHARE))
        self._uris = weighted_draws(rng, *_uri_pool(rng))
        self._statuses = weighted_draws(rng, vocabulary.STATUSES, vocabulary.STATUS_WEIGHTS)
        self._methods = weighted_draws(rng, [item.encode() for item in vocabulary.METHODS], vocabulary.METHOD_WEIGHTS)
        protocols = [escape(item, times=2) for item in vocabulary.PROTOCOLS]
        self._protocols = weighted_draws(rng, protocols, vocabulary.PROTOCOL_WEIGHTS)
        self._agents = uniform_draws(rng, [escape(item, times=2) for item in vocabulary.AGENTS])
        self._domains = uniform_draws(rng, [item.encode() for item in vocabulary.DOMAINS])
        self._forwarded = uniform_draws(rng, [escape(_forwarded_for(rng), times=2) for _ in range(2000)])
        self._latencies = uniform_draws(rng, [b"%d" % rng.lognormvariate(3.5, 1.1) for _ in range(5000)])
        self._sizes = uniform_draws(rng, [b"%d" % rng.lognormvariate(8, 1.5) for _ in range(5000)])

    def __call__(self, time_ms: int) -> tuple[bytes, Truth | None]:
        """The next request and its truth, at this epoch millisecond."""
        number, self._count = self._count, self._count + 1
        return self.render(number, time_ms)

    def render(self, number: int, time_ms: int) -> tuple[bytes, Truth]:
        """Request *number* and its truth."""
        anonymous = next(self._anonymous)
        form = next(self._forms[anonymous])
        rank, client = next(self._clients)
        api, uri = next(self._uris)
        status = next(self._statuses)
        started, fields = self._clock.fields(time_ms)
        latency = next(self._latencies)
        fields |= {
            b"uri": uri,
            b"route": api.encode(),
            b"request_id": request_id(number).encode(),
            b"domain": next(self._domains),
            b"method": next(self._methods),
            b"protocol": next(self._protocols),
            b"status": b"%d" % status,
            b"xff": next(self._forwarded),
            b"agent": next(self._agents),
            b"total_ms": latency,
            b"backend_ms": latency,
            b"bytes_in": b"0",
            b"bytes_out": next(self._sizes),
            b"client": client.encode(),
            b"user": b"%d" % (10_000 + rank),
            b"offset": b"%d" % (number * 700),
        }
        truth = Truth(number, None if anonymous else client, api if form.names_api else None, status, started * 1000)
        return form.template % fields, truth


def _forms(rng: random.Random, *, anonymous: bool) -> Iterator[_Form]:
    forms, weights = [], []
    for generation, often in _GENERATION_WEIGHTS.items():
        text = request(generation, hole("route"), anonymous=anonymous)
        for shape, usual in _SHAPE_WEIGHTS.items():
            for host in vocabulary.GATEWAY_HOSTS:
                template = compile_template(envelope(shape, host, "api-gateway", text))
                forms.append(_Form(template, names_api=generation != "G0"))
                weights.append(often * usual)
    return weighted_draws(rng, forms, weights)


def _uri_pool(rng: random.Random) -> tuple[list[tuple[str, bytes]], list[float]]:
    pool, weights = [], []
    for api, weight in zip(vocabulary.APIS, vocabulary.API_WEIGHTS, strict=True):
        for _ in range(60):
            numbers = {"number": rng.randrange(10**6, 10**8), "small": rng.randrange(1, 100)}
            uri = rng.choice(vocabulary.PATHS).format(api=api, word=rng.choice(vocabulary.WORDS), **numbers)
            pool.append((api, escape(uri, times=2)))
            weights.append(weight / 60)
    return pool, weights


def _forwarded_for(rng: random.Random) -> str:
    """An X-Forwarded-For chain: what the client claims, its address, our own proxies."""
    address = f"198.51.{rng.randrange(100, 104)}.{rng.randrange(256)}"
    if rng.random() < 0.2:
        address = f"2001:db8:{rng.randrange(65536):x}::{rng.randrange(65536):x}"
    elif rng.random() < 0.05:
        address = f"{address}:{rng.randrange(1024, 65536)}"
    claimed = rng.choice(("", "", "", "203.0.113.7, ", "unknown, 192.0.2.44, "))
    return f"{claimed}{address}, 10.64.{rng.randrange(4)}.{rng.randrange(1, 255)}"
