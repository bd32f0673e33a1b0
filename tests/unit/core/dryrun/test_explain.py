"""The explanation of a record: the pipeline's own outcome, the steps that lead to it, and no secrets."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logrouter import config
from logrouter.core import ids
from logrouter.core.dryrun.explain import explain_record
from logrouter.core.dryrun.steps import cells_of
from logrouter.core.pipeline import process
from logrouter.core.routing import OnInvalid, OptionalSteps
from logrouter.model import Accepted, RawRecord

NOW = 1_777_888_800_000
TOPIC = "rsyslog-notice"
EVENT_ID = ids.for_partition("test", TOPIC, 0)
FILE = b"""
version: 1
sources:
  rsyslog: {topics: [rsyslog-notice, other-notice], envelope: rsyslog}
routes:
  - name: elsewhere
    from: rsyslog
    match: {topic: other-notice, program: api-gateway}
    format: envoy
    to: elsewhere
  - name: staging
    from: rsyslog
    match: {program: api-gateway, host: {prefix: stage-}}
    format: envoy
    to: staging
  - name: gateway
    from: rsyslog
    match: {program: api-gateway, looks_like: request}
    format: envoy
    enrich: {client_id: [x-wmf-user-id, client_id], api: {from: route, paths: [{glob: "/{api}/**"}]}}
    to: clean
  - name: last
    from: rsyslog
    match: {program: api-gateway}
    format: envoy
    to: last
"""
TABLE = config.parse(FILE, {}).table
REQUEST = {
    "meta": {"uri": "/core/v1/page?access_token=s3cret-1", "dt": "2026-05-04T09:59:58Z"},
    "http": {
        "method": "GET",
        "status_code": 200,
        "client_ip": "203.0.113.9, 10.0.0.1",
        "request_headers": {"user-agent": "curl/8", "cookie": "s3cret-2", "authorization": "Bearer s3cret-3"},
    },
    "total_time_ms": 12,
    "client_id": "c1",
}


def line(request: object = None, **envelope: object) -> bytes:
    """A record as rsyslog writes it."""
    message = request if isinstance(request, str) else orjson.dumps(request or REQUEST).decode()
    return orjson.dumps({"host": "gw1", "program": "api-gateway", "message": message} | envelope)


def explained(value: bytes | None, topic: str = TOPIC, **options: object):
    """The explanation of one record."""
    headers = options.pop("headers", ())
    record = RawRecord(topic, 0, 7, NOW, value, headers)
    return explain_record(TABLE, record, now_ms=NOW, event_id=EVENT_ID, dead_letter_topic="dead", **options)


def steps(value: bytes | None, stage: str, **options: object) -> list[dict]:
    """The steps of one stage."""
    return [step for step in explained(value, **options).as_dict()["steps"] if step["stage"] == stage]


def test_journey_of_a_request():
    """Every stage is told, in the pipeline's order, each with what it found."""
    found = explained(line()).as_dict()

    assert [(step["stage"], step["passed"]) for step in found["steps"]] == [
        ("record", True),
        ("route", False),
        ("prefilter", True),
        ("envelope", True),
        ("route", False),
        ("route", True),
        ("parse", True),
        ("enrich", True),
        ("enrich", True),
        ("enrich", True),
        ("enrich", True),
        ("validate", True),
        ("route", None),
        ("output", True),
        ("tables", True),
    ]
    assert (found["outcome"], found["route"], found["stage"], found["reason"]) == ("accepted", "gateway", None, None)
    assert found["events"][0]["client_id"] == "c1"


def test_routes_say_why_they_failed():
    """A route that is ruled out by the topic, one that fails by a field, one that matches, one that nobody asked."""
    ruled_out, failed, matched, left = steps(line(), "route")

    assert ruled_out["why"] == [
        "no record of topic rsyslog-notice can satisfy: topic equals other-notice and program equals api-gateway"
    ]
    assert failed["why"] == ['host begins with stage-: it is "gw1"']
    assert matched["why"] == []
    assert left["not_tried"] == ["last"]


def test_enrichment_says_where_it_comes_from():
    """The client id's sources and the API's rules are told in order, up to the one that had it."""
    client, api, address, weight = steps(line(), "enrich")

    assert client["tried"] == [{"from": "x-wmf-user-id", "found": None}, {"from": "client_id", "found": "c1"}]
    assert api["tried"] == [{"from": "field route", "found": None}, {"from": "path glob /{api}/**", "found": "core"}]
    assert address["client_ip"] == "10.0.0.0"
    assert weight["weight"] == 1.0


def test_outputs_and_table_cells():
    """Topic, key and id of what is written, and the cells it is counted in."""
    (output,), (tables,) = steps(line(), "output"), steps(line(), "tables")

    assert (output["topics"], output["key"], output["id"]) == (["clean"], "c1", EVENT_ID(7, 0))
    assert [(cell["table"], cell["row"], cell["minute"], cell["count"]) for cell in tables["cells"]] == [
        ("clients", "c1", "2026-05-04T09:59:00.000Z", 1),
        ("apis", "core", "2026-05-04T09:59:00.000Z", 1),
    ]


def test_cells_are_what_the_lane_counts():
    """What an operator's own schema lets pass and no table counts is not shown as if it were counted."""
    http = {"status_code": True, "path": "/x"}
    event = {"client_id": "", "api": 7, "total_time_ms": 12.0, "bytes_sent": "5", "weight": 2.5, "http": http}
    client, api = cells_of(Accepted("r", "clean", None, b"{}", event, 60_000, ("clients", "apis", "urls")))

    assert (client["row"], client["api"], api["row"]) == ("-", "-", "-")
    assert api == {
        "table": "apis",
        "row": "-",
        "minute": "1970-01-01T00:01:00.000Z",
        "count": 1,
        "weighted": 2.5,
        "status": None,
        "outcome": None,
        "latency_ms": None,
        "bytes_received": 0,
        "bytes_sent": 0,
        "url": "/x",
        "error": "--- -",
        "recent": True,
    }


def test_schema_violation_has_pointer_and_dead_letter():
    """What the schema turns down says where, why, and under which key the dead letter is."""
    bad = line({**REQUEST, "total_time_ms": "12"})
    found = explained(bad).as_dict()

    assert (found["outcome"], found["stage"], found["reason"]) == ("rejected", "validate", "schema")
    assert found["pointer"] == "/total_time_ms"
    assert [step["says"] for step in steps(bad, "validate")] == ["/total_time_ms is string, must be integer"]
    assert [step["key"] for step in steps(bad, "outcome")] == ["rsyslog-notice:0:7"]


def test_unmatched_record_still_tells_what_routes_have_against_it():
    """The pre-filter ends the journey, and the routes' conditions are shown all the same."""
    sshd = line("x", program="sshd")

    assert [step["passed"] for step in steps(sshd, "prefilter")] == [False]
    assert [step["why"] for step in steps(sshd, "route")][-1] == ['program equals api-gateway: it is "sshd"']
    assert explained(sshd).as_dict()["reason"] == "unmatched"


@pytest.mark.parametrize(
    ("value", "topic", "options", "expected"),
    [
        (None, TOPIC, {}, ("ignored", "tombstone")),
        (b"", TOPIC, {}, ("ignored", "empty")),
        (b"\xff\x00api-gateway", TOPIC, {}, ("rejected", "invalid_utf8")),
        (b"api-gateway" + b"x" * 10_000_000, TOPIC, {}, ("rejected", "too_large")),
        (line("hello"), TOPIC, {}, ("ignored", "not_request")),
        (line(), "nobody-reads-this", {}, ("ignored", "unmatched")),
        (line(), "clean", {}, ("ignored", "unmatched")),
        (line(), "nobody-reads-this", {"source_name": "rsyslog"}, ("accepted", None)),
        (line(), TOPIC, {"loop_header": "ours", "headers": (("ours", b"1"),)}, ("ignored", "loop")),
    ],
)
def test_every_end_is_told(value, topic, options, expected):
    """Records of any size and kind end with an outcome, as in the lane."""
    found = explained(value, topic, **options).as_dict()

    assert (found["outcome"], found["reason"]) == expected
    assert len(orjson.dumps(found)) < 100_000


def test_no_secrets_in_the_trace():
    """Neither tokens of the line nor the client's unmasked address are among what routes and stages tell."""
    tokens = line({**REQUEST, "client_secret": "s3cret-4"}, session={"id": "s3cret-5"}, password=12345678, x="c1")
    text = orjson.dumps(explained(tokens).as_dict()["steps"]).decode()

    assert "s3cret" not in text
    assert "12345678" not in text
    parse = orjson.dumps(steps(line(), "parse")).decode()
    assert "10.0.0.1" not in parse
    assert "cookie" not in parse


def test_address_in_a_request_condition_is_what_the_policy_keeps():
    """A route that does not want the request says why, with the address as the policy leaves it."""
    text = FILE.replace(b"match: {program: api-gateway, host: {prefix: stage-}}", b"request: {client_ip: 192.0.2.1}")
    record = RawRecord(TOPIC, 0, 7, NOW, line())
    found = explain_record(config.parse(text, {}).table, record, now_ms=NOW, event_id=EVENT_ID).as_dict()
    (unwanted,) = [step for step in found["steps"] if step["stage"] == "request"]

    assert (unwanted["route"], unwanted["passed"]) == ("staging", False)
    assert unwanted["why"] == ['client_ip equals 192.0.2.1: it is "10.0.0.0"']
    assert found["route"] == "gateway"


def with_extras(*, throttled: bool = True, **extras: object):
    """The explanation by a table whose route `gateway` has these extras, and what its steps say."""
    extras.setdefault("key", lambda event, _record: event["client_id"].encode())
    source = TABLE.sources[0]
    routes = tuple(replace(r, extras=OptionalSteps(**extras)) if r.name == "gateway" else r for r in source.routes)
    table = replace(TABLE, sources=(replace(source, routes=routes),))
    record = RawRecord(TOPIC, 0, 7, NOW, line())
    found = explain_record(table, record, now_ms=NOW, event_id=EVENT_ID, throttled=throttled).as_dict()
    return found, [step["says"] for step in found["steps"]]


def test_extras_are_told():
    """Sampling, limits, lookups, changes of fields and further topics are told, and no value that was taken away."""
    found, says = with_extras(
        sample=lambda _id: True,
        limit=lambda _record, _now, _index: True,
        after=(lambda event: event.update(client_type="gold"),),
        change=lambda event: event.update(client_id="hidden"),
        topics=lambda _event: ("one", "two"),
    )

    assert {"in the sample", "within the rate limit", "adds /client_type", "changes /client_id"} <= set(says)
    assert next(step["now"] for step in found["steps"] if step["says"] == "changes /client_id") == {
        "/client_id": "hidden"
    }
    assert next(step["topics"] for step in found["steps"] if step["stage"] == "output") == ["one", "two"]


def test_sampled_out_unless_lines_are_looked_at():
    """What the sample leaves out says so; without throttling it goes on."""
    found, says = with_extras(sample=lambda _id: False)
    assert (found["reason"], says[-2]) == ("sampled", "not tried: last")
    assert "not in the sample" in says
    assert with_extras(throttled=False, sample=lambda _id: False)[0]["outcome"] == "accepted"


MUTATION = st.tuples(st.integers(0, 10_000), st.binary(max_size=6))


VALUES = st.sampled_from([line(), line(host="stage-1"), line(program="sshd"), line("plain text"), b"{}"])
EXTRAS = OptionalSteps(
    key=lambda _event, _record: b"k", sample=lambda record_id: "7" in record_id, on_invalid=OnInvalid.PASS
)


@given(st.lists(MUTATION, max_size=4), VALUES, st.booleans(), st.booleans())
@example([], line(msg="2026-05-04T10:00:00.1Z stdout P {", message=None), False, False)
def test_explanation_is_of_what_the_pipeline_does(mutations, value, all_matches, extras):
    """Whatever the bytes and the routing: outcomes are the pipeline's own, and the last steps are about them."""
    source = replace(TABLE.sources[0], all_matches=all_matches)
    if extras:
        source = replace(source, routes=tuple(replace(route, extras=EXTRAS) for route in source.routes))
    table = replace(TABLE, sources=(source,))
    for place, insert in mutations:
        at = place % len(value)
        value = value[:at] + insert + value[at + len(insert) // 2 :]
    record = RawRecord(TOPIC, 0, 7, NOW, value)

    explanation = explain_record(table, record, now_ms=NOW, event_id=EVENT_ID)
    found = explanation.as_dict()

    assert explanation.outcomes == process(table.source_of(TOPIC), record, NOW, EVENT_ID)
    ends = {"accepted": "tables", "ignored": "outcome", "rejected": "outcome"}
    assert found["steps"][-1]["stage"] == ends[found["outcomes"][-1]["outcome"]]

    orjson.dumps(found)


def test_held_line_shows_what_waits_and_for_how_long():
    """The line is one of two: nothing is published of it yet, and its draft is shown without secrets."""
    line = """2026-05-04T10:00:00.000+0000 [][t]{APIAccessLog.AccessLogWriter}[] INFO  Event="INCOMING_REQUEST", \
MessageID="m1", RequestInURL="/a?token=s3cret-1", RequestInMethod="GET\""""
    table = config.parse(FILE.replace(b"format: envoy", b"format: wso2_access\n    pair: 60"), {}).table
    record = RawRecord(TOPIC, 0, 7, NOW, orjson.dumps({"host": "gw1", "program": "api-gateway", "message": line}))
    found = explain_record(table, record, now_ms=NOW, event_id=EVENT_ID).as_dict()
    (last,) = [step for step in found["steps"] if step["stage"] == "outcome"]

    assert (found["outcome"], found["events"], found["reason"]) == ("held", [], None)
    assert (last["half"], last["key"], last["window_seconds"]) == ("opens", "m1", 60)
    assert last["draft"]["http"] == {"method": "GET", "path": "/a"}
    assert "s3cret" not in orjson.dumps(found).decode()
