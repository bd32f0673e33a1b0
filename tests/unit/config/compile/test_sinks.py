"""What is wrong between options of sinks: topics, groups, guards, headers, keys, files."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from logrouter import config
from logrouter.route import process

SMALL = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: a, from: logs, format: envoy, to: out}, {name: b, from: logs, format: envoy, to: more}]
"""
KEYS = {"KEY": "whsec_" + "A" * 32, "OTHER": "whsec_" + "B" * 32}
ENV = {**KEYS, "TOKEN": "x" * 20}


def sink(more: str = "", *, kind: str = "webhook", url: str = "https://h/x", topics: str = "out") -> str:
    """A sink in the flow style of YAML."""
    return f"{{type: {kind}, from: {topics}, url: '{url}'{', ' if more else ''}{more}}}"


def parsed(sinks: str, folder: Path = Path(), more: str = "") -> config.Settings:
    """The settings of the small file with these sinks."""
    return config.parse(f"{SMALL}{more}sinks:\n{sinks}\n".encode(), ENV, folder=folder)


def problems_of(sinks: str, folder: Path = Path(), more: str = "") -> list[str]:
    """Every problem of the small file with these sinks."""
    with pytest.raises(config.ConfigError) as failed:
        parsed(sinks, folder, more)
    return [str(problem) for problem in failed.value.problems]


def test_topics_are_those_that_routes_write_to():
    """Any of them, by all routes, and no others, which are named with their place."""
    assert parsed(f"  s: {sink(topics='[out, more]')}").sinks["s"].options.topics == ("out", "more")
    assert problems_of(f"  s: {sink(topics='[out, mor]')}") == [
        '5:34: sinks.s.from[1]: no route writes to mor (did you mean "more"?)'
    ]
    assert problems_of(f"  s: {sink(topics='logs')}") == ["5:28: sinks.s.from: no route writes to logs"]
    assert problems_of(f"  s: {sink(topics='logrouter.rollup')}") == [
        "5:28: sinks.s.from: no route writes to logrouter.rollup"
    ]


def test_a_sink_never_reads_dead_letters():
    """What its target refuses would come back without end."""
    [found] = problems_of(f"  s: {sink(topics='logrouter.dead-letter')}")

    assert found.startswith("5:28: sinks.s.from: logrouter.dead-letter is where dead letters go")


def test_a_mistake_in_one_sink_does_not_hide_what_is_wrong_with_another():
    """Only one of a route leaves open who writes what."""
    assert len(problems_of(f"  s: {sink('connections: 0')}\n  t: {sink(topics='outt')}")) == 2
    broken = SMALL.replace("to: out", "to: ''") + f"sinks:\n  t: {sink(topics='out')}\n"
    with pytest.raises(config.ConfigError) as failed:
        config.parse(broken.encode(), ENV)
    assert [problem.path for problem in failed.value.problems] == ["routes[0].to"]


@pytest.mark.parametrize(
    ("sinks", "message"),
    [
        (
            f"  s: {sink('group: g')}\n  t: {sink('group: g')}",
            "sinks.t.group: g is the group of sinks.s as well: each would get half of the events",
        ),
        (
            f"  s: {sink('group: logrouter-sink-t')}\n  t: {sink()}",
            "sinks.t.group: logrouter-sink-t is the group of sinks.s as well: each would get half of the events",
        ),
        (
            f"  s: {sink('group: logrouter')}",
            "sinks.s.group: logrouter is the group of route_lane as well: each would get half of the events",
        ),
        (
            f"  s: {sink('group: logrouter-tables')}",
            "sinks.s.group: logrouter-tables is the group of tables_lane as well: each would get half of the events",
        ),
        (
            f"  s: {sink('retry: {first_pause_ms: 10, longest_pause_ms: 9}')}",
            "sinks.s.retry.longest_pause_ms: is shorter than first_pause_ms",
        ),
        (
            "  s: " + sink("api_key: '${TOKEN}', basic_auth: {user: u, password: '${TOKEN}'}", kind="opensearch"),
            "sinks.s: basic_auth and api_key are ways of one thing: keep one",
        ),
        (
            f"  s: {sink('index: a, data_stream: b', kind='opensearch')}",
            "sinks.s.data_stream: takes the place of `index`: keep one",
        ),
        (
            f"  s: {sink('document: firehose, data_stream: b', kind='opensearch')}",
            "sinks.s.data_stream: needs documents with @timestamp, which those of `document: firehose` do not have",
        ),
        (f"  s: {sink('tls: {ca: x.pem}', url='http://h/')}", "sinks.s.tls: is for https, and the url says http"),
        (f"  s: {sink('tls: {key: x.pem}')}", "sinks.s.tls: `certificate` and `key` go together"),
    ],
)
def test_message(sinks, message):
    """One mistake is one problem, at the option that has to change."""
    [found] = problems_of(sinks)

    assert found.partition(": ")[2].startswith(message)


@pytest.mark.parametrize(
    ("options", "at", "message"),
    [
        ("headers: {Authorization: abc}", "headers.Authorization", "the option `authorization`, with a reference"),
        ("headers: {x-api-key: abc}", "headers.x-api-key", "holds a secret: use the option `secret_headers`, with a "),
        ("headers: {Cookie: a}", "headers.Cookie", "holds a secret: use the option `secret_headers`"),
        (
            "headers: {x-tenant: 'Bearer eyJhbGciOiJ'}",
            "headers.x-tenant",
            "holds a secret: use the option `secret_headers",
        ),
        ("secret_headers: {webhook-id: '${TOKEN}'}", "secret_headers.webhook-id", "is set by the sink itself"),
        ("headers: {x-a: b}, secret_headers: {X-A: '${TOKEN}'}", "secret_headers.X-A", "is the same header as x-a"),
        (
            "authorization: '${TOKEN}', secret_headers: {Authorization: '${TOKEN}'}",
            "secret_headers.Authorization",
            "is the same header as the option `authorization`",
        ),
    ],
)
def test_a_header_with_a_secret_names_the_option_that_takes_it(options, at, message):
    """By its name, or by the form of its value; a header is sent once, and none that makes the request what it is."""
    [found] = problems_of(f"  s: {sink(options)}")

    assert f"sinks.s.{at}: " in found
    assert message in found
    assert not any(secret in found for secret in ("abc", *ENV.values()))


def test_a_webhook_that_is_right():
    """Two keys while one is replaced, headers of both kinds."""
    more = "signing_keys: ['${KEY}', '${OTHER}'], headers: {x-tenant: a}, secret_headers: {x-api-key: '${TOKEN}'}"
    options = parsed(f"  s: {sink(more)}").sinks["s"].options

    assert [key.reveal() for key in options.signing_keys] == [ENV["KEY"], ENV["OTHER"]]
    assert options.secret_headers["x-api-key"].reveal() == ENV["TOKEN"]


def test_https_without_files_trusts_what_the_machine_does():
    """And http has no context at all."""
    sinks = parsed(f"  s: {sink()}\n  t: {sink(url='http://h/')}").sinks

    assert sinks["s"].tls.verify_mode is ssl.CERT_REQUIRED
    assert sinks["s"].tls.check_hostname
    assert sinks["t"].tls is None


def test_what_sinks_read_and_write_is_created_with_the_other_topics():
    """`logrouter topics` knows the topics of routes and of dead letters; a sink needs no others."""
    settings = parsed(f"  s: {sink(topics='[out, more]')}")
    wanted = {topic.name for topic in process.wanted_topics(settings)}

    assert wanted >= {*settings.sinks["s"].options.topics, settings.outputs.dead_letter.topic}
