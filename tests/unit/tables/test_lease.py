"""The lease of a group member."""

from __future__ import annotations

from logrouter.tables.lease import Lease


class Clock:
    """A clock that tests move."""

    now = 100.0

    def __call__(self):
        return self.now


def test_lease_is_valid_for_most_of_a_session_after_the_request_was_sent():
    """It counts from before the request, so a process that slept before the answer has none when it wakes."""
    clock = Clock()
    lease = Lease(10.0, clock)
    assert not lease.valid()
    assert not lease.ever_renewed
    sent = lease.now()
    clock.now += 7.9
    lease.renew(sent)
    assert lease.valid()
    clock.now += 0.2
    assert not lease.valid()
    assert lease.ever_renewed


def test_late_answer_to_an_old_request_does_not_shorten_it():
    """Answers may be noticed out of order."""
    clock = Clock()
    lease = Lease(10.0, clock)
    lease.renew(100.0)
    lease.renew(95.0)
    clock.now = 107.0
    assert lease.valid()
