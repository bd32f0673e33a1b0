"""What is known of a drain that fails."""

from __future__ import annotations

from logrouter.drains.health import DrainHealth, LastFailure
from logrouter.sinks.contract import Retry, Trouble
from logrouter.sinks.sink_observer import RequestEnd
from logrouter.telemetry.metrics import REGISTRY


def test_failures_are_counted_in_a_row_and_the_last_one_is_kept():
    """In no words of the target; that nobody asks any more changes nothing."""
    health = DrainHealth("7")
    for cause in (Retry(Trouble.UNAVAILABLE, 500, "secret"), Retry(Trouble.CONNECT, 0, "secret")):
        health.note_request(RequestEnd(cause.trouble, 3, 0.1, 1))
        health.note_failure(cause, 1.0)
    health.forget()
    assert (health.failures, health.retried, health.last) == (2, 6, LastFailure(Trouble.CONNECT, 0))

    health.note_success(2.0)
    assert (health.failures, health.last) == (0, LastFailure(Trouble.CONNECT, 0))


def test_a_target_is_gone_while_410_is_its_last_word():
    """It may come back."""
    health = DrainHealth("7")
    assert not health.is_gone
    health.note_failure(Retry(Trouble.DENIED, 410), 1.0)
    assert health.is_gone
    health.note_failure(Retry(Trouble.CONNECT), 2.0)
    assert not health.is_gone
    health.note_failure(Retry(Trouble.DENIED, 410), 3.0)
    health.note_success(4.0)
    assert not health.is_gone


def test_a_bug_is_counted_for_all_drains(caplog):
    """The drain is in the log, and no label."""
    labels = {"lane": "drains"}
    before = REGISTRY.get_sample_value("logrouter_internal_errors_total", labels) or 0
    DrainHealth("7").note_bug(KeyError("x"))
    assert REGISTRY.get_sample_value("logrouter_internal_errors_total", labels) == before + 1
    assert [(record.getMessage(), record.fields) for record in caplog.records] == [
        ("internal_error", {"lane": "drains", "drain": "drain 7"})
    ]
