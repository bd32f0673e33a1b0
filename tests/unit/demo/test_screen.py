"""What the demo prints where its output is no terminal."""

from logrouter.demo import screen
from logrouter.demo.screen import Screen


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
