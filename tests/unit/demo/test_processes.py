"""The demo's lanes while they start: whose port another program has takes another, however late that shows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from logrouter.demo import processes

TAKEN = b'ERROR lane_failed lane=tables error="cannot listen on 127.0.0.1:6066: Address already in use"\n'
SERVES = b"INFO metrics_serving url=http://127.0.0.1:9100/metrics\n"
TABLES_SERVE = b"INFO lane_started lane=tables group=demo\n"


class Lane:
    """Stands in for a process: what is in its log, and how often it is found running before it ends with 1."""

    pid = 0

    def __init__(self, says: bytes, looks: float = float("inf")) -> None:
        self.says, self._looks = says, looks

    def poll(self) -> int | None:
        self._looks -= 1
        return None if self._looks >= 0 else 1


def start(tmp_path, monkeypatch, tables: list[Lane], *, other_answers: bool) -> processes.LaneProcesses:
    """Lanes that are started: *tables* are those of the tables lane, one after the other.

    With *other_answers* the program that has the port 6066 says that it is ready, as another demo would.
    """
    lanes = {"route": [Lane(SERVES)], "tables": tables, "sink": [Lane(SERVES)]}

    def spawn(command: list[str], stdout: Any, **_options: object) -> Lane:
        lane = lanes[command[3]].pop(0)
        stdout.write(lane.says)
        return lane

    monkeypatch.setattr(processes.subprocess, "Popen", spawn)
    monkeypatch.setattr(processes, "free_port", lambda preferred: preferred or 7000)
    monkeypatch.setattr(processes, "_is_ready", lambda url: other_answers or not url.endswith(":6066"))
    monkeypatch.setattr(processes, "_POLL_SECONDS", 0)
    watchdog = SimpleNamespace(watch=lambda _pid: None, release=lambda _pid: None)
    config = processes.DemoConfig(tmp_path / "topics.yaml", {}, "receiver", "http://127.0.0.1/")
    made = processes.LaneProcesses(tmp_path, "127.0.0.1:1", cast("Any", watchdog), config)
    made.start()
    return made


@pytest.mark.parametrize("other_answers", [False, True])
@pytest.mark.parametrize("looks", range(4))
def test_a_lane_without_a_port_is_replaced_whenever_it_ends(tmp_path, monkeypatch, looks, other_answers):
    """At any look, also between one that asks who has ended and the next; an answer of another program is not its."""
    lanes = start(tmp_path, monkeypatch, [Lane(TAKEN, looks), Lane(TABLES_SERVE)], other_answers=other_answers)

    lanes.await_ready(lambda _progress: None)

    assert lanes.tables_url == "http://127.0.0.1:7000"


@pytest.mark.parametrize("looks", range(4))
def test_a_lane_that_ends_for_another_reason_ends_the_demo(tmp_path, monkeypatch, looks):
    """With the end of its log."""
    lanes = start(tmp_path, monkeypatch, [Lane(b"ERROR lane_failed lane=tables\n", looks)], other_answers=True)

    with pytest.raises(processes.DemoError, match=r"logrouter tables ended with exit code 1(.|\n)*lane_failed"):
        lanes.await_ready(lambda _progress: None)
