"""Lines over HTTP: bodies and headers of both forms, signatures, and what answers mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from standardwebhooks import Webhook

from logrouter.core.drains.line import Line
from logrouter.core.framing.octet_counting import CountedDecoder
from logrouter.core.signing_keys import read_key
from logrouter.sinks.contract import DELIVERED, RefusedTogether, Retry, Trouble
from logrouter.sinks.http_messages import HttpAnswer
from logrouter.sinks.lines.messages import render_line
from logrouter.sinks.lines.over_http import JsonBodies, LineRequests, LogplexBodies
from logrouter.sinks.webhook.signature import LONG_PAUSE
from tests.unit.sinks.lines.test_messages import LINES

LINE = Line("e-1", 1_764_000_000_123_456, "shop-prod", "web.5d4f8", 3, b"hello")
OTHER = Line("e-2", None, "h", "router", 6, b"x")
URL = "https://h/logs?key=%2f"


def test_a_request_in_the_logplex_contract():
    """A line feed ends each message, and counts."""
    request = LineRequests(URL, LogplexBodies("d.1"), authorization="Basic bWU6YQ==").encode([LINE, OTHER]).request

    assert request.url == URL
    assert request.method == "POST"
    assert request.body == (
        b'91 <11>1 2025-11-24T16:00:00.123456Z shop-prod web.5d4f8 - - [logrouter@32473 id="e-1"] hello\n'
        b'50 <14>1 - h router - - [logrouter@32473 id="e-2"] x\n'
    )
    assert request.headers["Content-Type"] == "application/logplex-1"
    assert request.headers["Logplex-Msg-Count"] == "2"
    assert request.headers["Logplex-Drain-Token"] == "d.1"
    assert request.headers["Authorization"] == "Basic bWU6YQ=="


def test_the_frame_id_is_that_of_the_lines():
    """The same for the same lines, and another one for others, also where only ids differ."""

    def frame_id(*lines: Line) -> str:
        return LineRequests(URL, LogplexBodies("d.1")).encode(lines).request.headers["Logplex-Frame-Id"]

    twin = Line("e-3", None, "h", "router", 6, b"x")
    assert frame_id(LINE, OTHER) == frame_id(LINE, OTHER)
    assert len({frame_id(LINE, OTHER), frame_id(OTHER, LINE), frame_id(LINE), frame_id(OTHER), frame_id(twin)}) == 5
    assert len(frame_id(LINE)) == 32


def test_a_request_of_lines_of_json():
    """One object in each; what some take for the end of a line is escaped."""
    odd = Line("é", None, "h", "a", 6, 'a\r\n"\x00\x7f\x85\u2028𝄞'.encode() + b"\xff")
    request = LineRequests(URL, JsonBodies()).encode([LINE, odd]).request

    assert request.headers["Content-Type"] == "application/x-ndjson"
    assert request.body.decode() == (
        '{"id":"e-1","time":"2025-11-24T16:00:00.123456Z","host":"shop-prod","app":"web.5d4f8","severity":3,'
        '"message":"hello"}\n'
        '{"id":"é","time":null,"host":"h","app":"a","severity":6,'
        '"message":"a\\r\\n\\"\\u0000\\u007f\\u0085\\u2028𝄞\ufffd"}\n'
    )


@given(LINES)
def test_messages_are_cut_between_two_characters(line):
    """In both forms, and a receiver reads what is left."""
    [counted] = CountedDecoder(1_000).feed(LogplexBodies("d", 600).join([line]))
    assert counted == render_line(line, 599) + b"\n"
    [text] = JsonBodies(3).join([line]).decode().splitlines()
    assert len(json.loads(text)["message"].encode()) <= 3 * len("\ufffd".encode())


KEYS = ("whsec_" + "a" * 32, "whsec_" + "b" * 32)


@pytest.mark.parametrize("bodies", [LogplexBodies("d.1"), JsonBodies()])
def test_every_key_signs(bodies):
    """A receiver that knows one of the two takes the request."""
    requests = LineRequests(URL, bodies, keys=[*map(read_key, KEYS)])
    now = 1_764_000_000.9
    signed = requests.authorise(requests.encode([LINE]).request, now)

    assert signed.headers["webhook-timestamp"] == "1764000000"
    for key in KEYS:
        webhook = Webhook(key)
        own = webhook.sign(signed.headers["webhook-id"], datetime.fromtimestamp(int(now), UTC), signed.body.decode())
        assert own in signed.headers["webhook-signature"].split(" ")


def test_without_a_key_nothing_is_signed():
    """And no time is added, so that a request that goes again is the same."""
    requests = LineRequests(URL, JsonBodies())
    request = requests.encode([LINE]).request
    assert requests.authorise(request, 1.0) == request


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, DELIVERED),
        (204, DELIVERED),
        (400, RefusedTogether(400)),
        (413, RefusedTogether(413)),
        (422, RefusedTogether(422)),
        (302, Retry(Trouble.DENIED, 302)),
        (401, Retry(Trouble.DENIED, 401)),
        (404, Retry(Trouble.DENIED, 404)),
        (410, Retry(Trouble.DENIED, 410, "", LONG_PAUSE)),
        (429, Retry(Trouble.OVERLOADED, 429, "", 7.0)),
        (500, Retry(Trouble.UNAVAILABLE, 500)),
    ],
)
def test_what_an_answer_means(status, result):
    """For every line of the request; the receiver's words are not repeated."""
    answer = HttpAnswer(status, {"retry-after": "7"} if status == 429 else {}, b"your line: secret")
    assert LineRequests(URL, JsonBodies()).classify(answer, [LINE, OTHER]) == [result] * 2


def test_a_batch_of_nothing_is_no_request():
    """Nothing is sent."""
    assert LineRequests(URL, JsonBodies()).encode([]).request is None


def test_nothing_secret_is_printed():
    """A request may stand in an error."""
    made = LineRequests("https://h/secret", LogplexBodies("secret"), "Basic secret", [b"secret"])
    assert "secret" not in repr(made)
