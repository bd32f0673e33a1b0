"""One embedded server: a Java process with a folder of its own, which ends with the process that made it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from logrouter.devjava.jars import DevServerError, Product, ensure_jars, find_java
from logrouter.process.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

HOST: Final = "127.0.0.1"
"""Where embedded servers listen: they know no authentication."""

NOBODY: Final = 65534
"""User and group that nothing belongs to, for servers that refuse to run as root."""

_START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.1
_LOG_TAIL_LINES: Final = 12


class JavaServer(ABC):
    """One server of *product* on this machine, on *port* of the loopback address.

    *data_dir* keeps its data; without it a temporary folder does, which `close` removes. *progress* gets short status
    lines while downloading and starting. As a context manager it starts on entry and closes on exit. The server never
    outlives the process that made it, however that ends.
    """

    def __init__(self, product: Product, data_dir: Path | None, port: int, progress: Callable[[str], None]) -> None:
        self._product = product
        self._scratch = data_dir is None
        prefix = f"logrouter-{Path(product.lock).stem}-"
        self._dir = Path(tempfile.mkdtemp(prefix=prefix)) if data_dir is None else data_dir.absolute()
        self._port = port
        self._progress = _when_changed(progress)
        self._java: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None

    @abstractmethod
    def _prepare(self, jars: Sequence[Path]) -> None:
        """Write what the server reads at its start; called before every start."""

    @abstractmethod
    def _command(self, jars: Sequence[Path]) -> list[str]:
        """The command line of the server."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether the server answers as one that is up."""

    def _user(self) -> int | None:
        """Number of the user and group that the server runs as, None for ours."""
        return None

    @property
    def address(self) -> str:
        """Where the server listens, `host:port`; the same after every restart."""
        return f"{HOST}:{self._port}"

    @property
    def log_path(self) -> Path:
        """The server's own log."""
        return self._dir / "server.log"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._java is not None and self._java.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id of the server, None when it is not running."""
        return self._java.pid if self._java is not None and self.running else None

    def start(self) -> Self:
        """Start the server on its data and return when it answers; raises the product's error. Idempotent."""
        if self.running:
            return self
        find_java(self._product)  # before a long download: without Java it would be in vain
        jars = ensure_jars(self._product, self._progress)
        self._dir.mkdir(parents=True, exist_ok=True)
        self._prepare(jars)
        if self._watchdog is None:
            self._watchdog = Watchdog(self._dir if self._scratch else None)
        command = self._command(jars)
        self._check_port_free()
        with self.log_path.open("ab") as log:
            self._java = _spawn(command, log, self._user())
        self._watchdog.watch(self._java.pid)
        self._await_ready()
        return self

    def stop(self) -> None:
        """Shut the server down in order, by force after 15 s; ports and data stay for the next `start`."""
        if self._java is not None:
            self._java.terminate()
            try:
                self._java.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._java.kill()
        self._reap()

    def kill(self) -> None:
        """End the server at once with SIGKILL, as a crash would; ports and data stay for the next `start`."""
        if self._java is not None:
            self._java.kill()
        self._reap()

    def restart(self) -> None:
        """`stop`, then `start` on the same ports and data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End the server and remove what it made: temporary data is gone afterwards, a given *data_dir* is kept."""
        if self._scratch:
            self.kill()  # nobody will read this data again, so there is nothing to shut down in order
            shutil.rmtree(self._dir, ignore_errors=True)
        else:
            self.stop()
        if self._watchdog is not None:
            self._watchdog.close()
            self._watchdog = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def failure(self, what: str) -> DevServerError:
        """An error that says *what* happened and quotes the end of the server's log."""
        tail = ""
        with contextlib.suppress(OSError):
            lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
            lines = [line for line in lines if not line.startswith("\tat ")]  # stack frames hide the message
            tail = "\n".join(["; end of its log:", *lines[-_LOG_TAIL_LINES:]]) if lines else ""
        return self._product.error(what + tail)

    def _await_ready(self) -> None:
        started = time.monotonic()
        while not self._is_ready():
            elapsed = time.monotonic() - started
            if not self.running:
                code = self._java.returncode if self._java else None
                raise self.failure(f"the {self._product.noun} ended while starting, exit code {code}")
            if elapsed > _START_SECONDS:
                self.kill()
                raise self.failure(f"the {self._product.noun} did not answer within {_START_SECONDS:.0f} s")
            self._progress(f"starting {self._product.name}, {elapsed:.0f} s")
            time.sleep(_POLL_SECONDS)
        self._progress(f"{self._product.name} is up on {self.address}")

    def _check_port_free(self) -> None:
        """Another server on the port would answer in the place of ours."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, self._port))
            except OSError as error:
                raise self._product.error(f"cannot listen on {self.address}: {error.strerror}") from None

    def _reap(self) -> None:
        if self._java is not None:
            self._java.wait()
            if self._watchdog is not None:
                self._watchdog.release(self._java.pid)
            self._java = None


def _when_changed(say: Callable[[str], None]) -> Callable[[str], None]:
    last = ""

    def progress(line: str) -> None:
        nonlocal last
        if line != last:
            last = line
            say(line)

    return progress


def _spawn(command: list[str], log: object, user: int | None) -> subprocess.Popen[bytes]:
    # Its own session: Ctrl-C in the terminal reaches the owner, who decides in which order things end.
    groups: list[int] | None = None if user is None else []
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]  # noqa: S603  our own command
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        user=user,
        group=user,
        extra_groups=groups,
    )
