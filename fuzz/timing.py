"""Inputs that make a reader slow, looked for on purpose: a fuzzer finds them late, as short inputs are always fast.

Every seed is grown by a unit that means something to a parser, repeated in different places. If twice the input takes
four times as long, the reader is quadratic; that is looked for over a factor of four, where noise is smaller.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SMALL, LARGE = 4 * 1024, 16 * 1024
LINEAR, WORTH = 8.0, 0.015
"""A factor of four in length may take this factor in time, and less than so many seconds is nobody's trouble."""

SEEDS = 5
UNITS = (
    *(char.encode() for char in " \t\"'\\/=,;|:.-&?#%()[]{}<>@_a0é\x00\n"),
    *(
        b'\\"',
        b'" "',
        b'",',
        b'":',
        b"\\x22",
        b"\\u0022",
        b"#012",
        b"\\\\",
        b"a=b ",
        b'a="b" ',
        b'{"a":',
        b"[[",
        b"</",
        b"<a>",
    ),
    *(
        b" [",
        b"] ",
        b", ",
        b"1.1.1.1 ",
        b"1, ",
        b"--",
        b"a:b",
        b"eyJ.",
        b"&a=b",
        b"?a=",
        b"%3D",
        b"GET / ",
        b"&lt;",
        b"\x1b[",
    ),
)


def seconds(run: Callable[[bytes], None], data: bytes) -> float:
    """What one input takes of this process's time."""
    started = time.process_time()
    run(data)
    return time.process_time() - started


def slow_input(
    run: Callable[[bytes], None],
    seeds: Sequence[bytes],
    cost: Callable[[Callable[[bytes], None], bytes], float] = seconds,
) -> tuple[str, bytes] | None:
    """The first input found that takes more than its share of time, and what was seen; None if there is none."""
    chosen = sorted(seeds, key=len)[:: max(len(seeds) // SEEDS, 1)] or [b""]
    for seed in chosen:
        for unit in UNITS:
            for place in places(seed):
                small, large = (grown(seed, unit, place, length) for length in (SMALL, LARGE))
                took = cost(run, large)
                if took < WORTH:
                    continue
                # A busy machine makes anything slow once: the best of three of both is what counts.
                base, took = (min(cost(run, data) for _ in range(3)) for data in (small, large))
                if took > WORTH and took > LINEAR * max(base, WORTH / LINEAR / 4):
                    return f"{len(small)} bytes {base:.3f} s, {len(large)} bytes {took:.3f} s", large
    return None


def places(seed: bytes) -> Iterator[int]:
    """Where a seed is grown: at the front, in the middle, in the last value."""
    yield from sorted({0, len(seed) // 2, max(len(seed) - 2, 0)})


def grown(seed: bytes, unit: bytes, place: int, length: int) -> bytes:
    """The seed with the unit repeated in it."""
    return seed[:place] + unit * (length // len(unit)) + seed[place:]
