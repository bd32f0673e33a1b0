"""Documents of events, in both forms."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

import logrouter
from logrouter.model import RawRecord
from logrouter.sinks.contract import Refused
from logrouter.sinks.opensearch.ecs import ECS_FIELDS, to_ecs
from logrouter.sinks.opensearch.firehose import FIREHOSE_FIELDS, to_firehose
from logrouter.sinks.opensearch.source_event import SourceEvent, read_event

MAY_4 = 1_777_888_800_000  # 2026-05-04T10:00:00Z

EVENT: dict[str, Any] = {
    "$schema": "/logrouter/api_request/1.1.0",
    "meta": {
        "stream": "api-gateway.request",
        "dt": "2026-05-04T10:00:00.000Z",
        "id": "1b2c3d4e-5f60-8123-8456-789abcdef012",
        "request_id": "5f0c6a1e",
        "domain": "api.example.org",
        "uri": "/core/v1/page?limit=5",
        "correlation_id": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    },
    "api": "core",
    "api_version": "v1",
    "tenant": "prod",
    "stage": "live",
    "route": "core_v1",
    "client_id": "jwt-sub:1234",
    "client_type": "jwt-sub",
    "client": {"team": "maps", "plan": "gold"},
    "geo": {"country": "DE", "asn": 64496},
    "user": "u42",
    "http": {
        "method": "GET",
        "path": "/core/v1/page",
        "protocol": "HTTP/2",
        "status_code": 503,
        "client_ip": "192.0.2.0",
        "request_headers": {"user-agent": "curl/8.12.1", "referer": "https://example.org/", "accept": "*/*"},
    },
    "path_template": "/core/v1/page/{title}",
    "status_class": "5xx",
    "outcome": "backend_error",
    "total_time_ms": 1203,
    "backend_time_ms": 1200,
    "backend_status_code": 500,
    "backend": {"instance": "192.0.2.80:8080"},
    "bytes_sent": 91,
    "bytes_received": 0,
    "error": {"code": "UF", "class": "upstream_connection_failure", "message": "no connection"},
    "weight": 1.0,
    "source": {"format": "istio", "topic": "k8s-main", "partition": 2, "offset": 81234, "index": 0, "host": "node7"},
    "flags": ["time_from_envelope"],
}


def source(event: dict[str, Any], timestamp: int = MAY_4 + 1500) -> SourceEvent:
    """The event as it is read from its topic."""
    record = RawRecord("events", 0, 5, timestamp, orjson.dumps(event))
    found = read_event(record, record.value or b"")
    assert not isinstance(found, Refused)
    return found


def leaves(document: Any, at: str = "") -> dict[str, Any]:
    """The values of a document by their dotted path."""
    if not isinstance(document, dict):
        return {at: document}
    return {
        path: leaf
        for key, value in document.items()
        for path, leaf in leaves(value, f"{at}.{key}" if at else key).items()
    }


def test_an_event_in_the_elastic_common_schema():
    """What the schema has a field for is there, the rest under `logrouter`; durations are nanoseconds."""
    assert to_ecs(source(EVENT)) == {
        "@timestamp": "2026-05-04T10:00:00.000Z",
        "ecs": {"version": "8.11.0"},
        "event": {
            "kind": "event",
            "category": ["web"],
            "type": ["access"],
            "dataset": "api-gateway.request",
            "id": "1b2c3d4e-5f60-8123-8456-789abcdef012",
            "created": "2026-05-04T10:00:01.500Z",
            "outcome": "failure",
            "duration": 1_203_000_000,
        },
        "http": {
            "version": "2",
            "request": {"id": "5f0c6a1e", "method": "GET", "bytes": 0, "referrer": "https://example.org/"},
            "response": {"status_code": 503, "bytes": 91},
        },
        "url": {
            "domain": "api.example.org",
            "original": "/core/v1/page?limit=5",
            "path": "/core/v1/page",
            "query": "limit=5",
        },
        "client": {
            "address": "192.0.2.0",
            "ip": "192.0.2.0",
            "geo": {"country_iso_code": "DE"},
            "as": {"number": 64496},
        },
        "user": {"name": "u42"},
        "user_agent": {"original": "curl/8.12.1"},
        "service": {"name": "core", "version": "v1", "environment": "live"},
        "trace": {"id": "4bf92f3577b34da6a3ce929d0e0e4736"},
        "span": {"id": "00f067aa0ba902b7"},
        "error": {"code": "UF", "type": "upstream_connection_failure", "message": "no connection"},
        "host": {"name": "node7"},
        "logrouter": {
            "schema": "/logrouter/api_request/1.1.0",
            "correlation_id": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "route": "core_v1",
            "tenant": "prod",
            "path_template": "/core/v1/page/{title}",
            "status_class": "5xx",
            "outcome": "backend_error",
            "weight": 1.0,
            "total_time_ms": 1203,
            "backend": {"time_ms": 1200, "status_code": 500, "instance": "192.0.2.80:8080"},
            "client": {"id": "jwt-sub:1234", "type": "jwt-sub", "attributes": ["team=maps", "plan=gold"]},
            "request_headers": ["accept=*/*"],
            "flags": ["time_from_envelope"],
            "source": {"format": "istio", "topic": "k8s-main", "partition": 2, "offset": 81234, "index": 0},
        },
    }


def test_an_event_with_the_keys_of_api_gateways_log():
    """A status is a text, so that `message.status:50*` finds it."""
    assert to_firehose(source(EVENT)) == {
        "id": "1b2c3d4e-5f60-8123-8456-789abcdef012",
        "timestamp": MAY_4,
        "message": {
            "requestId": "5f0c6a1e",
            "ip": "192.0.2.0",
            "caller": "jwt-sub:1234",
            "user": "u42",
            "requestTime": "04/May/2026:10:00:00 +0000",
            "requestTimeEpoch": MAY_4,
            "httpMethod": "GET",
            "resourcePath": "/core/v1/page/{title}",
            "routeKey": "core_v1",
            "path": "/core/v1/page?limit=5",
            "status": "503",
            "protocol": "HTTP/2",
            "responseLength": 91,
            "responseLatency": 1203,
            "integrationLatency": 1200,
            "integrationStatus": "500",
            "apiId": "core",
            "stage": "live",
            "accountId": "prod",
            "domainName": "api.example.org",
            "userAgent": "curl/8.12.1",
            "errorMessage": "no connection",
            "errorResponseType": "UF",
        },
    }


def test_both_ids_of_a_request_stand_where_api_gateways_log_has_them():
    """The event's id is the extended one, and the other its correlation; other gateways have one id."""
    meta = {**EVENT["meta"], "request_id": "Zx81kQ=", "correlation_id": "6f1c9a70"}
    logged = {**EVENT, "meta": meta, "source": {**EVENT["source"], "format": "aws_json"}}
    message = to_firehose(source(logged))["message"]

    assert (message["requestId"], message["extendedRequestId"]) == ("6f1c9a70", "Zx81kQ=")
    assert to_firehose(source({**EVENT, "meta": meta}))["message"]["requestId"] == "Zx81kQ="


@pytest.mark.parametrize(
    ("event", "resource"),
    [
        ({"route": "GET /pets/{id}", "http": {"path": "/pets/7"}}, "/pets/{id}"),
        ({"route": "/pets/{id}", "http": {"path": "/pets/7"}}, "/pets/{id}"),
        ({"route": "$default", "http": {"path": "/pets/7"}}, "/pets/7"),
        ({"path_template": "/pets/{pet}", "route": "/pets/{id}"}, "/pets/{pet}"),
        ({}, None),
    ],
)
def test_the_resource_path_has_names_for_its_variables(event: dict[str, Any], resource: str | None):
    """As the gateway's route says, else the path itself."""
    assert to_firehose(source(event))["message"].get("resourcePath") == resource


def test_an_event_of_wikimedias_schema_is_a_document_as_well():
    """`api-gateway/request` has most of the same fields, and perhaps no id."""
    event = {
        "$schema": "/api-gateway/request/1.0.0",
        "meta": {"dt": "2026-05-04T10:00:00Z", "stream": "api-gateway.request", "request_id": "r1", "uri": "/a?b=c"},
        "http": {"method": "GET", "status_code": 200, "client_ip": "2001:db8::7", "has_cookies": False},
        "client_id": "c1",
        "route": "core",
        "total_time_ms": 7,
    }

    document = leaves(to_ecs(source(event)))

    assert document["@timestamp"] == "2026-05-04T10:00:00.000Z"
    assert document["event.id"] == f"events:0:5:{MAY_4 + 1500}"
    assert document["event.outcome"] == "success"
    assert document["client.ip"] == "2001:db8::7"
    assert (document["url.path"], document["url.query"]) == ("/a", "b=c")
    assert document["logrouter.client.id"] == "c1"
    assert document["logrouter.weight"] == 1.0
    assert to_firehose(source(event))["message"]["status"] == "200"


@pytest.mark.parametrize(
    ("event", "timestamp", "time", "arrival"),
    [
        ({"meta": {"dt": "2026-05-04T10:00:00Z"}}, MAY_4 + 1, MAY_4, MAY_4 + 1),
        ({"dt": "2026-05-04T12:00:00+02:00", "meta": {}}, MAY_4 + 1, MAY_4, MAY_4 + 1),
        ({"meta": {"dt": "yesterday"}}, MAY_4 + 1, MAY_4 + 1, MAY_4 + 1),
        ({"meta": {"dt": "0001-01-01T00:00:00Z"}}, MAY_4, 0, MAY_4),
        ({"meta": {"dt": "2026-05-04T10:00:00Z"}}, -1, MAY_4, MAY_4),
        ({}, -1, 0, 0),
        ({}, 2**63 - 1, 253_402_300_799_999, 253_402_300_799_999),
    ],
)
def test_a_time_that_is_not_known_is_the_other_one(event: dict[str, Any], timestamp: int, time: int, arrival: int):
    """The time of the event, in `meta.dt` or `dt`, and that of its record."""
    found = source(event, timestamp)

    assert (found.time_ms, found.arrival_ms) == (time, arrival)


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"http": {"client_ip": "5f0c6a1e5f0c6a1e"}}, "client.ip"),
        ({"http": {"client_ip": "fe80::1%eth0"}}, "client.ip"),
        ({"http": {"client_ip": ["192.0.2.1"]}}, "client.address"),
        ({"http": {"status_code": "503"}}, "http.response.status_code"),
        ({"http": {"status_code": True}}, "http.response.status_code"),
        ({"http": {"request_headers": ["user-agent"]}}, "user_agent.original"),
        ({"total_time_ms": 2**53}, "event.duration"),
        ({"bytes_sent": 2**64 - 1}, "http.response.bytes"),
        ({"bytes_sent": 1.5}, "http.response.bytes"),
        ({"error": "broken"}, "error.message"),
        ({"flags": "suspect"}, "logrouter.flags"),
        ({"user": {"name": "u42"}}, "user.name"),
        ({"meta": {"uri": "https://example.org/a"}}, "url.path"),
        ({"meta": {"uri": "example.org:443"}}, "url.path"),
    ],
)
def test_a_value_of_another_kind_is_left_out(event: dict[str, Any], field: str):
    """Else the target would refuse the document for its mapping."""
    assert field not in leaves(to_ecs(source(event)))


def test_an_outcome_that_is_not_said_is_that_of_the_status():
    """An empty text says nothing."""
    document = leaves(to_ecs(source({"outcome": "", "http": {"status_code": 200}})))

    assert document["event.outcome"] == "success"


def test_every_field_of_our_events_is_in_an_ecs_document():
    """So that a field that is new in events is not forgotten here."""
    schema = orjson.loads((Path(logrouter.__file__).parent / "schemas/api_request/1.1.0.json").read_bytes())

    def paths(properties: dict[str, Any], at: str = "") -> set[str]:
        found: set[str] = set()
        for name, kind in properties.items():
            inner = kind.get("properties")
            found |= paths(inner, f"{at}{name}.") if inner else {f"{at}{name}"}
        return found

    assert paths(schema["properties"]) - {field.source for field in ECS_FIELDS} == set()


def test_the_page_says_what_becomes_of_each_field():
    """The table of docs/sinks/opensearch.md, against the tables of fields."""
    page = (Path(__file__).parents[4] / "docs/sinks/opensearch.md").read_text("utf-8")
    rows = re.findall(r"^\| `([^`]+)` \|([^|]*)\|([^|]*)\|$", page.split("\n## Fields\n")[1], re.MULTILINE)
    told = {source: [set(re.findall(r"`([^`]+)`", cell)) for cell in cells] for source, *cells in rows}

    fields = {
        source: [{each.target for each in table if each.source == source} for table in (ECS_FIELDS, FIREHOSE_FIELDS)]
        for source in {field.source for field in (*ECS_FIELDS, *FIREHOSE_FIELDS)} - {""}
    }
    assert told == fields


def test_a_hashed_address_is_one_that_can_be_counted_by():
    """It is no IP address, so it is `client.address` alone."""
    document = leaves(to_ecs(source({"http": {"client_ip": "5f0c6a1e5f0c6a1e"}})))

    assert document["client.address"] == "5f0c6a1e5f0c6a1e"


def test_headers_and_attributes_add_no_fields():
    """However many keys an event has there."""
    headers = {f"x-header-{n}": "1" for n in range(1000)}
    attributes = {f"key{n}": "1" for n in range(1000)}
    event = {
        "http": {"request_headers": headers},
        "client": attributes,
        "unknown": {"a": {"b": 1}},
        "flags": ["a"] * 999,
    }

    document = leaves(to_ecs(source(event)))

    assert set(document) <= {field.target for field in ECS_FIELDS}
    assert {len(value) for value in document.values() if isinstance(value, list)} <= {1, 64}


def test_the_tables_of_fields_name_all_fields():
    """Of an event in which nearly everything is known."""
    assert set(leaves(to_ecs(source(EVENT)))) <= {field.target for field in ECS_FIELDS}
    of_aws = {**EVENT, "source": {"format": "aws_json"}}
    assert set(leaves(to_firehose(source(of_aws)))) == {field.target for field in FIREHOSE_FIELDS}
