"""Why a worker fails: what is said about it, and what is not."""

from __future__ import annotations

import logging

from aiokafka.errors import KafkaError

from logrouter.telemetry.log import Log, log


class WorkerError(Exception):
    """What an operator can mend. The process ends with one line that says it, without a traceback."""


class StoreError(WorkerError):
    """A database of the data directory cannot be opened: a full disk, or files that are damaged."""


def log_failure(exc: BaseException) -> None:
    """Log `lane_failed`, with a traceback if it is a bug; Faust says nothing about the same after this."""
    for name in ("aiokafka", "faust", "mode", "logrouter.tables"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # RocksDB's errors, of which a full disk is one, have no class of their own.
    if isinstance(exc, (WorkerError, OSError, KafkaError)) or type(exc) is Exception:
        log(Log.LANE_FAILED, lane="tables", error=str(exc))
    else:
        log(Log.LANE_FAILED, lane="tables", error=repr(exc), exc_info=exc)
