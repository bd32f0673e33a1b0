"""Sources that read the envelope: whose app a line is of, where the line itself does not say."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from logrouter import config
from logrouter.core.pipeline import process
from logrouter.model import Accepted, RawRecord

RECORD: dict[str, Any] = {
    "log": "method=GET path=/cart status=200 space=own\n",
    "stream": "stdout",
    "time": "2026-05-01T10:00:00Z",
    "kubernetes": {
        "namespace_name": "prod",
        "pod_name": "shop-1",
        "container_name": "shop--api",
        "labels": {"team.example.org/name": "carts"},
    },
}


def event_of(enrich: str, record: dict[str, Any] = RECORD, match: str = "{}") -> dict[str, Any] | None:
    """The event that a route with these options makes of a record, None if it makes none."""
    text = f"""
version: 1
sources: {{s: {{topics: [logs], envelope: kubernetes}}}}
routes:
  - {{name: r, from: s, format: kv, to: out, enrich: {enrich}, request: {match}}}
""".replace(", request: {}", "")
    source = config.parse(text.encode(), {}).table.source_of("logs")
    assert source is not None
    (found,) = process(source, RawRecord("logs", 0, 1, 0, orjson.dumps(record)), 1_800_000_000_000, lambda _o, _i: "id")
    return found.event if isinstance(found, Accepted) else None


@pytest.mark.parametrize(
    ("enrich", "expected"),
    [
        ("{api: 'envelope:app'}", {"api": "shop", "tenant": "own"}),
        ("{api: [route, 'envelope:process_type']}", {"api": "api", "tenant": "own"}),
        ("{api: route}", {"tenant": "own"}),
        ("{tenant: 'envelope:namespace'}", {"tenant": "prod"}),
        ("{tenant: ['envelope:release', 'envelope:label.team.example.org/name']}", {"tenant": "carts"}),
        ("{tenant: 'envelope:release'}", {"tenant": "own"}),
        ("{tenant: method}", {"tenant": "GET"}),
        ("{client_id: 'envelope:pod'}", {"tenant": "own", "client_id": "shop-1"}),
    ],
)
def test_a_source_may_be_a_field_of_the_envelope(enrich, expected):
    """Sources are asked in order, and what the format reads stays where none of them knows."""
    event = event_of(enrich)
    assert event is not None
    assert {name: event[name] for name in ("api", "tenant", "client_id") if name in event} == expected


def test_a_request_condition_sees_it():
    """As it sees an API of the line."""
    assert event_of("{api: 'envelope:app'}", match="{api: shop}") is not None
    assert event_of("{api: 'envelope:app'}", match="{api: other}") is None


def test_a_tenant_s_name_is_bounded():
    """A name from outside is cut and hashed as an API's is."""
    record = {**RECORD, "kubernetes": {**RECORD["kubernetes"], "namespace_name": "x" * 5000}}
    event = event_of("{tenant: 'envelope:namespace'}", record)
    assert event is not None
    assert len(event["tenant"]) <= 256


@pytest.mark.parametrize(
    ("option", "place"), [("api", "api.from[0]"), ("client_id", "client_id.from[0]"), ("tenant", "tenant[0]")]
)
@pytest.mark.parametrize("name", ["appp", "text", "label."])
def test_a_field_that_no_envelope_has_is_refused(option, place, name):
    """A misspelled source must not silently find nothing."""
    with pytest.raises(config.ConfigError) as failed:
        event_of(f"{{{option}: 'envelope:{name}'}}")
    (problem,) = failed.value.problems
    says = f"{place}: no such field of an envelope; there are account, app, "
    assert str(problem).partition("routes[0].enrich.")[2].startswith(says)


def test_a_schema_without_tenants_is_told(tmp_path):
    """Before every event of the route is refused by it."""
    (tmp_path / "own.json").write_text('{"additionalProperties": false, "properties": {"meta": {}}}')
    text = """
version: 1
sources: {s: {topics: [logs], envelope: kubernetes}}
routes: [{name: r, from: s, format: kv, to: out, schema: own.json, tables: [], enrich: {tenant: "envelope:app"}}]
"""
    with pytest.raises(config.ConfigError) as failed:
        config.parse(text.encode(), {}, folder=tmp_path)
    assert "enrich.tenant: the schema allows no field tenant" in str(failed.value)
