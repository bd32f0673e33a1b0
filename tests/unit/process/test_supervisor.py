"""The supervisor: children are kept running, stop with it, and never outlive it."""

import signal
import subprocess
import sys
import threading
import time

from logrouter.process.child import EXIT_USAGE, StartedProcess, WantedChild
from logrouter.process.supervisor import Supervisor
from logrouter.process.watchdog import Watchdog
from tests.conftest import HANG_SECONDS


def python(code: str) -> list[str]:
    """A command that runs *code*."""
    return [sys.executable, "-c", code]


def supervise(*wanted, stopping, **options):
    """The exit code, and the processes of the children as they were left."""
    with Watchdog() as watchdog:
        supervisor = Supervisor(wanted, watchdog, **options)
        code = supervisor.run(stopping=stopping)
    return code, {child.wanted.name: child.process for child in supervisor.children}


def test_child_that_ends_is_started_again(tmp_path, eventually):
    """A child that crashes comes back, as often as it takes."""
    marks, stop = tmp_path / "marks", threading.Event()
    child = WantedChild("crashing", python(f"open({str(marks)!r}, 'a').write('x'); raise SystemExit(1)"))
    runner = threading.Thread(target=lambda: supervise(child, stopping=stop.is_set))
    runner.start()
    eventually(lambda: marks.exists() and len(marks.read_text()) >= 2, "started twice")
    stop.set()
    runner.join(HANG_SECONDS)

    assert not runner.is_alive()


def test_refused_configuration_ends_everything():
    """A child that exits with 2 will not be better next time: the whole ends with 2, and the other child with it."""
    other = WantedChild("other", python("import time; time.sleep(600)"))
    refusing = WantedChild("refusing", python("raise SystemExit(2)"))
    code, left = supervise(other, refusing, stopping=lambda: False)

    assert code == EXIT_USAGE
    assert left["other"].poll() == -signal.SIGTERM


def test_child_that_ignores_sigterm_is_killed():
    """Stopping is bounded: who does not end in time is killed."""
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    began = time.monotonic()
    calls = iter([False] * 10)
    _, left = supervise(WantedChild("stubborn", python(code)), stopping=lambda: next(calls, True), stop_seconds=1)

    assert left["stubborn"].poll() is not None
    assert time.monotonic() - began < HANG_SECONDS


def test_children_die_with_a_killed_supervisor(tmp_path, eventually):
    """SIGKILL of the supervisor leaves no child behind that would go on routing."""
    pid_file = tmp_path / "pid"
    child = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    code = (
        "import sys; from logrouter.process.child import WantedChild\n"
        "from logrouter.process.supervisor import Supervisor; from logrouter.process.watchdog import Watchdog\n"
        f"wanted = [WantedChild('c', [sys.executable, '-c', {child!r}])]\n"
        "with Watchdog() as watchdog: Supervisor(wanted, watchdog).run(stopping=lambda: False)"
    )
    owner = subprocess.Popen(python(code), stderr=subprocess.DEVNULL)
    pid = int(eventually(lambda: pid_file.exists() and pid_file.read_text(), "child started"))
    owner.kill()
    owner.wait()

    eventually(lambda: not alive(pid), "child gone")


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and state.strip()[0] != "Z"


def test_a_reload_asked_for_while_a_child_starts_is_served_once_it_can():
    """SIGHUP would end an interpreter that has no handler yet."""
    script = (
        "import signal; from logrouter.commands.reload_signal import ReloadSignal; heard = []\n"
        "ReloadSignal().serve_with(lambda: heard.append(1))\n"
        "heard or signal.pause()\n"
        "raise SystemExit(7 if heard else 8)"
    )
    process = StartedProcess(python(script))

    process.signal(signal.SIGHUP)

    assert process.wait(HANG_SECONDS) == 7


def test_a_sink_that_refuses_its_configuration_stops_nobody(caplog):
    """It is tried again after a minute, as its file may be another by then."""
    caplog.set_level("INFO")
    other = WantedChild("other", python("import time; time.sleep(600)"))
    sink = WantedChild("sink", python("raise SystemExit(2)"), vital=False)

    def ended():
        return [record.fields for record in caplog.records if record.getMessage() == "child_exited"]

    code, left = supervise(other, sink, stopping=ended)

    assert code == 0
    assert ended() == [{"name": "sink", "code": 2, "restart_in": "60s"}]
    assert left["sink"] is None


def test_a_signal_amid_the_news_that_a_child_has_ended_breaks_nothing(monkeypatch):
    """SIGHUP is passed on in a signal handler: then the process is gone, and its code is not known yet."""
    process = StartedProcess(python("raise SystemExit(7)"))
    note_code = process._process._handle_exitstatus

    def interrupted(status):
        process.signal(signal.SIGHUP)
        note_code(status)

    monkeypatch.setattr(process._process, "_handle_exitstatus", interrupted)

    assert process.wait(HANG_SECONDS) == 7
