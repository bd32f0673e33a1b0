"""Every message for a route whose options beyond the straight path are wrong: what it says, and under which path."""

from __future__ import annotations

from pathlib import Path

import pytest

from logrouter import config

MANY = [f"a{n}" for n in range(40)]
USES_FILE = "lookups: {clients: {file: clients.csv, key: client_id, fields: [name]}}"


def problems_of(route: str, *, more: str = "", source: str = "", folder: Path = Path()) -> list[str]:
    """Every problem of a file with this route, by path; `to: x` where the route says nothing of it."""
    to = "" if " to: " in f" {route}" else "to: x, "
    wrapping = "" if "envelope: " in source else ", envelope: rsyslog"
    form = "" if "format: " in route else "format: envoy, "
    text = (
        f"version: 1\n{more}\nsources: {{s: {{topics: t{wrapping}{source}}}}}\n"
        f"routes: [{{name: r, from: s, {form}{to}{route}}}]\n"
    )
    try:
        config.parse(text.encode(), {}, folder=folder)
    except config.ConfigError as failed:
        return [f"{problem.path}: {problem.message}" for problem in failed.problems]
    return []


@pytest.mark.parametrize(
    "route",
    [
        "to: [a, b, c]",
        "to: 'r.{api}', topics: {api: core, otherwise: r.other}",
        "to: ['r.{api}.{status_class}'], topics: {api: [a, b], status_class: [2xx], otherwise: o}",
        "sample: 0.25",
        "sample: {rate: 0.000001}",
        "rate_limit: 0.5",
        "rate_limit: {events_per_second: 100, burst: 1000}",
        "key: 'field:meta.request_id'",
        "fields: {keep: [client_id, api, http.path], drop: [http.path], set: {stage: prod}}",
        "fields: {drop: [http.request_headers.referer]}",
        "fields: {rename: {client_id: user}}, tables: [apis]",
        "fields: {rename: {user: client_id}}",
        "fields: {drop: [client_id], set: {client_id: all}}",
        "fields: {redact: [client_id]}, tables: []",
        "on_invalid: pass, enrich: {user_agent: true}",
        "format: wso2_access, pair: 600",
        "format: auto, pair: 600",
        "format: {name: auto, formats: [envoy, wso2_api_log]}, pair: 600",
        "format: wso2_access, pair: {window_seconds: 1}, sample: 0.5, request: {api: {prefix: A}, path: /x}",
    ],
)
def test_route_may_say_so(route):
    """These are fine."""
    assert problems_of(route) == []


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ("to: []", "to: has 0 entries, 1 to 16 are allowed"),
        (
            "format: {name: auto, formats: [envoy, kv]}, pair: 60",
            "pair: the format auto writes one line per request; `pair` is for wso2_access, wso2_api_log",
        ),
        ("pair: 0", "pair: must be a whole number from 1 to 86400, not 0"),
        ("pair: 60", "pair: the format envoy writes one line per request; `pair` is for wso2_access, wso2_api_log"),
        (
            "format: wso2_access, pair: 60, rate_limit: 5",
            "pair: can't be together with `rate_limit`, which might drop one of the two lines of a request",
        ),
        (
            "format: wso2_access, pair: 60, request: {any: [{api: a}, {not: {status_code: {lt: 500}}}]}",
            (
                "request: uses status_code; with `pair` only fields that both lines have: "
                "api, api_version, domain, method, path, protocol, request_id"
            ),
        ),
        ("to: [a, a]", "to[1]: 'a' is listed twice"),
        (
            "to: 'a b'",
            "to: must be a topic name (letters, digits, . _ -), or one with fields of the event in braces, not 'a b'",
        ),
        (
            "to: [a, logrouter.rollup]",
            "to: logrouter.rollup is outputs.rollup.topic as well: events need their own topic",
        ),
        ("to: 'r.{api}'", "to: {api} needs its values: `topics: {api: [...], otherwise: ...}`"),
        ("to: 'r.{api}', topics: {api: [a]}", "topics: needs one topic `otherwise`, for values not listed"),
        (
            "to: 'r.{api}', topics: {api: [a], otherwise: [b, c]}",
            "topics: needs one topic `otherwise`, for values not listed",
        ),
        (
            "to: '{api}.{stage}'",
            "to: {api} and {stage} need their values: `topics: {api: [...], stage: [...], otherwise: ...}`",
        ),
        (
            "to: '{api}.{stage}', topics: {api: [a], otherwise: b}",
            "to: {stage} needs a list of its values: `topics: {stage: [...]}`",
        ),
        ("to: x, topics: {api: [a]}", "topics.api: is of no use: `to` holds no {api}"),
        ("to: x, topics: {otherwise: y}", "topics.otherwise: is of no use: `to` holds no field in braces"),
        ("to: '_r.{api}', topics: {api: [a], otherwise: b}", 'to: topics that begin with "_" are Kafka\'s own'),
        (
            f"to: '{'r' * 200}.{{api}}', topics: {{api: [{'a' * 60}], otherwise: b}}",
            f"to: stands for names that no topic can have: {'r' * 60}",
        ),
        (
            f"to: '{{api}}.{{stage}}', topics: {{api: {MANY}, stage: {MANY}, otherwise: b}}",
            "to: {api}.{stage} stands for more than 1000 topics",
        ),
        ("topics: {'a b': c}", "topics.a b: must be a field of the event, or `otherwise`, not 'a b'"),
        ("sample: 0", "sample: must be a number from 1e-06 to 1, not 0"),
        ("sample: 2", "sample: must be a number from 1e-06 to 1, not 2"),
        ("sample: {}", "sample: lacks `rate`, which is required"),
        ("sample: 0.00001, weight: 100", "sample: gives events a weight of 10000000, at most 1000000 is allowed"),
        ("rate_limit: 0", "rate_limit: must be a number from 0.001 to 1000000, not 0"),
        ("rate_limit: {burst: 1}", "rate_limit: lacks `events_per_second`, which is required"),
        (
            "key: client",
            (
                "key: must be `client_id`, `api`, `none`, `coordinates` (of the record), or `field:` and a field "
                "of the event, not 'client'"
            ),
        ),
        ("on_invalid: skip", "on_invalid: must be one of `dead-letter`, `drop`, `pass`, not 'skip'"),
        ("fields: {}", "fields: must not be empty"),
        (
            "fields: [api]",
            "fields: must be a mapping of steps, taken in the order in which they are written, not a list",
        ),
        ("fields: {dropp: [api]}", 'fields.dropp: unknown key (did you mean "drop"?)'),
        ("fields: {drop: []}", "fields.drop: has 0 entries, 1 to 1000 are allowed"),
        ("fields: {drop: [a..b]}", "fields.drop[0]: must be a field of the event, like http.path, not 'a..b'"),
        ("fields: {drop: [http.methd]}", 'fields.drop: no event has a field http.methd (did you mean "http.method"?)'),
        ("tables: [], fields: {keep: [api.name]}", "fields.keep: no event has a field api.name"),
        ("fields: {drop: [meta]}", "fields.drop: meta is part of every event and can't be changed"),
        ("fields: {redact: [meta.id]}", "fields.redact: meta.id is part of every event and can't be changed"),
        (
            "fields: {rename: {weight: total_time_ms}}",
            "fields.rename: weight is part of every event and can't be changed",
        ),
        (
            "fields: {rename: {stage: source}}",
            "fields.rename.stage: source is part of every event and can't be changed",
        ),
        ("fields: {rename: {stage: phase}}", "fields.rename.stage: the schema allows no field phase"),
        ("fields: {set: {weight: 5}}", "fields.set.weight: weight is part of every event and can't be changed"),
        ("fields: {set: {http.x: 5}}", "fields.set.http.x: the schema allows no field http.x"),
        ("fields: {set: {stage: 5}}", "fields.set.stage: the schema refuses this value for stage"),
        ("fields: {set: {stage: ''}}", "fields.set.stage: must be text, a number, true or false, not empty"),
        ("fields: {set: {stage: [a]}}", "fields.set.stage: must be text, a number, true or false, not ['a']"),
        ("fields: {drop: [client_id]}", "fields.drop: takes away client_id, which the table clients counts by"),
        ("fields: {redact: [api]}", "fields.redact: takes away api, which the table apis counts by"),
        ("fields: {keep: [api]}", "fields.keep: takes away client_id, which the table clients counts by"),
        ("fields: {rename: {api: route}}", "fields.rename: takes away api, which the table apis counts by"),
        ("enrich: {lookup: clients}", "enrich.lookup: there is no lookup 'clients'; there are none"),
        ("enrich: {geoip: true}", "enrich.geoip: needs the section `geoip` with its files"),
    ],
)
def test_message(route, message):
    """One mistake gives one message, under its path."""
    assert problems_of(route) == [f"routes[0].{message}"]


def test_message_of_routing():
    """A source knows two ways to choose among its routes."""
    says = "must be one of `first-match`, `all-matches`, not 'all-match' (did you mean \"all-matches\"?)"

    assert problems_of("to: x", source=", routing: all-match") == [f"sources.s.routing: {says}"]


SCHEMA = """{"required": ["api", "http"], "additionalProperties": false, "properties": {
  "$schema": {}, "meta": {}, "source": {}, "weight": {}, "api": {"type": "string"}, "open": {},
  "stage": {"$ref": "#/$defs/s"},
  "http": {"required": ["method"], "properties": {"method": {"type": "string"}}}}, "$defs": {"s": {"const": "prod"}}}"""


@pytest.mark.parametrize(
    ("route", "messages"),
    [
        ("fields: {drop: [http.method]}", ["fields.drop: takes away http.method, which the schema requires"]),
        (
            "fields: {keep: [http.path]}",
            [
                "fields.keep: takes away api, which the schema requires",
                "fields.keep: takes away http.method, which the schema requires",
            ],
        ),
        ("fields: {keep: [http.path], set: {api: x, http.method: y}}", []),
        ("fields: {drop: [http.client_ip]}", []),
        ("fields: {set: {open: 1}, rename: {route: open.below}}", []),
        ("fields: {set: {stage: test}}", []),
        ("fields: {set: {api.name: x}}", ["fields.set.api.name: the schema allows no field api.name"]),
        ("enrich: {user_agent: true}", ["enrich.user_agent: the schema allows no field user_agent_family"]),
        ("enrich: {lookup: clients}", ["enrich.lookup: the schema allows no field client"]),
        ("enrich: {lookup: {name: clients, into: open}}", []),
    ],
)
def test_steps_are_judged_by_the_routes_own_schema(tmp_path, route, messages):
    """What a schema requires, and what it allows, decides; references are left to validation."""
    (tmp_path / "own.json").write_text(SCHEMA)
    (tmp_path / "clients.csv").write_text("client_id,name\nc1,x\n")
    found = problems_of(f"schema: own.json, tables: [], {route}", more=USES_FILE, folder=tmp_path)

    assert found == [f"routes[0].{message}" for message in messages]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("client", "there is no lookup 'client' (did you mean \"clients\"?); there are clients"),
        ("{name: clients, by: client}", ""),
        ("{name: clients, by: no.such}", "no event has a field no.such to look up: say which with `by`"),
        ("{name: clients, into: owner}", "the schema allows no field owner"),
    ],
)
def test_message_of_a_use_of_a_lookup(tmp_path, use, message):
    """The lookup must exist, by a field that events have, into one that the schema allows."""
    (tmp_path / "clients.csv").write_text("client_id,name\nc1,x\n")
    found = problems_of(f"enrich: {{lookup: {use}}}", more=USES_FILE, folder=tmp_path)

    assert found == ([f"routes[0].enrich.lookup: {message}"] if message else [])


def test_cut_lines_are_of_some_envelopes_only():
    """Where no container runtime has written the lines there is nothing to put together."""
    said = "sources.s.join_partial: json has no cut lines; cri, kubernetes, lines, rsyslog may have"

    assert problems_of("", source=", join_partial: {max_bytes: 4096}") == []
    assert problems_of("", source=", envelope: json, join_partial: {}") == [said]


def test_the_key_of_a_merged_object_is_of_some_envelopes_only():
    """Where no shipper takes objects apart the option would do nothing."""
    said = "sources.s.merge_log_key: plain has no such key; json, kubernetes may have"

    assert problems_of("", source=", envelope: kubernetes, merge_log_key: shop.log") == []
    assert problems_of("", source=", envelope: plain, merge_log_key: shop") == [said]
