"""What every sink makes of values that no route has written: nothing that goes with them is held up or spoilt."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import orjson
from hypothesis import given
from hypothesis import strategies as st

from logrouter.sinks.contract import (
    Delivered,
    Refused,
    Skipped,
)
from logrouter.sinks.memory import MemorySink
from tests.unit.sinks.worlds import (
    JSON,
    MEMORY,
    event,
    every_sink,
    every_target,
    is_batching,
    mark,
    marks_of,
    pure_part,
    record,
    records,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_EVENTS = {
    "empty": b"",
    "space": b" \n",
    "no JSON": b"no JSON",
    "cut": b'{"meta":{"id":"1"',
    "more behind it": b'{"meta":{}}{"meta":{}}',
    "a comma behind it": b'{"meta":{}},',
    "NaN": b'{"total_time_ms":NaN}',
    "two lines": b'{"a":1}\n{"a":2}',
    "no Unicode": b'{"meta":{"id":"\xff\xfe"}}',
    "half of a pair": b'{"meta":{"id":"\\ud800"}}',
    "a half in bytes": b'{"meta":{"id":"\xed\xa0\x80"}}',
    "a NUL": b'{"a":"\x00"}',
    "nested for ever": b'{"a":' * 100_000,
    "nested deeply": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}
"""What is not JSON (RFC 8259)."""

ODD_EVENTS: dict[str, object] = {
    "an array": b"[]",
    "a number": b"1",
    "a text": b'"text"',
    "null": b"null",
    "true": b"true",
    "nothing in it": {},
    "meta is no object": {"meta": 1},
    "meta is null": {"meta": None},
    "no id": {"meta": {}},
    "an id of no text": {"meta": {"id": 5}},
    "an id of lines": {"meta": {"id": "a\r\nX-Evil: 1\r\n\r\n"}},
    "an id of signs": {"meta": {"id": "\u2028\x7f\x00"}},
    "a long id": {"meta": {"id": "x" * 10_000}},
    "a long text": event(9, client_id="x" * 1_000_000),
    "a text of quotes": event(9, client_id='"\\\n' * 10_000),
    "many keys": event(9, **{f"key_{number}": number for number in range(5_000)}),
    "nested as deep as can be read": b'{"a":' * 200 + b"1" + b"}" * 200,
    "a key twice": b'{"meta":{"id":"a"},"meta":{"id":"b"}}',
    "a huge number": b'{"total_time_ms":1e400}',
    "a long number": b'{"total_time_ms":' + b"9" * 400 + b"}",
    "lines": json.dumps(event(9), indent=2).encode(),
    "another schema": {"$schema": "/mediawiki/api/request/1.0.0", "meta": {"id": "a", "stream": "s", "dt": "no time"}},
    "wrong types": event(9, http=[], client_id=1, source="x", total_time_ms={"a": []}, meta={"id": [], "dt": 5}),
    "times out of range": event(9, meta={"id": mark(9), "dt": "9999-99-99T99:99:99Z", "stream": "s"}),
    "a time of long ago": event(9, meta={"id": mark(9), "dt": "0001-01-01T00:00:00Z", "stream": "s"}),
}
"""JSON that no route has written."""


def deliver_between(kind: str, values: Mapping[str, object]) -> dict[str, tuple[object, object, object, list[str]]]:
    """What becomes of each value and of an event before and behind it, and the marks of what the target has taken."""

    async def run():
        found = {}
        async with world(kind) as it:
            for name, value in values.items():
                it.forget()
                settled = await it.deliver([*records(1), record(2, value), *records(3)])
                found[name] = *(type(each) for each in settled), it.taken
        return found

    return asyncio.run(run())


@every_target
def test_what_is_no_event_is_refused_and_spoils_nothing(kind, caplog):
    """It never reaches the target; what goes with it does."""
    good = (Delivered, Refused, Delivered, [mark(1), mark(3)])
    assert deliver_between(kind, NO_EVENTS) == dict.fromkeys(NO_EVENTS, good)
    assert "internal_error" not in caplog.messages


@every_target
def test_an_odd_event_spoils_nothing(kind, caplog):
    """Whatever becomes of it, what goes with it arrives, in a request that can be read."""
    for name, (first, odd, last, taken) in deliver_between(kind, ODD_EVENTS).items():
        assert (name, first, last) == (name, Delivered, Delivered)
        assert odd in (Delivered, Refused), name
        assert (name, taken[0], taken[-1], len(taken)) == (name, mark(1), mark(3), 3 if odd is Delivered else 2)
    assert "internal_error" not in caplog.messages


paths = st.sampled_from([("meta",), ("meta", "id"), ("meta", "dt"), ("http",), ("http", "status_code"), ("client_id",)])


def changed(path: tuple[str, ...], value: object) -> bytes:
    """An event with another value at a path."""
    made = event(1)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(made).encode("utf-8", "replace")


values = (
    st.none()
    | st.binary(max_size=20)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.builds(changed, paths, JSON)
    | st.integers(0, 99).map(lambda number: orjson.dumps(event(number)))
)


@every_sink
@given(st.lists(values, max_size=6))
def test_any_values_are_encoded(kind, batch):
    """Nothing is raised; each value is settled or in the request, which holds nothing else."""
    sink = MemorySink() if kind == MEMORY else pure_part(kind)
    encoded = sink.encode([record(number, value) for number, value in enumerate(batch)])
    assert len(encoded.settled) == len(batch)
    assert all(each is None or isinstance(each, Refused | Skipped) for each in encoded.settled)
    if kind == MEMORY:
        return
    sent = sum(each is None for each in encoded.settled)
    if sent > 1 and not is_batching(kind):
        assert encoded.size > sink.max_request_bytes  # so they are sent in halves, down to one
    elif sent:
        assert len(marks_of(kind, encoded.request)) == sent
        assert encoded.size > 0
    else:
        assert encoded.request is None or not encoded.size
