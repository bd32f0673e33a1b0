"""How many requests a line stands for, by status, where a gateway writes only some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.outcomes import _CLASSES, _LAST_STATUS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def compile_weight(default: float, by_status: Mapping[str, float]) -> Callable[[int | None], float]:
    """A function from a status to the number of requests that a line with it stands for: 1 over the sampling rate.

    Keys of *by_status* are statuses ("429") and classes ("5xx"); a status takes precedence over its class.

    Raises:
        ValueError: a key is neither, or a weight is below 1.
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
