"""A generated stream of rsyslog lines like those of production, with what each one says: the same for the same seed.

About a fifth are gateway requests in every envelope shape and most generations of the access log; the rest are other
programs, the gateway's own application log, and malformed lines. The demo feeds it, the benchmark measures on it, and
the kill tests compare with it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from logrouter.demo.noise import GatewayLog, Malformed, OtherPrograms
from logrouter.demo.random_draws import TimeFields, weighted_draws
from logrouter.demo.requests import Requests, Truth, request_id, request_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    _Kind: TypeAlias = Callable[[int], tuple[bytes, Truth | None]]

__all__ = ["Truth", "client_ids", "lines", "records", "request_id", "request_number"]

_GATEWAY_LOG_SHARE: Final = 0.05
_MALFORMED_SHARE: Final = 0.01


def lines(
    count: int, seed: int = 1, start_ms: int = 1_750_000_000_000, clients: int = 500, gateway_share: float = 0.2
) -> Iterator[bytes]:
    """The lines of `records`, without their truths."""
    return (line for line, _ in records(count, seed, start_ms, clients, gateway_share))


def client_ids(seed: int, clients: int) -> list[str]:
    """As many client ids as `records` draws from, the busiest first."""
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
    """*count* lines, *interval_ms* apart in event time from *start_ms*, each with its truth, None if it is no request.

    Clients are drawn by Zipf's law, and some requests have none. Among the others are lines that a router must refuse
    (truncated, not UTF-8, trailing comma) and lines that it must leave alone.
    """
    rng = random.Random(seed)  # noqa: S311  not a secret, and must repeat
    clock = TimeFields(rng)
    ids = client_ids(seed, clients)
    kinds: list[_Kind] = [
        Requests(rng, clock, ids),
        GatewayLog(rng, clock),
        Malformed(rng, clock, ids),
        OtherPrograms(rng, clock),
    ]
    others = 1 - gateway_share
    shares = (gateway_share, others * _GATEWAY_LOG_SHARE, others * _MALFORMED_SHARE)
    drawn = weighted_draws(rng, kinds, (*shares, 1 - sum(shares)))
    for index in range(count):
        yield next(drawn)(start_ms + int(index * interval_ms))
