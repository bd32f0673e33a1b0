"""Objects that a shipper has parsed and put under a key of its record, as Fluent Bit does with `Merge_Log_Key`.

    {"kubernetes": …, "stream": "stdout", "log_processed": {"method": "GET", "status": 200}}

The key is the operator's choice. The names that most choose are found by themselves; any other one is told by the
option `merge_log_key` of the source.
"""

from __future__ import annotations

from typing import Any, Final

_KEYS: Final = ("log_processed", "log_parsed", "parsed_log", "log_json", "json_log", "merged_log")
# Applications use these names, too: they are the shipper's only where all else in the record is the transport's.
_GENERAL: Final = frozenset({"parsed", "json", "data", "payload", "structured", "record", "app", "application"})

_NAMES: Final = _GENERAL.union(_KEYS)


_PLACE: Final = frozenset({"file", "flags", "level", "logger", "offset", "origin", "original", "source", "syslog"})


def places_line(name: str, found: dict[str, Any]) -> bool:
    """Whether an object under *name* says where a line was, as Filebeat's `log` does (ECS), and is not the line."""
    return name == "log" and ("offset" in found or "file" in found) and found.keys() <= _PLACE


def merged_object(record: dict[str, Any], key: str, transport: frozenset[str]) -> dict[str, Any] | None:
    """The application's object in a record, None if there is none.

    It is under *key* if that is not "", or under one of the names that are known. *transport* are the names of what the
    transport itself writes.
    """
    if key:
        found = record.get(key)
        if type(found) is dict:
            return found
    if record.keys().isdisjoint(_NAMES):
        return None
    for name in _KEYS:
        found = record.get(name)
        if type(found) is dict:
            return found
    others = record.keys() - transport
    if len(others) == 1 and not others.isdisjoint(_GENERAL):
        found = record[others.pop()]
        return found if type(found) is dict else None
    return None
