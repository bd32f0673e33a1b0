"""A request is the same event and counts the same, whether the gateway tells of it or a server beside the gateway.

The lines are those of docs/examples/beside-the-gateway.yaml, read by its own routes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from ruamel.yaml import YAML

from logrouter import config
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.core.rollup.records import decode_record
from logrouter.route.batch import BatchProcessor
from tests.fake_kafka.messages import START, Message

if TYPE_CHECKING:
    from collections.abc import Iterable

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "beside-the-gateway.yaml"
TABLE = config.parse(EXAMPLE.read_bytes(), {}).table
CASES = YAML(typ="safe").load(EXAMPLE.read_text(encoding="utf-8"))["tests"]
LINES = {}
for case in CASES:
    LINES.setdefault(case["source"], case["line"])
TOPICS = {
    "gateway": "api-gateway-log",
    "nginx": "nginx-access",
    "apache": "apache-access",
    "application": "app-requests",
    "action-api": "eqiad.mediawiki.api-request",
}


def routed(source: str, line: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The event of a line, and what it adds to the tables: cells by subject."""
    processor = BatchProcessor(
        TABLE, cluster="c", rollup_partitions=1, dead_letters=DeadLetterSettings("dead", 0), clock_ms=lambda: START
    )
    output = processor.process([Message(line.encode(), 0, topic=TOPICS[source])])
    ((_, event, _),) = output.events
    return orjson.loads(event), dict(subject for _, record in output.rollup for subject in decode_record(record))


def leaves(event: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Every value of an event by its path, without the record that it was read from."""
    found = {}
    for name, value in event.items():
        found |= leaves(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return {name: value for name, value in found.items() if name != "meta.id" and not name.startswith("source.")}


def differences(one: dict[str, Any], other: dict[str, Any]) -> Iterable[str]:
    """The paths under which two events are not the same."""
    ours, theirs = leaves(one), leaves(other)
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def ended(source: str, status: str) -> str:
    """The source's line about the request, had it ended with another status."""
    line = re.sub(r'(?<=" )200(?= )|(?<="status":)200|(?<="status_code":)200', status, LINES[source])
    assert status in line
    return line


@pytest.mark.parametrize("status", ["200", "304", "404", "429", "499", "500", "503"])
@pytest.mark.parametrize(
    ("source", "unknown"),
    [
        ("nginx", ["route"]),
        ("application", ["route"]),
        ("apache", ["backend_time_ms", "route"]),
    ],
)
def test_a_request_beside_the_gateway_is_the_same_event_and_counts_the_same(source, unknown, status):
    """But for what only the gateway can know: its route, and what Apache does not log. So do requests that failed."""
    through, counted = routed("gateway", ended("gateway", status))
    beside, counted_beside = routed(source, ended(source, status))
    assert differences(through, beside) == unknown
    assert set(unknown).isdisjoint(leaves(beside))
    assert counted_beside == counted
    assert {subject[1:] for subject in counted} == {"4f5d6e7f8091a2b3", "core"}


def test_a_request_of_which_only_mediawiki_tells_counts_for_the_same_client():
    """Its event lacks what MediaWiki does not log, and its API is the module, as there is only one path."""
    asked = b'{"action":"query","oauth_consumer_key":"4f5d6e7f8091a2b3"}'
    line = orjson.loads(LINES["action-api"]) | {"params": orjson.loads(asked), "backend_time_ms": 12}
    line["meta"] |= {"dt": "2026-05-01T10:00:00.262Z"}
    gateway = orjson.loads(LINES["gateway"]) | {"backend_time_ms": 12, "route": "query"}
    gateway["meta"] |= {"uri": "/w/api.php?action=query", "domain": "wiki.example.org"}
    gateway["http"]["request_headers"] = line["http"]["request_headers"]
    through, counted = routed("gateway", orjson.dumps(gateway).decode())
    beside, counted_beside = routed("action-api", orjson.dumps(line).decode())

    assert differences(through, beside) == ["bytes_sent", "flags", "http.protocol", "meta.uri", "route", "tenant"]
    assert {"flags", "tenant"} == leaves(beside).keys() - leaves(through).keys()
    assert counted_beside.keys() == counted.keys()
    for subject, cells in counted_beside.items():
        for cell in cells:
            cell.bytes_out = 512  # which MediaWiki does not log
        assert cells == counted[subject]
