"""Requests to eventgate, and what every form of its answers means for each event."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.model import RawRecord
from logrouter.sinks.contract import DELIVERED, Refused, RefusedTogether, Retry, Skipped, SkipReason, Trouble
from logrouter.sinks.delivery import Delivery
from logrouter.sinks.eventgate.protocol import EventgateProtocol
from logrouter.sinks.http_messages import HttpAnswer
from logrouter.sinks.http_sink import HttpSink
from logrouter.sinks.pacing import PaceLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.sinks.contract import Result
    from logrouter.sinks.http_messages import HttpRequest

PROTOCOL = EventgateProtocol("https://intake.example/base/", "api-gateway.request")
SCHEMA = "/api-gateway/request/1.0.0"


def event(identity: object, **fields: Any) -> dict[str, Any]:
    """An event of the schema."""
    meta = {"id": identity, "dt": "2026-05-04T10:00:00Z", "stream": "s", "request_id": "r"}
    return {"$schema": SCHEMA, "meta": meta, **fields}


def records(*values: dict[str, Any] | None) -> list[RawRecord]:
    """Records with these values, at offsets from 0 on."""
    return [
        RawRecord("events", 0, offset, 0, None if value is None else orjson.dumps(value))
        for offset, value in enumerate(values)
    ]


def item(kind: str, told: object, **context: Any) -> dict[str, Any]:
    """An item of an answer."""
    return {"status": kind, "event": told, "context": context}


def judged(status: int, body: object, events: Sequence[RawRecord]) -> list[Result]:
    """What an answer says."""
    text = body if isinstance(body, bytes) else orjson.dumps(body)
    return list(PROTOCOL.classify(HttpAnswer(status, {}, text), events))


def test_a_request_is_an_array_of_documents_guaranteed_and_without_headers_about_events():
    """A request id or a user agent of the request would be written into events that have none."""
    encoded = PROTOCOL.encode(records(event("a"), None, {"no": "event"}, event("b")))

    assert encoded.settled == [
        None,
        Skipped(SkipReason.TOMBSTONE),
        Refused(detail="no event: it has no $schema or no meta"),
        None,
    ]
    assert encoded.request.url == "https://intake.example/base/v1/events"
    assert encoded.request.method == "POST"
    assert encoded.request.headers == {"Content-Type": "application/json"}
    assert orjson.loads(encoded.request.body) == [event("a"), event("b")]
    assert encoded.size == len(encoded.request.body)
    assert PROTOCOL.authorise(encoded.request, 1.0) == encoded.request


def test_a_body_can_be_compressed_and_its_size_is_what_eventgate_unpacks():
    """Its limit is one of unpacked bytes."""
    plain = PROTOCOL.encode(records(A, B))
    packed = replace(PROTOCOL, compress=True).encode(records(A, B))

    assert gzip.decompress(packed.request.body) == plain.request.body
    assert packed.request.headers["Content-Encoding"] == "gzip"
    assert packed.size == plain.size


def test_without_an_event_that_may_be_sent_there_is_no_request():
    """Eventgate answers an empty array with 400."""
    assert PROTOCOL.encode([]).request is None
    assert PROTOCOL.encode(records(None, {})).request is None


A, B, C = event("a"), event("b"), event("c")
ALL = records(A, B, C)
INVALID = "'.http.status_code' should be integer"
WHY = {"errors": [{"dataPath": ".http.status_code", "message": "should be integer"}], "errorsText": INVALID}


@pytest.mark.parametrize(
    ("status", "body", "results"),
    [
        pytest.param(201, b"", [DELIVERED] * 3, id="all taken"),
        pytest.param(204, b"", [DELIVERED] * 3, id="all taken, by a former version"),
        pytest.param(201, b"{}", [DELIVERED] * 3, id="all taken, with a body"),
        pytest.param(
            207,
            {"invalid": [item("invalid", B, **WHY)], "error": []},
            [DELIVERED, Refused(207, INVALID), DELIVERED],
            id="one invalid",
        ),
        pytest.param(
            207,
            {"invalid": [item("invalid", C, **WHY)], "error": [item("error", A, message="Local: Queue full")]},
            [Retry(Trouble.UNAVAILABLE, 207, "Local: Queue full"), DELIVERED, Refused(207, INVALID)],
            id="one invalid, one that could not be produced",
        ),
        pytest.param(
            207,
            {"error": [item("error", A | {"added": 1}, message="no")]},
            [Retry(Trouble.UNAVAILABLE, 207, "no"), DELIVERED, DELIVERED],
            id="eventgate has added something to the event",
        ),
        pytest.param(
            400,
            {"invalid": [item("invalid", each, **WHY) for each in (C, A, B)]},
            [Refused(400, INVALID)] * 3,
            id="all invalid",
        ),
        pytest.param(
            400,
            b"No required SSL certificate was sent",
            [
                Retry(
                    Trouble.DENIED,
                    400,
                    "400 that lists no events, so not of eventgate: No required SSL certificate was sent",
                )
            ]
            * 3,
            id="400 of a proxy",
        ),
        pytest.param(
            500,
            {"invalid": [item("invalid", A, **WHY)], "error": [item("error", B, message="no"), item("error", C)]},
            [Refused(500, INVALID), Retry(Trouble.UNAVAILABLE, 500, "no"), Retry(Trouble.UNAVAILABLE, 500)],
            id="none taken, one of them invalid",
        ),
        pytest.param(
            500,
            {"status": 500, "type": "internal_error", "detail": "Unexpected end of JSON input"},
            [
                Retry(
                    Trouble.UNAVAILABLE,
                    500,
                    '{"status":500,"type":"internal_error","detail":"Unexpected end of JSON input"}',
                )
            ]
            * 3,
            id="eventgate has failed",
        ),
        pytest.param(500, b"", [Retry(Trouble.UNAVAILABLE, 500)] * 3, id="failed, without a word"),
        pytest.param(413, b"too large", [RefusedTogether(413, "too large")] * 3, id="too large"),
        pytest.param(403, b"", [Retry(Trouble.DENIED, 403)] * 3, id="not allowed"),
        pytest.param(429, b"", [Retry(Trouble.OVERLOADED, 429)] * 3, id="too many"),
        pytest.param(503, b"", [Retry(Trouble.OVERLOADED, 503)] * 3, id="a proxy without eventgate"),
    ],
)
def test_every_answer_that_eventgate_documents(status, body, results):
    """By status, and by item where there are some."""
    assert judged(status, body, ALL) == results


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>Log in</html>"),
        (200, b""),
        (202, b""),
        (207, b""),
        (207, b"{"),
        (207, b"[]"),
        (207, {"invalid": [], "error": []}),
        (207, {"invalid": {"a": 1}}),
        (207, b"[" * 5000),
        (201, {"invalid": [item("invalid", {"meta": {"id": "unknown"}})]}),
        (207, {"invalid": [None, 7, {}, {"event": []}, {"event": {"meta": 1}}, {"event": {"meta": {"id": [1]}}}]}),
        (400, {"error": [7]}),
        (299, b""),
        (600, b""),
    ],
)
def test_an_answer_that_makes_no_sense_delivers_and_refuses_nothing(status, body):
    """The events are sent again, whatever a proxy, a wrong address or a bug has said."""
    results = judged(status, body, ALL)

    assert {type(result) for result in results} == {Retry}
    assert {result.trouble for result in results if isinstance(result, Retry)} == {Trouble.NONSENSE}


def test_what_a_broken_item_leaves_open_is_sent_again_and_no_more():
    """An item names nobody: any of the events that no other item names may be meant."""
    body = {"invalid": [item("invalid", A, **WHY), item("invalid", None)]}

    results = judged(207, body, ALL)

    assert results[0] == Refused(207, INVALID)
    assert [each.trouble for each in results[1:] if isinstance(each, Retry)] == [Trouble.NONSENSE] * 2


def test_400_that_names_some_of_the_events_leaves_the_others_open():
    """It says that none was taken, and not why."""
    results = judged(400, {"invalid": [item("invalid", A, **WHY)]}, ALL)

    assert results[0] == Refused(400, INVALID)
    assert [each.trouble for each in results[1:] if isinstance(each, Retry)] == [Trouble.NONSENSE] * 2


def test_events_that_share_an_id_are_told_apart_by_what_they_say():
    """Of three with one id the one with a wrong status is meant, wherever it stands."""
    good, bad = event("a", http={"status_code": 200}), event("a", http={"status_code": "200"})
    body = {"invalid": [item("invalid", bad | {"added": True}, **WHY)], "error": []}

    assert judged(207, body, records(good, bad, good)) == [DELIVERED, Refused(207, INVALID), DELIVERED]


def test_thousands_of_events_that_share_an_id_take_linear_time():
    """Somebody writes one id into all; to compare each with each would take minutes."""
    events = [event("x", route=str(place)) for place in range(20_000)]
    body = {"invalid": [item("invalid", each) for each in reversed(events[1::2])], "error": []}

    results = judged(207, body, records(*events))

    assert results == [DELIVERED, Refused(207)] * 10_000


def test_as_many_of_the_same_event_are_sent_again_as_were_not_taken():
    """A replay has the same event twice, and eventgate could produce one of them."""
    body = {"invalid": [], "error": [item("error", A, message="no")]}

    results = judged(207, body, records(A, B, A))

    assert results[1] == DELIVERED
    assert {repr(results[0]), repr(results[2])} == {repr(DELIVERED), repr(Retry(Trouble.UNAVAILABLE, 207, "no"))}


def test_events_without_an_id_are_found_by_the_one_that_they_were_sent_with():
    """It is made of their places."""
    nameless = [event(None), event(None, route="x"), event(None, route="y")]
    sent = orjson.loads(PROTOCOL.encode(records(*nameless)).request.body)
    body = {"invalid": [item("invalid", sent[2], **WHY), item("invalid", sent[1], **WHY)], "error": []}

    assert judged(207, body, records(*nameless)) == [DELIVERED, Refused(207, INVALID), Refused(207, INVALID)]


def test_what_an_item_says_is_cut_to_one_line():
    """It goes to dead letters."""
    body = {"invalid": [item("invalid", A, message="x\n" * 5000), item("invalid", B, message=7)], "error": []}

    results = judged(207, body, ALL)

    assert isinstance(results[0], Refused)
    assert results[0].detail.startswith("x x x")
    assert len(results[0].detail) <= 500
    assert results[1] == Refused(207, "")


def test_an_event_that_answers_can_not_name_holds_up_no_other():
    """JavaScript writes 1.0 as 1: the verdict would be about nobody, and all of the batch would be sent without end."""
    batch = records(A, event(1.0), B)

    encoded = PROTOCOL.encode(batch)

    assert encoded.settled == [None, Refused(0, "meta.id is no text"), None]
    assert [each["meta"]["id"] for each in orjson.loads(encoded.request.body)] == [A["meta"]["id"], B["meta"]["id"]]


VERDICTS = st.lists(st.sampled_from(["taken", "invalid", "error"]), min_size=1, max_size=8)


@given(VERDICTS, st.randoms(use_true_random=False), st.data())
def test_whatever_eventgate_has_done_with_each_event_is_what_is_read(verdicts, random, data):
    """Answers as eventgate makes them, of any batch, with ids that occur twice, items in any order."""
    identities = data.draw(st.lists(st.sampled_from("abc"), min_size=len(verdicts), max_size=len(verdicts)))
    events = [event(identity, route=str(place)) for place, identity in enumerate(identities)]
    lists: dict[str, list[Any]] = {"invalid": [], "error": []}
    for each, verdict in zip(events, verdicts, strict=True):
        if verdict != "taken":
            lists[verdict].append(item(verdict, each))
    for items in lists.values():
        random.shuffle(items)
    if set(verdicts) == {"taken"}:
        status, body = 201, b""
    elif set(verdicts) == {"invalid"}:
        status, body = 400, orjson.dumps({"invalid": lists["invalid"]})
    else:
        status, body = (207 if "taken" in verdicts else 500), orjson.dumps(lists)

    words = {Refused: "invalid", Retry: "error"}
    assert [words.get(type(result), "taken") for result in judged(status, body, records(*events))] == verdicts


ANYTHING = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=5) | st.just(A),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["invalid", "error", "event", "meta", "id", "context", "message"]), inner)
    ),
    max_leaves=12,
).map(orjson.dumps)


@given(st.integers(100, 999), st.binary(max_size=50) | st.none() | ANYTHING)
def test_any_answer_gives_a_result_for_each_event(status, body):
    """Never an exception, and never *delivered* but by a status that says so."""
    results = judged(status, body or b"", ALL)

    assert len(results) == 3
    assert status in (201, 204, 207) or DELIVERED not in results


class Script:
    """A client that answers by a list, and keeps the documents of each request."""

    def __init__(self, *answers: HttpAnswer) -> None:
        self.answers = list(answers)
        self.sent: list[list[str]] = []

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """The next answer."""
        self.sent.append([each["meta"]["id"] for each in orjson.loads(request.body)])
        return self.answers.pop(0)


def test_only_events_that_could_not_be_produced_are_sent_again():
    """Of 207 with an error and an invalid one, the first alone is sent again, and the other is a dead letter."""
    body = {"invalid": [item("invalid", C, **WHY)], "error": [item("error", A, message="no")]}
    client = Script(HttpAnswer(207, {}, orjson.dumps(body)), HttpAnswer(201, {}, b""))
    delivery = Delivery("eventgate", HttpSink(PROTOCOL, client), PaceLimits(1, 0, 0))

    settled = asyncio.run(delivery.deliver(ALL))

    assert settled == [DELIVERED, DELIVERED, Refused(207, INVALID)]
    assert client.sent == [["a", "b", "c"], ["a"]]
