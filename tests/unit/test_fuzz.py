"""The fuzzing harness works: it runs, it takes in every reader, and it finds what is wrong."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats import FORMATS
from logrouter.model import Ignored, Parsed, Reason
from tests.conftest import HANG_SECONDS
from tests.unit.sinks.stand_ins import STAND_INS
from tests.unit.sinks.syslog_stand_in import SYSLOG

FUZZ = Path(__file__).parents[2] / "fuzz"


def module(name):
    """A module of the harness, which is no package."""
    spec = importlib.util.spec_from_file_location(name, FUZZ / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def run(*arguments):
    """The harness as `make fuzz` runs it."""
    pytest.importorskip("atheris", reason="atheris has no wheel for this platform and Python")
    command = [sys.executable, str(FUZZ / "run.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60 + HANG_SECONDS)


@pytest.mark.long
def test_it_runs_without_a_fault(tmp_path):
    """A few hundred inputs for one envelope and one format."""
    wanted = ["envelope:rsyslog", "format:nginx"]
    done = run("--runs", 200, "--no-guard", "--artifacts", tmp_path, "--targets", *wanted)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^(\S+) +ok +Done 200 runs", done.stdout, re.MULTILINE) == wanted


@pytest.mark.long
def test_it_finds_a_fault_and_keeps_the_input(tmp_path):
    """The exit code says so, the file makes it happen again, and another input does not."""
    done = run("--seconds", 60, "--no-guard", "--artifacts", tmp_path, "--targets", "self-test")
    assert done.returncode == 1
    assert "FAULT" in done.stdout
    kept = Path(re.search(r"written to (\S+)", done.stdout)[1])
    assert kept.read_bytes()[:2] == b"!?"
    assert run("--artifacts", tmp_path, "--targets", "self-test", "--input", kept).returncode == 1
    kept.write_bytes(b"?!")
    assert run("--artifacts", tmp_path, "--targets", "self-test", "--input", kept).returncode == 0


def test_an_unknown_target_is_an_error(tmp_path):
    """Nothing has been fuzzed then."""
    assert run("--targets", "format:none").returncode == 2


def test_every_envelope_format_and_sink_is_a_target_with_seeds():
    """A new one is included by itself."""
    targets = module("targets").targets()
    assert {f"envelope:{name}" for name in ENVELOPES} | {f"format:{name}" for name in FORMATS} <= targets.keys()
    answered = {kind.replace(" ", "-") for kind in STAND_INS}
    assert {f"{what}:{name}" for what in ("sink-answer", "sink-value") for name in answered} <= targets.keys()
    assert {f"sink-value:{kind.replace(' ', '-')}" for kind in SYSLOG} <= targets.keys()
    assert {"pattern:nginx", "pattern:apache", "redact:wrapped", "redact:bytes"} <= targets.keys()
    assert [name for name, target in targets.items() if not any(target.seeds())] == []


@pytest.mark.parametrize(
    "found",
    [
        None,
        {},
        Parsed({"http": {"path": ""}}, {}),
        Parsed({"http": None}, {}),
        Parsed({"nonsense": 1}, {}),
        Parsed({"route": "\ud800"}, {}),
        Parsed({"route": "x" * 10_000}, {}),
    ],
)
def test_what_a_format_must_not_give_is_a_fault(found):
    """Absent values, unknown fields, text that is no Unicode, and more than the line can have held."""
    with pytest.raises((TypeError, AssertionError)):
        module("targets").check_parsed(found, 10)


@pytest.mark.parametrize("found", [Parsed({"http": {"path": "/"}}, {}), Ignored(Reason.NOT_REQUEST)])
def test_what_a_format_may_give_is_none(found):
    """An event of known fields, or none."""
    module("targets").check_parsed(found, 10)


def test_the_guard_finds_what_takes_more_than_its_share():
    """By a made-up clock: an input that costs the square of its spaces is found, one that costs its length is not."""
    slow_input = module("timing").slow_input
    seeds = [b"GET / HTTP/1.1", b""]
    why, data = slow_input(print, seeds, lambda _run, data: 1e-8 * data.count(b" ") ** 2)
    assert data.count(b" ") > len(data) / 2
    assert "bytes" in why
    assert slow_input(print, seeds, lambda _run, data: 1e-5 * len(data)) is None
