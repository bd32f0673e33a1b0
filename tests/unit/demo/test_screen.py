"""What the demo prints where its output is no terminal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from logrouter.demo import processes, screen
from logrouter.demo.screen import Screen, take_snapshot


def test_time_that_goes_by_is_said_every_few_seconds(capsys, monkeypatch):
    """A line that differs in its numbers alone is left out for a while; another one is printed at once."""
    now = [100.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    show = Screen()
    for seconds in range(8):
        show.say(f"starting Apache Kafka, {seconds} s")
        now[0] += 1
    show.say("creating topics")

    assert capsys.readouterr().out.splitlines() == [
        *(f"starting Apache Kafka, {seconds} s" for seconds in (0, 3, 6)),
        "creating topics",
    ]


METRICS = """
logrouter_sink_events_total{sink="receiver",result="delivered"} 1200.0
logrouter_sink_events_total{sink="receiver",result="refused"} 3.0
logrouter_sink_events_total{sink="receiver",result="blocked"} 7.0
logrouter_sink_waiting_records{sink="receiver"} 4500.0
logrouter_sink_up{sink="receiver"} 0.0
"""


def show(monkeypatch, capsys, metrics: str) -> str:
    """The line that is printed when the sink's process serves these metrics, and nobody else answers."""

    def fetch(url: str) -> bytes:
        if url != "http://sink/metrics":
            raise OSError(url)
        return metrics.encode()

    monkeypatch.setattr(processes, "fetch", fetch)
    lanes = SimpleNamespace(route_url="http://route", tables_url="http://tables", sink_url="http://sink")
    Screen().show(take_snapshot(cast("Any", lanes)), 5000, cast("Any", lanes))
    return capsys.readouterr().out


def test_a_sink_is_shown_with_what_waits_and_whether_its_target_takes_events(monkeypatch, capsys):
    """Before the first answer that is not known."""
    assert "delivered to the sink 1,200 (4,500 waiting, 3 refused, down)" in show(monkeypatch, capsys, METRICS)
    assert "delivered to the sink 1,200 (4,500 waiting, 3 refused, up)" in show(
        monkeypatch, capsys, METRICS.replace('up{sink="receiver"} 0', 'up{sink="receiver"} 1')
    )
    assert "delivered to the sink 0 (0 waiting, no answer yet)" in show(monkeypatch, capsys, "")
