"""The supervisor: children are kept running, stop with it, and never outlive it."""

import signal
import subprocess
import sys
import threading
import time

from logrouter.process.supervisor import EXIT_USAGE, Child, supervise
from tests.conftest import HANG_SECONDS


def python(code: str) -> list[str]:
    """A command that runs *code*."""
    return [sys.executable, "-c", code]


def test_child_that_ends_is_started_again(tmp_path, eventually):
    """A child that crashes comes back, as often as it takes."""
    marks, stop = tmp_path / "marks", threading.Event()
    child = Child("crashing", python(f"open({str(marks)!r}, 'a').write('x'); raise SystemExit(1)"))
    runner = threading.Thread(target=lambda: supervise([child], stopping=stop.is_set))
    runner.start()
    eventually(lambda: marks.exists() and len(marks.read_text()) >= 2, "started twice")
    stop.set()
    runner.join(HANG_SECONDS)

    assert not runner.is_alive()


def test_refused_configuration_ends_everything():
    """A child that exits with 2 will not be better next time: the whole ends with 2, and the other child with it."""
    other = Child("other", python("import time; time.sleep(600)"))
    code = supervise([other, Child("refusing", python("raise SystemExit(2)"))], stopping=lambda: False)

    assert code == EXIT_USAGE
    assert other.process.poll() == -signal.SIGTERM


def test_child_that_ignores_sigterm_is_killed():
    """Stopping is bounded: who does not end in time is killed."""
    stubborn = Child("stubborn", python("import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"))
    began = time.monotonic()
    calls = iter([False] * 10)
    supervise([stubborn], stopping=lambda: next(calls, True), stop_seconds=1)

    assert stubborn.process.poll() is not None
    assert time.monotonic() - began < HANG_SECONDS


def test_children_die_with_a_killed_supervisor(tmp_path, eventually):
    """SIGKILL of the supervisor leaves no child behind that would go on routing."""
    pid_file = tmp_path / "pid"
    child = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    code = (
        "import sys; from logrouter.process.supervisor import Child, supervise\n"
        f"supervise([Child('c', [sys.executable, '-c', {child!r}])], stopping=lambda: False)"
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
    child = Child("early", [sys.executable, "-c", script])

    child.start()
    child.signal(signal.SIGHUP)

    assert child.process is not None
    assert child.process.wait(HANG_SECONDS) == 7


def test_a_sink_that_refuses_its_configuration_stops_nobody(caplog):
    """It is tried again after a minute, as its file may be another by then."""
    caplog.set_level("INFO")
    other = Child("other", python("import time; time.sleep(600)"))
    sink = Child("sink", python("raise SystemExit(2)"), vital=False)

    code = supervise([other, sink], stopping=lambda: sink.process is None and sink.start_at > 0)

    ended = next(record.fields for record in caplog.records if record.getMessage() == "child_exited")
    assert code == 0
    assert ended == {"name": "sink", "code": 2, "restart_in": "60s"}
    assert sink.start_at > time.monotonic() + 30
