"""Routes with options beyond the straight path, and records that several routes have: every outcome, exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from logrouter import config
from logrouter.core import ids
from logrouter.core.pipeline import process
from logrouter.model import Accepted, Ignored, RawRecord, Rejected

NOW = 1_777_888_800_000
ID_OF = ids.for_partition("test", "t", 3)
REQUEST: dict[str, Any] = {
    "$schema": "/api-gateway/request/1.0.0",
    "meta": {"uri": "/core/v1/page", "request_id": "r-1", "dt": "2026-05-04T09:59:58Z"},
    "http": {
        "method": "GET",
        "status_code": 200,
        "client_ip": "203.0.113.9",
        "request_headers": {"user-agent": "curl/8"},
    },
    "total_time_ms": 12,
    "client_id": "c1",
    "route": "core",
}


def line(**changes: Any) -> bytes:
    """A record as rsyslog writes it, with fields of the request replaced."""
    request = orjson.dumps(REQUEST | changes).decode()
    return orjson.dumps(
        {"host": "gw1", "program": "api-gateway", "timestamp": "2026-05-04T10:00:00Z", "message": request}
    )


def source(*routes: str, routing: str = "first-match", more: str = "", folder: Path = Path()):
    """A source with these routes, each given by its options in YAML's flow style without the usual ones."""
    made = "".join(
        "  - {from: s, match: {program: api-gateway, looks_like: request}, format: envoy, " + route + "}\n"
        for route in routes
    )
    text = f"version: 1\n{more}\nsources: {{s: {{topics: t, envelope: rsyslog, routing: {routing}}}}}\nroutes:\n{made}"
    return config.parse(text.encode(), {}, folder=folder).table.source_of("t")


def outcomes(of, value: bytes, offset: int = 7):
    """What becomes of one record."""
    return process(of, RawRecord("t", 3, offset, NOW, value), NOW, ID_OF)


def event(route: str, value: bytes | None = None, **kwargs: Any) -> dict[str, Any]:
    """The event that a single route makes of the request."""
    (only,) = outcomes(source(route, **kwargs), line() if value is None else value)
    assert isinstance(only, Accepted), only
    return orjson.loads(only.value)


PLAIN = "name: a, to: x"


def test_route_without_extras_takes_the_straight_path():
    """Nothing is compiled in that the route doesn't ask for, and defaults that are written out ask for nothing."""
    spelled = "name: a, to: [x], key: client_id, on_invalid: dead-letter, sample: 1.0, topics: {}, enrich: {lookup: []}"

    assert source(PLAIN).routes[0].extras is None
    assert source(spelled).routes[0].extras is None


def test_several_outputs_get_the_same_event_which_counts_once():
    """A list of topics is one outcome: the same bytes and id for each, `meta.stream` by the first."""
    (only,) = outcomes(source("name: a, to: [x, y, z]"), line())

    assert (only.topic, only.also, only.event["meta"]["stream"]) == ("x", ("y", "z"), "x")
    assert only.value == outcomes(source(PLAIN), line())[0].value


@pytest.mark.parametrize(
    ("api", "to", "topics"),
    [
        ("core", "'r.{api}'", ("r.core",)),
        ("search", "'r.{api}'", ("r.search",)),
        ("unheard-of", "'r.{api}'", ("r.other",)),
        ("__proto__", "'r.{api}'", ("r.other",)),
        ("core", "[all, 'r.{api}']", ("all", "r.core")),
        ("core", "['r.{api}', 'r.{api}.{api}']", ("r.core", "r.core.core")),
        ("nope", "['r.{api}', 'q.{api}']", ("r.other",)),
    ],
)
def test_topics_by_field_come_from_a_closed_set(api, to, topics):
    """Listed values have topics of their own, all others share one, and `meta.stream` follows."""
    route = f"name: a, to: {to}, topics: {{api: [core, search], otherwise: r.other}}"
    (only,) = outcomes(source(route), line(route=api))

    assert (only.topic, *only.also) == topics
    assert only.event["meta"]["stream"] == topics[0]


def test_all_topics_that_a_template_stands_for_are_ours():
    """Every topic that a field could choose is guarded against loops and made by `logrouter topics`."""
    text = """
version: 1
sources: {s: {topics: "^.*", envelope: rsyslog}}
routes: [{name: a, from: s, format: envoy, to: ["r.{api}", all], topics: {api: [core, search], otherwise: r.other}}]
"""
    table = config.parse(text.encode(), {}).table

    assert table.event_topics() == ["all", "r.core", "r.other", "r.search"]
    assert [table.source_of(topic) for topic in table.event_topics()] == [None] * 4


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("client_id", b"c1"),
        ("api", b"core"),
        ("none", None),
        ("coordinates", b"t:3:7"),
        ("field:http.status_code", b"200"),
        ("field:meta.request_id", b"r-1"),
        ("field:http", None),
        ("field:no.where", None),
    ],
)
def test_key_is_what_the_route_says(key, expected):
    """The Kafka key by field, by record, or none at all."""
    assert outcomes(source(f"name: a, to: x, key: '{key}'"), line())[0].key == expected


def test_key_shows_nothing_that_is_dropped():
    """The key is taken from the event as it is published."""
    (only,) = outcomes(source("name: a, to: x, tables: [apis], fields: {drop: [client_id]}"), line())

    assert (only.key, b"c1" in only.value) == (None, False)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("{drop: [http.client_ip]}", {"http.client_ip": None, "http.method": "GET"}),
        ("{keep: [api, client_id]}", {"http": None, "api": "core", "weight": 1.0, "source.offset": 7}),
        ("{redact: [http.client_ip, http.request_headers]}", {"http.client_ip": "REDACTED"}),
        ("{rename: {route: stage}}", {"route": None, "stage": "core"}),
        ("{set: {stage: prod}, rename: {stage: application}}", {"stage": None, "application": "prod"}),
        ("{rename: {stage: application}, set: {stage: prod}}", {"stage": "prod", "application": None}),
    ],
)
def test_fields_are_changed_before_validation(fields, expected):
    """Each step shows in the published event, in the order of the file."""
    found = event(f"name: a, to: x, fields: {fields}")

    for path, value in expected.items():
        part: Any = found
        for name in path.split("."):
            part = part.get(name) if part is not None else None
        assert part == value, path


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("dead-letter", ("rejected", "schema", "/total_time_ms")),
        ("drop", ("ignored", "invalid", "")),
        ("pass", ("accepted", ["invalid"], ())),
    ],
)
def test_invalid_event_ends_as_its_route_says(policy, expected):
    """A dead letter, nothing, or a flagged event that no table counts."""
    (only,) = outcomes(source(f"name: a, to: x, on_invalid: {policy}"), line(total_time_ms="slow"))
    match only:
        case Rejected(_, reason, _, pointer, "a"):
            found = ("rejected", reason, pointer)
        case Ignored(reason, "a"):
            found = ("ignored", reason, "")
        case Accepted():
            found = ("accepted", only.event["flags"], only.tables)

    assert expected == found


def test_sampled_requests_weigh_more_and_the_others_are_named():
    """Ten weights for a tenth; what is left out is ignored as sampled, and lines that can't be read are not sampled."""
    of = source("name: a, to: x, sample: 0.1, weight: {default: 2, by_status: {5xx: 1}}")
    found = [outcomes(of, line(), offset)[0] for offset in range(1000)]
    kept = [outcome for outcome in found if isinstance(outcome, Accepted)]
    broken = outcomes(of, line()[:-30] + b'"}')

    assert 60 < len(kept) < 140
    assert {outcome.event["weight"] for outcome in kept} == {20.0}
    assert {outcome for outcome in found if isinstance(outcome, Ignored)} == {Ignored("sampled", "a")}
    assert isinstance(broken[0], Rejected)
    assert found == [outcomes(of, line(), offset)[0] for offset in range(1000)]


def test_rate_limit_names_what_is_beyond_it():
    """Past the burst, requests of the same moment are ignored as rate_limited."""
    of = source("name: a, to: x, rate_limit: {events_per_second: 5, burst: 3}")
    found = [outcomes(of, line(), offset)[0] for offset in range(5)]

    assert [type(outcome) for outcome in found] == [Accepted] * 3 + [Ignored] * 2
    assert found[-1] == Ignored("rate_limited", "a")


def test_every_matching_route_makes_an_event_of_its_own():
    """With `all-matches` one outcome per route, in file order, each with its own id, topic and fields."""
    of = source(
        "name: a, to: x",
        "name: b, to: [y, z], tables: [], fields: {drop: [http.client_ip]}",
        "name: c, to: x",
        routing="all-matches",
    )
    first, second, third = outcomes(of, line())

    assert [outcome.route for outcome in (first, second, third)] == ["a", "b", "c"]
    assert [outcome.event["meta"]["id"] for outcome in (first, second, third)] == [
        ID_OF(7, index) for index in range(3)
    ]
    assert [outcome.event["source"]["index"] for outcome in (first, second, third)] == [0, 1, 2]
    assert ("client_ip" in first.event["http"], "client_ip" in second.event["http"]) == (True, False)


@pytest.mark.parametrize(
    ("routes", "tables"),
    [
        (["to: x", "to: y"], [("clients", "apis", "urls"), ()]),
        (["to: x, tables: [apis]", "to: y"], [("apis",), ("clients", "urls")]),
        (["to: x, tables: [urls, apis]", "to: y, tables: [clients, apis]"], [("apis", "urls"), ("clients",)]),
        (["to: x, tables: []", "to: y"], [(), ("clients", "apis", "urls")]),
        (["to: x, schema: strict.json", "to: y"], [None, ("clients", "apis", "urls")]),
        (["to: x, on_invalid: drop, schema: strict.json", "to: y"], [None, ("clients", "apis", "urls")]),
        (["to: x, on_invalid: pass, schema: strict.json", "to: y"], [(), ("clients", "apis", "urls")]),
        (["to: x, sample: 0.000001", "to: y"], [None, ()]),
    ],
)
def test_a_table_counts_a_request_once(routes, tables, tmp_path):
    """The first route that accepts it and names the table counts it; for a sampled one those that stay weigh more."""
    (tmp_path / "strict.json").write_text('{"required": ["nothing_has_this"]}')
    named = [f"name: r{index}, {route}" for index, route in enumerate(routes)]
    found = outcomes(source(*named, routing="all-matches", folder=tmp_path), line())

    assert [outcome.tables if isinstance(outcome, Accepted) else None for outcome in found] == tables


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (line(), 2),
        (b'{"program":"api-gateway","message":"[info] main loop"}', 1),
        (b'{"program":"sshd","message":"x"}', 1),
        (b'{"program":"api-gateway","message":"{\\"http\\":{"}', 2),
        (b'{"program":"api-gateway","msg":"2026-05-04T10:00:00.1Z stdout P {"}', 1),
        (b'{"program":"api-gateway', 1),
    ],
)
def test_record_that_no_route_has_ends_once_all_the_same(value, expected):
    """One outcome per route that has the record, and one in all where none has it or it can't be decoded."""
    found = outcomes(source("name: a, to: x", "name: b, to: y", routing="all-matches"), value)

    assert len(found) == expected


def test_routes_do_not_share_what_they_change():
    """What one route does to its event shows in no other one's, also where the transport has merged the line."""
    merged = orjson.dumps({"host": "gw1", "program": "api-gateway", "timestamp": "2026-05-04T10:00:00Z", **REQUEST})
    routes = ("name: a, to: x, tables: [], fields: {drop: [http, client_id]}", "name: b, to: y")
    for value in (line(), merged):
        _, second = outcomes(source(*routes, routing="all-matches"), value)
        (alone,) = outcomes(source("name: b, to: y"), value)
        different = {"meta", "source"}

        assert {k: v for k, v in second.event.items() if k not in different} == {
            k: v for k, v in alone.event.items() if k not in different
        }


def test_lookup_row_becomes_part_of_the_event(tmp_path):
    """A client that the file knows is named in its events; one that it does not know is not."""
    (tmp_path / "clients.csv").write_text("client_id,name,tier,secret\nc1,Reader,free,x\n")
    kwargs = {
        "more": "lookups: {clients: {file: clients.csv, key: client_id, fields: [name, tier]}}",
        "folder": tmp_path,
    }
    route = "name: a, to: x, enrich: {lookup: clients}"

    assert event(route, **kwargs)["client"] == {"name": "Reader", "tier": "free"}
    assert "client" not in event(route, line(client_id="c2"), **kwargs)
    assert event(route + ", fields: {drop: [client.tier]}", **kwargs)["client"] == {"name": "Reader"}
    assert event(route, **kwargs)["client"] == {"name": "Reader", "tier": "free"}


def test_a_header_that_is_secret_by_its_name_is_never_published():
    """Neither the format nor the list of allowed headers lets it through, however it is spelled."""
    headers = {"user-agent": "curl/8", "Authorization": "Bearer t0k3n", "cookie": "sid=1", "X-Api-Key": "k-1"}
    value = line(http={**REQUEST["http"], "request_headers": headers})
    found = event("name: a, to: x, request_headers: [user-agent, Authorization, cookie, x-api-key]", value)

    assert found["http"]["request_headers"] == {"user-agent": "curl/8"}


def test_user_agent_family_needs_no_published_header():
    """The family is read before the header is removed."""
    found = event("name: a, to: x, enrich: {user_agent: true}, request_headers: []")

    assert (found["user_agent_family"], "request_headers" in found["http"]) == ("curl", False)


@pytest.mark.parametrize(
    ("route", "backend"),
    [
        (PLAIN, {"instance": "10.0.0.9:443", "cluster": "core_v1"}),
        (f"{PLAIN}, fields: {{drop: [backend.instance]}}", {"cluster": "core_v1"}),
        (f"{PLAIN}, fields: {{drop: [backend.instance, backend.cluster]}}", None),
        (f"{PLAIN}, schema: api_request/1.0.0", None),
    ],
)
def test_addresses_of_backends_are_published_unless_a_route_leaves_them_out(route, backend):
    """A schema of before knows no backend: the event is as it was, and no dead letter."""
    asked = line(upstream_host="10.0.0.9:443", upstream_cluster="core_v1")

    assert event(route, asked).get("backend") == backend
