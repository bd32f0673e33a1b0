"""What conditions say about each other is never wrong: checked on generated conditions and records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logrouter.config.options.match import read_mapping
from logrouter.config.options.match_fields import ENVELOPE
from logrouter.config.yaml.document import read
from logrouter.config.yaml.problems import Problems
from logrouter.core.envelopes import rsyslog
from logrouter.core.match.implication import excludes, implies
from logrouter.model import Envelope
from tests.conftest import examples

if TYPE_CHECKING:
    from logrouter.core.match.conditions import Condition


def condition(text: str) -> Condition:
    """The condition of a mapping in YAML's flow style."""
    problems = Problems()
    made = read_mapping(ENVELOPE, read(text.encode()).value, "", problems)
    assert made is not None, problems.errors
    return made


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{program: a}", "{program: [a, b]}"),
        ("{program: ab}", "{program: {prefix: a, suffix: b, contains: ab, glob: 'a?', regex: a}}"),
        ("{program: {prefix: abc}}", "{program: {contains: b}}"),
        ("{program: {regex: x}}", "{program: {exists: true}}"),
        ("{field.n: {gt: 5, lt: 9}}", "{field.n: {ge: 5}}"),
        ("{field.n: {le: 4.5}}", "{field.n: {lt: 5}}"),
        ("{host: {cidr: ['10.1.0.0/16', '10.2.0.0/16']}}", "{host: {cidr: 10.0.0.0/8}}"),
        ("{program: a, host: h}", "{host: h}"),
        ("{program: a}", "{any: [{host: h}, {program: a}]}"),
        ("{any: [{program: a}, {program: b}]}", "{program: {in: [a, b, c]}}"),
        ("{program: a}", "{not: {program: b}}"),
        ("{not: {program: [a, b]}}", "{not: {program: a}}"),
        ("{pod: {exists: false}}", "{not: {pod: x}}"),
        ("{topic: {glob: 'x*'}, host: h}", "{topic: {glob: 'x*'}}"),
    ],
)
def test_implies(one: str, other: str) -> None:
    """What is seen, and not the other way round."""
    assert implies(condition(one), condition(other))
    assert not implies(condition(other), condition(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{program: a}", "{program: [b, c]}"),
        ("{program: a}", "{program: {prefix: b}}"),
        ("{program: {prefix: a}}", "{program: {prefix: b}}"),
        ("{program: {suffix: ax}}", "{program: {suffix: b}}"),
        ("{field.n: {gt: 5}}", "{field.n: {le: 5}}"),
        ("{field.n: 3}", "{field.n: {gt: 3}}"),
        ("{host: {cidr: 10.0.0.0/8}}", "{host: {cidr: 11.0.0.0/8}}"),
        ("{pod: {exists: false}}", "{pod: x}"),
        ("{any: [{program: a}, {program: b}]}", "{program: c, host: h}"),
        ("{program: a}", "{not: {program: {prefix: a}}}"),
    ],
)
def test_excludes(one: str, other: str) -> None:
    """What can't hold together, either way round."""
    assert excludes(condition(one), condition(other))
    assert excludes(condition(other), condition(one))


TEXTS = st.sampled_from(["a", "ab", "abc", "b", "1", "2", "1.5", "10.0.0.1", "10.0.0.9", "::ffff:10.0.0.1", "::1"])
NETWORKS = st.sampled_from(
    ["10.0.0.0/8", "10.0.0.0/29", "10.0.0.1", "'::/0'", "'::ffff:0:0/96'", "['::1', 10.0.0.8/29]"]
)
PREDICATES = st.one_of(
    TEXTS.map("'{}'".format),
    st.lists(TEXTS.map("'{}'".format), min_size=1, max_size=3).map(lambda texts: f"[{', '.join(texts)}]"),
    st.builds("{{{}: '{}'}}".format, st.sampled_from(["prefix", "suffix", "contains", "glob"]), TEXTS),
    st.builds("{{{}: {}}}".format, st.sampled_from(["gt", "ge", "lt", "le"]), st.sampled_from(["1", "1.5", "2"])),
    st.builds("{{cidr: {}}}".format, NETWORKS),
    st.sampled_from(["{exists: true}", "{exists: false}", "{regex: '^a'}", "{regex: b$}"]),
)
LEAVES = st.builds("{{field.{}: {}}}".format, st.sampled_from("xy"), PREDICATES)


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Conditions of conditions."""
    several = st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
    return st.one_of(
        st.builds("{{not: {}}}".format, inner), st.builds("{{{}: {}}}".format, st.sampled_from(["any", "all"]), several)
    )


CONDITIONS = st.one_of(LEAVES, st.recursive(LEAVES, nested, max_leaves=4)).map(condition)
RECORDS = st.fixed_dictionaries({"message": st.just("m")}, optional={"x": TEXTS, "y": TEXTS})


@given(one=CONDITIONS, other=CONDITIONS, records=st.lists(RECORDS, min_size=5, max_size=15))
@settings(max_examples=examples(600), deadline=None)
def test_claims_hold_for_every_record(one: Condition, other: Condition, records: list[dict[str, Any]]) -> None:
    """No record satisfies a condition without those that it implies, nor together with one that it excludes."""
    for record in records:
        envelope = rsyslog.decode(orjson.dumps(record))
        assert isinstance(envelope, Envelope)
        both = one.test(envelope), other.test(envelope)

        assert not (both == (True, False) and implies(one, other))
        assert not (both == (True, True) and excludes(one, other))
