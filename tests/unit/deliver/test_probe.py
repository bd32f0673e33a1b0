"""One marked event to a target: valid, told apart, reported without secrets."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from logrouter import config
from logrouter.core.validate import Validator
from logrouter.deliver.probe import make_event, probe
from logrouter.sinks.contract import (
    NoAnswer,
    Refused,
    RefusedTogether,
    Retry,
    Skipped,
    SkipReason,
    Trouble,
)
from logrouter.sinks.memory import MemorySink

FILE = b"""
version: 1
sources: {in: {topics: [in], envelope: plain}}
routes: [{name: r, from: in, format: apache, to: events}]
sinks:
  hook:
    type: webhook
    from: events
    url: https://hooks.example.org/in
    authorization: ${HOOK_TOKEN}
"""
SINK = config.parse(FILE, {"HOOK_TOKEN": "tok-3f9a-very-private"}, folder=Path()).sinks["hook"]


def test_the_event_satisfies_the_schema_of_events():
    """A target that checks takes it as it would take any other."""
    event = make_event("events", "logrouter-sink-test-1", 1_777_888_800_000)
    schemas = Path(config.__file__).parent.parent / "schemas"
    schema = orjson.loads((schemas / "api_request" / "1.1.0.json").read_bytes())
    assert Validator(schema).is_valid(orjson.loads(event))


def test_an_event_that_is_taken_is_marked():
    """By its id and its domain, in the topic that the sink reads."""
    sink = MemorySink()
    report = probe(SINK, sink)
    [value] = sink.taken
    event = orjson.loads(value)
    assert event["meta"]["id"] == report.event_id
    assert report.event_id.startswith("logrouter-sink-test-")
    assert (event["meta"]["domain"], event["meta"]["stream"]) == ("canary", "events")
    assert (report.is_taken, report.result, report.size) == (True, "delivered", len(value))
    assert report.url == "https://hooks.example.org/in"
    assert sink.is_closed


@pytest.mark.parametrize(
    ("answer", "result", "meaning"),
    [
        ([Refused(422, "no")], "refused", "dead letter"),
        ([RefusedTogether(400, "no")], "refused", "dead letter"),
        ([Retry(Trouble.DENIED, 401, "no")], "retry", "credentials"),
        (NoAnswer(Trouble.CONNECT, "no"), "retry", "no connection"),
    ],
)
def test_an_event_that_is_not_taken_says_what_it_would_mean(answer, result, meaning):
    """One request, no second try."""
    sink = MemorySink([answer])
    report = probe(SINK, sink)
    assert (report.is_taken, report.result, report.detail, len(sink.requests)) == (False, result, "no", 1)
    assert meaning in report.meaning


@pytest.mark.parametrize("trouble", Trouble)
def test_every_trouble_is_explained(trouble):
    """None ends in a traceback."""
    assert probe(SINK, MemorySink([NoAnswer(trouble)])).meaning


def test_an_address_that_does_not_answer_is_named_whole():
    """It is where we went, not whom a target speaks of: those are cut, as in dead letters."""
    nobody = NoAnswer(Trouble.CONNECT, "[Errno 111] Connect call failed ('192.0.2.7', 9200)")

    assert "'192.0.2.7'" in probe(SINK, MemorySink([nobody])).detail
    for theirs in ([Refused(400, "not for 192.0.2.7")], NoAnswer(Trouble.DENIED, "401 not for 192.0.2.7")):
        assert "192.0.2.7" not in probe(SINK, MemorySink([theirs])).detail


def test_an_event_that_is_not_sent_is_not_taken():
    """The configuration may say so."""

    class Blocked(MemorySink):
        def encode(self, events):
            return super().encode(events)._replace(request=None, settled=[Skipped(SkipReason.BLOCKED)])

    report = probe(SINK, Blocked())
    assert (report.result, report.is_taken) == ("skipped", False)
    assert "blocked" in report.meaning


def test_the_path_of_a_url_from_the_environment_is_not_in_a_report():
    """Chat services put the secret there: whoever has the URL may post."""
    file = FILE.replace(b"https://hooks.example.org/in", b"${HOOK_URL}")
    env = {"HOOK_TOKEN": "tok-3f9a-very-private", "HOOK_URL": "https://hooks.example.org:8443/T0/B0/very-private"}
    sink = config.parse(file, env, folder=Path()).sinks["hook"]

    assert probe(sink, MemorySink()).url == "https://hooks.example.org:8443/…"
    assert "very-private" not in repr(sink)


def test_no_secret_is_in_a_report():
    """Targets repeat what they were sent."""
    report = probe(SINK, MemorySink([[Refused(400, "bad header Authorization: tok-3f9a-very-private")]]))
    assert "tok-3f9a" not in repr(report)
    assert report.detail.startswith("bad header Authorization")


@pytest.mark.parametrize(
    ("url", "meaning"),
    [("syslog+udp://h", "the event is on its way; UDP"), ("syslog://h", "the receiver's kernel has")],
)
def test_a_receiver_of_syslog_says_nothing_and_so_do_we(url, meaning):
    """What is known is how far the event has come."""
    text = FILE.replace(b"webhook", b"syslog").replace(b"https://hooks.example.org/in", url.encode())
    sink = config.parse(text.replace(b"    authorization: ${HOOK_TOKEN}\n", b""), {}, folder=Path()).sinks["hook"]
    report = probe(sink, MemorySink())
    assert report.is_taken
    assert report.meaning.startswith(meaning)
