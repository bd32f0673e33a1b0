"""Objects behind blanks or a byte order mark, and records of Filebeat: lines that are read as those without."""

from __future__ import annotations

import orjson
import pytest

from logrouter import config
from logrouter.core import ids
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.envelopes.fields import read_field
from logrouter.core.pipeline import process
from logrouter.model import Accepted, Envelope, Ignored, RawRecord

NOW = 1_777_630_000_000
BOM = "\ufeff"
NGINX = '192.0.2.7 - - [01/May/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/8"'
LINES = [
    ("envoy", {"http": {"method": "GET", "status_code": 200}, "meta": {"uri": "/a"}}),
    ("istio", {"method": "GET", "path": "/a", "response_code": 200, "response_flags": "-"}),
    ("traefik", {"DownstreamStatus": 200, "RequestMethod": "GET", "RequestPath": "/a"}),
    ("kong", {"request": {"method": "GET", "uri": "/a"}, "response": {"status": 200}, "latencies": {"request": 1}}),
    ("json", {"status": 200, "method": "GET"}),
    ("aws_json", {"httpMethod": "GET", "status": "200", "requestId": "r-1", "path": "/a"}),
    ("auto", {"DownstreamStatus": 200, "RequestMethod": "GET", "RequestPath": "/a"}),
]


def outcome_of(name: str, envelope: str, record: bytes):
    """What becomes of a record."""
    fields = ", fields: {http.status_code: status, http.method: method}" if name == "json" else ""
    file = f"""version: 1
sources: {{s: {{topics: t, envelope: {envelope}}}}}
routes: [{{name: r, from: s, to: out, format: {{name: {name}{fields}}}}}]
"""
    source = config.parse(file.encode(), {}).table.source_of("t")
    (found,) = process(source, RawRecord("t", 0, 0, NOW, record), NOW, ids.for_partition("c", "t", 0))
    return found


def wrapped(envelope: str, line: str) -> bytes:
    """A record with this line."""
    match envelope:
        case "kubernetes":
            return orjson.dumps({"log": f"{line}\n", "stream": "stdout", "kubernetes": {"namespace_name": "prod"}})
        case "rsyslog":
            return orjson.dumps({"message": line, "program": "gw", "host": "h"})
        case "cri":
            return f"2026-05-01T10:00:00.000000000Z stdout F {line}".encode()
    return line.encode()


@pytest.mark.parametrize("before", ["  ", "\t", BOM, f"{BOM} ", " \r\n "])
@pytest.mark.parametrize("envelope", ["plain", "lines", "json", "cri", "kubernetes", "rsyslog"])
@pytest.mark.parametrize(("name", "line"), LINES)
def test_what_stands_before_the_brace_is_no_part_of_the_line(name, line, envelope, before):
    """For every format of JSON, in every envelope that has one line a record."""
    if "\n" in before and envelope == "cri":
        before = " "  # a line has no line ends
    if envelope == "lines":
        before = before.strip(" \t\r\n") or BOM  # an object there is one of rsyslog
    found = outcome_of(name, envelope, wrapped(envelope, before + orjson.dumps(line).decode()))
    assert isinstance(found, Accepted)
    assert found.event["http"]["status_code"] == 200


@pytest.mark.parametrize("envelope", ["kubernetes", "rsyslog", "json", "lines"])
def test_a_byte_order_mark_before_a_record(envelope):
    """Is no part of the record."""
    record = BOM.encode() + orjson.dumps({"message": NGINX, "host": "h"})
    assert isinstance(outcome_of("nginx", envelope, record), Accepted)


@pytest.mark.parametrize("line", ["  text", BOM, "  ", " {", f"{BOM}{{}}"])
def test_what_is_no_request_stays_none(line):
    """With blanks before it as without."""
    found = outcome_of("traefik", "plain", line.encode())
    assert not isinstance(found, Accepted)
    assert line != "  text" or isinstance(found, Ignored)


BEAT = {
    "@timestamp": "2026-05-01T10:00:00.000Z",
    "log": {"offset": 1, "file": {"path": "/var/log/containers/gw-1_prod_nginx-c0ffee.log"}},
    "stream": "stdout",
    "input": {"type": "container"},
    "agent": {"type": "filebeat"},
    "ecs": {"version": "8.0.0"},
    "host": {"name": "node-1"},
    "kubernetes": {"namespace": "prod", "pod": {"name": "gw-1"}, "container": {"name": "nginx"}},
}


@pytest.mark.parametrize("envelope", ["kubernetes", "rsyslog", "json"])
@pytest.mark.parametrize(
    ("name", "text"), [("nginx", NGINX), *((name, orjson.dumps(line).decode()) for name, line in LINES)]
)
def test_a_record_of_filebeat(envelope, name, text):
    """The object `log` says where the line was; `message` is the line."""
    record = orjson.dumps({**BEAT, "message": text})
    found = outcome_of(name, envelope, record)
    assert isinstance(found, Accepted)
    assert found.event["http"]["status_code"] == 200
    read = ENVELOPES[envelope].decode(record)
    assert isinstance(read, Envelope)
    assert [read_field(read, field) for field in ("namespace", "pod", "container")] == ["prod", "gw-1", "nginx"]


@pytest.mark.parametrize("envelope", ["kubernetes", "rsyslog", "json"])
def test_a_record_of_filebeat_with_the_keys_of_the_line(envelope):
    """`json.keys_under_root`: the application's keys stand beside those of Filebeat."""
    found = outcome_of("traefik", envelope, orjson.dumps({**BEAT, **LINES[2][1]}))
    assert isinstance(found, Accepted)


def test_an_object_of_the_application_is_still_found_under_log():
    """It has other keys than those that say where a line was."""
    record = orjson.dumps({"log": LINES[2][1], "stream": "stdout", "kubernetes": {"namespace_name": "prod"}})
    assert isinstance(outcome_of("traefik", "kubernetes", record), Accepted)
