"""Warnings about what a sink of type `eventgate` reads."""

from __future__ import annotations

import orjson
import pytest

from logrouter.config.lint import check
from logrouter.model import RawRecord
from logrouter.sinks.contract import Refused
from logrouter.sinks.eventgate.document import make_document

FILE = """\
version: 1
sources: {{logs: {{topics: [logs], envelope: rsyslog}}}}
routes: [{{name: a, from: logs, format: envoy, to: {topic}{more}}}]
sinks: {{s: {{type: eventgate, from: {topic}, url: 'https://h/'}}}}
"""
OWN = '{"$id": "/my/request/1.0.0", "type": "object"}'


def warnings_of(tmp_path, topic: str, more: str = "") -> list[str]:
    """What is said about a file with a sink that reads this topic."""
    (tmp_path / "own.json").write_text(OWN)
    file = tmp_path / "topics.yaml"
    file.write_text(FILE.format(topic=topic, more=more))
    found = check(file, {})
    assert found.settings is not None, found.problems
    return [f"{problem.path}: {problem.message}" for problem in found.problems]


@pytest.mark.parametrize("topic", ["api-gateway.request", "eqiad.api-gateway.request"])
def test_a_topic_that_eventgate_may_write_itself(tmp_path, topic):
    """Its prefix is for eventgate to know."""
    [found] = warnings_of(tmp_path, topic)

    assert found.startswith(
        f"sinks.s.from: {topic} is what eventgate may call its own topic of api-gateway.request: if"
    )


@pytest.mark.parametrize(
    ("schema", "uri"),
    [
        ("api_request/1.0.0", "/logrouter/api_request/1.0.0"),
        ("api_request/1.1.0", "/logrouter/api_request/1.1.0"),
        ("wikimedia/api-gateway/request/1.0.0", "/api-gateway/request/1.0.0"),
        ("own.json", "/my/request/1.0.0"),
    ],
)
def test_a_route_whose_events_the_sink_refuses(tmp_path, schema, uri):
    """There is a warning for exactly those schemas of which no document can be made."""
    event = {"$schema": uri, "meta": {"id": "i", "dt": "2026-05-04T10:00:00Z"}}
    refused = isinstance(make_document(RawRecord("t", 0, 0, 0, orjson.dumps(event)), "s"), Refused)

    found = warnings_of(tmp_path, "events", f", schema: {schema}")

    assert [each.startswith(f"sinks.s.from: route a writes events of {uri} to events, ") for each in found] == (
        [True] if refused else []
    )
