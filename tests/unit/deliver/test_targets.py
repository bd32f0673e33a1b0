"""From a sink of topics.yaml to what goes out, and how many events with it."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from logrouter import config
from logrouter.deliver import process
from logrouter.deliver.targets import open_sink
from logrouter.model import RawRecord
from logrouter.sinks.contract import NoAnswer, Retry, Trouble
from logrouter.sinks.memory import MemorySink

if TYPE_CHECKING:
    from logrouter.config import Settings

REST = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: r, from: logs, format: envoy, to: clean}]
sinks:
  out: {from: clean, url: "https://target.test/in", MORE}
"""
ENVIRONMENT = {"KEY": "whsec_" + b64encode(bytes(24)).decode(), "TOKEN": "Bearer abc of sixteen"}


def settings_of(more: str) -> Settings:
    """A file whose one sink has these options."""
    return config.parse(REST.replace("MORE", more).encode(), ENVIRONMENT)


def test_options_of_a_webhook_reach_its_requests():
    """Body, headers, signature and compression."""
    settings = settings_of(
        "type: webhook, body: array, compression: gzip, signing_keys: '${KEY}', authorization: '${TOKEN}', "
        "headers: {X-Team: core}"
    )
    sink = open_sink(settings.sinks["out"])
    request = sink._protocol.authorise(sink.encode([RawRecord("clean", 0, 0, 0, b"{}")]).request, 1000)
    asyncio.run(sink.close())

    assert (request.method, request.url) == ("POST", "https://target.test/in")
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.headers["Authorization"] == "Bearer abc of sixteen"
    assert request.headers["X-Team"] == "core"
    assert request.headers["webhook-signature"].startswith("v1,")


def test_options_of_splunk_reach_its_requests():
    """Metadata, token and compression; a channel of its own for each sink that wants acknowledgements."""
    event = RawRecord("clean", 0, 0, -1, b"{}")
    more = "type: splunk, token: '${TOKEN}', index: api, source: gw, sourcetype: _json"
    plain = open_sink(settings_of(more + ", compression: none").sinks["out"])
    request = plain._protocol.authorise(plain.encode([event]).request, 1000)
    channels = set()
    for _ in range(2):
        sink = open_sink(settings_of(more + ", acknowledge: true, acknowledge_seconds: 5").sinks["out"])
        channels.add(sink._protocol.channel)
        assert sink._patience == 5
        assert sink._protocol.authorise(request, 1000).headers["Content-Encoding"] == "gzip"

    assert request.url == "https://target.test/in/services/collector/event"
    assert request.headers == {"Content-Type": "application/json", "Authorization": "Splunk Bearer abc of sixteen"}
    assert request.body == b'{"index":"api","source":"gw","sourcetype":"_json","event":{}}'
    assert len(channels) == 2


@pytest.mark.parametrize(
    ("more", "records"),
    [
        ("type: webhook", 1),
        ("type: webhook, batch: {max_records: 50}", 1),
        ("type: webhook, body: array, batch: {max_records: 50}", 50),
        ("type: webhook, body: lines", 1000),
        ("type: webhook, body: lines, events_per_second: 20.5", 20),
        ("type: webhook, body: lines, events_per_second: 0.1", 1),
        ("type: webhook, body: lines, events_per_second: 5000", 1000),
    ],
)
def test_a_batch_has_what_a_request_takes_and_a_second_may_have(more, records):
    """One event where the body is one, whatever `batch` says; and no more than the rate allows in a second."""
    lane = process.make_lane(settings_of(more), "out", "host", stopping=lambda: True)

    assert lane.versions.version.settings.batch.max_records == records


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            [Retry(Trouble.UNAVAILABLE, 500, '{"client_ip":"203.0.113.77","path":"/x?token=abc"}')],
            'unavailable 500: {"client_ip":"203.0.113.0","path":"/x"}',
        ),
        (NoAnswer(Trouble.NONSENSE, "401 not for 203.0.113.77"), "nonsense: 401 not for 203.0.113.0"),
        (NoAnswer(Trouble.CONNECT, "203.0.113.77 refused"), "connect: 203.0.113.77 refused"),
    ],
)
def test_events_that_a_failing_target_repeats_are_masked_where_it_is_told(answer, why, monkeypatch, caplog):
    """In the log and on /readyz, as in dead letters; the address that was tried is the operator's."""
    caplog.set_level("INFO", "logrouter")
    told = []

    async def run() -> None:
        permits = asyncio.Semaphore(1)
        memory = MemorySink([answer], permits=permits)
        monkeypatch.setattr(process, "open_sink", lambda _sink: memory)
        more = "type: webhook, retry: {first_pause_ms: 1, longest_pause_ms: 1}"
        delivery = process.open_delivery(settings_of(more).sinks["out"])
        task = asyncio.ensure_future(delivery.deliver([RawRecord("clean", 0, 0, 0, b"{}")]))
        await memory.wait_for_requests(2)
        told.append(delivery.why_waiting)
        permits.release()
        await task

    asyncio.run(asyncio.wait_for(run(), 30))
    assert told[0].removeprefix("sink out: ").removesuffix(", for 0 s") == why
    assert ("203.0.113.77" in repr([vars(each) for each in caplog.records])) is why.startswith("connect")
