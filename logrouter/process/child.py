"""One child process that is kept running: what it shall be, how it stands, and when it may start again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXIT_USAGE: Final = 2
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_REFUSED_PAUSE: Final = 60.0
_STEADY_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class WantedChild:
    """A child process that there shall be: *name* for the log, *command* as argument list.

    All others go on without one that is not *vital*, even if it rejects its configuration. *section* is the part of
    topics.yaml that asks for it, such as sinks.search; "" if it is there whatever the file says. *fixed* are values
    of the file that it reads only when it starts, by path. Only one that *reloads* has a use for SIGHUP.
    """

    name: str
    command: Sequence[str]
    vital: bool = True
    section: str = ""
    fixed: Mapping[str, object] = field(default_factory=dict)
    reloads: bool = True


class Started(Protocol):
    """A process that was started, and leads a process group of its own."""

    @property
    def pid(self) -> int:
        """Its number, which is its group's as well."""

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit code, None if it still runs after *timeout* seconds, which are unbounded if not given."""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its group, if it runs."""


class StartedProcess:
    """A process of this machine (`Started`)."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it. A group of its own: Ctrl-C in a terminal reaches the supervisor alone, which stops all in order."""
        # SIGHUP waits until the child can serve it (`ReloadSignal` lets it in): it would end one that is just starting.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            self._process = subprocess.Popen(command, process_group=0)  # noqa: S603 - our own command
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    @property
    def pid(self) -> int:
        """Its number, which is its group's as well."""
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit code, None if it still runs after *timeout* seconds, which are unbounded if not given."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its group, if it runs."""
        if self._process.poll() is None:
            # In a signal handler it may have ended all the same: amid a call that has just heard of it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


class Child:
    """What has become of a `WantedChild`. Times are seconds of one clock, which its owner reads.

    *process* is None before it starts, and between an end and the next start.
    """

    def __init__(self, wanted: WantedChild) -> None:
        self.wanted = wanted
        self.process: Started | None = None
        self.is_new = True
        """Whether it has never been started."""
        self._pause = _FIRST_PAUSE / 2
        self._started = 0.0
        self._start_at = 0.0
        self._is_refused = False
        self._fixed = wanted.fixed
        self._outdated: list[str] = []

    def is_due(self, now: float, read_at: float) -> bool:
        """Whether it may start now; *read_at* is when topics.yaml was read last because it may have changed.

        What has rejected its configuration need not wait if it was another one.
        """
        return now >= self._start_at or (self._is_refused and self._started < read_at)

    def note_start(self, process: Started, now: float) -> None:
        """Note that it runs as *process*, by what is wanted now."""
        self.process, self.is_new, self._started, self._is_refused = process, False, now, False
        self._fixed, self._outdated = self.wanted.fixed, []
        log(Log.CHILD_STARTED, name=self.wanted.name, pid=process.pid)

    def note_no_start(self, error: OSError, now: float) -> None:
        """Note that the system has not let it start, and when that is tried again."""
        self._pause, self._is_refused = min(self._pause * 2, _LONGEST_PAUSE), False
        self._start_at = now + self._pause
        log(Log.CHILD_EXITED, name=self.wanted.name, error=str(error), restart_in=f"{self._pause:g}s")

    def note_exit(self, code: int, now: float, read_at: float) -> None:
        """Note that it has ended with this exit code, and when it may start again; *read_at* as for `is_due`."""
        steady = now - self._started > _STEADY_SECONDS
        self._pause = _FIRST_PAUSE if steady else min(self._pause * 2, _LONGEST_PAUSE)
        self._is_refused = code == EXIT_USAGE and self._started >= read_at
        pause = _REFUSED_PAUSE if self._is_refused else self._pause
        self.process, self._start_at = None, now + pause
        restart = "never" if code == EXIT_USAGE and self.wanted.vital else f"{pause:g}s"
        log(Log.CHILD_EXITED, name=self.wanted.name, code=code, restart_in=restart)

    def follow(self, wanted: WantedChild) -> None:
        """Be *wanted*, of the same name, from the next start on. Says so if that is needed, once for what has changed.

        Nothing is ended for it: when a process may be away is for people to decide.
        """
        self.wanted = wanted
        if self.process is None:
            return
        known = self._fixed.keys() | wanted.fixed.keys()
        outdated = sorted(path for path in known if self._fixed.get(path) != wanted.fixed.get(path))
        if outdated and outdated != self._outdated:
            pid, paths = self.process.pid, ", ".join(outdated)
            help_text = f"kill {pid}: it is started again, with the file as it is then"
            log(Log.CHILD_OUTDATED, name=wanted.name, pid=pid, options=paths, help=help_text)
        self._outdated = outdated

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process group, if it runs."""
        if self.process is not None:
            self.process.signal(number)
