"""How a request ended, and how many requests its line stands for. Tables over status codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.outcomes import _CLASSES, _LAST_STATUS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def compile_weight(default: float, by_status: Mapping[str, float]) -> Callable[[int | None], float]:
    """How many requests a line with a status stands for: 1 over the rate at which such lines are written.

    Keys of *by_status* are statuses ("429") and classes ("5xx"); a status goes before its class. Raises ValueError for
    another key, and for a weight below 1.
    """
    for key, weight in [("default", default), *by_status.items()]:
        if not 1 <= weight < float("inf"):
            raise ValueError(f"weight {weight} for {key}: a line stands for one request at least")
        if key != "default" and key not in _CLASSES and not (key.isdecimal() and key in _STATUS_KEYS):
            raise ValueError(f"{key!r} is no status and no status class")
    weights = tuple(
        float(by_status.get(str(status), by_status.get(kind or "", default))) for status, kind in enumerate(_CLASSES)
    )

    def weight_of(status: int | None) -> float:
        return weights[status] if status is not None and 0 <= status <= _LAST_STATUS else default

    return weight_of


_STATUS_KEYS: Final = frozenset(str(status) for status, kind in enumerate(_CLASSES) if kind)
