"""Following a topic: what is shown, and from when on, without a broker."""

from __future__ import annotations

import logging
import threading

import pytest

from logrouter.drains import follower as module
from logrouter.drains.follower import Follower
from logrouter.kafka.connection import BrokerState
from logrouter.kafka.tail import TailRecord
from tests.conftest import HANG_SECONDS


class ScriptedTail:
    """Hands out what a test gives it, one step at a time."""

    def __init__(self, *_args):
        self.beginnings, self.is_whole, self.is_missing, self.positions = 0, False, False, {}
        self._step, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._records = []
        self.closed = False

    def read(self, _seconds):
        self._done.release()
        self._step.acquire(timeout=HANG_SECONDS)
        if isinstance(self._records, Exception):
            raise self._records
        return self._records

    def close(self):
        self.closed = True

    def give(self, *values, positions=None, whole=None, begin=False, error=None):
        """One step, and wait until the follower has taken it. A value is a record's."""
        assert self._done.acquire(timeout=HANG_SECONDS)
        self.beginnings += begin
        self.positions = self.positions if positions is None else positions
        self.is_whole = self.is_whole if whole is None else whole
        self._records = error or [TailRecord(0, b"key", value) for value in values]
        self._step.release()
        assert self._done.acquire(timeout=HANG_SECONDS)
        self._done.release()

    def end(self):
        self._records = []
        self._step.release()


def append(state, record):
    """The state is all values so far; one of them shows a bug."""
    if record.value == b"bug":
        raise ValueError("secret")
    return (*state, record.value)


@pytest.fixture
def followed(monkeypatch):
    """A follower of a scripted topic, begun."""
    monkeypatch.setattr(module, "TopicTail", ScriptedTail)
    monkeypatch.setattr(module, "_AFTER_BUG_SECONDS", 0)
    broker = BrokerState()
    broker.mark_up()
    followed = Follower({}, "drains", broker, tuple, append)
    followed.start()
    yield followed, followed._tail
    followed._stopping = True
    followed._tail.end()
    followed.close()
    assert followed._tail.closed


def test_the_state_is_shown_when_all_is_read_and_then_with_each_record(followed):
    """Half of the registrations would be taken for all of them."""
    follower, tail = followed
    tail.give(b"1", begin=True, positions={0: 1})
    assert (follower.state, follower.why_waiting) == ((), "reading topic drains to its end")
    assert not follower.has_read({0: 1})

    tail.give(b"2", positions={0: 3}, whole=True)
    assert (follower.state, follower.why_waiting) == ((b"1", b"2"), "")

    tail.give(b"3", positions={0: 4})
    assert follower.state == (b"1", b"2", b"3")
    assert [follower.has_read({0: end}) for end in (3, 4, 5)] == [True, True, False]
    assert not follower.has_read({1: 0}), "a partition of which nothing is known yet"


def test_what_was_read_stays_until_all_is_read_again(followed):
    """The topic was made anew, or its log was cut off: drains go on with what they had."""
    follower, tail = followed
    tail.give(b"1", begin=True, positions={0: 7}, whole=True)
    tail.give(b"2", begin=True, positions={0: 1}, whole=False)
    assert (follower.state, follower.has_read({0: 1})) == ((b"1",), False)
    assert follower.why_waiting != ""

    tail.give(positions={0: 2}, whole=True)
    assert (follower.state, follower.why_waiting) == ((b"2",), "")


def test_whoever_waits_for_an_end_goes_on_when_it_is_read(followed):
    """Or when the time is over."""
    follower, tail = followed
    tail.give(begin=True, positions={0: 0}, whole=True)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(follower.await_read({0: 2}, HANG_SECONDS)))
    waiting.start()
    tail.give(b"1", positions={0: 1})
    tail.give(positions={0: 2})
    waiting.join(HANG_SECONDS)

    assert answers == [True]
    assert follower.await_read({0: 3}, 0.01) is False
    assert follower.await_state(lambda state: state == (b"1",), HANG_SECONDS) is True
    assert follower.await_state(lambda state: b"2" in state, 0.01) is False


def test_a_missing_topic_is_named(followed):
    """With what to do about it."""
    follower, tail = followed
    tail.is_missing = True

    assert follower.why_waiting == "topic drains is missing, or hidden from us; run `logrouter topics`"


def test_a_bug_costs_one_record_and_its_text_is_not_logged(followed, caplog):
    """The next records count; what an error quotes may be a secret."""
    follower, tail = followed
    with caplog.at_level(logging.ERROR, "logrouter"):
        tail.give(b"1", b"bug", b"2", begin=True, positions={0: 3}, whole=True)
        tail.give(error=ValueError("of the client"))
        tail.give(b"3", positions={0: 4})

    assert follower.state == (b"1", b"2", b"3")
    assert [record.fields for record in caplog.records] == [{"topic": "drains", "error": "ValueError"}] * 2
    assert "secret" not in caplog.text
