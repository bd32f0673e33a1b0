"""Splunk's HTTP Event Collector: envelopes, every code that its documentation names, and acknowledgement."""

from __future__ import annotations

import gzip

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.model import RawRecord
from logrouter.sinks.contract import (
    DELIVERED,
    Refused,
    RefusedBeside,
    RefusedTogether,
    Retry,
    Skipped,
    SkipReason,
    Trouble,
)
from logrouter.sinks.http_messages import HttpAnswer
from logrouter.sinks.splunk.protocol import SplunkMetadata, SplunkProtocol

URL = "https://splunk.test:8088"
CHANNEL = "11111111-2222-4333-8444-555555555555"
TAKEN = b'{"text":"Success","code":0}'
THREE = [RawRecord("clean", 0, offset, 0, b"{}") for offset in range(3)]


def documents(body: bytes) -> list[dict[str, object]]:
    """The envelopes of a body: JSON documents one behind another, here in a line each."""
    return [orjson.loads(line) for line in body.split(b"\n")]


def code(number: int, status: int = 400, **more: object) -> HttpAnswer:
    """An answer of a collector."""
    return HttpAnswer(status, {}, orjson.dumps({"text": "words", "code": number} | more))


def record(value: bytes | None, timestamp_ms: int = 1_700_000_000_123) -> RawRecord:
    """An event as it lies in its topic."""
    return RawRecord("clean", 0, 0, timestamp_ms, value)


def test_an_envelope_has_time_host_and_what_the_configuration_says():
    """The time is the request's, in seconds; the host the gateway's machine; the event as it lies in its topic."""
    event = b'{"meta":{"dt":"2026-05-04T10:00:00.250Z"},"source":{"host":"gw1"},"n":1.0}'
    protocol = SplunkProtocol(URL, "t", SplunkMetadata("api", "logrouter", "logrouter:request"))

    encoded = protocol.encode([record(event), record(b'{"b":2}')])

    assert encoded.request.url == "https://splunk.test:8088/services/collector/event"
    assert encoded.request.headers == {"Content-Type": "application/json"}
    assert encoded.request.body == (
        b'{"time":1777888800.25,"host":"gw1","index":"api","source":"logrouter","sourcetype":"logrouter:request",'
        b'"event":' + event + b"}\n"
        b'{"time":1700000000.123,"index":"api","source":"logrouter","sourcetype":"logrouter:request","event":{"b":2}}'
    )
    assert (encoded.size, encoded.settled) == (len(encoded.request.body), [None, None])


@pytest.mark.parametrize(
    ("event", "timestamp_ms", "time"),
    [
        (b'{"meta":{"dt":"2026-05-04T12:00:00+02:00"}}', 5, 1777888800),
        (b'{"meta":{"dt":"2026-05-04T10:00:00"}}', 5, 1777888800),
        (b'{"meta":{"dt":"yesterday"}}', 5000, 5),
        (b'{"meta":{"dt":1777888800}}', 5000, 5),
        (b'{"meta":[]}', 5000, 5),
        (b'"text"', 5000, 5),
        (b"{}", -1, None),
    ],
)
def test_the_time_of_an_event(event, timestamp_ms, time):
    """That of the event, else of its record, else Splunk takes the present one."""
    [envelope] = documents(SplunkProtocol(URL, "t").encode([record(event, timestamp_ms)]).request.body)

    assert envelope.get("time") == time
    assert set(envelope) <= {"time", "event"}


@pytest.mark.parametrize("path", ["", "/", "/services/collector", "/services/collector/event"])
def test_the_address_may_be_written_with_its_path(path):
    """As people copy it; what stands in front of the path is kept."""
    for base in (URL, "https://proxy.test/splunk"):
        request = SplunkProtocol(base + path, "t").encode([record(b"{}")]).request
        assert request.url == base + "/services/collector/event"


@given(st.lists(st.one_of(st.none(), st.binary(max_size=20), st.just(b'{"a":\n1}')), max_size=8))
def test_a_body_holds_an_envelope_for_each_event_that_is_json(values):
    """Whatever lies in the topic: the others are settled without a request."""
    encoded = SplunkProtocol(URL, "t").encode([record(value) for value in values])

    sent = [orjson.loads(v) for v, each in zip(values, encoded.settled, strict=True) if each is None]
    body = encoded.request.body if encoded.request is not None else b""
    found = []
    while body:  # concatenated, and an event may hold ends of lines
        end = next(n for n in range(1, len(body) + 1) if is_json(body[:n]))
        found.append(orjson.loads(body[:end])["event"])
        body = body[end:].lstrip()
    assert found == sent
    assert all(
        each == Skipped(SkipReason.TOMBSTONE) for v, each in zip(values, encoded.settled, strict=True) if v is None
    )


def is_json(data: bytes) -> bool:
    """Whether the bytes are one document."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def test_the_token_and_the_channel_are_in_headers():
    """And the body is compressed behind them."""
    protocol = SplunkProtocol(URL, "abc", channel=CHANNEL, compress=True)
    plain = protocol.encode([record(b"{}")]).request

    request = protocol.authorise(plain, 0)

    assert request.headers == {
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
        "Authorization": "Splunk abc",
        "X-Splunk-Request-Channel": CHANNEL,
    }
    assert gzip.decompress(request.body) == plain.body
    assert "X-Splunk-Request-Channel" not in SplunkProtocol(URL, "abc").authorise(plain, 0).headers


TOGETHER = RefusedTogether


@pytest.mark.parametrize(
    ("number", "status", "kind"),
    [
        (0, 200, DELIVERED),
        (1, 403, Trouble.DENIED),
        (2, 401, Trouble.DENIED),
        (3, 401, Trouble.DENIED),
        (4, 403, Trouble.DENIED),
        (5, 400, TOGETHER),
        (6, 400, TOGETHER),
        (7, 400, Trouble.DENIED),
        (8, 500, Trouble.UNAVAILABLE),
        (9, 503, Trouble.OVERLOADED),
        (10, 400, Trouble.DENIED),
        (11, 400, Trouble.DENIED),
        (12, 400, TOGETHER),
        (13, 400, TOGETHER),
        (14, 400, Trouble.DENIED),
        (15, 400, TOGETHER),
        (16, 400, Trouble.DENIED),
        (17, 200, Trouble.NONSENSE),
        (18, 503, Trouble.OVERLOADED),
        (19, 503, Trouble.OVERLOADED),
        (20, 503, Trouble.OVERLOADED),
        (21, 400, Trouble.DENIED),
        (22, 400, Trouble.DENIED),
        (23, 503, Trouble.OVERLOADED),
        (24, 200, DELIVERED),
        (25, 200, DELIVERED),
        (26, 429, Trouble.OVERLOADED),
        (27, 429, Trouble.OVERLOADED),
        (6, 200, TOGETHER),
        (9, 200, Trouble.OVERLOADED),
        (0, 400, TOGETHER),
        (0, 503, Trouble.OVERLOADED),
        (99, 400, TOGETHER),
        (99, 200, Trouble.NONSENSE),
        (99, 500, Trouble.UNAVAILABLE),
    ],
)
def test_every_code_has_its_meaning(number, status, kind):
    """The code goes before the status, for what went wrong; success needs both."""
    results = SplunkProtocol(URL, "t").classify(code(number, status), THREE)

    assert len(set(results)) == 1
    if kind is DELIVERED:
        assert results[0] == DELIVERED
    elif kind is TOGETHER:
        assert isinstance(results[0], RefusedTogether)
    else:
        assert (results[0].trouble, results[0].status) == (kind, status)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (HttpAnswer(400, {}, b"<html>No required SSL certificate was sent</html>"), Trouble.DENIED),
        (HttpAnswer(400, {}, b'{"message":"no route"}'), Trouble.DENIED),
        (HttpAnswer(422, {}, b""), Trouble.DENIED),
        (HttpAnswer(413, {}, b"<html>Request Entity Too Large</html>"), TOGETHER),
    ],
)
def test_a_proxy_in_front_refuses_no_events(answer, kind):
    """What has no code is not of a collector: events wait until somebody has mended it. Only size is halved."""
    [result, *_] = SplunkProtocol(URL, "t").classify(answer, THREE)

    if kind is TOGETHER:
        assert isinstance(result, RefusedTogether)
    else:
        assert (result.trouble, result.status) == (kind, answer.status)
        assert answer.body.decode()[:20] in result.detail


@pytest.mark.parametrize("number", [5, 6, 12, 13, 15])
def test_the_event_that_is_named_is_refused_and_the_others_are_sent_again(number):
    """Numbers begin at 0."""
    results = SplunkProtocol(URL, "t").classify(code(number, **{"invalid-event-number": 1}), THREE)

    beside = RefusedBeside(400, f"code {number}: words")
    assert results == [beside, Refused(400, f"code {number}: words"), beside]


@pytest.mark.parametrize("wrong", [-1, 3, 2**62, "1", True, None, 1.5])
def test_an_event_that_is_not_there_is_not_believed(wrong):
    """Then nobody knows which one it is."""
    results = SplunkProtocol(URL, "t").classify(code(6, **{"invalid-event-number": wrong}), THREE)

    assert results == [RefusedTogether(400, "code 6: words")] * 3


@given(st.integers(0, 999), st.one_of(st.binary(max_size=200), st.just(TAKEN), st.just(b'{"code":true}')))
def test_nothing_counts_as_delivered_without_success(status, body):
    """A proxy's page with 200, half an answer, another service: tried again, never taken for success."""
    results = SplunkProtocol(URL, "t").classify(HttpAnswer(status, {}, body), THREE)

    assert len(results) == 3
    assert (DELIVERED in results) == (body == TAKEN and 200 <= status < 300)


def test_a_busy_collector_may_say_for_how_long():
    """As any HTTP server may; what it says is told in one line."""
    answer = HttpAnswer(503, {"retry-after": "7"}, b'{"text":"Server\\nis busy","code":9}')

    assert SplunkProtocol(URL, "t").classify(answer, THREE[:1]) == [
        Retry(Trouble.OVERLOADED, 503, "code 9: Server is busy", 7)
    ]


def test_with_a_channel_success_needs_a_receipt():
    """Without one nobody can ask whether the events were indexed."""
    protocol = SplunkProtocol(URL, "t", channel=CHANNEL)

    assert protocol.classify(code(0, 200, ackId=0), THREE[:1]) == [DELIVERED]
    assert protocol.classify(code(0, 200), THREE[:1]) == [Retry(Trouble.NONSENSE, 200, "taken, but without an ackId")]


@pytest.mark.parametrize(
    ("answer", "receipt"),
    [
        (code(0, 200, ackId=0), 0),
        (code(24, 200, ackId=7), 7),
        (code(9, 503, ackId=7), None),
        (code(0, 200, ackId="7"), None),
        (code(0, 200, ackId=True), None),
        (HttpAnswer(200, {}, b"[]"), None),
    ],
)
def test_receipts_are_read(answer, receipt):
    """`ackId` of an answer that says success."""
    assert SplunkProtocol(URL, "t", channel=CHANNEL).read_receipt(answer) == receipt


def test_receipts_are_asked_for_in_their_channel():
    """At another path, with the same headers."""
    protocol = SplunkProtocol(URL, "t", channel=CHANNEL)

    request = protocol.authorise(protocol.ask(5), 0)

    assert (request.url, request.body) == ("https://splunk.test:8088/services/collector/ack", b'{"acks":[5]}')
    assert request.headers["X-Splunk-Request-Channel"] == CHANNEL


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"acks":{"5":true}}', True),
        (200, b'{"acks":{"5":false}}', False),
        (200, b'{"acks":{"6":true}}', False),
        (200, b'{"acks":{"5":"true"}}', False),
        (200, b'{"acks":[5]}', False),
        (500, b'{"acks":{"5":true}}', False),
        (200, b"\xff", False),
    ],
)
def test_only_true_is_an_acknowledgement(status, body, expected):
    """Anything else is asked for again."""
    assert SplunkProtocol(URL, "t").is_acknowledged(HttpAnswer(status, {}, body), 5) is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (HttpAnswer(200, {}, b'{"acks":{"0":false}}'), None),
        (code(11), None),
        (code(6), None),
        (code(14), Retry(Trouble.DENIED, 400, "acknowledgement: code 14: words")),
        (code(4, 403), Retry(Trouble.DENIED, 403, "acknowledgement: code 4: words")),
        (HttpAnswer(404, {}, b"no"), Retry(Trouble.DENIED, 404, "acknowledgement: no")),
        (code(9, 503), Retry(Trouble.OVERLOADED, 503, 'acknowledgement: {"text":"words","code":9}')),
        (HttpAnswer(413, {}, b"no"), Retry(Trouble.NONSENSE, 413, "acknowledgement: no")),
        (HttpAnswer(400, {}, b"no"), Retry(Trouble.NONSENSE, 400, "acknowledgement: no")),
        (HttpAnswer(200, {}, b"Welcome"), Retry(Trouble.NONSENSE, 200, "acknowledgement: Welcome")),
        (HttpAnswer(200, {}, b'{"code":0}'), Retry(Trouble.NONSENSE, 200, 'acknowledgement: {"code":0}')),
        (
            HttpAnswer(400, {}, b"<html><head><title>400 The SSL certificate error</title></head>"),
            Retry(
                Trouble.DENIED,
                400,
                "acknowledgement: The SSL certificate error: check url, tls and headers of this sink",
            ),
        ),
    ],
)
def test_a_token_without_acknowledgement_is_found_out_before_anything_is_sent(answer, expected):
    """What refuses a question about receipts; that the channel is not known yet is no refusal."""
    assert SplunkProtocol(URL, "t").refuse_acknowledgement(answer) == expected
