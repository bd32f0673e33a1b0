"""Conditions on the parsed request: asked after parsing and before validation, and a route that fails passes it on."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from logrouter import config
from logrouter.core.pipeline import process
from logrouter.model import Accepted, Ignored, Outcome, RawRecord, Reason, Rejected

REQUEST: dict[str, Any] = {
    "$schema": "/api-gateway/request/1.0.0",
    "meta": {"dt": "2026-05-04T10:00:00Z", "uri": "/core/v1/page?t=1", "request_id": "r-1", "domain": "api.example"},
    "http": {
        "method": "GET",
        "protocol": "HTTP/2",
        "status_code": 503,
        "client_ip": "203.0.113.9, 192.0.2.77",
        "request_headers": {"user-agent": "curl/8", "x-tier": "gold"},
    },
    "total_time_ms": 1200,
    "bytes_sent": 0,
    "client_id": "c1",
    "route": "core",
}


def outcome_of(routes: str, request: dict[str, Any] = REQUEST, headers: tuple[tuple[str, bytes], ...] = ()) -> Outcome:
    """What becomes of a request by these routes, each the rest of a route in YAML's flow style."""
    lines = [line.strip() for line in routes.strip().splitlines()]
    made = "".join(f"  - {{from: s, format: envoy, to: out-{n}, {line}}}\n" for n, line in enumerate(lines))
    text = f"version: 1\nsources: {{s: {{topics: [logs], envelope: rsyslog}}}}\nroutes:\n{made}"
    source = config.parse(text.encode(), {}).table.source_of("logs")
    assert source is not None
    value = orjson.dumps({"program": "gateway", "message": orjson.dumps(request).decode()})
    (outcome,) = process(source, RawRecord("logs", 0, 1, 0, value, headers), 1_800_000_000_000, lambda _o, _i: "id")
    return outcome


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("{status_code: 503}", True),
        ("{status_code: 503.0}", True),
        ("{status_code: [500, 503]}", True),
        ("{status_code: {in: [500, 502]}}", False),
        ("{status_code: {ge: 500}}", True),
        ("{status_code: {ge: 500, lt: 503}}", False),
        ("{status_code: {glob: '5??'}}", True),
        ("{status_code: {regex: '^50'}}", True),
        ("{status_class: 5xx}", True),
        ("{outcome: backend_error}", True),
        ("{method: [GET, HEAD]}", True),
        ("{method: get}", False),
        ("{protocol: HTTP/2}", True),
        ("{path: {prefix: /core/}}", True),
        ("{path: /core/v1/page}", True),
        ("{path: {regex: '^/core/v[0-9]+/'}}", True),
        ("{domain: {suffix: .example}}", True),
        ("{request_id: r-1}", True),
        ("{api: core}", True),
        ("{api: rest}", False),
        ("{api_version: {exists: false}}", True),
        ("{client_id: c1}", True),
        ("{client_type: {exists: true}}", False),
        ("{client_ip: {cidr: 192.0.2.0/24}}", True),
        ("{client_ip: {cidr: 203.0.113.0/24}}", False),
        ("{client_ip: 192.0.2.77}", True),
        ("{total_time_ms: {gt: 1000}}", True),
        ("{backend_time_ms: {gt: 0}}", False),
        ("{bytes_sent: 0}", True),
        ("{bytes_received: {exists: false}}", True),
        ("{header.x-tier: gold}", True),
        ("{header.X-Tier: gold}", True),
        ("{header.absent: {exists: true}}", False),
        ("{field.route: core}", True),
        ("{field.http.status_code: {ge: 500}}", True),
        ("{not: {status_code: {lt: 500}}, any: [{api: x}, {api: core}]}", True),
        ("{all: [{api: core}, {method: POST}]}", False),
    ],
)
def test_request_condition_holds(condition: str, holds: bool) -> None:
    """Every field, with every kind of operator."""
    found = outcome_of(f"name: r, request: {condition}")

    assert isinstance(found, Accepted) is holds
    assert holds or found == Ignored(Reason.UNWANTED, "r")


def test_address_is_asked_for_before_the_policy_changes_it() -> None:
    """A network can be matched although only a truncated address is published."""
    found = outcome_of("name: r, request: {client_ip: 192.0.2.77}, client_ip: truncate")

    assert isinstance(found, Accepted)
    assert found.event["http"]["client_ip"] == "192.0.2.0"


def test_unwanted_request_reaches_the_next_route_as_it_was() -> None:
    """The event that a later route makes is the one it would make alone."""
    first = "name: errors, request: {api: rest}, client_ip: hash"
    second = "name: rest"
    alone = outcome_of(f"{second}, to: out-1, stream: x".replace("to: out-1, ", ""))
    after = outcome_of(f"{first.replace(', client_ip: hash', '')}\n{second}, stream: x")

    assert isinstance(alone, Accepted)
    assert isinstance(after, Accepted)
    assert (after.route, after.topic) == ("rest", "out-1")
    assert after.event == alone.event


@pytest.mark.parametrize(
    ("routes", "wanted"),
    [
        ("name: a, request: {api: x}\nname: b, request: {api: y}", Ignored(Reason.UNWANTED, "a")),
        ("name: a, match: {program: other}\nname: b, request: {api: y}", Ignored(Reason.UNWANTED, "b")),
        ("name: a, match: {header.env: prod}", Ignored(Reason.UNMATCHED)),
    ],
)
def test_unwanted_request_is_ignored_by_the_first_route_that_did_not_want_it(routes: str, wanted: Ignored) -> None:
    """The count says whose condition it was."""
    assert outcome_of(routes) == wanted


def test_record_headers_are_asked_by_the_pipeline() -> None:
    """A record's headers reach the conditions."""
    found = outcome_of("name: a, match: {header.env: prod}", headers=(("env", b"prod"),))

    assert isinstance(found, Accepted)


def test_conditions_come_before_validation() -> None:
    """What a route does not want can't become its dead letter; what it wants can."""
    request = {**REQUEST, "http": {**REQUEST["http"], "method": 7}}

    assert outcome_of("name: a, request: {api: x}", request) == Ignored(Reason.UNWANTED, "a")
    assert isinstance(outcome_of("name: a, request: {method: '7'}", request), Rejected)


@pytest.mark.parametrize(
    "request_",
    [
        {**REQUEST, "http": {"method": "GET", "status_code": "503"}},
        {**REQUEST, "http": {"method": "GET", "status_code": 1.5}, "meta": {"uri": 5}},
        {**REQUEST, "http": {"method": ["GET"], "status_code": {"a": 1}, "client_ip": 7}},
        {**REQUEST, "client_id": {"a": 1}, "route": [1], "total_time_ms": "x"},
        {"$schema": "/api-gateway/request/1.0.0"},
    ],
)
def test_conditions_raise_on_no_request(request_: dict[str, Any]) -> None:
    """Fields of any type, or none at all, are just not what is asked for."""
    fields = ("api", "client_id", "client_ip", "client_type", "outcome", "path", "domain", "header.x", "field.http.a")
    asked = ", ".join(f"{{{field}: nothing}}" for field in fields)
    numbers = "{status_code: {gt: 9999}}, {total_time_ms: {gt: 99999999}}"

    assert not isinstance(outcome_of(f"name: r, request: {{any: [{asked}, {numbers}]}}", request_), Accepted)
