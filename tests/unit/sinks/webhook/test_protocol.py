"""Webhooks: bodies, ids, signatures and answers; signatures are verified by the reference implementation."""

from __future__ import annotations

import gzip
import time
from base64 import b64encode
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from logrouter.core.signing_keys import read_key
from logrouter.model import RawRecord
from logrouter.sinks.contract import DELIVERED, Refused, RefusedTogether, Retry, Skipped, SkipReason, Trouble
from logrouter.sinks.http_messages import HttpAnswer, HttpRequest
from logrouter.sinks.webhook.protocol import WebhookBody, WebhookProtocol
from logrouter.sinks.webhook.signature import LONG_PAUSE

URL = "https://hooks.test/in"
KEY, OLD_KEY = bytes(range(24)), bytes(range(100, 164))
SECRET, OLD_SECRET = ("whsec_" + b64encode(key).decode() for key in (KEY, OLD_KEY))
TOMBSTONE = Skipped(SkipReason.TOMBSTONE)
NOT_JSON = Refused(0, "not JSON, and the body of a webhook is JSON")


def record(value: bytes | None, offset: int = 0) -> RawRecord:
    """An event as it lies in its topic."""
    return RawRecord("clean", 0, offset, 0, value)


def event(name: str, offset: int = 0) -> RawRecord:
    """An event with this id."""
    return record(b'{"meta":{"id":"%s"}}' % name.encode(), offset)


def encode(body: WebhookBody, *events: RawRecord) -> HttpRequest:
    """The request that is made of events."""
    return WebhookProtocol(URL, body).encode(events).request


@pytest.mark.parametrize(
    ("body", "content_type", "sent"),
    [
        (WebhookBody.ARRAY, "application/json", b'[{"meta":{"id":"a"}},{"meta":{"id":"b"}}]'),
        (WebhookBody.LINES, "application/x-ndjson", b'{"meta":{"id":"a"}}\n{"meta":{"id":"b"}}\n'),
    ],
)
def test_events_of_a_batch_are_an_array_or_lines(body, content_type, sent):
    """In the order of their topic; the length that is told is that of the body."""
    encoded = WebhookProtocol(URL, body).encode([event("a"), event("b", 1)])

    assert encoded.request.body == sent
    assert encoded.request.headers["Content-Type"] == content_type
    assert (encoded.size, encoded.settled) == (len(sent), [None, None])


def test_an_event_is_sent_as_it_lies_in_its_topic():
    """Not one byte differs, whatever JSON that is."""
    value = b' {"meta": {"id": "a"},\n "n": 1.0} '

    request = encode(WebhookBody.EVENT, record(value))

    assert request == HttpRequest(URL, value, {"Content-Type": "application/json", "webhook-id": "a"})


def test_what_can_be_in_no_body_is_settled_without_a_request():
    """Records without a value are skipped; what is no JSON would spoil an array for the events beside it."""
    broken = [b"", b"{", b"1],[2", b'"\xff"', b"NaN"]
    events = [record(None), *map(record, broken), event("a")]

    encoded = WebhookProtocol(URL, WebhookBody.ARRAY).encode(events)

    assert encoded.settled == [TOMBSTONE, *[NOT_JSON] * len(broken), None]
    assert encoded.request.body == b'[{"meta":{"id":"a"}}]'
    assert WebhookProtocol(URL).encode(events[:-1]).request is None


@given(st.lists(st.one_of(st.none(), st.binary(max_size=20), st.just(b'{"a":\n1}'), st.just(b"[1,\r\n2]"))))
def test_bodies_hold_as_many_documents_as_they_have_events(values):
    """Whatever lies in the topic, a receiver finds the events that are said to be in the request, and no others."""
    events = [record(value, offset) for offset, value in enumerate(values)]
    for body in (WebhookBody.ARRAY, WebhookBody.LINES):
        encoded = WebhookProtocol(URL, body).encode(events)
        sent = [orjson.loads(value) for value, each in zip(values, encoded.settled, strict=True) if each is None]
        if encoded.request is None:
            found = []
        elif body is WebhookBody.ARRAY:
            found = orjson.loads(encoded.request.body)
        else:
            found = [orjson.loads(line) for line in encoded.request.body.splitlines()]
        assert found == sent


def test_of_a_body_for_one_event_more_are_too_many():
    """Several come only if a batch was made otherwise: then it counts as too large, and is halved."""
    protocol = WebhookProtocol(URL, WebhookBody.EVENT)

    assert protocol.encode([event("a"), record(None), event("b")]).size > protocol.max_request_bytes
    assert protocol.encode([event("a"), record(None)]).size == len(event("a").value)


def test_an_event_is_known_by_its_id():
    """It is the event's own, so it is the same in whatever process and batch it is sent again."""
    assert encode(WebhookBody.EVENT, event("0190-a_B")).headers["webhook-id"] == "0190-a_B"


@pytest.mark.parametrize("name", ["a.1", "", "a b", "x" * 129, "\u00e4", "a\\nb"])
def test_an_id_that_could_forge_a_signature_or_a_header_is_not_used(name):
    """The id is signed with full stops behind it, so it must hold none; the record's place gives another one."""
    made = [encode(WebhookBody.EVENT, event(name, offset)).headers["webhook-id"] for offset in (0, 0, 1)]

    assert made[0] == made[1] != made[2]
    assert all(len(each) == 32 and each.isalnum() for each in made)


@pytest.mark.parametrize("value", [b"1", b"[]", b'{"meta":1}', b'{"meta":{"id":1}}', b'{"id":"a"}'])
def test_an_event_without_an_id_is_known_by_its_place(value):
    """Equal events at two offsets are two, and so are those of a topic and of the one that took its place."""
    places = [record(value), record(value), record(value, 1), RawRecord("clean", 0, 0, 5, value)]
    ids = [encode(WebhookBody.EVENT, each).headers["webhook-id"] for each in places]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_a_batch_is_known_by_its_events():
    """The same when it is sent again as it was; another when it is cut otherwise."""
    batches = [[event("a"), event("b", 1)], [event("a"), event("b", 1)], [event("a")], [event("a"), event("c", 1)]]
    ids = [encode(WebhookBody.ARRAY, *batch).headers["webhook-id"] for batch in batches]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


@pytest.mark.parametrize("body", WebhookBody)
@pytest.mark.parametrize("compress", [False, True])
def test_the_reference_implementation_verifies_each_key(body, compress):
    """Both keys while one is replaced, of what the receiver has when it has undone the compression."""
    protocol = WebhookProtocol(URL, body, (KEY, OLD_KEY), compress=compress)

    request = protocol.authorise(protocol.encode([event("a")]).request, time.time())

    sent = gzip.decompress(request.body) if compress else request.body
    assert ("Content-Encoding" in request.headers) == compress
    for secret in (SECRET, OLD_SECRET):
        Webhook(secret).verify(sent, dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + b64encode(b"another key of 24 bytes!").decode()).verify(sent, dict(request.headers))


@given(st.binary(min_size=24, max_size=64), st.text(), st.integers(0, 2**33))
def test_signatures_are_those_of_the_reference_implementation(key, text, now):
    """For any key, content and time."""
    value = orjson.dumps(text)
    protocol = WebhookProtocol(URL, WebhookBody.EVENT, (key,))
    request = protocol.authorise(protocol.encode([record(value)]).request, now + 0.9)

    expected = Webhook(key).sign(request.headers["webhook-id"], datetime.fromtimestamp(now, UTC), value.decode())
    assert request.headers["webhook-signature"] == expected


def test_a_request_that_is_sent_again_has_a_new_time_and_the_same_id():
    """Receivers refuse old times, and know an event again by its id."""
    protocol = WebhookProtocol(URL, WebhookBody.EVENT, (KEY,))
    first, again = (protocol.authorise(protocol.encode([event("a")]).request, now) for now in (1000.9, 2000))

    assert (first.headers["webhook-timestamp"], again.headers["webhook-timestamp"]) == ("1000", "2000")
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.headers["webhook-signature"] != again.headers["webhook-signature"]


def test_without_keys_nothing_is_signed():
    """Headers of one's own go with every request; those of the specification are ours."""
    protocol = WebhookProtocol(URL, headers={"Authorization": "Bearer t", "X-Team": "core"})

    request = protocol.authorise(protocol.encode([event("a")]).request, 7)

    assert request.headers == {
        "Authorization": "Bearer t",
        "X-Team": "core",
        "Content-Type": "application/json",
        "webhook-id": "a",
        "webhook-timestamp": "7",
    }


@pytest.mark.parametrize("status", [200, 201, 202, 204, 205, 226, 299])
def test_any_2xx_is_taken(status):
    """Whatever its body says: the specification reads the status alone."""
    answer = HttpAnswer(status, {}, b'{"error": "not at all"}')

    assert WebhookProtocol(URL).classify(answer, [event("a"), event("b")]) == [DELIVERED] * 2


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, RefusedTogether(400, "no")),
        (404, Retry(Trouble.DENIED, 404, "no")),
        (429, Retry(Trouble.OVERLOADED, 429, "no", 30)),
        (502, Retry(Trouble.UNAVAILABLE, 502, "no", 30)),
        (504, Retry(Trouble.UNAVAILABLE, 504, "no", 30)),
    ],
)
def test_other_answers_are_judged_by_their_status(status, expected):
    """As the specification suggests, with `Retry-After`."""
    headers = {"retry-after": "30"} if status in {429, 502, 504} else {}

    assert WebhookProtocol(URL).classify(HttpAnswer(status, headers, b"no"), [event("a")]) == [expected]


def test_a_receiver_that_is_gone_is_asked_seldom_and_loses_nothing():
    """410 means "send nothing more": that is for somebody to decide, so events wait in Kafka."""
    [result] = WebhookProtocol(URL).classify(HttpAnswer(410, {}, b"bye"), [event("a")])

    assert result == Retry(
        Trouble.DENIED, 410, "the receiver wants no more events: take this sink out, or name another url", LONG_PAUSE
    )


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "A" * 92])
def test_a_key_is_read_strictly(text):
    """Its prefix, base64 and 24 to 64 bytes."""
    with pytest.raises(ValueError, match=r"must|base64|padding|decoded|characters"):
        read_key(text)
    assert read_key(SECRET) == KEY
