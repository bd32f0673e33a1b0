"""Repeating libraries are heard once a minute."""

from __future__ import annotations

import logging

from logrouter.tables.log_throttle import OnceAMinute


def record(template, *args):
    """A log record of a library."""
    return logging.LogRecord("aiokafka", logging.ERROR, __file__, 1, template, args, None)


def test_one_record_per_template_and_minute():
    """The same complaint about another node is the same complaint; another one passes; a minute later it may again."""
    now = [0.0]
    once = OnceAMinute(lambda: now[0])
    assert once(record("no node %s", 1))
    assert not once(record("no node %s", 2))
    assert once(record("other"))
    now[0] = 61.0
    assert once(record("no node %s", 3))


def test_memory_of_templates_is_bounded():
    """Templates that are no constants do not pile up."""
    once = OnceAMinute(lambda: 0.0)
    for number in range(1000):
        once(record(f"text {number}"))
    assert len(once._seen) <= 200


def test_what_the_worker_says_itself_does_not_pass():
    """Faust puts the name of a service before its text."""
    once = OnceAMinute(lambda: 0.0)
    assert not once(record("[^-App]: Crashed reason=%r", 1))
