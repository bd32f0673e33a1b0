"""Structured log events: a closed set of names, written as text or JSON lines on stderr. They never carry payloads.

Stderr may be a terminal, and what clients, brokers and libraries say is in fields, messages and tracebacks: whatever is
not printable is escaped, and one event is one line, tracebacks apart.
"""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from time import gmtime, strftime
from typing import TYPE_CHECKING, Any, Final, TextIO

from logrouter.printable import escape, escape_lines, json_text

if TYPE_CHECKING:
    from collections.abc import Mapping


class Log(StrEnum):
    """Every log event, by its name in the log. `_LEVELS` gives those above INFO.

    INFO is life cycle, WARNING is degraded but healing by itself, ERROR needs an operator.
    """

    LANE_STARTED = "lane_started"
    LANE_STOPPED = "lane_stopped"
    LANE_FAILED = "lane_failed"
    BROKER_DOWN = "broker_down"
    BROKER_UP = "broker_up"
    BROKER_REFUSES = "broker_refuses"
    TOPIC_MISSING = "topic_missing"
    TOPIC_FOUND = "topic_found"
    TOPIC_AT_RISK = "topic_at_risk"
    TOPIC_LIMIT = "topic_limit"
    PARTITIONS_ASSIGNED = "partitions_assigned"
    PARTITIONS_REVOKED = "partitions_revoked"
    PARTITIONS_LOST = "partitions_lost"
    PARTITIONS_AWAITED = "partitions_awaited"
    READING_STALLED = "reading_stalled"
    TRANSACTION_ABORTED = "transaction_aborted"
    TRANSACTIONS_RESUMED = "transactions_resumed"
    SOURCE_ERROR = "source_error"
    SOURCE_UNREADABLE = "source_unreadable"
    SOURCE_RECREATED = "source_recreated"
    SOURCE_UNIDENTIFIED = "source_unidentified"
    LEDGER_INVALID = "ledger_invalid"
    OFFSETS_UNKNOWN = "offsets_unknown"
    RECORDS_LOST = "records_lost"
    PAIRING_RESTORED = "pairing_restored"
    PAIRING_INVALID = "pairing_invalid"
    CONFIG_APPLIED = "config_applied"
    CONFIG_UNCHANGED = "config_unchanged"
    CONFIG_REJECTED = "config_rejected"
    CONFIG_ROLLED_BACK = "config_rolled_back"
    CANARY_PASSED = "canary_passed"
    FENCED = "fenced"
    INTERNAL_ERROR = "internal_error"
    METRICS_SERVING = "metrics_serving"
    TABLES_RECOVERED = "tables_recovered"
    TABLES_RECOVERING = "tables_recovering"
    ROLLUP_INVALID = "rollup_invalid"
    ROLLUP_RECORDS_LOST = "rollup_records_lost"
    CHANGELOG_REPAIRED = "changelog_repaired"
    QUERY_FAILED = "query_failed"
    AUDIT = "audit"
    ACCESS_OPEN = "access_open"
    ACCESS_CLOSED = "access_closed"
    ACCESS_APPLIED = "access_applied"
    ACCESS_REJECTED = "access_rejected"
    ISSUER_KEYS = "issuer_keys"
    ISSUER_AWAY = "issuer_away"
    CHILD_STARTED = "child_started"
    CHILD_EXITED = "child_exited"
    CHILD_ADDED = "child_added"
    CHILD_REMOVED = "child_removed"
    CHILD_STOPPED = "child_stopped"
    CHILD_OUTDATED = "child_outdated"
    KAFKA_CLIENT = "kafka_client"
    SINK_DOWN = "sink_down"
    SINK_UP = "sink_up"
    SINK_REFUSES = "sink_refuses"


_LEVELS: Final[Mapping[Log, int]] = {
    Log.LANE_FAILED: logging.ERROR,
    Log.FENCED: logging.ERROR,
    Log.RECORDS_LOST: logging.ERROR,
    Log.BROKER_REFUSES: logging.ERROR,
    Log.INTERNAL_ERROR: logging.ERROR,
    Log.QUERY_FAILED: logging.ERROR,
    Log.CONFIG_REJECTED: logging.ERROR,
    Log.ACCESS_REJECTED: logging.ERROR,
    Log.CONFIG_ROLLED_BACK: logging.ERROR,
    Log.SOURCE_UNREADABLE: logging.ERROR,
    Log.ROLLUP_RECORDS_LOST: logging.ERROR,
    Log.BROKER_DOWN: logging.WARNING,
    Log.TOPIC_MISSING: logging.WARNING,
    Log.TOPIC_AT_RISK: logging.WARNING,
    Log.TOPIC_LIMIT: logging.WARNING,
    Log.PARTITIONS_LOST: logging.WARNING,
    Log.PARTITIONS_AWAITED: logging.WARNING,
    Log.READING_STALLED: logging.WARNING,
    Log.TRANSACTION_ABORTED: logging.WARNING,
    Log.SOURCE_ERROR: logging.WARNING,
    Log.SOURCE_UNIDENTIFIED: logging.WARNING,
    Log.LEDGER_INVALID: logging.WARNING,
    Log.OFFSETS_UNKNOWN: logging.WARNING,
    Log.PAIRING_INVALID: logging.WARNING,
    Log.ROLLUP_INVALID: logging.WARNING,
    Log.CHANGELOG_REPAIRED: logging.WARNING,
    Log.CHILD_EXITED: logging.WARNING,
    Log.CHILD_OUTDATED: logging.WARNING,
    Log.KAFKA_CLIENT: logging.WARNING,
    Log.ACCESS_OPEN: logging.WARNING,
    Log.ACCESS_CLOSED: logging.WARNING,
    Log.ISSUER_AWAY: logging.WARNING,
    Log.SINK_DOWN: logging.WARNING,
    Log.SINK_REFUSES: logging.WARNING,
}

_LOGGER: Final = logging.getLogger("logrouter")
_MAX_FIELD: Final = 300


def log(event: Log, *, exc_info: BaseException | None = None, **fields: object) -> None:
    """Write one log line for *event*; strings in *fields* are cut to 300 characters."""
    level = _LEVELS.get(event, logging.INFO)
    if _LOGGER.isEnabledFor(level):
        _LOGGER.log(level, event.value, exc_info=exc_info, extra={"fields": fields})


class _TextFormatter(logging.Formatter):
    """``2026-01-31T23:59:59.123Z INFO lane_started group=logrouter``: one line per event, plus a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        words = [
            _timestamp(record),
            record.levelname,
            record.getMessage(),
            *(f"{k}={_quote(v)}" for k, v in fields.items()),
        ]
        line = escape(" ".join(words))
        return f"{line}\n{escape_lines(self.formatException(record.exc_info))}" if record.exc_info else line


class _JsonFormatter(logging.Formatter):
    """The same as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {"time": _timestamp(record), "level": record.levelname, "event": record.getMessage()}
        line |= _fields(record)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json_text(line)


def _timestamp(record: logging.LogRecord) -> str:
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(record.created))}.{int(record.msecs):03d}Z"


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = getattr(record, "fields", {})
    return {k: v[:_MAX_FIELD] if isinstance(v, str) else v for k, v in fields.items()}


def _quote(value: object) -> str:
    text = str(value)
    plain = text.isprintable() and not any(c in text for c in ' "=') and text != ""
    return text if plain else json_text(text)


def configure_logging(*, json: bool = False, level: str = "info", stream: TextIO | None = None) -> None:
    """Send our log events, from *level* up, and the warnings of libraries to *stream*, stderr by default."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if json else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(level.upper())
