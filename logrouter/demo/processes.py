"""The processes of the demo, one of each kind, started as a user would start them."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import orjson
from prometheus_client.parser import text_string_to_metric_families

from logrouter.config.settings import FILE_NAME
from logrouter.devkafka.ports import claim_port
from logrouter.telemetry.log import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client.samples import Sample

    from logrouter.process.watchdog import Watchdog

READY_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.1
_REQUEST_SECONDS: Final = 5.0
_LOG_TAIL_LINES: Final = 12
_HOST: Final = "127.0.0.1"
_PORTS: Final = {"route": 9100, "tables": 6066, "sink": 9101}
"""The lanes in the order in which they are started, and the ports that are documented for them."""
_TAKEN: Final = "cannot listen on"
"""What a lane logs before it ends because its port is taken."""
_HAS_PORT: Final = {"route": Log.METRICS_SERVING, "tables": Log.LANE_STARTED, "sink": Log.METRICS_SERVING}
"""What a lane logs once its port is its own."""


class DemoError(Exception):
    """The demo cannot go on. Its text is one line, followed by the end of a process's log where that helps."""


class NotFoundError(OSError):
    """An HTTP answer with status 404."""


class DemoConfig(NamedTuple):
    """The topics.yaml of the demo, the *environment* that it refers to, and the name of its *sink*.

    *page* is a URL that shows what the sink's target holds.
    """

    file: Path
    environment: Mapping[str, str]
    sink: str
    page: str


class LaneProcesses:
    """`logrouter route`, `tables` and `sink` as child processes, with their logs and data in *folder*.

    *watchdog* kills them if this process ends without `stop`.
    """

    def __init__(self, folder: Path, bootstrap: str, watchdog: Watchdog, config: DemoConfig) -> None:
        self._folder = folder
        self._watchdog = watchdog
        self.bootstrap = bootstrap
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self.config = config
        self._ports: dict[str, int] = {}

    @property
    def route_url(self) -> str:
        """Base URL of the route process: /metrics, /readyz."""
        return self._url("route")

    @property
    def sink_url(self) -> str:
        """Base URL of the sink's process: /metrics, /readyz."""
        return self._url("sink")

    @property
    def tables_url(self) -> str:
        """Base URL of the table view."""
        return self._url("tables")

    def start(self) -> None:
        """Start all; they are not ready yet."""
        for name, port in _PORTS.items():
            self._start(name, free_port(port))

    def await_ready(self, say: Callable[[str], None]) -> None:
        """Return when all answer /readyz with 200; `DemoError` if one ends or takes longer than `READY_SECONDS`.

        *say* gets a line of progress at every look.
        """
        started = time.monotonic()
        for name in _PORTS:
            # Who has lost its port is replaced first: what answers there is another program's.
            while self._replace_portless() or not (self._has_port(name) and _is_ready(self._url(name))):
                elapsed = time.monotonic() - started
                if elapsed > READY_SECONDS:
                    raise self._failure(name, f"was not ready within {READY_SECONDS:.0f} s")
                say(f"starting the lanes, waiting for {name}, {elapsed:.0f} s")
                time.sleep(_POLL_SECONDS)
        self.check()

    def _replace_portless(self) -> bool:
        """Start each one anew that has ended because another program took its port a moment before; whether any has.

        `DemoError` if one has ended for another reason.
        """
        replaced = False
        for name, process in list(self._children.items()):
            code = process.poll()
            if code is None:
                continue
            if _TAKEN not in self._read_log(name):
                raise self._failure(name, f"ended with exit code {code}")
            self._watchdog.release(process.pid)
            self._start(name, free_port(0))
            replaced = True
        return replaced

    def _has_port(self, name: str) -> bool:
        """Whether it is this lane that listens on its port."""
        return _HAS_PORT[name] in self._read_log(name)

    def check(self) -> None:
        """Raise `DemoError` if one of them has ended."""
        for name, process in self._children.items():
            code = process.poll()
            if code is not None:
                raise self._failure(name, f"ended with exit code {code}")

    def stop(self) -> None:
        """Send SIGTERM to all, and SIGKILL to those that still run after 10 s. Idempotent."""
        for process in self._children.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in self._children.values():
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            self._watchdog.release(process.pid)
        self._children.clear()

    def _start(self, name: str, port: int) -> None:
        self._ports[name] = port
        options = ["--config", str(self.config.file), "--bootstrap", self.bootstrap, "--instance", f"demo-{name}"]
        if name == "tables":
            options += ["--host", _HOST, "--port", str(port), "--data-dir", str(self._folder / "tables")]
        else:
            options += ["--metrics-port", str(port)]
        if name == "sink":
            options.append(self.config.sink)
        # What the user has set for a real deployment must not reach the demo.
        env = {key: value for key, value in os.environ.items() if not key.startswith("LOGROUTER_")}
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  our own command
                [sys.executable, "-m", "logrouter", name, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env | dict(self.config.environment),
                start_new_session=True,
            )
        self._watchdog.watch(process.pid)
        self._children[name] = process

    def _url(self, name: str) -> str:
        return f"http://{_HOST}:{self._ports[name]}"

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _read_log(self, name: str) -> str:
        return self._log(name).read_text(encoding="utf-8", errors="replace")

    def _failure(self, name: str, what: str) -> DemoError:
        lines = self._read_log(name).splitlines()
        tail = ["; end of its log:", *lines[-_LOG_TAIL_LINES:]] if lines else [""]
        return DemoError(f"logrouter {name} {what}" + "\n".join(tail))


def shipped_config() -> Path:
    """The topics.yaml that comes with logrouter, not one in the current folder: the demo's lines are made for it."""
    packaged = Path(str(files("logrouter"))) / FILE_NAME
    return packaged if packaged.is_file() else packaged.parent.parent / FILE_NAME


def fetch(url: str) -> bytes:
    """The body of a 200 answer. Raises `NotFoundError` for a 404 and `OSError` for anything else."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_REQUEST_SECONDS)
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
        raise NotFoundError(url)
    if response.status != http.HTTPStatus.OK:
        msg = f"{url}: status {response.status}"
        raise OSError(msg)
    return body


def fetch_json(url: str) -> Any:
    """The JSON document at a URL; raises what `fetch` raises."""
    return orjson.loads(fetch(url))


def find_json(url: str) -> Any:
    """The JSON document at a URL; None if the answer is a 404."""
    try:
        return fetch_json(url)
    except NotFoundError:
        return None


def read_samples(url: str) -> Iterable[Sample]:
    """Every sample of a Prometheus metrics endpoint."""
    for family in text_string_to_metric_families(fetch(url).decode()):
        yield from family.samples


def _is_ready(url: str) -> bool:
    try:
        fetch(f"{url}/readyz")
    except OSError:
        return False
    return True


def free_port(preferred: int) -> int:
    """The preferred port if there is one and it is free, else any."""
    if preferred:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_HOST, preferred))
            return preferred
    try:
        return claim_port()
    except OSError as error:
        raise DemoError(str(error)) from None
