"""`logrouter run`: which processes it starts, and with which options."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from logrouter.cli import cli
from logrouter.process import supervisor

SHIPPED = Path(__file__).parents[3] / "topics.yaml"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers_as_before():
    """The command takes over signals of the process that it runs in."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def run(monkeypatch, *arguments):
    """The children that are supervised, as command lines by their names."""
    started = {}

    def supervise(children, *, stopping):
        assert not stopping()
        started.update({child.name: child.command for child in children})
        return 0

    monkeypatch.setattr(supervisor, "supervise", supervise)
    done = CliRunner().invoke(cli, arguments, env={"LOGROUTER_CONFIG": None, "LOGROUTER_BOOTSTRAP": None})
    assert done.exit_code == 0, done.output
    return started


def test_children_get_the_options_of_the_command(monkeypatch):
    """The log's options stand before the command; each route process has a name and a port of its own."""
    given = ["--config", str(SHIPPED), "--bootstrap", "kafka-1:9092"]
    before = ["--log-format", "json", "--log-level", "error"]
    started = run(monkeypatch, *before, "run", *given, "--route-processes", "2", "--data-dir", "d")

    program = [sys.executable, "-m", "logrouter", *before]
    assert list(started) == ["route-0", "route-1", "tables"]
    assert started["tables"] == [*program, "tables", *given, "--data-dir", "d"]
    for number in range(2):
        command, instance = started[f"route-{number}"][:-4], started[f"route-{number}"][-4:]
        assert command == [*program, "route", *given]
        assert instance[0::2] == ["--instance", "--metrics-port"]
        assert instance[1].endswith(f"-{number}")
        assert instance[3] == str(9100 + number)


def test_without_options_children_find_the_same_file_by_themselves(monkeypatch):
    """Nothing is passed on that was not given."""
    started = run(monkeypatch, "run", "--route-processes", "1")

    assert started["tables"][-1] == "tables"
    assert "--config" not in started["route-0"]


def test_each_sink_has_a_process_with_a_port_of_its_own(monkeypatch, tmp_path):
    """Its own port, unless another process has that: both sinks have the default one, as has a route process."""
    file = tmp_path / "topics.yaml"
    file.write_text(
        "version: 1\n"
        "sources: {in: {topics: [in], envelope: plain}}\n"
        "routes: [{name: r, from: in, format: apache, to: events}]\n"
        "sinks:\n"
        "  hook: {type: webhook, from: events, url: 'http://127.0.0.1:1/'}\n"
        "  other: {type: webhook, from: events, url: 'http://127.0.0.1:1/'}\n"
        "  third: {type: webhook, from: events, url: 'http://127.0.0.1:1/', metrics: {port: 9300}}\n"
    )
    started = run(monkeypatch, "run", "--config", str(file), "--route-processes", "2")

    assert list(started) == ["route-0", "route-1", "tables", "sink-hook", "sink-other", "sink-third"]
    assert started["sink-hook"][-8:-4] == ["sink", "hook", "--config", str(file)]
    assert [started[f"sink-{name}"][-1] for name in ("hook", "other", "third")] == ["9102", "9103", "9300"]
