"""The demo's receiver takes what is signed with its key, holds each event once, and tells how many it holds."""

from __future__ import annotations

import http.client
import json

import pytest

from logrouter.core.signing_keys import read_key
from logrouter.demo import receiver
from logrouter.demo.receiver import EVENTS_PATH, ReceivedEvents, Receiver
from logrouter.model import RawRecord
from logrouter.sinks.http_messages import HttpRequest
from logrouter.sinks.webhook.protocol import WebhookBody, WebhookProtocol

KEY = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
OTHER_KEY = "whsec_" + "WllYV1ZVVFNSUVBPTk1MS0pJSEdGRURDQkE="
NOW = 1_800_000_000


def request(*ids: str, keys: tuple[str, ...] = (KEY,), now: float = NOW, url: str = "http://x") -> HttpRequest:
    """What a webhook sink sends for events with these ids."""
    protocol = WebhookProtocol(url, WebhookBody.LINES, tuple(read_key(key) for key in keys))
    events = [RawRecord("e", 0, n, 0, json.dumps({"meta": {"id": each}}).encode()) for n, each in enumerate(ids)]
    return protocol.authorise(protocol.encode(events).request, now)


def lower(request: HttpRequest) -> dict[str, str]:
    """The headers as a server reads them."""
    return {name.lower(): value for name, value in request.headers.items()}


def test_each_event_is_held_once():
    """A request that comes again, as after a kill, adds nothing."""
    events = ReceivedEvents(KEY, clock=lambda: NOW)

    statuses = [events.take(lower(sent), sent.body) for sent in (request("a", "b"), request("b", "c"))]

    assert statuses == [204, 204]
    assert events.summary() == {"held": 3, "sent_again": 1, "requests_denied": 0, "newest": {"meta": {"id": "c"}}}


@pytest.mark.parametrize(
    ("keys", "now", "status"),
    [
        ((KEY,), NOW, 204),
        ((OTHER_KEY, KEY), NOW, 204),
        ((KEY,), NOW - 300, 204),
        ((OTHER_KEY,), NOW, 401),
        ((), NOW, 401),
        ((KEY,), NOW - 301, 401),
        ((KEY,), NOW + 301, 401),
    ],
    ids=["right", "one of two", "five minutes old", "another key", "not signed", "too old", "too early"],
)
def test_who_has_the_key_may_send(keys, now, status):
    """And nobody else, nor anybody who has recorded a request."""
    events = ReceivedEvents(KEY, clock=lambda: NOW)
    sent = request("a", keys=keys, now=now)

    assert events.take(lower(sent), sent.body) == status
    assert (events.held, events.denied) == ((1, 0) if status == 204 else (0, 1))


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_what_was_changed_on_its_way_is_refused(changed):
    """The signature is about all of it."""
    events = ReceivedEvents(KEY, clock=lambda: NOW)
    sent = request("a")
    headers = lower(sent)
    if changed != "body":
        headers[changed] = str(NOW + 1)

    assert events.take(headers, sent.body.replace(b"a", b"b") if changed == "body" else sent.body) == 401


def test_a_body_that_is_no_event_is_refused():
    """Signed or not."""
    events = ReceivedEvents(KEY, clock=lambda: NOW)
    protocol = WebhookProtocol("http://x", WebhookBody.LINES, (read_key(KEY),))

    for body in (b"{", b"[]", b'{"meta": 1}', b'{"meta": {}}', b'{"meta": {"id": []}}'):
        sent = protocol.authorise(HttpRequest("http://x", body, {"webhook-id": "1"}), NOW)
        assert events.take(lower(sent), sent.body) == 400
    assert events.held == 0


def test_ids_are_forgotten_after_a_while(monkeypatch):
    """Memory stays bounded, however long the demo runs; what it holds is counted on."""
    monkeypatch.setattr(receiver, "_REMEMBERED_IDS", 2)
    events = ReceivedEvents(KEY, clock=lambda: NOW)

    for each in ("a", "b", "c", "c", "a"):
        sent = request(each)
        events.take(lower(sent), sent.body)

    assert (events.held, events.again) == (4, 1)


def test_over_http():
    """A connection is used for several requests; what can't be read has an answer that says so, and ends it."""
    with Receiver(ReceivedEvents(KEY, clock=lambda: NOW)) as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
        sent = request("a", "b")
        asked = [
            ("POST", EVENTS_PATH, sent.body, dict(sent.headers)),
            ("POST", "/elsewhere", sent.body, dict(sent.headers)),
            ("GET", "/", None, {}),
            ("GET", "/other", None, {}),
            ("POST", EVENTS_PATH, b"", {"Content-Length": str(33 << 20)}),
            ("POST", EVENTS_PATH, b"", {"Content-Length": "x"}),
        ]
        answers = []
        for method, path, body, headers in asked:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answers.append((answer.status, answer.read()))
        connection.close()

    assert [status for status, _ in answers] == [204, 404, 200, 404, 413, 411]
    assert json.loads(answers[2][1])["held"] == 2
