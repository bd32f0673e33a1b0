"""SIGHUP is a wish to reload, from the first moment of a process on."""

from __future__ import annotations

import os
import signal

import pytest

from logrouter.commands.reload_signal import ReloadSignal


@pytest.fixture(autouse=True)
def _own_handler():
    """The handler of this process afterwards is that of before."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_signal_before_anybody_can_reload_is_served_later():
    """It does not end the process either: the file may have been written after it was read."""
    reloads = []
    hangup = ReloadSignal()

    os.kill(os.getpid(), signal.SIGHUP)
    assert reloads == []
    hangup.serve_with(lambda: reloads.append("one"))
    assert reloads == ["one"]
    os.kill(os.getpid(), signal.SIGHUP)

    assert reloads == ["one", "one"]


def test_without_a_signal_nothing_is_reloaded():
    """Only who was asked to reads the file again."""
    reloads = []

    ReloadSignal().serve_with(lambda: reloads.append("one"))

    assert reloads == []
