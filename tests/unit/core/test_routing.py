"""Which route takes a record: topics, conditions, and a pre-filter that never changes the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logrouter import config
from logrouter.core.match.prefilter import literal
from logrouter.model import Envelope
from tests.conftest import examples

if TYPE_CHECKING:
    from logrouter.core.routing import RouteTable, Source


def table(routes: str, topics: str = "[logs, '^k8s-.*']") -> RouteTable:
    """A table with one source and the given routes, each `name: match` in YAML's flow style."""
    made = "".join(
        f"  - {{name: {line.partition(':')[0]}, from: s, match: {line.partition(':')[2]}, format: envoy, to: out}}\n"
        for line in routes.strip().splitlines()
    )
    text = f"version: 1\nsources: {{s: {{topics: {topics}, envelope: rsyslog}}}}\nroutes:\n{made}"
    return config.parse(text.encode(), {}).table


def source(match: str, topic: str = "logs") -> Source:
    """A source with one route of this condition."""
    found = table(f"r: {match}").source_of(topic)
    assert found is not None
    return found


def selected(of: Source, envelope: Envelope) -> str | None:
    """The name of the first route that selects the envelope."""
    return next((route.name for route in of.routes if route.select(envelope)), None)


LINE: dict[str, Any] = {
    "program": "api-gateway",
    "host": "gw-1.example",
    "severity": "NOTICE",
    "message": "GET / 200",
    "kubernetes": {"namespace_name": "edge", "labels": {"app": "front/end"}},
    "tenant": {"id": 7},
}


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        ("{program: api-gateway}", True),
        ("{program: api}", False),
        ("{program: API-GATEWAY}", False),
        ("{program: [a, api-gateway]}", True),
        ("{program: {in: [a, b]}}", False),
        ("{host: {glob: gw-?.*}}", True),
        ("{host: {glob: gw}}", False),
        ("{host: {prefix: gw-, suffix: .example}}", True),
        ("{host: {prefix: gw-, suffix: .com}}", False),
        ("{host: {contains: '1.ex'}}", True),
        ("{severity: notice}", True),
        ("{severity: Notice}", True),
        ("{severity: [err, NOTICE]}", True),
        ("{namespace: edge}", True),
        ("{label.app: front/end}", True),
        ("{field.tenant.id: 7}", True),
        ("{field.tenant.id: '7'}", True),
        ("{pod: {exists: true}}", False),
        ("{pod: {exists: false}}", True),
        ("{not: {pod: x}}", True),
        ("{not: {program: api-gateway}}", False),
        ("{any: [{program: x}, {host: {prefix: gw}}]}", True),
        ("{all: [{program: x}, {host: {prefix: gw}}]}", False),
        ("{program: api-gateway, any: [{namespace: a}, {namespace: edge}], not: {severity: err}}", True),
        ("{topic: logs}", True),
        ("{topic: k8s-a}", False),
        ("{topic: {glob: 'l*'}, program: api-gateway}", True),
        ("{not: {topic: logs}}", False),
        ("{any: [{topic: other}, {program: api-gateway}]}", True),
        ("{topic: {exists: false}}", False),
    ],
)
def test_condition_holds(match: str, holds: bool) -> None:
    """Each operator on each kind of field, alone and nested."""
    of = source(match)
    envelope = of.decode(orjson.dumps(LINE))

    assert isinstance(envelope, Envelope)
    assert (selected(of, envelope) == "r") is holds


def test_first_route_that_matches_has_the_record() -> None:
    """Order in the file decides, and a topic's condition is decided before any record is read."""
    routes = """
    k8s: {topic: {glob: "k8s-*"}}
    gateway: {program: api-gateway}
    host: {host: {prefix: gw}}
    """
    of = table(routes)
    logs, k8s = of.source_of("logs"), of.source_of("k8s-main")
    assert logs is not None
    assert k8s is not None
    envelope = logs.decode(orjson.dumps(LINE))
    assert isinstance(envelope, Envelope)

    assert (selected(logs, envelope), selected(k8s, envelope)) == ("gateway", "k8s")
    assert [route.name for route in logs.routes] == ["gateway", "host"]


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("logs", "exact"),
        ("k8s-main", "pattern"),
        ("k8s-", "pattern"),
        ("xk8s-main", None),
        ("logs2", None),
        ("out", None),
        ("k8s-out", None),
        ("logrouter.rollup", None),
        ("logrouter.dead-letter", None),
        ("logrouter-tables-life-changelog", None),
        ("logrouter-tables-__assignor-__leader", None),
        ("logrouter-tables-audit", "pattern"),
        ("_schemas", None),
    ],
)
def test_source_of_topic(topic: str, name: str | None) -> None:
    """Exact names go before expressions, expressions match whole names, and no output is ever an input."""
    text = """
version: 1
sources:
  pattern: {topics: "^(k8s-.*|logs|out|logrouter.*|_.*)", envelope: rsyslog}
  exact: {topics: logs, envelope: rsyslog}
routes:
  - {name: a, from: [exact, pattern], format: envoy, to: out}
  - {name: b, from: exact, format: envoy, to: k8s-out}
"""
    found = config.parse(text.encode(), {}).table.source_of(topic)

    assert (found.name if found else None) == name


def test_subscription_is_what_librdkafka_takes() -> None:
    """Names as they are, expressions closed at both ends, because the client searches."""
    assert table("r: {program: x}", "[b, a, '^k8s-(a|b)', '^x|y$']").subscription() == [
        "a",
        "b",
        "^(k8s-(a|b))$",
        "^(x|y$)$",
    ]


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("api-gateway", b"api-gateway"),
        ("abc", None),
        ("a/bcde/fg", b"bcde"),
        ('say "hello" now', b"hello"),
        ("back\\slash", b"slash"),
        ("grün-gateway", b"n-gateway"),
        ("tab\there\x7fdelete", b"delete"),
        ("x<41>yz12", b"yz12"),
        ("/", None),
    ],
)
def test_literal_is_what_json_writes_in_one_way(text: str, token: bytes | None) -> None:
    """The longest stretch without anything that a writer may escape."""
    assert literal(text) == token


@pytest.mark.parametrize(
    ("routes", "filters"),
    [
        ("r: {program: api-gateway}", True),
        ("r: {program: [api-gateway, rest-gateway]}", True),
        ("r: {program: [api-gateway, gw]}", False),
        ("r: {any: [{program: api-gateway}, {namespace: gateway}]}", True),
        ("r: {any: [{program: api-gateway}, {severity: notice}]}", False),
        ("r: {program: gw, namespace: gateway}", True),
        ("r: {host: {glob: 'api-gateway-[ab]*'}}", True),
        ("r: {host: {glob: '[ab]-gateway'}}", False),
        ("r: {not: {program: api-gateway}}", False),
        ("r: {program: {exists: true}}", False),
        ("r: {text: {contains: status_code}}", False),
        ("r: {shape: containerd}", False),
        ("r: {program: api-gateway}\nq: {severity: notice}", False),
        ("r: {program: api-gateway}\nq: {severity: notice, topic: elsewhere}", True),
    ],
)
def test_prefilter_exists_where_every_route_needs_some_text(routes: str, filters: bool) -> None:
    """One route that could match anything switches it off; one that is of another topic does not."""
    found = table(routes).source_of("logs")

    assert found is not None
    assert (found.may_match is not None) is filters


@pytest.mark.parametrize(
    ("value", "may"),
    [
        (b'{"program":"api-gateway"}', True),
        (b'{"program":"sshd"}', False),
        (b'{"program":"\\u0061pi-gateway"}', True),
        (b'{"program":"sshd","message":"caf\\u00e9"}', True),
        (b'{"program":"sshd","message":"\\u2026"}', False),
        (b"not json, but api-gateway", True),
        (b"not json", False),
        (b"\xff\xfe", False),
    ],
)
def test_prefilter_looks_for_text_and_escapes(value: bytes, may: bool) -> None:
    """What might be ours is let through; what can't be is not."""
    of = source("{program: api-gateway}")

    assert of.may_match is not None
    assert of.may_match(value) is may


def test_prefilter_of_a_topic_without_routes_lets_nothing_through() -> None:
    """Where no route can take from a topic, nothing need be decoded."""
    of = source("{topic: elsewhere}")

    assert of.routes == ()
    assert of.may_match is not None
    assert not of.may_match(b'{"program":"api-gateway"}')


NAMES = ["api-gateway", "gate/way/long", "grün-gateway", 'quo"ted-name', "gw", "NOTICE", "x<41>yz12", "-", ""]
CONDITIONS = [
    "{program: api-gateway}",
    "{program: [api-gateway, gate/way/long]}",
    "{any: [{program: 'quo\"ted-name'}, {namespace: grün-gateway}, {label.app: x<41>yz12}]}",
    "{host: {glob: '*gate*way'}, program: {exists: true}}",
    "{container: {prefix: api-g}}",
    "{field.tenant: {suffix: gateway}}",
    "{all: [{severity: notice}, {any: [{pod: {contains: gate/way}}, {host: {prefix: 'quo\"ted-n'}}]}]}",
    "{topic: logs, stream: {glob: 'std????'}, namespace: api-gateway}",
]
SOURCES = [source(condition) for condition in CONDITIONS]
UNCUT = (0, 0, b"")

name = st.sampled_from(NAMES)
lines = st.fixed_dictionaries(
    {},
    optional={
        "program": name,
        "host": name,
        "severity": name,
        "rsyslog.programname": name,
        "rsyslog_hostname": name,
        "service.type": name,
        "ecs.version": st.just("1.7.0"),
        "message": st.one_of(name, st.just("\x1b[31mred#012 #033[0mgate")),
        "log": name,
        "msg": st.builds("2026-01-01T00:00:00Z {} F {}".format, st.sampled_from(["stdout", "stderr"]), name),
        "stream": st.sampled_from(["stdout", "stderr"]),
        "tenant": st.one_of(name, st.integers(-(10**12), 10**12), st.none()),
        "metadata": st.builds(lambda a, b: {"filename": f"/var/log/containers/{a}_{b}_api-gateway-0a.log"}, name, name),
        "kubernetes": st.fixed_dictionaries({}, optional={"namespace_name": name, "labels": st.builds(dict, app=name)}),
    },
)


def as_written(line: dict[str, Any], how: int) -> bytes:
    r"""The line as one of several writers has it: plain, with `\/`, with `\u` escapes, with an escaped byte."""
    text = orjson.dumps(line)
    match how:
        case 1:
            return text.replace(b"/", b"\\/")
        case 2:
            return text.replace(b"a", b"\\u0061")
        case 3:
            return text.replace(b"<41>", b"\\x41")
        case 4:
            return text.replace("ü".encode(), b"\\u00fc").replace(b"gateway", b"gatew\\u0061y")
    return text


@given(
    line=lines,
    how=st.integers(0, 4),
    cut=st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3)),
    of=st.sampled_from(SOURCES),
)
@example(line={"program": "api-gateway", "message": "x"}, how=2, cut=UNCUT, of=SOURCES[0])
@example(line={"program": "gate/way/long", "message": "x"}, how=1, cut=UNCUT, of=SOURCES[1])
@example(line={"kubernetes": {"labels": {"app": "x<41>yz12"}}, "message": "x"}, how=3, cut=UNCUT, of=SOURCES[2])
@example(line={"kubernetes": {"namespace_name": "grün-gateway"}, "message": "x"}, how=4, cut=UNCUT, of=SOURCES[2])
@example(line={"program": 'quo"ted-name', "message": "x"}, how=0, cut=UNCUT, of=SOURCES[2])
@settings(max_examples=examples(600), deadline=None)
def test_prefilter_never_changes_what_a_decodable_record_ends_as(
    line: dict[str, Any], how: int, cut: tuple[int, int, bytes], of: Source
) -> None:
    """If any route selects a record, however it is written or damaged, the filter lets it through."""
    value = as_written(line, how)
    start, length, junk = cut
    value = value[:start] + junk + value[start + length :]
    envelope = of.decode(value)
    wanted = isinstance(envelope, Envelope) and selected(of, envelope) is not None

    assert of.may_match is not None
    assert of.may_match(value) or not wanted
