"""From a sink of topics.yaml to the requests that OpenSearch gets."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from logrouter import config
from logrouter.config.options.sinks import OpensearchOptions
from logrouter.deliver.opensearch_target import largest_answer, opensearch_protocol, template_setup
from logrouter.model import RawRecord

if TYPE_CHECKING:
    from logrouter.config.compile.sinks import ConfiguredSink

FILE = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: r, from: logs, format: envoy, to: clean}]
sinks:
  out: {type: opensearch, from: clean, url: "https://search.test:9200", MORE}
"""
ENVIRONMENT = {"PASSWORD": "a long password", "KEY": "a-long-api-key", "ID": "AKIDEXAMPLE", "SECRET": "a-long-secret"}
EVENT = RawRecord("clean", 0, 1, 1_777_975_200_000, b'{"meta": {"id": "e1", "dt": "2026-05-04T10:00:00.000Z"}}')


def sink_of(more: str) -> ConfiguredSink:
    """A file's one sink."""
    return config.parse(FILE.replace("MORE", more).encode(), ENVIRONMENT).sinks["out"]


def options_of(more: str) -> OpensearchOptions:
    """The options of a file's one sink."""
    options = sink_of(more).options
    assert isinstance(options, OpensearchOptions)
    return options


def sent(more: str) -> tuple[str, dict[str, str], list[Any]]:
    """Address, headers and lines of the request with the event of 4 May, which Kafka got on the 5th."""
    protocol = opensearch_protocol(options_of(more), sink_of(more).aws_keys)
    request = protocol.authorise(protocol.encode([EVENT]).request, 1_777_888_800)
    body = request.body
    if request.headers.get("Content-Encoding") == "gzip":
        body = zlib.decompress(body, 31)
    return request.url, dict(request.headers), [orjson.loads(line) for line in body.splitlines()]


def test_without_options_documents_are_ecs_in_an_index_for_each_day():
    """Compressed, and with the event's id."""
    url, headers, [action, document] = sent("")

    assert url.startswith("https://search.test:9200/api-gateway-request-2026-05-04/_bulk?")
    assert url.endswith("&timeout=24s")
    assert headers["Content-Encoding"] == "gzip"
    assert action == {"create": {"_id": "e1"}}
    assert document["ecs"] == {"version": "8.11.0"}


@pytest.mark.parametrize(
    ("more", "index"),
    [
        ("index: requests", "requests-2026-05-04"),
        ("index: {name: requests, rotation: week}", "requests-2026-w19"),
        ("index: {name: requests, rotation: none}", "requests"),
        ("index: {name: requests, rotation: hour, by: arrival}", "requests-2026-05-05-10"),
        ("index: {name: requests, max_past_days: 0}", "requests-2026-05-05"),
        ("data_stream: logs-requests-prod", "logs-requests-prod"),
    ],
)
def test_options_name_the_index(more: str, index: str):
    """By the time of the event, if nothing else is said."""
    assert sent(more)[0].startswith(f"https://search.test:9200/{index}/_bulk?")


@pytest.mark.parametrize(
    ("more", "authorization"),
    [
        ("basic_auth: {user: u, password: '${PASSWORD}'}", "Basic dTphIGxvbmcgcGFzc3dvcmQ="),
        ("api_key: '${KEY}'", "ApiKey a-long-api-key"),
        (
            "aws: {region: eu-west-1, service: aoss, access_key_id: '${ID}', secret_access_key: '${SECRET}'}",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260504/eu-west-1/aoss/aws4_request, SignedHeaders=",
        ),
    ],
)
def test_options_say_who_sends(more: str, authorization: str):
    """One of three ways; without any there is no header."""
    assert sent(more)[1]["Authorization"].startswith(authorization)
    assert "Authorization" not in sent("")[1]


def test_collections_are_not_asked_to_wait_for_shards():
    """They have none that one could see."""
    keys = "access_key_id: '${ID}', secret_access_key: '${SECRET}'"

    assert "timeout=" in sent(f"aws: {{region: eu-west-1, {keys}}}")[0]
    assert "timeout=" not in sent(f"aws: {{region: eu-west-1, service: aoss, {keys}}}")[0]


def test_firehose_documents_are_sent_where_they_are_asked_for():
    """Uncompressed, if that is asked for, too."""
    _, headers, [_, document] = sent("document: firehose, compression: none")

    assert "Content-Encoding" not in headers
    assert set(document) == {"id", "timestamp", "message"}


def test_a_template_is_put_there_unless_it_is_not_wanted():
    """For the indices, or for the data stream."""
    assert template_setup(options_of("template: false")) is None
    for more, pattern, stream in (("index: a", "a-*", False), ("data_stream: b", "b", True)):
        setup = template_setup(options_of(more))
        assert setup is not None
        assert setup.template["index_patterns"] == [pattern]
        assert ("data_stream" in setup.template) is stream


def test_the_largest_answer_refuses_each_event_of_a_batch():
    """A kilobyte for each, or what any answer may have."""
    assert largest_answer(options_of("")) == 4 << 20
    assert largest_answer(options_of("batch: {max_records: 20000}")) == 20_480_000
