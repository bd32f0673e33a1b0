"""Every operator of conditions: what it accepts, and every message for an operand that is wrong."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from logrouter import config
from logrouter.config.options.operators import parse_number
from logrouter.model import Envelope

LINE: dict[str, Any] = {
    "program": "api-gateway",
    "host": "10.1.2.3",
    "severity": "ERR",
    "message": "GET / 200",
    "size": 1500,
    "tenant": {"address": "::ffff:192.0.2.7", "share": "0.25", "v6": "2001:db8::1"},
    "huge": "9" * 30,
}
HEADERS = (("env", b"staging"), ("env", b"prod"), ("hops", b"3"), ("odd", b"\xff-prod"), ("none", None), ("dash", b"-"))


def config_of(block: str, name: str = "match") -> str:
    """A whole file with one route that has this block."""
    return (
        "version: 1\nsources: {s: {topics: [logs], envelope: rsyslog}}\n"
        f"routes:\n  - {{name: r, from: s, {name}: {block}, format: envoy, to: out}}\n"
    )


def holds(match: str, headers: tuple[tuple[str, bytes | None], ...] = HEADERS) -> bool:
    """Whether the line satisfies the condition."""
    source = config.parse(config_of(match).encode(), {}).table.source_of("logs")
    assert source is not None
    envelope = source.decode(orjson.dumps(LINE))
    assert isinstance(envelope, Envelope)
    envelope.headers = headers
    return any(route.select(envelope) for route in source.routes)


@pytest.mark.parametrize(
    ("match", "wanted"),
    [
        ("{program: {regex: gate}}", True),
        ("{program: {regex: ^gate}}", False),
        ("{program: {regex: '^api-(gateway|portal)$'}}", True),
        ("{program: {regex: API}}", False),
        ("{program: {regex: '(?i)API'}}", True),
        ("{severity: {regex: '^(Err|crit)$'}}", True),
        ("{severity: {regex: '^err$', equals: err}}", True),
        ("{topic: {regex: '^lo[gx]s$'}}", True),
        ("{topic: {regex: '^k8s-'}}", False),
        ("{not: {program: {regex: gate}}}", False),
        ("{pod: {regex: '.*'}}", False),
        ("{field.size: {gt: 1499}}", True),
        ("{field.size: {gt: 1500}}", False),
        ("{field.size: {ge: 1500}}", True),
        ("{field.size: {lt: 1500}}", False),
        ("{field.size: {lt: 1500.5}}", True),
        ("{field.size: {le: 1500}}", True),
        ("{field.size: {ge: 1000, lt: 2000}}", True),
        ("{field.tenant.share: {le: 0.25}}", True),
        ("{field.tenant.share: {lt: 0.25}}", False),
        ("{field.huge: {gt: 0}}", False),
        ("{field.program: {gt: 0}}", False),
        ("{field.absent: {lt: 5}}", False),
        ("{header.hops: {ge: 3}}", True),
        ("{host: {cidr: 10.0.0.0/8}}", True),
        ("{host: {cidr: [192.168.0.0/16, 10.1.2.3]}}", True),
        ("{host: {cidr: 10.1.2.0/31}}", False),
        ("{host: {cidr: '::/0'}}", False),
        ("{field.tenant.address: {cidr: 192.0.2.0/24}}", True),
        ("{field.tenant.address: {cidr: '::ffff:0:0/96'}}", True),
        ("{field.tenant.v6: {cidr: '2001:db8::/32'}}", True),
        ("{field.tenant.v6: {cidr: 0.0.0.0/0}}", False),
        ("{field.program: {cidr: 0.0.0.0/0}}", False),
        ("{field.message: {cidr: 0.0.0.0/0}}", False),
        ("{header.env: prod}", True),
        ("{header.env: staging}", False),
        ("{header.ENV: prod}", False),
        ("{header.odd: {suffix: -prod}}", True),
        ("{header.env: [dev, prod], program: api-gateway}", True),
        ("{header.none: {exists: true}}", False),
        ("{header.dash: {exists: false}}", True),
        ("{header.absent: {exists: false}}", True),
        ("{any: [{header.env: x}, {host: {cidr: 10.0.0.0/8}}]}", True),
    ],
)
def test_operator_holds(match: str, wanted: bool) -> None:
    """Expressions, comparisons, networks and record headers, alone and with others."""
    assert holds(match) is wanted


def test_headers_of_a_record_without_any() -> None:
    """No headers are no match."""
    assert not holds("{header.env: prod}", ())


@pytest.mark.parametrize(
    ("match", "message"),
    [
        ("{host: {regex: }}", "match.host.regex: must be a regular expression, not empty"),
        ("{host: {regex: 5}}", "match.host.regex: must be a regular expression, not 5"),
        ("{host: {regex: '(a'}}", "match.host.regex: is not a regular expression of RE2: missing ): (a"),
        (
            "{host: {regex: 'a(?=b)'}}",
            "match.host.regex: is not a regular expression of RE2: invalid perl operator: (?=",
        ),
        (
            r"{host: {regex: '(a)\1'}}",
            r"match.host.regex: is not a regular expression of RE2: invalid escape sequence: \1",
        ),
        (
            "{host: {regex: '((a{100}){100}){100}'}}",
            "match.host.regex: is not a regular expression of RE2: invalid repetition size: {100}",
        ),
        (r"{host: {regex: 'a{1000}b{1000}'}}", "match.host.regex: compiles to 2004 steps, at most 1000 are allowed"),
        (f"{{host: {{regex: {'a' * 501}}}}}", "match.host.regex: has 501 characters, at most 500 are allowed"),
        (
            "{host: {regex: a^b}}",
            "match.host.regex: can match nothing: a character stands before the beginning or after the end",
        ),
        (
            "{severity: {gt: 3}}",
            "match.severity.gt: severity is no number; gt is for label.<name>, field.<name>, header.<name>",
        ),
        ("{topic: {le: 3}}", "match.topic.le: topic is no number; le is for label.<name>, field.<name>, header.<name>"),
        ("{field.n: {ge: '3'}}", "match.field.n.ge: must be a number, not '3'"),
        ("{field.n: {ge: }}", "match.field.n.ge: must be a number, not empty"),
        ("{field.n: {ge: true}}", "match.field.n.ge: must be a number, not true"),
        ("{field.n: {ge: 1e999}}", "match.field.n.ge: must be a number, not inf"),
        (
            "{program: {cidr: 10.0.0.0/8}}",
            "match.program.cidr: program is no address; cidr is for host, label.<name>, field.<name>, header.<name>",
        ),
        ("{host: {cidr: []}}", "match.host.cidr: must be a network or a list of networks, not empty"),
        (
            "{host: {cidr: 10.0.0.0/33}}",
            "match.host.cidr: must be a network such as 10.0.0.0/8 or 2001:db8::/32, not '10.0.0.0/33'",
        ),
        ("{host: {cidr: 7}}", "match.host.cidr: must be a network such as 10.0.0.0/8 or 2001:db8::/32, not 7"),
        (
            "{host: {cidr: [10.0.0.0/8, 10.1.2.3/8]}}",
            'match.host.cidr[1]: 10.1.2.3/8 has bits set beyond its prefix (did you mean "10.0.0.0/8"?)',
        ),
        (
            "{header.: x}",
            (
                "match.header.: no such field; there are account, app, container, facility, filename, host, "
                "log_group, log_stream, namespace, pod, process_type, program, release, severity, shape, stream, "
                "text, topic, label.<name>, field.<name> and header.<name>"
            ),
        ),
    ],
)
def test_message_of_an_operand(match: str, message: str) -> None:
    """A wrong operand is named by its place."""
    with pytest.raises(config.ConfigError) as failed:
        config.parse(config_of(match).encode(), {})

    assert [str(problem).partition("routes[0].")[2] for problem in failed.value.problems] == [message]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("{}", "request: must not be empty"),
        ("[a]", "request: must be a mapping from field of the request to condition"),
        ("{status_code: ok}", "request.status_code: must be a number, not 'ok'"),
        ("{status_code: [200, x]}", "request.status_code[1]: must be a number, not 'x'"),
        (
            "{method: {gt: 1}}",
            (
                "request.method.gt: method is no number; gt is for backend_time_ms, bytes_received, bytes_sent, "
                "status_code, total_time_ms, header.<name>, field.<name>"
            ),
        ),
        (
            "{api: {cidr: ::1}}",
            "request.api.cidr: api is no address; cidr is for client_ip, header.<name>, field.<name>",
        ),
        (
            "{statuscode: 200}",
            (
                'request.statuscode: no such field (did you mean "status_code"?); there are api, api_version, '
                "backend_time_ms, bytes_received, bytes_sent, client_id, client_ip, client_type, domain, method, "
                "outcome, path, protocol, request_id, status_class, status_code, total_time_ms, header.<name> and "
                "field.<name>"
            ),
        ),
        (
            "{topic: logs}",
            (
                "request.topic: no such field; there are api, api_version, backend_time_ms, bytes_received, "
                "bytes_sent, client_id, client_ip, client_type, domain, method, outcome, path, protocol, request_id, "
                "status_class, status_code, total_time_ms, header.<name> and field.<name>"
            ),
        ),
        (
            "{any: [{path: {regex: '['}}]}",
            "request.any[0].path.regex: is not a regular expression of RE2: missing ]: [",
        ),
    ],
)
def test_message_of_a_request_condition(request_: str, message: str) -> None:
    """The `request` block has the same language with its own fields."""
    with pytest.raises(config.ConfigError) as failed:
        config.parse(config_of(request_, "request").encode(), {})

    assert [str(problem).partition("routes[0].")[2] for problem in failed.value.problems] == [message]


def test_all_wrong_items_of_a_list_are_named() -> None:
    """One round mends a whole list."""
    with pytest.raises(config.ConfigError) as failed:
        config.parse(config_of("{host: {cidr: [a, 10.0.0.0/8, b]}, program: ['', [x]]}").encode(), {})

    assert [problem.path for problem in failed.value.problems] == [
        "routes[0].match.host.cidr[0]",
        "routes[0].match.host.cidr[2]",
        "routes[0].match.program[0]",
        "routes[0].match.program[1]",
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("007", 7),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("123456789012345678", 123456789012345678),
        ("1" * 19, None),
        ("", None),
        (" 7", None),
        ("1_0", None),
        ("\u0663", None),
        ("nan", None),
        ("inf", None),
        ("0x10", None),
        ("7" * 1_000_000, None),
    ],
)
def test_parse_number(text: str, number: float | None) -> None:
    """Decimal numbers of a bounded length, and nothing that Python alone would take for one."""
    assert parse_number(text) == number
