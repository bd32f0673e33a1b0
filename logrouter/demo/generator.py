"""A mixed stream of rsyslog lines, made up but true to life, that knows the answer: pure, and the same for a seed.

About a fifth are gateway requests in every envelope shape and most generations of the access log; the rest are other
programs, the gateway's own application log, and malformed lines. The demo feeds it, the benchmark measures on it, and
the kill tests recount by it.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from logrouter.demo import vocabulary as words
from logrouter.demo.templates import GENERATIONS, SHAPES, compiled, envelope, escape, hole, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    _Kind: TypeAlias = Callable[[int], tuple[bytes, "Truth | None"]]

_BLOCK: Final = 4096  # draws made at once: one call of `choices` instead of thousands
_SHAPE_WEIGHTS: Final = dict(zip(SHAPES, (15, 40, 30, 15), strict=True))
_GENERATION_WEIGHTS: Final = dict(zip(GENERATIONS, (1, 2, 2, 75, 20), strict=True))
_GATEWAY_LOG_SHARE: Final = 0.05
_MALFORMED_SHARE: Final = 0.01
_ANONYMOUS_SHARE: Final = 0.15
_JITTER_MS: Final = 1500  # containers hand their lines on in bursts, so the stream is slightly out of order
_REQUEST_ID: Final = "00000000-0000-4000-8000-"
_T = TypeVar("_T")

MALFORMED_FROM: Final = 900_000_000_000
"""Broken request lines carry numbers above this one, so that none can pass for a request."""


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


def lines(
    count: int, seed: int = 1, start_ms: int = 1_750_000_000_000, clients: int = 500, gateway_share: float = 0.2
) -> Iterator[bytes]:
    """The values of `records`, alone."""
    return (line for line, _ in records(count, seed, start_ms, clients, gateway_share))


def client_ids(seed: int, clients: int) -> list[str]:
    """The ids of the *clients* busiest first, as `records` draws them."""
    rng = random.Random(f"clients {seed}")  # noqa: S311  not a secret, and must repeat
    return [f"{rng.getrandbits(128):032x}" for _ in range(clients)]


def records(
    count: int,
    seed: int = 1,
    start_ms: int = 1_750_000_000_000,
    clients: int = 500,
    gateway_share: float = 0.2,
    interval_ms: float = 0.5,
) -> Iterator[tuple[bytes, Truth | None]]:
    """*count* lines, *interval_ms* apart in event time from *start_ms*, each with its truth or None if no request.

    Clients are drawn by Zipf's law, and some requests have none. Among the others are lines that a router must refuse
    (truncated, not UTF-8, trailing comma) and lines that it must leave alone.
    """
    rng = random.Random(seed)  # noqa: S311  not a secret, and must repeat
    clock = _Clock(rng)
    ids = client_ids(seed, clients)
    kinds: list[_Kind] = [
        _Requests(rng, clock, ids),
        _GatewayLog(rng, clock),
        _Malformed(rng, clock, ids),
        _Foreign(rng, clock),
    ]
    others = 1 - gateway_share
    shares = (gateway_share, others * _GATEWAY_LOG_SHARE, others * _MALFORMED_SHARE)
    drawn = _draws(rng, kinds, (*shares, 1 - sum(shares)))
    for index in range(count):
        yield next(drawn)(start_ms + int(index * interval_ms))


def _draws(rng: random.Random, population: Sequence[_T], weights: Sequence[float]) -> Iterator[_T]:
    """Endless weighted draws, made in blocks because one call of `choices` is far cheaper than thousands."""
    cumulative = list(accumulate(weights))
    while True:
        yield from rng.choices(population, cum_weights=cumulative, k=_BLOCK)


def _even(rng: random.Random, population: Sequence[_T]) -> Iterator[_T]:
    return _draws(rng, population, [1] * len(population))


class _Clock:
    """Times as bytes, in every notation that the lines use."""

    def __init__(self, rng: random.Random) -> None:
        self._jitter = _even(rng, range(_JITTER_MS))
        self._micros = _even(rng, range(1000))

    def fields(self, time_ms: int) -> tuple[int, dict[bytes, bytes]]:
        """The start of the request in whole seconds, and the holes `dt`, `nano`, `micro` and `spd`."""
        micros = next(self._micros)
        second, milli = divmod(time_ms, 1000)
        started = (time_ms - next(self._jitter)) // 1000
        now = _second(second)
        return started, {
            b"dt": _second(started) + b"Z",
            b"nano": b"%b.%03d%03d321Z" % (now, milli, micros),
            b"micro": b"%b.%03d%03d+00:00" % (now, milli, micros),
            b"spd": b"%b.%03d" % (now.replace(b"T", b" "), milli),
        }


@lru_cache(maxsize=64)
def _second(second: int) -> bytes:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


class _Requests:
    """Request lines of the gateway."""

    def __init__(self, rng: random.Random, clock: _Clock, ids: list[str]) -> None:
        self._clock = clock
        self._count = 0
        self._forms = {anonymous: _forms(rng, anonymous=anonymous) for anonymous in (False, True)}
        zipf = [1 / rank**1.1 for rank in range(1, len(ids) + 1)]
        self._clients = _draws(rng, list(enumerate(ids)), zipf)
        self._anonymous = _draws(rng, (True, False), (_ANONYMOUS_SHARE, 1 - _ANONYMOUS_SHARE))
        self._uris = _draws(rng, *_uri_pool(rng))
        self._statuses = _draws(rng, words.STATUSES, words.STATUS_WEIGHTS)
        self._methods = _draws(rng, [item.encode() for item in words.METHODS], words.METHOD_WEIGHTS)
        protocols = [escape(item, times=2) for item in words.PROTOCOLS]
        self._protocols = _draws(rng, protocols, words.PROTOCOL_WEIGHTS)
        self._agents = _even(rng, [escape(item, times=2) for item in words.AGENTS])
        self._domains = _even(rng, [item.encode() for item in words.DOMAINS])
        self._forwarded = _even(rng, [escape(_forwarded_for(rng), times=2) for _ in range(2000)])
        self._latencies = _even(rng, [b"%d" % rng.lognormvariate(3.5, 1.1) for _ in range(5000)])
        self._sizes = _even(rng, [b"%d" % rng.lognormvariate(8, 1.5) for _ in range(5000)])

    def __call__(self, time_ms: int) -> tuple[bytes, Truth | None]:
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
            for host in words.GATEWAY_HOSTS:
                template = compiled(envelope(shape, host, "api-gateway", text))
                forms.append(_Form(template, names_api=generation != "G0"))
                weights.append(often * usual)
    return _draws(rng, forms, weights)


def _uri_pool(rng: random.Random) -> tuple[list[tuple[str, bytes]], list[float]]:
    pool, weights = [], []
    for api, weight in zip(words.APIS, words.API_WEIGHTS, strict=True):
        for _ in range(60):
            numbers = {"number": rng.randrange(10**6, 10**8), "small": rng.randrange(1, 100)}
            uri = rng.choice(words.PATHS).format(api=api, word=rng.choice(words.WORDS), **numbers)
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


class _Fills:
    """Lines of fixed templates with small changes."""

    def __init__(self, rng: random.Random, clock: _Clock, documents: Sequence[dict[str, Any]]) -> None:
        self._clock = clock
        self._templates = _even(rng, [compiled(document) for document in documents])
        self._words = _even(rng, [word.encode() for word in words.WORDS])
        self._small = _even(rng, [b"%d" % number for number in range(1, 100)])
        self._large = _even(rng, [b"%d" % rng.randrange(10**5, 10**7) for _ in range(1000)])

    def __call__(self, time_ms: int) -> tuple[bytes, Truth | None]:
        _, fields = self._clock.fields(time_ms)
        fields |= {b"word": next(self._words), b"small": next(self._small), b"offset": next(self._large)}
        return next(self._templates) % fields, None


class _GatewayLog(_Fills):
    """The gateway's application log and its sidecars: same programs and containers, no requests."""

    def __init__(self, rng: random.Random, clock: _Clock) -> None:
        documents = [
            envelope(shape, host, "api-gateway", text)
            for shape in SHAPES
            for host in words.GATEWAY_HOSTS
            for text in words.GATEWAY_LOGS
        ]
        super().__init__(rng, clock, documents)


class _Foreign(_Fills):
    """Everything else that shares the topic."""

    def __init__(self, rng: random.Random, clock: _Clock) -> None:
        documents = []
        for host in words.OTHER_HOSTS:
            for program, severity, text in words.FOREIGN:
                documents += [envelope("plain", host, program, text, severity=severity)] * 2
                documents.append(envelope("ecs", host, program, text, severity=severity))
            documents += [envelope("containerd", host, name, words.SERVICE_LOG) for name in words.FOREIGN_SERVICES]
            documents.append(envelope("plain", host, "web", words.FOREIGN[0][2]) | words.MERGED)
        super().__init__(rng, clock, documents)


class _Malformed:
    """Request lines that something on the way has broken, each in a way of its own."""

    def __init__(self, rng: random.Random, clock: _Clock, ids: list[str]) -> None:
        self._requests = _Requests(rng, clock, ids)
        self._breaks = _even(rng, (_cut, _not_utf8, _trailing_comma, _cut_message, _nothing))
        self._count = 0

    def __call__(self, time_ms: int) -> tuple[bytes, Truth | None]:
        self._count += 1
        line, _ = self._requests.render(MALFORMED_FROM + self._count, time_ms)
        return next(self._breaks)(line), None


def _cut(line: bytes) -> bytes:
    return line[: len(line) * 2 // 3]


def _not_utf8(line: bytes) -> bytes:
    return line.replace(b"example", b"ex\xffmple")


def _trailing_comma(line: bytes) -> bytes:
    return line[:-1] + b", }"


def _cut_message(line: bytes) -> bytes:
    """The envelope is whole, but the application's line in it ends early."""
    head, _, _ = line.partition(b"status_code")
    return b'{"program": "api-gateway", "host": "node1011", "message": "{' + head[head.index(b'\\"') :] + b'status_c"}'


def _nothing(_line: bytes) -> bytes:
    return b""
