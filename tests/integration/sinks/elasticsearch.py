"""A real Elasticsearch with passwords: Elastic's small distribution for tests, on a Java 17 of this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from logrouter.devjava import jars
from logrouter.devjava.server import HOST, NOBODY
from logrouter.devkafka.ports import claim_port
from logrouter.devsearch.node import OPENSEARCH
from logrouter.process.watchdog import Watchdog
from tests.conftest import wait_until
from tests.integration.search_client import SearchClient

VERSION: Final = "8.19.21"
SHA256: Final = "215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a"
USER: Final = "router"
PASSWORD: Final = "correct-horse-battery"  # noqa: S105  of a server that lives for a test
SETTINGS: Final = """
cluster.name: logrouter
node.name: logrouter
discovery.type: single-node
network.host: {host}
http.port: {http}
transport.port: {transport}
path.data: {folder}/data
path.logs: {folder}/logs
cluster.routing.allocation.disk.threshold_enabled: false
xpack.security.enabled: true
xpack.security.http.ssl.enabled: false
xpack.security.transport.ssl.enabled: false
xpack.security.authc.api_key.enabled: true
"""


def find_java_17() -> Path | None:
    """The home of a Java 17, which is the one that this version runs on; None without one."""
    found = [home for home in sorted(Path("/usr/lib/jvm").glob("*17*")) if (home / "bin" / "java").exists()]
    return found[0] if found else None


def _archive() -> Path:
    """The distribution, downloaded once and checked as the jars of OpenSearch are."""
    kept = jars.cache_dir(OPENSEARCH).parent / f"elasticsearch-{VERSION}.zip"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".download-", dir=kept.parent))
        try:
            project = jars._maven_context(OPENSEARCH, scratch).project(
                "org.elasticsearch.distribution.integ-test-zip", "elasticsearch"
            )
            path = project.at_version(VERSION).artifact(packaging="zip").resolve()
            assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256
            path.replace(kept)
        finally:
            shutil.rmtree(scratch)
    return kept


class ElasticsearchNode:
    """One node with the file realm's user `USER`. Runs while the `with` block does."""

    def __init__(self, java: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="logrouter-elasticsearch-"))
        self._home = self._folder / f"elasticsearch-{VERSION}"
        self._java = java
        self._port = claim_port()
        self._watchdog = Watchdog(self._folder)
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._port}"

    def __enter__(self) -> Self:
        try:
            with zipfile.ZipFile(_archive()) as archive:
                archive.extractall(self._folder)
            (self._folder / "tmp").mkdir()
            for script in (self._home / "bin").iterdir():
                script.chmod(0o755)  # archives of Python lose that
            settings = SETTINGS.format(host=HOST, http=self._port, transport=claim_port(), folder=self._folder)
            (self._home / "config" / "elasticsearch.yml").write_text(settings)
            if os.geteuid() == 0:
                for path in (self._folder, *self._folder.rglob("*")):
                    os.chown(path, NOBODY, NOBODY)
            added = self._run("elasticsearch-users", "useradd", USER, "-p", PASSWORD, "-r", "superuser")
            assert added.wait() == 0, self._log()
            self._server = self._run("elasticsearch")
            self._watchdog.watch(self._server.pid)
            wait_until(self._answers, "Elasticsearch answers")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        user = NOBODY if os.geteuid() == 0 else None
        environment = {
            "PATH": os.environ["PATH"],
            "ES_JAVA_HOME": str(self._java),
            "ES_TMPDIR": str(self._folder / "tmp"),
            "ES_JAVA_OPTS": "-Xms384m -Xmx384m -XX:-UseG1GC -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        }
        with (self._folder / "out.log").open("ab") as log:
            return subprocess.Popen(
                ["/bin/bash", str(self._home / "bin" / program), *arguments],
                env=environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, self._log()
        try:
            return SearchClient(self.url).ask("GET", "/").status == 401
        except OSError:
            return False

    def _log(self) -> str:
        return (self._folder / "out.log").read_text(errors="replace")[-3_000:]

    def _end(self) -> None:
        if self._server is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._watchdog.close()
