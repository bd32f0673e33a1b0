"""Children that come and go while the supervisor runs, with processes and a clock that are made up."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from logrouter.process.child import EXIT_USAGE, WantedChild
from logrouter.process.supervisor import Supervisor

STOP_SECONDS = 20
LANES = (WantedChild("route-0", ["route"]), WantedChild("tables", ["tables"], reloads=False))


class FakeProcess:
    """A process that ends when it is told to, or when the test says so."""

    def __init__(self, pid, command, clock):
        self.pid, self.command, self._clock = pid, command, clock
        self.code = None
        self.heard = []
        self.ignores_term = False

    def poll(self):
        return self.code

    def wait(self, timeout=None):
        if self.code is None and timeout is not None:
            self._clock.now += timeout
        return self.code

    def signal(self, number):
        if self.code is not None:
            return
        self.heard.append(number)
        if number == signal.SIGKILL or (number == signal.SIGTERM and not self.ignores_term):
            self.code = -number


class FakeClock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self):
        return self.now


class FakeWatchdog:
    """Remembers which processes it holds."""

    def __init__(self):
        self.held = set()

    def watch(self, pid):
        assert pid not in self.held
        self.held.add(pid)

    def release(self, pid):
        self.held.remove(pid)


class Machine:
    """A supervisor on a machine that is made up."""

    def __init__(self, caplog, *wanted):
        self._caplog = caplog
        caplog.set_level("INFO")
        self.clock, self.watchdog = FakeClock(), FakeWatchdog()
        self.processes = []
        self.is_full = False
        self.supervisor = Supervisor(
            wanted, self.watchdog, start=self._start, clock=self.clock, stop_seconds=STOP_SECONDS
        )
        self.turn()

    def _start(self, command):
        if self.is_full:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        self.processes.append(FakeProcess(100 + len(self.processes), list(command), self.clock))
        return self.processes[-1]

    def turn(self, seconds=0.1, times=1):
        """Let time pass, and the supervisor look; the last exit code of a look."""
        for _ in range(times):
            self.clock.now += seconds
            code = self.supervisor.check()
        return code

    def running(self):
        """First words of the command lines of what runs, in the order of their starts."""
        return [process.command[0] for process in self.processes if process.code is None]

    def of(self, word):
        """The process that was started last with this first word."""
        return next(process for process in reversed(self.processes) if process.command[0] == word)

    def said(self, event):
        """The fields of all log lines of an event."""
        return [record.fields for record in self._caplog.records if record.getMessage() == event]


def sink(name, *more, **fixed):
    """The process of a sink, its first word its name."""
    return WantedChild(f"sink-{name}", [name, *more], vital=False, section=f"sinks.{name}", fixed=fixed)


@pytest.fixture
def machine(caplog):
    """A machine with both lanes and one sink, all running."""
    made = Machine(caplog, *LANES, sink("a"))
    assert made.running() == ["route", "tables", "a"]
    return made


def test_a_process_that_the_system_does_not_let_start_ends_no_other(machine):
    """It is tried again, after pauses that grow."""
    machine.is_full = True
    machine.supervisor.follow([*LANES, sink("a"), sink("b")])
    assert machine.turn(times=20) == 0
    assert machine.running() == ["route", "tables", "a"]
    failed = {"name": "sink-b", "error": "[Errno 11] Resource temporarily unavailable"}
    assert machine.said("child_exited") == [{**failed, "restart_in": pause} for pause in ("0.5s", "1s", "2s")]

    machine.is_full = False
    machine.turn(times=20)
    assert machine.running() == ["route", "tables", "a", "b"]


def test_what_comes_into_the_file_is_started(machine):
    """Nothing else is touched, and the log says why."""
    machine.supervisor.follow([*LANES, sink("a"), sink("b")])
    machine.turn()

    assert machine.running() == ["route", "tables", "a", "b"]
    assert machine.said("child_added") == [{"name": "sink-b", "reason": "sinks.b is in topics.yaml now"}]
    assert machine.said("child_started")[-1] == {"name": "sink-b", "pid": machine.of("b").pid}
    assert all(process.heard == [] for process in machine.processes)
    assert machine.watchdog.held == {process.pid for process in machine.processes}


def test_what_goes_from_the_file_is_ended_in_order(machine):
    """SIGTERM, once; nobody starts it again."""
    doomed = machine.of("a")
    machine.supervisor.follow(LANES)
    machine.turn(seconds=100, times=3)

    assert machine.running() == ["route", "tables"]
    assert doomed.heard == [signal.SIGTERM]
    reason = "sinks.a is gone from topics.yaml"
    assert machine.said("child_removed") == [{"name": "sink-a", "pid": doomed.pid, "reason": reason}]
    assert machine.said("child_stopped") == [{"name": "sink-a", "code": -signal.SIGTERM}]
    assert machine.said("child_exited") == []
    assert doomed.pid not in machine.watchdog.held


def test_a_new_name_starts_when_the_old_one_has_ended(machine):
    """It may have the group and the port of the old one, and both at once would fence each other."""
    old = machine.of("a")
    old.ignores_term = True
    machine.supervisor.follow([*LANES, sink("new")])
    machine.turn(times=50)
    meanwhile = machine.running()
    old.code = 0
    machine.turn()

    assert meanwhile == ["route", "tables", "a"]
    assert machine.running() == ["route", "tables", "new"]


def test_who_does_not_end_is_killed_and_holds_up_nobody_else(machine):
    """A lane that crashes meanwhile is started again as ever."""
    machine.of("a").ignores_term = True
    machine.supervisor.follow([*LANES, sink("new")])
    machine.of("route").code = 1
    machine.turn(times=10)
    meanwhile = machine.running()
    machine.turn(seconds=STOP_SECONDS, times=2)

    assert meanwhile == ["tables", "a", "route"]
    assert machine.running() == ["tables", "route", "new"]
    assert machine.said("child_stopped") == [{"name": "sink-a", "code": -signal.SIGKILL}]


def test_taken_out_and_put_in_again_before_it_has_ended(machine):
    """The process that ends is not the one that is wanted."""
    old = machine.of("a")
    old.ignores_term = True
    machine.supervisor.follow(LANES)
    machine.supervisor.follow([*LANES, sink("a")])
    machine.turn()
    assert machine.running() == ["route", "tables", "a"]
    old.code = 0
    machine.turn()

    assert machine.running() == ["route", "tables", "a"]
    assert machine.of("a") is not old
    assert old.heard == [signal.SIGTERM]


def test_a_child_that_waits_for_its_next_start_is_taken_out(machine):
    """There is nothing to end."""
    machine.of("a").code = 1
    machine.turn()
    machine.supervisor.follow(LANES)
    machine.turn(seconds=100, times=3)

    assert machine.running() == ["route", "tables"]
    assert machine.said("child_removed") == [{"name": "sink-a", "reason": "sinks.a is gone from topics.yaml"}]
    assert machine.said("child_stopped") == []


@pytest.mark.parametrize("reads_before_the_end", [False, True])
def test_a_sink_that_has_refused_its_file_is_tried_at_once_when_that_was_read_again(machine, reads_before_the_end):
    """Else after a minute. That it ends after the reading makes no difference: it had read what was there before."""
    if reads_before_the_end:
        machine.turn()
        machine.supervisor.note_reading()
    machine.of("a").code = EXIT_USAGE
    machine.turn()
    if not reads_before_the_end:
        machine.turn(seconds=58)
        assert machine.running() == ["route", "tables"]
        machine.supervisor.note_reading()
    machine.turn(times=6)
    assert machine.running() == ["route", "tables", "a"]

    machine.of("a").code = EXIT_USAGE
    machine.turn(seconds=58)
    machine.turn()
    assert machine.running() == ["route", "tables"]
    machine.turn(seconds=61)
    assert machine.running() == ["route", "tables", "a"]


def test_a_lane_that_refuses_its_file_ends_all_whatever_was_read(machine):
    """As before: without a lane there is nothing to keep running."""
    machine.turn()
    machine.supervisor.note_reading()
    machine.of("route").code = EXIT_USAGE

    assert machine.turn() == EXIT_USAGE


def test_a_crash_waits_its_pause_whatever_was_read(machine):
    """Only a refusal depends on the file alone."""
    machine.of("a").code = 1
    machine.turn()
    machine.supervisor.note_reading()
    machine.turn()

    assert machine.running() == ["route", "tables"]


def test_what_needs_a_restart_is_said_once_and_nothing_is_restarted(machine, caplog):
    """With the process, and what to do; again if it is something else."""
    running = Machine(caplog, *LANES, sink("a", "9101", port=9101, group="g"))
    pid = running.of("a").pid
    for wanted in (
        sink("a", "9101", port=9101, group="g"),
        sink("a", "9200", port=9200, group="g"),
        sink("a", "9200", port=9200, group="g"),
        sink("a", "9200", port=9200, group="h"),
        sink("a", "9101", port=9101, group="g"),
        sink("a", "9300", port=9300),
    ):
        running.supervisor.follow([*LANES, wanted])
        running.turn()

    said = running.said("child_outdated")
    assert [each["options"] for each in said] == ["port", "group, port", "group, port"]
    help_text = f"kill {pid}: it is started again, with the file as it is then"
    assert said[0] == {"name": "sink-a", "pid": pid, "options": "port", "help": help_text}
    assert running.running() == ["route", "tables", "a"]

    running.of("a").code = 0
    running.turn(times=20)
    assert running.of("a").command == ["a", "9300"]
    running.supervisor.follow([*LANES, sink("a", "9300", port=9300)])
    assert len(running.said("child_outdated")) == 3


def test_a_reload_reaches_what_runs_and_is_wanted(machine):
    """Not what is told to end, which would refuse the file without its section, and no tables worker."""
    old = machine.of("a")
    old.ignores_term = True
    machine.supervisor.follow([*LANES, sink("b")])
    machine.supervisor.pass_on_reload()

    assert old.heard == [signal.SIGTERM]
    assert (machine.of("route").heard, machine.of("tables").heard) == ([signal.SIGHUP], [])


def test_at_the_end_nothing_is_left(machine):
    """Neither what is wanted nor what was already told to end."""
    going = machine.of("a")
    going.ignores_term = True
    plans = iter([LANES, None, [*LANES, sink("b")]])
    rounds = iter([False] * 3)

    code = machine.supervisor.run(stopping=lambda: next(rounds, True), changes=lambda: next(plans))

    assert code == 0
    assert machine.running() == []
    assert going.heard == [signal.SIGTERM, signal.SIGKILL]
    assert [process.heard for process in machine.processes if process is not going] == [[signal.SIGTERM]] * 2


def test_another_kind_of_process_comes_and_goes_alike(machine):
    """The supervisor knows names and sections, not kinds."""
    drain = replace(sink("d"), name="drain-d", section="drains.d")
    machine.supervisor.follow([*LANES, sink("a"), drain])
    machine.turn()
    assert machine.running() == ["route", "tables", "a", "d"]
    machine.supervisor.follow([*LANES, sink("a")])
    machine.turn()

    assert machine.running() == ["route", "tables", "a"]
    assert machine.said("child_removed")[0]["reason"] == "drains.d is gone from topics.yaml"
