"""What is said of a worker that fails: one line for what an operator can mend, a traceback for what is our fault."""

from __future__ import annotations

import logging

import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from logrouter.tables.failure import StoreError, log_failure


@pytest.fixture(autouse=True)
def _levels_as_before():
    """It silences libraries for the rest of a process."""
    names = ("aiokafka", "faust", "mode", "logrouter.tables")
    before = {name: logging.getLogger(name).level for name in names}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (StoreError("usage-1.db: IO error: No space left on device"), "usage-1.db: IO error: No space left on device"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (Exception("IO error: No space left on device"), "IO error: No space left on device"),  # as RocksDB's are
        (TopicAuthorizationFailedError("rollup"), "[Error 29] TopicAuthorizationFailedError: rollup"),
    ],
)
def test_what_an_operator_can_mend_is_one_line(caplog, failure, said):
    """A disk that fills while a worker runs, too."""
    log_failure(failure)
    (record,) = caplog.records
    assert (record.getMessage(), record.fields["error"], record.exc_info) == ("lane_failed", said, None)


def test_fault_of_ours_has_its_traceback_and_libraries_add_nothing(caplog):
    """Faust would log the same again, and then what breaks while it stops."""
    fault = ZeroDivisionError("here")
    log_failure(fault)
    logging.getLogger("mode.worker").critical("We experienced a crash!")
    (record,) = caplog.records
    assert record.fields["error"] == "ZeroDivisionError('here')"
    assert record.exc_info[1] is fault
