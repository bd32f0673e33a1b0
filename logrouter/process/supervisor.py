"""Keeps the processes of one machine running: of routes, a tables worker, and one for each sink (`logrouter run`).

A process that ends is started again after a pause, which doubles from half a second to ten. One that ends with
`EXIT_USAGE`, because it rejects its configuration, stops all others: starting it again would not help. Unless it is a
sink's: what is wrong with one target must not stop the lanes, so it is started again each minute, as its file may be
another by then.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from logrouter.process.watchdog import Watchdog
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXIT_USAGE: Final = 2
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_REFUSED_PAUSE: Final = 60.0
_STEADY_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.1


@dataclass(slots=True)
class Child:
    """A child process to keep running: *name* for the log, *command* as argument list; the rest is its state.

    All others go on without one that is not *vital*, even if it rejects its configuration.
    """

    name: str
    command: Sequence[str]
    vital: bool = True
    process: subprocess.Popen[bytes] | None = None
    pause: float = _FIRST_PAUSE / 2
    started: float = 0.0
    start_at: float = field(default=0.0)

    def start(self) -> int:
        """Start it now, in a process group of its own; returns the process id."""
        # A process group of its own: Ctrl-C in a terminal reaches the supervisor alone, which then stops the children
        # in good order.
        # SIGHUP waits until the child can serve it (`ReloadSignal` lets it in): it would end one that is just starting.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            self.process = subprocess.Popen(self.command, process_group=0)  # noqa: S603 - our own command
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.started = time.monotonic()
        log(Log.CHILD_STARTED, name=self.name, pid=self.process.pid)
        return self.process.pid

    def note_exit(self, code: int) -> None:
        """Note that it ended with this exit code, and when it may start again."""
        now = time.monotonic()
        steady = now - self.started > _STEADY_SECONDS
        self.pause = _FIRST_PAUSE if steady else min(self.pause * 2, _LONGEST_PAUSE)
        pause = _REFUSED_PAUSE if code == EXIT_USAGE else self.pause
        self.process, self.start_at = None, now + pause
        restart = "never" if code == EXIT_USAGE and self.vital else f"{pause:g}s"
        log(Log.CHILD_EXITED, name=self.name, code=code, restart_in=restart)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process group, if it runs."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)


def supervise(children: Sequence[Child], *, stopping: Callable[[], bool], stop_seconds: float = 20.0) -> int:
    """Run *children* until *stopping* returns true or a vital one ends with `EXIT_USAGE`, then stop all.

    Returns the exit code.

    Stopping is SIGTERM, and SIGKILL for those that still run after *stop_seconds*.
    """
    code = 0
    # Children must not go on routing under an old configuration when somebody kills their supervisor.
    with Watchdog() as watchdog:
        try:
            while not stopping() and not code:
                code = _check_children(children, watchdog)
                time.sleep(_POLL_SECONDS)
        finally:
            _stop_children(children, stop_seconds)
    return code


def _check_children(children: Sequence[Child], watchdog: Watchdog) -> int:
    for child in children:
        if child.process is None:
            if time.monotonic() >= child.start_at:
                watchdog.watch(child.start())
            continue
        code = child.process.poll()
        if code is not None:
            watchdog.release(child.process.pid)
            child.note_exit(code)
            if code == EXIT_USAGE and child.vital:
                return EXIT_USAGE
    return 0


def _stop_children(children: Sequence[Child], seconds: float) -> None:
    for child in children:
        child.signal(signal.SIGTERM)
    by = time.monotonic() + seconds
    for child in children:
        if child.process is None:
            continue
        try:
            child.process.wait(max(by - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            child.signal(signal.SIGKILL)
            child.process.wait()
