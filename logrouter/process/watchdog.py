"""Ends child processes and removes a temporary folder when this process ends, however it ends."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

# Reads a pipe that the kernel closes when the owner ends, SIGKILL included; then kills what is held and removes the
# folder. PR_SET_PDEATHSIG would not do: it fires when the *thread* that started the child ends, and only on Linux.
_WATCHER: Final = """
held=
while read -r word; do
  case $word in
    bye) exit 0 ;;
    +*) held="$held ${word#+}" ;;
    -*) left=; for pid in $held; do [ "$pid" = "${word#-}" ] || left="$left $pid"; done; held=$left ;;
  esac
done
for pid in $held; do kill -KILL "-$pid" 2>/dev/null; done
[ -n "$1" ] && rm -rf -- "$1"
"""


class Watchdog:
    """A small shell process that kills process groups when this process ends without `close`, by SIGKILL too.

    *scratch* is a folder that is removed in that case. Each watched process must lead its own process group. A context
    manager, closed on exit.
    """

    def __init__(self, scratch: Path | None = None) -> None:
        self._watcher = subprocess.Popen(  # noqa: S603  our own script
            ["/bin/sh", "-c", _WATCHER, "logrouter-watchdog", str(scratch) if scratch else ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        """Kill the process group *pid* when this process ends."""
        self._send(f"+{pid}")

    def release(self, pid: int) -> None:
        """Stop watching process group *pid*, which has ended: its number may soon be another's."""
        self._send(f"-{pid}")

    def close(self) -> None:
        """Stop watching everything and end the shell: the owner has cleaned up itself. Idempotent."""
        self._send("bye")
        if self._watcher.stdin is not None:
            self._watcher.stdin.close()
        self._watcher.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, word: str) -> None:
        if self._watcher.stdin is not None and not self._watcher.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._watcher.stdin.write(f"{word}\n".encode())
                self._watcher.stdin.flush()
