"""What one worker was told about access, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is let in. By default nobody: a worker that was told nothing shows nothing.

    With *open* everybody who reaches the port may read all usage. *metrics_open* lets everybody read /metrics.
    """

    open: bool = False
    metrics_open: bool = False


CLOSED: Final = Policy()
OPEN: Final = Policy(open=True)
