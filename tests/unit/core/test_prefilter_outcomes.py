"""The pre-filter only saves work: with it and without it every record ends the same, whatever the conditions."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st

from logrouter import config
from logrouter.core.pipeline import process
from logrouter.model import Outcome, RawRecord
from tests.conftest import examples

WORDS = ["api-gateway", "gate/way/long", "grün-gateway", "x<41>yz12", "edge-gateway-7", "gw", "-", "10.1.2.3", "1500"]
MAX_BYTES = 1024

word = st.sampled_from(WORDS)
named = st.sampled_from(WORDS[:5])
common = st.sampled_from(["program", "host", "namespace"])
rare = st.sampled_from(["app", "label.app", "field.tenant", "severity", "text", "header.env"])


def quoted(text: str) -> str:
    """A YAML flow scalar."""
    return orjson.dumps(text).decode()


def piece(text: str, start: int, length: int) -> str:
    """A part of a word, at least one character."""
    start = min(start, len(text) - 1)
    return text[start : start + 1 + length]


def listed(texts: list[str]) -> str:
    """A YAML flow sequence."""
    return f"[{', '.join(texts)}]"


pieces = st.builds(piece, named, st.integers(0, 6), st.integers(0, 12))
operators = st.sampled_from(["^", "$", ".*", "[a-z]+", "(x|gate)", "|", "a?", r"\d"])
expressions = st.lists(st.one_of(pieces, pieces, operators), min_size=1, max_size=4).map("".join)
globs = st.builds("{}*{}".format, pieces, st.one_of(st.just(""), pieces))
tests = st.one_of(
    named.map(quoted),
    st.lists(named.map(quoted), min_size=1, max_size=3).map(listed),
    st.builds("{{{}: {}}}".format, st.sampled_from(["prefix", "suffix", "contains"]), pieces.map(quoted)),
    st.builds("{{glob: {}}}".format, globs.map(quoted)),
    st.builds("{{regex: {}}}".format, expressions.map(quoted)),
)
others = [
    "{field.tenant: {ge: 1000}}",
    "{host: {cidr: 10.0.0.0/8}}",
    "{topic: logs}",
    "{topic: {glob: 'x*'}}",
    "{pod: {exists: true}}",
    "{app: {exists: false}}",
]
leaves = st.one_of(
    st.builds("{{{}: {}}}".format, common, tests),
    st.builds("{{{}: {}}}".format, common, tests),
    st.builds("{{{}: {}}}".format, rare, tests),
    st.sampled_from(others),
)


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Conditions of conditions."""
    several = st.lists(inner, min_size=1, max_size=3).map(listed)
    return st.one_of(
        st.builds("{{not: {}}}".format, inner), st.builds("{{{}: {}}}".format, st.sampled_from(["any", "all"]), several)
    )


conditions = st.one_of(leaves, st.recursive(leaves, nested, max_leaves=5))
requests = st.sampled_from(["", "{status_code: {ge: 500}}", "{api: core}"])
blocks = st.lists(st.tuples(conditions, requests), min_size=1, max_size=2)

REQUEST = {
    "$schema": "/api-gateway/request/1.0.0",
    "meta": {"dt": "2026-05-04T10:00:00Z", "uri": "/core/v1/page"},
    "http": {"method": "GET", "status_code": 200},
    "route": "core",
}
messages = st.one_of(
    word,
    st.just(orjson.dumps(REQUEST).decode()),
    st.just(orjson.dumps(REQUEST).decode()),
    st.just(orjson.dumps({**REQUEST, "http": {"method": "GET", "status_code": 502}}).decode()),
    st.just(orjson.dumps(REQUEST).decode()[:-9]),
    st.just("x" * MAX_BYTES),
)
lines = st.fixed_dictionaries(
    {"message": messages},
    optional={
        "program": named,
        "host": word,
        "severity": st.sampled_from(["ERR", "notice", "api-gateway"]),
        "tenant": st.one_of(word, st.integers(0, 3000)),
        "kubernetes": st.fixed_dictionaries(
            {}, optional={"namespace_name": named, "labels": st.builds(dict, app=word)}
        ),
    },
)


def as_written(line: dict[str, Any], how: int) -> bytes:
    r"""The line as one of several writers has it: plain, with `\/`, with `\u` escapes, with an escaped byte."""
    text = orjson.dumps(line)
    match how:
        case 1:
            return text.replace(b"/", b"\\/")
        case 2:
            return text.replace(b"way", b"w\\u0061y")
        case 3:
            return text.replace(b"<41>", b"\\x41")
    return text


def sources(routes: list[tuple[str, str]], more: str) -> tuple[Any, Any]:
    """The same source with and without the pre-filter; None for conditions that topics.yaml refuses."""
    made = ""
    for n, (match, request) in enumerate(routes):
        asked = f"request: {request}, " if request else ""
        made += f"  - {{name: r{n}, from: s, match: {match}, {asked}format: envoy, to: o{n}}}\n"
    found = []
    for prefilter in ("true", "false"):
        head = f"topics: [logs], envelope: rsyslog, max_record_bytes: {MAX_BYTES}, prefilter: {prefilter}{more}"
        try:
            settings = config.parse(f"version: 1\nsources: {{s: {{{head}}}}}\nroutes:\n{made}".encode(), {})
        except config.ConfigError:
            return None, None
        found.append(settings.table.source_of("logs"))
    return found[0], found[1]


def outcomes(source: Any, value: bytes) -> tuple[Outcome, ...]:
    """What becomes of a record with these bytes."""
    record = RawRecord("logs", 0, 1, 1_777_000_000_000, value, (("env", b"edge-gateway-7"),))
    return process(source, record, 1_777_000_000_000, lambda offset, index: f"{offset}-{index}")


UNCUT = (0, 0, b"")
GATEWAY = {"program": "api-gateway", "message": "x"}


@given(
    routes=blocks,
    line=lines,
    how=st.integers(0, 3),
    cut=st.one_of(st.just(UNCUT), st.tuples(st.integers(0, 300), st.integers(0, 3), st.binary(max_size=3))),
    more=st.sampled_from(["", ", routing: all-matches"]),
)
@example(routes=[("{program: {regex: '^api-gate'}}", "")], line=GATEWAY, how=2, cut=UNCUT, more="")
@example(routes=[("{host: gate-way}", "")], line=GATEWAY | {"message": "x" * MAX_BYTES}, how=0, cut=UNCUT, more="")
@example(routes=[("{program: api-gateway}", "{api: x}")], line=GATEWAY, how=0, cut=UNCUT, more="")
@settings(max_examples=examples(700), deadline=None)
def test_outcome_is_the_same_with_and_without_the_prefilter(
    routes: list[tuple[str, str]], line: dict[str, Any], how: int, cut: tuple[int, int, bytes], more: str
) -> None:
    """Generated conditions on a record that is written in several ways and damaged anywhere."""
    filtered, unfiltered = sources(routes, more)
    assume(filtered is not None)
    value = as_written(line, how)
    start, length, junk = cut
    value = value[:start] + junk + value[start + length :]
    found = outcomes(unfiltered, value)
    event(f"filter: {filtered.may_match is not None}, {type(found[0]).__name__}")

    assert outcomes(filtered, value) == found
    assert unfiltered.may_match is None
