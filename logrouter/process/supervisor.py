"""Keeps the processes of one machine running: of routes, a tables worker, and one for each sink (`logrouter run`).

A process that ends is started again after a pause, which doubles from half a second to ten. One that ends with
`EXIT_USAGE`, because it rejects its configuration, stops all others: starting it again would not help. Unless it is a
sink's: what is wrong with one target must not stop the lanes, so it is started again each minute, and when topics.yaml
has been read again.

Which processes there shall be may change: those that are wanted no more are ended, and then new ones are started. In
this order, as what comes may have an identity or a port of what goes.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.process.child import EXIT_USAGE, Child, StartedProcess
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from logrouter.process.child import Started, WantedChild
    from logrouter.process.watchdog import Watchdog

_POLL_SECONDS: Final = 0.1


class _Ending(NamedTuple):
    """A process that was told to end, and is killed at *kill_at* (seconds of the clock)."""

    name: str
    process: Started
    kill_at: float


class Supervisor:
    """The children of this process. `run` works in the main thread; `pass_on_reload` is fit for signal handlers.

    *watchdog* kills what still runs when this process is killed: children must not go on under an old configuration.
    *start* starts a command, and *clock* gives seconds.
    """

    def __init__(
        self,
        wanted: Iterable[WantedChild],
        watchdog: Watchdog,
        *,
        start: Callable[[Sequence[str]], Started] = StartedProcess,
        clock: Callable[[], float] = time.monotonic,
        stop_seconds: float = 20.0,
    ) -> None:
        """*wanted* are started by `check`. Whoever is to end has *stop_seconds*, and is killed after that."""
        self.children = tuple(Child(each) for each in wanted)
        self._watchdog, self._start, self._clock, self._stop_seconds = watchdog, start, clock, stop_seconds
        self._ending: list[_Ending] = []
        self._read_at = clock()

    def run(
        self, *, stopping: Callable[[], bool], changes: Callable[[], Iterable[WantedChild] | None] = lambda: None
    ) -> int:
        """Keep children until *stopping* returns true or a vital one ends with `EXIT_USAGE`, then stop all.

        *changes* is asked again and again for all that are wanted from now on; None says that nothing has changed.
        Returns the exit code.

        Stopping is SIGTERM, and SIGKILL for those that still run after a while.
        """
        code = 0
        try:
            while not stopping() and not code:
                wanted = changes()
                if wanted is not None:
                    self.follow(wanted)
                code = self.check()
                time.sleep(_POLL_SECONDS)
        finally:
            self._stop()
        return code

    def follow(self, wanted: Iterable[WantedChild]) -> None:
        """Let there be a child for each of *wanted*, known by its name, and no other: topics.yaml is another one."""
        self.note_reading()
        by_name = {each.name: each for each in wanted}
        former = {child.wanted.name: child for child in self.children}
        for name, child in former.items():
            if name not in by_name:
                self._end(child)
        for name, each in by_name.items():
            if name in former:
                former[name].follow(each)
            else:
                log(Log.CHILD_ADDED, name=name, reason=f"{each.section} is in topics.yaml now")
        self.children = tuple(former.get(name) or Child(each) for name, each in by_name.items())

    def check(self) -> int:
        """Look at every child once: start what is due, note what has ended. `EXIT_USAGE` if a vital one ended so."""
        self._ending = [each for each in self._ending if not self._has_ended(each)]
        now, read_at = self._clock(), self._read_at
        for child in self.children:
            if child.process is None:
                if child.is_due(now, read_at) and not (child.is_new and self._ending):
                    self._start_child(child, now)
                continue
            code = child.process.poll()
            if code is not None:
                self._watchdog.release(child.process.pid)
                child.note_exit(code, now, read_at)
                if code == EXIT_USAGE and child.wanted.vital:
                    return EXIT_USAGE
        return 0

    def _start_child(self, child: Child, now: float) -> None:
        try:
            process = self._start(child.wanted.command)
        except OSError as error:  # too many processes, or Python is being replaced: no reason to end the others
            child.note_no_start(error, now)
            return
        self._watchdog.watch(process.pid)
        child.note_start(process, now)

    def note_reading(self) -> None:
        """topics.yaml was read again: those that have rejected it are started at the next `check`. From any thread."""
        self._read_at = self._clock()

    def pass_on_reload(self) -> None:
        """Send SIGHUP to all children that run, are wanted, and reload topics.yaml."""
        for child in self.children:
            if child.wanted.reloads:
                child.signal(signal.SIGHUP)

    def _end(self, child: Child) -> None:
        name, process = child.wanted.name, child.process
        reason = f"{child.wanted.section} is gone from topics.yaml"
        if process is None:
            log(Log.CHILD_REMOVED, name=name, reason=reason)
        else:
            log(Log.CHILD_REMOVED, name=name, pid=process.pid, reason=reason)
            process.signal(signal.SIGTERM)
            self._ending.append(_Ending(name, process, self._clock() + self._stop_seconds))

    def _has_ended(self, ending: _Ending) -> bool:
        code = ending.process.poll()
        if code is None:
            if self._clock() >= ending.kill_at:
                ending.process.signal(signal.SIGKILL)
            return False
        self._watchdog.release(ending.process.pid)
        log(Log.CHILD_STOPPED, name=ending.name, code=code)
        return True

    def _stop(self) -> None:
        for child in self.children:
            child.signal(signal.SIGTERM)
        by = self._clock() + self._stop_seconds
        running = [child.process for child in self.children if child.process is not None]
        for process in [*running, *(each.process for each in self._ending)]:
            if process.wait(max(by - self._clock(), 0.1)) is None:
                process.signal(signal.SIGKILL)
                process.wait()
