"""The clock for how long something takes or waits."""

from __future__ import annotations

import time


def elapsed_ms() -> int:
    """Milliseconds from some beginning: nobody sets this clock, and it never goes back."""
    return time.monotonic_ns() // 1_000_000
