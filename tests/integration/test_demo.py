"""`logrouter demo` counts right, ends when told to, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from logrouter.demo import processes, session
from logrouter.demo.receiver import ReceivedEvents
from logrouter.demo.sink_target import start_receiver, write_config
from logrouter.process.watchdog import Watchdog
from tests.conftest import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.xdist_group("demo")]

LONG_TERM = pytest.param(signal.SIGTERM, marks=pytest.mark.long)
LONG_KILL = pytest.param(signal.SIGKILL, marks=pytest.mark.long)
COMMAND = [sys.executable, "-m", "logrouter", "demo"]


def environment(scratch: Path) -> dict[str, str]:
    """The demo's own folder for temporary files, so that what it leaves is seen."""
    return {**os.environ, "TMPDIR": str(scratch)}


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that others may enter, too: as root, the search node runs as somebody else."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def left_over(scratch: Path) -> list[str]:
    """Processes that know the folder, and files in it."""
    found = [path.name for path in scratch.iterdir()]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(scratch).encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("options", [[], pytest.param(["--opensearch"], marks=pytest.mark.long)], ids=" ".join)
def test_once_agrees_with_the_truth_and_cleans_up(scratch, eventually, options):
    """A bounded run reads all back that it made, finds every number right, exits 0 and leaves nothing."""
    command = [*COMMAND, "--once", "--lines", "5000", "--json", *options]
    done = subprocess.run(
        command, env=environment(scratch), capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["ok"]
    assert said["read"] == 5000
    assert said["published"] + sum(said["ignored"].values()) + sum(said["rejected"].values()) == 5000
    assert all(check["expected"] == check["found"] for check in said["checks"])
    in_sink = [check["found"] for check in said["checks"] if check["what"] == "events in the sink"]
    assert in_sink == [said["published"]] == [said["delivered"]]
    eventually(lambda: not left_over(scratch), "nothing is left")


@pytest.mark.long
def test_once_tells_that_the_sink_has_lost_an_event(monkeypatch, capsys):
    """What is counted is what the target holds: one that has confirmed an event and forgotten it is found out."""
    keep = ReceivedEvents._keep

    def keep_not_the_third(received: ReceivedEvents, event_id: str) -> None:
        keep(received, event_id)
        if received.held == 3:
            received.held = 2
            monkeypatch.setattr(ReceivedEvents, "_keep", keep)

    monkeypatch.setattr(ReceivedEvents, "_keep", keep_not_the_third)
    assert session.run(once=True, lines=2000, as_json=True) == 1
    said = json.loads(capsys.readouterr().out)
    [wrong] = [check for check in said["checks"] if not check["ok"]]
    assert (wrong["what"], wrong["expected"] - wrong["found"]) == ("events in the sink", 1)
    assert said["delivered"] == wrong["expected"]


class AllServeError(Exception):
    """Ends the wait for lanes that have no topics to become ready with."""


@pytest.mark.long
@pytest.mark.parametrize("faster", [{"route"}, {"tables"}, {"sink"}, {"route", "tables", "sink"}])
def test_lanes_whose_ports_were_taken_meanwhile_are_started_on_others(broker, tmp_path, monkeypatch, faster):
    """Between the choice of a port and its use another program may be faster: a second demo, say."""
    free_port, asked = processes.free_port, []
    with socket.socket() as taken, Watchdog() as watchdog, ExitStack() as exits:
        taken.bind(("127.0.0.1", 0))
        wrong = {processes._PORTS[lane]: taken.getsockname()[1] for lane in faster}

        def choose(preferred: int) -> int:
            asked.append(preferred)
            return wrong.get(preferred) or free_port(0)

        monkeypatch.setattr(processes, "free_port", choose)
        config = write_config(tmp_path, start_receiver(exits))
        lanes = processes.LaneProcesses(tmp_path, broker.bootstrap, watchdog, config)

        def look(_progress: str) -> None:
            if all("logrouter_" in metrics_of(url) for url in (lanes.route_url, lanes.tables_url, lanes.sink_url)):
                raise AllServeError

        lanes.start()
        try:
            with pytest.raises(AllServeError):
                lanes.await_ready(look)
        finally:
            lanes.stop()
    assert sorted(asked) == sorted([*[0] * len(faster), *processes._PORTS.values()])


def metrics_of(url: str) -> str:
    """What a lane serves, nothing while it does not."""
    try:
        return processes.fetch(f"{url}/metrics").decode()
    except OSError:
        return ""


@pytest.mark.parametrize("number", [signal.SIGINT, LONG_KILL, LONG_TERM])
def test_live_ends_on_a_signal_and_leaves_nothing(tmp_path, eventually, number):
    """The live demo serves its URLs until a signal; Ctrl-C ends it with 0, and even SIGKILL leaves no process."""
    with subprocess.Popen(COMMAND, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as demo:
        lines = iter(demo.stdout.readline, "")
        view = next(line for line in lines if line.startswith("table view ")).split()[-1]
        next(line for line in lines if "in the tables" in line and "of 0 clients" not in line)
        with urlopen(view, timeout=HANG_SECONDS) as answer:  # noqa: S310  our own URL
            assert json.load(answer)["total"]["count"] > 0
        demo.send_signal(number)
        assert demo.wait(HANG_SECONDS) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    eventually(lambda: not left_over(tmp_path), "nothing is left")
