"""What a sink's process reads of topics.yaml only when it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from logrouter.config import Settings

_OF_SINKS: Final = {"topics": "from", "begin": "begin", "metrics": "metrics"}
"""Options of a sink, by attribute, with their keys."""
_OF_LANES: Final = ("instance", "session_timeout_ms", "static_membership", "transaction_timeout_ms")
"""Options of `route_lane` that count for processes of sinks as well."""


def fixed_options(settings: Settings, name: str) -> dict[str, object]:
    """Values that a process of the sink *name* keeps for as long as it runs, by path. Small: no table is among them."""
    sink = settings.sinks[name]
    return (
        {f"kafka.{key}": value for key, value in settings.kafka.items()}
        | {f"sinks.{name}.type": type(sink.options), f"sinks.{name}.group": sink.group}
        | {f"sinks.{name}.{key}": getattr(sink.options, attribute) for attribute, key in _OF_SINKS.items()}
        | {f"route_lane.{option}": getattr(settings.route_lane, option) for option in _OF_LANES}
        | {"outputs.dead_letter": settings.outputs.dead_letter}
    )


def restart_needed(old: Settings, new: Settings, name: str) -> list[str]:
    """What differs of that which a sink's process reads only when it starts, by path."""
    before, after = fixed_options(old, name), fixed_options(new, name)
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
