"""The sink that docs/adding-a-sink.md adds keeps the rules that the page gives."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter import config
from logrouter.config.options.sinks import SINK_TYPES
from logrouter.model import RawRecord
from logrouter.sinks.contract import DELIVERED, Refused, RefusedTogether, Result, Retry, Skipped, SkipReason, Trouble
from logrouter.sinks.http_messages import HttpAnswer
from tests.test_architecture import PURE_MODULES

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-sink.md"
PYTHON = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
[PROTOCOL] = (text for text in PYTHON if "Protocol:" in text)
[OPTIONS] = (text for text in PYTHON if "@options" in text)
RESULTS = (type(DELIVERED), Refused, RefusedTogether, Retry)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["results", "key", "state", "why", "meta", "id"]),
            inner | st.sampled_from(["stored", "known", "busy", "bad", "a", "b"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)
BODIES = st.binary(max_size=30) | JSON.map(orjson.dumps)


def run(code: str) -> dict[str, Any]:
    """What a module with this code has."""
    module = ModuleType("granary")
    sys.modules["granary"] = module
    try:
        exec(compile(code, str(PAGE), "exec"), vars(module))  # noqa: S102 - our own documentation
    finally:
        del sys.modules["granary"]
    return vars(module)


@pytest.fixture(scope="module")
def protocol() -> Any:
    """A protocol of the page's class."""
    return run(PROTOCOL)["GranaryProtocol"]("http://granary", "token")


def records(*values: bytes | None) -> list[RawRecord]:
    """Events with these values."""
    return [RawRecord("events", 0, offset, 0, value) for offset, value in enumerate(values)]


def test_the_page_says_what_each_result_means():
    """A row for each that there is."""
    table = PAGE.read_text().split("\n## What may become of an event\n")[1].split("\n## ")[0]
    named = [row.title().replace("_", "") for row in re.findall(r"^\| `(DELIVERED)", table, re.MULTILINE)]
    named += re.findall(r"^\| `(\w+)\(", table, re.MULTILINE)

    assert sorted(named) == sorted(each.__name__ for each in get_args(Result))


FILE = """
version: 1
sources: {gate: {topics: [gate], envelope: plain}}
routes: [{name: gateway, from: gate, format: kv, to: requests}]
sinks:
  store:
    type: granary
    from: requests
    url: http://granary:7000
    token: %s
"""


def test_its_options_are_those_of_a_sink(monkeypatch):
    """With the entry in the registry the file loads; its secret is taken by reference alone, and not shown."""
    monkeypatch.setitem(SINK_TYPES, "granary", run(OPTIONS)["GranaryOptions"])
    env = {"GRANARY_TOKEN": "0123456789abcdef0123456789abcdef"}

    [sink] = config.parse((FILE % "${GRANARY_TOKEN}").encode(), env).sinks.values()
    with pytest.raises(config.ConfigError) as wrong:
        config.parse((FILE % "'0123456789abcdef'").encode(), env)

    assert (sink.options.url, sink.options.token.reveal()) == ("http://granary:7000", env["GRANARY_TOKEN"])
    assert sink.group == "logrouter-sink-store"
    assert "10:12: sinks.store.token" in str(wrong.value)
    assert "0123456789abcdef" not in str(wrong.value)


def test_its_imports_are_those_of_a_pure_room():
    """Of our own what the page says that the row in the contract allows, of others what is pure."""
    imported = set(re.findall(r"^ *from (\S+) import|^ *import (\S+)", PROTOCOL, re.MULTILINE))
    modules = {one or other for one, other in imported}

    assert {name for name in modules if name.startswith("logrouter")} == {
        "logrouter.model",
        "logrouter.sinks.contract",
        "logrouter.sinks.http_messages",
    }
    assert {name.split(".")[0] for name in modules} - {"logrouter"} <= PURE_MODULES


@given(values=st.lists(st.none() | BODIES, max_size=5))
def test_any_bytes_are_encoded(protocol, values):
    """An entry per event, a line for each that is in the request."""
    encoded = protocol.encode(records(*values))

    assert len(encoded.settled) == len(values)
    lines = encoded.request.body.splitlines() if encoded.request else []
    assert len(lines) == sum(settled is None for settled in encoded.settled)
    assert all(orjson.loads(line)["key"] == orjson.loads(line)["event"]["meta"]["id"] for line in lines)
    skipped = [value is None for value in values]
    assert [settled == Skipped(SkipReason.TOMBSTONE) for settled in encoded.settled] == skipped


@given(status=st.integers(100, 999), body=BODIES)
def test_any_answer_is_classified(protocol, status, body):
    """A result per event; whatever is not documented is tried again."""
    events = records(b'{"meta":{"id":"a"}}', b'{"meta":{"id":"b"}}')

    results: Sequence[Result] = protocol.classify(HttpAnswer(status, {}, body), events)

    assert len(results) == 2
    assert all(isinstance(result, RESULTS) for result in results)
    if status == 200 and b"stored" not in body and b"known" not in body:
        assert DELIVERED not in results


@pytest.mark.parametrize(
    ("item", "result"),
    [
        ({"key": "a", "state": "stored"}, DELIVERED),
        ({"key": "a", "state": "known"}, DELIVERED),
        ({"key": "a", "state": "busy"}, Retry(Trouble.OVERLOADED, 200, "busy")),
        ({"key": "a", "state": "bad", "why": "no such field"}, Refused(200, "no such field")),
        ({"key": "other", "state": "stored"}, Retry(Trouble.NONSENSE, 200, "the answer does not tell of every event")),
    ],
)
def test_each_documented_item_has_its_result(protocol, item, result):
    """As the page says of the made-up target."""
    answer = HttpAnswer(200, {}, orjson.dumps({"results": [item]}))

    assert protocol.classify(answer, records(b'{"meta":{"id":"a"}}')) == [result]
