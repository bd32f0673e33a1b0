"""The processes on the demo's stage: one route process and one tables worker, started as anybody would start them."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson
from prometheus_client.parser import text_string_to_metric_families

from logrouter.config.settings import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.samples import Sample

    from logrouter.process.watchdog import Leash

READY_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.1
_ASK_SECONDS: Final = 5.0
_LOG_TAIL_LINES: Final = 12
_HOST: Final = "127.0.0.1"


class StageError(Exception):
    """The demo cannot go on; one clear line, and the end of a log where that helps."""


class NotThereError(OSError):
    """Status 404."""


class Cast:
    """`logrouter route` and `logrouter tables` as children, with their logs and data in *folder*."""

    def __init__(self, folder: Path, bootstrap: str, leash: Leash) -> None:
        self._folder = folder
        self._leash = leash
        self.bootstrap = bootstrap
        self._actors: dict[str, subprocess.Popen[bytes]] = {}
        self._common = ["--config", str(shipped_config()), "--bootstrap", bootstrap]
        self._route_port, self._tables_port = _port(9100), _port(6066)

    @property
    def route_url(self) -> str:
        """Base URL of the route process: /metrics, /readyz."""
        return f"http://{_HOST}:{self._route_port}"

    @property
    def tables_url(self) -> str:
        """Base URL of the table view."""
        return f"http://{_HOST}:{self._tables_port}"

    def start(self) -> None:
        """Start both; they are not ready yet."""
        route = ["--instance", "demo-route", "--metrics-port", str(self._route_port)]
        tables = ["--instance", "demo-tables", "--host", _HOST, "--port", str(self._tables_port)]
        self._start("route", [*route])
        self._start("tables", [*tables, "--data-dir", str(self._folder / "tables")])

    def await_ready(self, say: Callable[[str], None]) -> None:
        """Return when both say that they are ready; raises `StageError` when one has ended or takes too long."""
        started = time.monotonic()
        for name, url in (("route", self.route_url), ("tables", self.tables_url)):
            while not _is_ready(url):
                self.check()
                elapsed = time.monotonic() - started
                if elapsed > READY_SECONDS:
                    raise self._failure(name, f"was not ready within {READY_SECONDS:.0f} s")
                say(f"starting the lanes, waiting for {name}, {elapsed:.0f} s")
                time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Raise `StageError` if one of them has ended."""
        for name, process in self._actors.items():
            code = process.poll()
            if code is not None:
                raise self._failure(name, f"ended with exit code {code}")

    def stop(self) -> None:
        """SIGTERM to both at once, SIGKILL to who is still there after 10 s. Idempotent."""
        for process in self._actors.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in self._actors.values():
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            self._leash.release(process.pid)
        self._actors.clear()

    def _start(self, command: str, options: list[str]) -> None:
        # What the user has set for a real deployment must not reach the demo.
        env = {name: value for name, value in os.environ.items() if not name.startswith("LOGROUTER_")}
        with self._log(command).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  our own command
                [sys.executable, "-m", "logrouter", command, *self._common, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                start_new_session=True,
            )
        self._leash.hold(process.pid)
        self._actors[command] = process

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _failure(self, name: str, what: str) -> StageError:
        lines = self._log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        tail = ["; end of its log:", *lines[-_LOG_TAIL_LINES:]] if lines else [""]
        return StageError(f"logrouter {name} {what}" + "\n".join(tail))


def shipped_config() -> Path:
    """The topics.yaml that comes with logrouter, not one in the current folder: the demo's lines are made for it."""
    packaged = Path(str(files("logrouter"))) / FILE_NAME
    return packaged if packaged.is_file() else packaged.parent.parent / FILE_NAME


def get(url: str) -> bytes:
    """The body of a 200 answer; raises `OSError` for anything else."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_ASK_SECONDS)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        response = connection.getresponse()
        body = response.read()
    except http.client.HTTPException as error:
        msg = f"{url}: {error}"
        raise OSError(msg) from error
    finally:
        connection.close()
    if response.status == http.HTTPStatus.NOT_FOUND:
        raise NotThereError(url)
    if response.status != http.HTTPStatus.OK:
        msg = f"{url}: status {response.status}"
        raise OSError(msg)
    return body


def get_json(url: str) -> Any:
    """`get`, decoded."""
    return orjson.loads(get(url))


def find_json(url: str) -> Any:
    """`get_json`, or None where there is nothing of that name."""
    try:
        return get_json(url)
    except NotThereError:
        return None


def samples(url: str) -> Iterable[Sample]:
    """Every sample at a Prometheus endpoint."""
    for family in text_string_to_metric_families(get(url).decode()):
        yield from family.samples


def _is_ready(url: str) -> bool:
    try:
        get(f"{url}/readyz")
    except OSError:
        return False
    return True


def _port(preferred: int) -> int:
    """The documented port if it is free, else any."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            number: int = probe.getsockname()[1]
            return number
    raise StageError("no free TCP port on this machine")
