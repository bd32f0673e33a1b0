"""Records that pack several lines, in everything that handles a record: pipeline, explain, plan, tests of a file."""

from __future__ import annotations

import gzip
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from logrouter import config
from logrouter.config.cases import Difference
from logrouter.config.cases import run as run_tests
from logrouter.core import ids
from logrouter.core.dryrun.explain import explain_record
from logrouter.core.dryrun.plan import Comparison, Side, compare_tables
from logrouter.core.pipeline import process
from logrouter.model import Accepted, Ignored, RawRecord, Reason, Rejected, Stage

NOW = 1_777_888_800_000
ID_OF = ids.for_partition("test", "t", 3)
ROUTE = "{name: aws, from: s, format: aws_json, enrich: {client_id: apiKeyId}, to: x}"


def request(**changes: Any) -> str:
    """A line that is a request."""
    line = {"requestId": "r-1", "httpMethod": "GET", "resourcePath": "/orders", "status": "200", "apiKeyId": "k-1"}
    return orjson.dumps(line | changes).decode()


def payload(*messages: Any, compressed: bool = True) -> bytes:
    """A record with these lines, the time of each a second after that of the one before."""
    events = [{"id": str(n), "timestamp": NOW - 60_000 + 1000 * n, "message": text} for n, text in enumerate(messages)]
    value = orjson.dumps({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "/g", "logEvents": events})
    return gzip.compress(value) if compressed else value


def table(*routes: str, routing: str = "first-match", tests: str = ""):
    """A route table, or its settings if there are *tests*."""
    made = "".join(f"  - {route}\n" for route in routes)
    source = f"sources: {{s: {{topics: t, envelope: cloudwatch, routing: {routing}}}}}"
    settings = config.parse(f"version: 1\n{source}\nroutes:\n{made}{tests}".encode(), {})
    return settings if tests else settings.table


def outcomes(value: bytes, *routes: str, **options: Any):
    """What becomes of one record."""
    source = table(*(routes or (ROUTE,)), **options).source_of("t")
    return process(source, RawRecord("t", 3, 7, NOW, value), NOW, ID_OF)


def test_every_line_has_an_outcome_of_its_own():
    """In order, each with the place of its line; ids and times differ, and a bad line costs nothing but itself."""
    value = payload(request(), "INIT_START", request(status="500"), '{"status":', {"a": 1}, 7, request(apiKeyId="k-2"))
    found = outcomes(value)

    assert [(type(each), each.line) for each in found] == [
        (Accepted, 0),
        (Ignored, 1),
        (Accepted, 2),
        (Rejected, 3),
        (Ignored, 4),
        (Rejected, 5),
        (Accepted, 6),
    ]
    events = [each.event for each in found if isinstance(each, Accepted)]
    assert [(event["source"]["index"], event["meta"]["id"]) for event in events] == [
        (n, ID_OF(7, n)) for n in (0, 2, 6)
    ]
    assert [event["meta"]["dt"][-10:] for event in events] == ["59:00.000Z", "59:02.000Z", "59:06.000Z"]
    assert [each.key for each in found if isinstance(each, Accepted)] == [b"k-1", b"k-1", b"k-2"]


@given(st.lists(st.sampled_from(["request", "text", "cut"]), min_size=1, max_size=8), st.booleans())
def test_lines_packed_together_end_as_they_do_alone(kinds, compressed):
    """How many lines a record packs changes the indices and nothing else."""
    texts = [{"request": request(), "text": "text", "cut": '{"cut'}[kind] for kind in kinds]
    together = outcomes(payload(*texts, compressed=compressed))
    alone = [outcomes(payload(text))[0] for text in texts]

    def stripped(outcome: Any) -> Any:
        if not isinstance(outcome, Accepted):
            return replace(outcome, line=0)
        meta = {**outcome.event["meta"], "id": "", "dt": ""}
        event = {**outcome.event, "meta": meta, "source": {**outcome.event["source"], "index": 0}}
        return replace(outcome, line=0, event=event, value=b"", time_ms=0)

    assert list(map(stripped, together)) == list(map(stripped, alone))


def test_a_dead_letter_shows_its_line_alone():
    """Neither the other lines nor compressed bytes, in which no secret could be found."""
    found = outcomes(payload(request(), '{"status":"200","authorization":"Bearer abcdef123456'))
    single = outcomes(payload('{"cut'))
    broken = outcomes(gzip.compress(b"x" * 100)[:-9])

    assert [each.raw for each in (found[1], *single, *broken)] == [
        '{"status":"200","authorization":"Bearer abcdef123456',
        '{"cut',
        "",
    ]


def test_control_messages_and_empty_payloads_are_ignored():
    """A probe of the service is told apart from a payload without lines."""
    control = orjson.dumps({"messageType": "CONTROL_MESSAGE", "logEvents": [{"message": "probe"}]})

    assert outcomes(control) == (Ignored(Reason.CONTROL),)
    assert outcomes(payload()) == (Ignored(Reason.EMPTY),)


def test_every_match_counts_each_line_for_each_route():
    """Indices run through the whole record, so that no two events of it have one id."""
    routes = (ROUTE, ROUTE.replace("name: aws", "name: again").replace("to: x", "to: y"))
    found = outcomes(payload(request(), request()), *routes, routing="all-matches")

    assert [(each.route, each.line, each.event["source"]["index"], bool(each.tables)) for each in found] == [
        ("aws", 0, 0, True),
        ("again", 0, 1, False),
        ("aws", 1, 2, True),
        ("again", 1, 3, False),
    ]


def test_a_record_whose_events_could_not_all_have_an_id_is_rejected():
    """As a whole, and only where every line may give several events; its bytes are not shown."""
    value = payload(*["x"] * 9000)
    again = ROUTE.replace("name: aws", "name: again")
    (only,) = outcomes(value, ROUTE, again, routing="all-matches")

    assert only == Rejected(Stage.DECODE, Reason.TOO_MANY, "9000 lines in one record", raw="")
    assert len(outcomes(value, ROUTE, again)) == 9000


def test_a_record_that_is_too_large_shows_nothing():
    """It is compressed, for all that is known."""
    source = table(ROUTE).source_of("t")
    (only,) = process(source, RawRecord("t", 3, 7, NOW, b"x" * 2_000_000), NOW, ID_OF)

    assert (only.reason, only.raw) == (Reason.TOO_LARGE, "")


def test_an_explanation_goes_line_by_line():
    """Every step from the envelope on says which line it is about, and so does every outcome."""
    record = RawRecord("t", 3, 7, NOW, payload(request(), "text", '{"cut'))
    found = explain_record(table(ROUTE), record, now_ms=NOW, event_id=ID_OF, dead_letter_topic="dead").as_dict()
    lines = [step.get("line") for step in found["steps"]]

    assert lines == sorted(lines, key=lambda line: -1 if line is None else line)
    assert [(each["line"], each["outcome"]) for each in found["outcomes"]] == [
        (0, "accepted"),
        (1, "ignored"),
        (2, "rejected"),
    ]
    assert [(step["line"], step["stage"]) for step in found["steps"] if step.get("line")] == [
        (1, "envelope"),
        (1, "route"),
        (1, "parse"),
        (1, "outcome"),
        (2, "envelope"),
        (2, "route"),
        (2, "parse"),
        (2, "outcome"),
    ]
    assert len(found["events"]) == 1


def test_an_explanation_of_one_line_does_not_number_it():
    """Records of one line are shown as they always were."""
    record = RawRecord("t", 3, 7, NOW, payload(request()))
    found = explain_record(table(ROUTE), record, now_ms=NOW, event_id=ID_OF).as_dict()

    assert not any("line" in part for part in (*found["steps"], *found["outcomes"]))


STRICT = ROUTE.replace("format: aws_json", "format: aws_json, request: {status_code: 200}")


@pytest.mark.parametrize(
    ("new", "messages", "effects"),
    [
        (ROUTE, (request(), request(status="500")), {}),
        (STRICT, (request(), request()), {}),
        (STRICT, (request(), request(status="500")), {"lost": 1}),
        (STRICT, (request(status="500"), request(), request(status="500")), {"lost": 1}),
        (ROUTE.replace("to: x", "to: y"), (request(), "text"), {"moved": 1, "changed": 1}),
    ],
)
def test_a_plan_sees_what_becomes_of_each_line(new, messages, effects):
    """A line that is lost is told although others of its record are not, and none is taken for another."""
    comparison = Comparison()
    ticks = count()
    records = [RawRecord("t", 3, 7, NOW, payload(*messages))]
    sides = (Side(table(ROUTE), "c"), Side(table(new), "c"))
    compare_tables(records, *sides, comparison, now_ms=NOW, clock=lambda: float(next(ticks)))

    assert comparison.effects == effects
    assert comparison.records == 1
    assert comparison.old.routes["aws"].accepted == sum("httpMethod" in text for text in messages)


def test_a_sample_of_a_plan_is_short_however_many_lines_there_are():
    """What lines share is said once, and of the events that differ a few are enough."""
    comparison = Comparison()
    ticks = count()
    value = payload(*[request()] * 500, *["text"] * 500)
    sides = (Side(table(ROUTE), "c"), Side(table(ROUTE.replace("to: x", "to: y")), "c"))
    compare_tables([RawRecord("t", 3, 7, NOW, value)], *sides, comparison, now_ms=NOW, clock=lambda: float(next(ticks)))
    (sample,) = comparison.samples

    assert sample.old == "500 times accepted by aws for x; 500 times ignored by aws (not_request)"
    assert len(sample.changes) == 20


@pytest.mark.parametrize(
    ("expect", "differences"),
    [
        ("{outcomes: [accepted, ignored, accepted]}", ()),
        (
            "{outcomes: [accepted, accepted]}",
            (Difference("outcomes", ["accepted", "accepted"], ["accepted", "ignored", "accepted"]),),
        ),
        ("{events: [{client_id: k-1}, {http: {status_code: 404}}]}", ()),
        ("{events: [{client_id: k-2}, {}]}", (Difference("events[0].client_id", "k-2", "k-1"),)),
        ("{events: [{}]}", (Difference("events", "1 events", "2 events"),)),
        ("{events: []}", (Difference("events", "0 events", "2 events"),)),
        ("{outcome: accepted, event: {http: {status_code: 200}}}", ()),
    ],
)
def test_a_file_s_tests_can_expect_something_of_every_line(expect, differences):
    """Outcomes and events in order; what is not named is not compared."""
    text = payload(request(), "text", request(status="404"), compressed=False).decode()
    settings = table(ROUTE, tests=f"tests:\n  - line: '{text}'\n    expect: {expect}\n")

    assert run_tests(settings)[0].differences == differences


def test_sampling_asks_each_line_and_all_routes_agree():
    """A payload is not kept or left as a whole, and a line that one route keeps another with that rate keeps, too."""
    sampled = ROUTE.replace("to: x", "to: x, sample: 0.5")
    again = sampled.replace("name: aws", "name: again")
    single = [type(each) for each in outcomes(payload(*[request()] * 200), sampled)]
    both = outcomes(payload(*[request()] * 200), sampled, again, routing="all-matches")

    assert 60 < single.count(Accepted) < 140
    assert [type(each) for each in both[::2]] == [type(each) for each in both[1::2]] == single
