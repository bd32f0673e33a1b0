"""Documents of `api-gateway/request/1.0.0`: valid, and what the event says of itself is not rewritten."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logrouter import config
from logrouter.config.compile.schemas import packaged_schemas
from logrouter.core import ids
from logrouter.core.formats import parser
from logrouter.core.pipeline import process
from logrouter.model import Accepted, RawRecord
from logrouter.sinks.contract import Refused
from logrouter.sinks.eventgate.document import MAX_EVENT_BYTES, SCHEMA, StreamEvent, make_document
from logrouter.sinks.eventgate.uris import MAX_URI, is_reference, to_reference
from tests.unit.core.formats.test_corpus import CORPUS, envelope_type_of, folder_of, format_cases, settings_of_case

STREAM = "api-gateway.request"
NOW = 1_777_888_800_000  # 2026-05-04T10:00:00Z
VALIDATOR = jsonschema_rs.validator_for(
    orjson.loads(packaged_schemas()["wikimedia/api-gateway/request/1.0.0"]), validate_formats=True, offline=True
)
"""Stricter than ours: with formats, as eventgate's is."""
EXAMPLE = CORPUS.parents[1] / "docs" / "examples" / "wikimedia.yaml"
SOURCE = config.load(None, {}).table.source_of("rsyslog-notice")
EVENT: dict[str, Any] = {
    "$schema": "/logrouter/api_request/1.1.0",
    "meta": {
        "stream": "gateway.requests",
        "dt": "2026-05-04T10:00:00.000Z",
        "id": "1b2c3d4e-5f60-8123-8456-789abcdef012",
        "request_id": "5f0c6a1e",
        "domain": "api.example.org",
        "uri": "/core/v1/page",
        "correlation_id": "00-4bf92f35-00f067aa-01",
    },
    "api": "core",
    "route": "core_v1",
    "client_id": "jwt-sub:1234",
    "client_type": "jwt-sub",
    "geo": {"country": "DE"},
    "http": {
        "method": "GET",
        "path": "/core/v1/page",
        "protocol": "HTTP/2",
        "status_code": 503,
        "client_ip": "192.0.2.0",
        "request_headers": {"user-agent": "curl/8.12.1"},
    },
    "outcome": "backend_error",
    "total_time_ms": 1203,
    "backend_time_ms": 1200,
    "backend": {"instance": "192.0.2.80:8080"},
    "weight": 1.0,
    "source": {"format": "istio", "topic": "k8s-main", "partition": 2, "offset": 81234, "index": 0},
}


def record(value: bytes | dict[str, Any], offset: int = 7) -> RawRecord:
    """A record of a topic of events."""
    return RawRecord("gateway.requests", 3, offset, NOW, value if isinstance(value, bytes) else orjson.dumps(value))


def changed(event: dict[str, Any], **meta: Any) -> dict[str, Any]:
    """The event with other `meta`; None leaves a field out."""
    found = {name: value for name, value in (event["meta"] | meta).items() if value is not None}
    return event | {"meta": found}


def document(value: bytes | dict[str, Any]) -> dict[str, Any]:
    """The fields that are sent, which are those that are written."""
    made = make_document(record(value), STREAM)
    assert isinstance(made, StreamEvent), made
    assert orjson.loads(made.value) == made.fields
    return made.fields


def test_a_canonical_event_gives_the_fields_that_the_schema_names_and_no_others():
    """Neither the backend's address nor the country of the client gets into a stream that was not made for them."""
    assert document(EVENT) == {
        "$schema": SCHEMA,
        "meta": {
            "stream": STREAM,
            "dt": "2026-05-04T10:00:00.000Z",
            "id": "1b2c3d4e-5f60-8123-8456-789abcdef012",
            "request_id": "5f0c6a1e",
            "domain": "api.example.org",
            "uri": "/core/v1/page",
        },
        "http": {
            "method": "GET",
            "protocol": "HTTP/2",
            "status_code": 503,
            "client_ip": "192.0.2.0",
            "request_headers": {"user-agent": "curl/8.12.1"},
        },
        "client_id": "jwt-sub:1234",
        "route": "core_v1",
        "total_time_ms": 1203,
        "backend_time_ms": 1200,
    }


def test_an_event_of_the_schema_is_sent_as_its_bytes_are():
    """With the stream that its route gave it, and with what the schema says nothing of."""
    value = (
        b'{"$schema": "/api-gateway/request/1.0.0", "outcome": "ok", "meta": {"stream": "other.request", '
        b'"dt": "2026-05-04T10:00:00Z", "id": "i", "request_id": "r", "uri": "/a?b=c"}}'
    )

    made = make_document(record(value), STREAM)

    assert isinstance(made, StreamEvent)
    assert made.value == value


def test_a_path_stands_for_the_uri_where_the_line_has_none():
    """Formats that log the path alone fill no `meta.uri`."""
    assert document(changed(EVENT, uri=None))["meta"]["uri"] == "/core/v1/page"


def test_the_id_of_an_event_stands_for_that_of_its_request_where_nobody_knows_it():
    """Otherwise eventgate sets that of our own request, the same for all of its events."""
    assert document(changed(EVENT, request_id=None))["meta"]["request_id"] == EVENT["meta"]["id"]


def test_an_event_without_a_user_agent_gets_none():
    """Nobody knows it, so nobody says anything."""
    http = {name: value for name, value in EVENT["http"].items() if name != "request_headers"}

    assert "request_headers" not in document(EVENT | {"http": http})["http"]


@pytest.mark.parametrize("missing", [None, ""])
@pytest.mark.parametrize("schema", ["/logrouter/api_request/1.1.0", SCHEMA])
def test_an_event_without_an_id_gets_one_of_its_place(schema, missing):
    """The same at each attempt, so that readers know a repetition; another place gives another one."""
    event = changed(EVENT, id=missing) | {"$schema": schema}
    anew = RawRecord("gateway.requests", 3, 7, NOW + 1, orjson.dumps(event))  # of a topic that was made again

    made = [make_document(each, STREAM) for each in (record(event), record(event), record(event, 8), anew)]

    first, again, other, later = made
    assert isinstance(first, StreamEvent)
    assert isinstance(other, StreamEvent)
    assert isinstance(later, StreamEvent)
    assert first == again
    assert len({"", first.id, other.id, later.id}) == 4
    assert "stream" in first.fields["meta"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"no json", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"", "no JSON"),
        (b'"text"', "no event"),
        (b"[]", "no event"),
        (b'{"$schema": 1, "meta": {}}', "no event"),
        (b'{"$schema": "/api-gateway/request/1.0.0", "meta": []}', "no event"),
        (b'{"meta": {}}', "no event"),
        (b'{"$schema": "/my/own/1.0.0", "meta": {}}', "an event of /my/own/1.0.0"),
        (b'{"$schema": "/logrouter/dead_letter/1.0.0", "meta": {}}', "an event of /logrouter/dead_letter/1.0.0"),
        (b'{"$schema": "/logrouter/api_request/1.1.0", "meta": {"dt": ' + b"[" * 300 + b"]" * 300 + b"}}", "nested"),
        (b'{"$schema": "/api-gateway/request/1.0.0", "meta": {"id": "' + b"x" * MAX_EVENT_BYTES + b'"}}', "bytes"),
        (b"[" * 5000, "no JSON"),
        *(
            (b'{"$schema": "/api-gateway/request/1.0.0", "meta": {"id": %s}}' % wrong, "meta.id is no text")
            for wrong in (b"7", b"1.0", b"0", b"false", b"[]", b'{"2":1,"1":2}', b"1152921504606846977")
        ),
        (b'{"$schema": "/api-gateway/request/1.0.0", "meta": {"id": "a", "stream": 7}}', "meta.stream is no text"),
    ],
)
def test_what_can_have_no_document_is_refused_with_a_reason(value, why):
    """It becomes a dead letter, and is never sent."""
    made = make_document(record(value), STREAM)

    assert isinstance(made, Refused)
    assert made.status == 0
    assert made.detail.startswith(why) or why in made.detail


@cache
def corpus_events() -> tuple[Accepted, ...]:
    """Every line of the corpus that is a request, as the event that a route publishes."""
    found = []
    for kind, case in format_cases():
        parse = parser(kind, settings_of_case(kind, case))
        routes = [replace(route, parse=parse, select=lambda _: True) for route in SOURCE.routes[:1]]
        source = replace(SOURCE, may_match=None, decode=envelope_type_of(kind).decode, routes=tuple(routes))
        line = RawRecord("rsyslog-notice", 3, 7, NOW, (CORPUS / folder_of(kind) / f"{case}.in").read_bytes())
        outcomes = process(source, line, NOW, ids.for_partition("test", "rsyslog-notice", 3))
        found += [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    return tuple(found)


def test_every_event_of_the_corpus_becomes_a_valid_document_that_keeps_what_it_says_of_itself():
    """By the schema with its formats; ids, time and user agent are the event's own."""
    assert len(corpus_events()) > 300
    for accepted in corpus_events():
        event, sent = accepted.event, document(accepted.value)

        assert [error.message for error in VALIDATOR.iter_errors(sent)] == []
        for name in ("id", "dt", "domain"):
            assert sent["meta"].get(name) == event["meta"].get(name)
        assert sent["meta"]["request_id"] == event["meta"].get("request_id", event["meta"]["id"])
        for name in ("status_code", "request_headers", "client_ip"):
            assert sent.get("http", {}).get(name) == event.get("http", {}).get(name)


def test_events_of_a_route_with_the_schema_are_sent_with_all_that_the_route_has_written():
    """Those of docs/examples/wikimedia.yaml, made of its own test lines: only ids of requests are added."""
    settings = config.load(EXAMPLE, {})
    source = settings.table.source_of("rsyslog-notice")
    found = []
    for case in settings.tests:
        line = RawRecord("rsyslog-notice", 3, 7, NOW, case.line.encode())
        for outcome in process(source, line, NOW, ids.for_partition("test", "rsyslog-notice", 3)):
            if isinstance(outcome, Accepted) and outcome.route == "api-gateway":
                sent = document(outcome.value)
                added = {"request_id": outcome.event["meta"]["id"]}
                assert sent == outcome.event | {"meta": added | outcome.event["meta"]}
                assert VALIDATOR.is_valid(sent)
                found.append(sent["meta"]["stream"])

    assert found == ["api-gateway.request"] * 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
META = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("id", "stream"), st.none() | st.text(max_size=8))
    | dict.fromkeys(("dt", "request_id", "domain", "uri", "more"), JSON),
)


@given(st.sampled_from(["/logrouter/api_request/1.1.0", SCHEMA]), META, JSON)
def test_nothing_that_an_event_says_of_itself_is_rewritten(schema, meta, http):
    """A value that the schema refuses is for eventgate to judge; a URI alone is spelled as it must be."""
    sent = document({"$schema": schema, "meta": meta, "http": http})

    kept = ("id", "dt", "request_id", "domain") if schema != SCHEMA else (*meta.keys() - {"uri"},)
    for name in kept:
        if meta.get(name) not in (None, ""):
            assert sent["meta"][name] == meta[name]
    assert schema != SCHEMA or sent["http"] == http


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_a_reason(value):
    """Never an exception."""
    assert isinstance(make_document(record(value), STREAM), StreamEvent | Refused)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("/core/v1/page?q=[REDACTED]", "/core/v1/page?q=%5BREDACTED%5D"),
        ('/wiki/A|B\\C^`{}"<> ', "/wiki/A%7CB%5CC%5E%60%7B%7D%22%3C%3E%20"),
        ("/wiki/Käse", "/wiki/K%C3%A4se"),
        ("/100%/%41%4", "/100%25/%41%254"),
        ("/a#b#c", "/a#b%23c"),
        ("*", "*"),
        ("", ""),
        ("example.org:443", "example.org:443"),
        ("192.0.2.1:443", None),
        ("[2001:db8::1]:443", None),
        ("//a/b", "//a/b"),
        ("//a:b/c", None),
        ("https://example.org/a b", "https://example.org/a%20b"),
    ],
)
def test_a_uri_is_percent_encoded_where_it_must_be(text, reference):
    """As browsers do it; what can't be a reference all the same is left out."""
    assert to_reference(text) == reference


URI_TEXT = st.text(st.sampled_from("/ab:%2f?#@[]1. *\\ä\t") | st.characters(), max_size=30)


@given(URI_TEXT)
@example("//")
@example("a:")
@example("://")
@example("//@:0")
@example("a://b@c:1?d#e")
def test_what_counts_as_a_reference_is_one_for_a_strict_reader(text):
    """And so is what becomes of any text."""
    strict = jsonschema_rs.validator_for({"type": "string", "format": "uri-reference"}, validate_formats=True)
    reference = to_reference(text)

    assert not is_reference(text) or strict.is_valid(text)
    assert reference is None or strict.is_valid(reference)


@pytest.mark.parametrize("text", ["/" + "ä" * 8191, "/" + "%41" * 3000, "/" + "a" * 10_000, "/" + "%" * 8191])
def test_a_uri_that_is_too_long_is_cut_between_characters(text):
    """The schema allows 8192 characters."""
    reference = to_reference(text)

    assert reference is not None
    assert MAX_URI - 3 < len(reference) <= MAX_URI


@pytest.mark.parametrize("text", ["a" * 100_000, "/" * 100_000, "//" + "%41" * 30_000, "a:" * 50_000, "%" * 100_000])
def test_hostile_uris_take_linear_time(text):
    """A quadratic expression would take minutes for one of these."""
    assert not is_reference(text)
    to_reference(text)
