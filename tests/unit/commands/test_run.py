"""`logrouter run`: which processes it starts, with which options, and how it follows topics.yaml."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from logrouter.cli import cli
from logrouter.process.supervisor import Supervisor

SHIPPED = Path(__file__).parents[3] / "topics.yaml"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers_as_before():
    """The command takes over signals of the process that it runs in."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def text(**sinks: int) -> str:
    """A topics.yaml with these sinks and their ports for metrics, 0 for the default one."""
    lines = [
        f"  {name}: {{type: webhook, from: events, url: 'http://127.0.0.1:1/'"
        f"{f', metrics: {{port: {port}}}' if port else ''}}}\n"
        for name, port in sinks.items()
    ]
    return (
        "version: 1\n"
        "sources: {in: {topics: [in], envelope: plain}}\n"
        "routes: [{name: r, from: in, format: apache, to: events}]\n"
        f"{'sinks:' if lines else ''}\n{''.join(lines)}"
    )


def run(monkeypatch, *arguments, work=lambda _supervisor, _changes: None):
    """The children that are supervised at first, as command lines by their names.

    With them what was logged. *work* is done in place of supervising, with the supervisor and what it would ask for
    changes.
    """
    started = {}

    def supervise(supervisor, *, stopping, changes):
        assert not stopping()
        started.update({child.wanted.name: child.wanted.command for child in supervisor.children})
        work(supervisor, changes)
        return 0

    monkeypatch.setattr(Supervisor, "run", supervise)
    done = CliRunner().invoke(cli, arguments, env={"LOGROUTER_CONFIG": None, "LOGROUTER_BOOTSTRAP": None})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return started, done.output


def test_children_get_the_options_of_the_command(monkeypatch):
    """The log's options stand before the command; each route process has a name and a port of its own."""
    given = ["--config", str(SHIPPED), "--bootstrap", "kafka-1:9092"]
    before = ["--log-format", "json", "--log-level", "error"]
    started, _ = run(monkeypatch, *before, "run", *given, "--route-processes", "2", "--data-dir", "d")

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
    started, _ = run(monkeypatch, "run", "--route-processes", "1")

    assert started["tables"][-1] == "tables"
    assert "--config" not in started["route-0"]


def test_each_sink_has_a_process_with_a_port_of_its_own(monkeypatch, tmp_path):
    """Its own port, unless another process has that: both sinks have the default one, as has a route process."""
    file = tmp_path / "topics.yaml"
    file.write_text(text(hook=0, other=0, third=9300))
    started, _ = run(monkeypatch, "run", "--config", str(file), "--route-processes", "2")

    assert list(started) == ["route-0", "route-1", "tables", "sink-hook", "sink-other", "sink-third"]
    assert started["sink-hook"][-8:-4] == ["sink", "hook", "--config", str(file)]
    assert [started[f"sink-{name}"][-1] for name in ("hook", "other", "third")] == ["9102", "9103", "9300"]


class Edits:
    """Puts texts in the place of a topics.yaml, and gives what is wanted by each."""

    def __init__(self, file, changes, eventually):
        self._file, self.changes, self._eventually = file, changes, eventually

    def put(self, text):
        """Rename a file with this text over it."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self._file)

    def wanted(self, text):
        """The processes that are wanted after this text has come, by name."""
        self.put(text)
        return {each.name: each for each in self._eventually(self.changes, "the file is followed")}


@pytest.fixture
def follow(monkeypatch, tmp_path, eventually):
    """Run with a file, and do something while it runs: `follow(text, lambda edits, supervisor: …)`; what is logged."""

    def run_with(text, work):
        file = tmp_path / "topics.yaml"
        file.write_text(text)
        ran = []

        def inside(supervisor, changes):
            work(Edits(file, changes, eventually), supervisor)
            ran.append(True)

        _, output = run(monkeypatch, "run", "--config", str(file), "--route-processes", "1", work=inside)
        assert ran
        return output

    return run_with


def ports(wanted):
    """The ports of the sinks' processes, by name."""
    return {name: int(each.command[-1]) for name, each in wanted.items() if name.startswith("sink-")}


def test_the_first_sink_and_the_last_one(follow):
    """The section comes and goes while it runs; both lanes stay as they are."""

    def work(edits, supervisor):
        lanes = [child.wanted for child in supervisor.children]
        came = edits.wanted(text(hook=0))
        gone = edits.wanted(text())

        assert list(came) == ["route-0", "tables", "sink-hook"]
        assert [came["route-0"], came["tables"]] == lanes == list(gone.values())
        assert [name for name, each in came.items() if not each.reloads] == ["tables"]
        hook = came["sink-hook"]
        assert hook.section == "sinks.hook"
        assert not hook.vital
        assert hook.command[-8:-5] == ["sink", "hook", "--config"]

    follow(text(), work)


def test_a_port_stays_with_its_process(follow):
    """Whatever comes before it in the file; who goes leaves the port to others."""

    def work(edits, _):
        assert ports(edits.wanted(text(first=0, hook=0))) == {"sink-first": 9102, "sink-hook": 9101}
        assert ports(edits.wanted(text(first=0))) == {"sink-first": 9102}
        assert ports(edits.wanted(text(first=0, later=0))) == {"sink-first": 9102, "sink-later": 9101}
        # `first` has 9102 until it is restarted.
        assert ports(edits.wanted(text(first=9200, x=9102))) == {"sink-first": 9200, "sink-x": 9103}

    follow(text(hook=0), work)


def test_a_former_port_is_given_to_nobody_while_its_process_may_have_it(follow):
    """However many versions ago it was: a process keeps its port until it is restarted. It may have it again."""

    def work(edits, _):
        assert ports(edits.wanted(text(first=0, hook=9200))) == {"sink-first": 9102, "sink-hook": 9200}
        assert ports(edits.wanted(text(first=0, hook=9200, x=9101))) == {
            "sink-first": 9102,
            "sink-hook": 9200,
            "sink-x": 9103,
        }
        assert ports(edits.wanted(text(first=0, hook=0, x=9101)))["sink-hook"] == 9101

    follow(text(hook=0), work)


def test_what_a_sink_reads_only_when_it_starts_goes_with_it(follow):
    """So that the supervisor can say what another port asks for."""

    def work(edits, supervisor):
        [before] = [child.wanted.fixed for child in supervisor.children if child.wanted.name == "sink-hook"]
        after = edits.wanted(text(hook=9200))["sink-hook"].fixed

        assert {key for key in before if before[key] != after[key]} == {"sinks.hook.metrics"}

    follow(text(hook=0), work)


@pytest.fixture
def readings(monkeypatch):
    """Grows by one at each reading that the supervisor is told of."""
    told = []
    monkeypatch.setattr(Supervisor, "note_reading", lambda _: told.append(1))
    return told


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("version: 2\n", "lacks `sources`"),
        (text(hook=0, other=0).replace("'http://127.0.0.1:1/'", "'${LOGROUTER_NOT_SET}'"), "LOGROUTER_NOT_SET"),
    ],
)
def test_a_wrong_file_changes_nothing_and_is_said_once(follow, readings, eventually, wrong, reason):
    """Also one that lacks a variable of a sink; the next right one comes into force."""

    def work(edits, _):
        edits.wanted(text(first=0))
        before = len(readings)
        edits.put(wrong)
        eventually(lambda: len(readings) == before + 1, "read")
        edits.put(wrong + "# as wrong as before\n")
        eventually(lambda: len(readings) == before + 2, "read again")
        assert edits.changes() is None
        wanted = edits.wanted(text(other=0))

        assert list(wanted) == ["route-0", "tables", "sink-other"]

    output = follow(text(hook=0), work)

    [said] = [line for line in output.splitlines() if "config_rejected" in line]
    assert reason in said


def test_each_reading_is_told_to_those_that_have_refused_theirs(follow, readings, eventually):
    """A wrong file too: a sink's process reads its own part alone. SIGHUP has it read, though it is the same.

    Not one that is another version: what was refused would be started as it was wanted before.
    """

    def work(edits, _):
        edits.wanted(text(first=0))
        edits.wanted(text(other=0))
        assert readings == []
        edits.put("version: 1\n")
        eventually(lambda: len(readings) == 1, "a wrong one is read")
        signal.raise_signal(signal.SIGHUP)
        eventually(lambda: len(readings) == 2, "read for the signal")

    follow(text(hook=0), work)


def test_a_reload_is_passed_on(follow, monkeypatch):
    """To the processes that run."""
    heard = []
    monkeypatch.setattr(Supervisor, "pass_on_reload", lambda _: heard.append(1))

    follow(text(hook=0), lambda *_: signal.raise_signal(signal.SIGHUP))

    assert heard == [1]
