"""Random draws and times for the demo's stream, made in blocks: a million lines take some ten million draws."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

T = TypeVar("T")

_BLOCK: Final = 4096  # draws made at once: one call of `choices` instead of thousands
_JITTER_MS: Final = 1500  # containers hand their lines on in bursts, so the stream is slightly out of order


def weighted_draws(rng: random.Random, population: Sequence[T], weights: Sequence[float]) -> Iterator[T]:
    """Endless weighted draws, made in blocks because one call of `choices` is far cheaper than thousands."""
    cumulative = list(accumulate(weights))
    while True:
        yield from rng.choices(population, cum_weights=cumulative, k=_BLOCK)


def uniform_draws(rng: random.Random, population: Sequence[T]) -> Iterator[T]:
    """Endless draws, each as likely as any other."""
    return weighted_draws(rng, population, [1] * len(population))


class TimeFields:
    """Times as bytes in the notations of the templates, with random fractions and delays."""

    def __init__(self, rng: random.Random) -> None:
        self._jitter = uniform_draws(rng, range(_JITTER_MS))
        self._micros = uniform_draws(rng, range(1000))

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
