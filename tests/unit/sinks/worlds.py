"""A sink of any type and its target, and events for it."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import strategies as st

from logrouter import config
from logrouter.deliver.targets import open_sink
from logrouter.model import RawRecord
from logrouter.sinks.acknowledged_sink import AcknowledgedSink
from logrouter.sinks.contract import DELIVERED, Refused, Retry, Trouble
from logrouter.sinks.delivery import Delivery
from logrouter.sinks.memory import MemorySink
from logrouter.sinks.pacing import PaceLimits
from tests.unit.sinks.loopback import serve
from tests.unit.sinks.stand_ins import STAND_INS, Verdict, as_request, read_request, reply
from tests.unit.sinks.syslog_stand_in import SYSLOG, SyslogWorld, marks_in, options_of, receiver_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from logrouter.sinks.contract import Result, Sink

MEMORY = "memory"
SECRET = "s3cr3t-of-ours"  # noqa: S105 - what must be seen nowhere
ENV = {"PASSWORD": SECRET, "TOKEN": SECRET, "KEY": "whsec_" + "czNjcjN0" * 4}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CORPUS_OF_ANSWERS = Path(__file__).parent / "opensearch" / "answers"
_AT_ONCE = PaceLimits(max_requests=1, first_pause=0, longest_pause=0)


def event(number: int, **changes: Any) -> dict[str, Any]:
    """An event as routes write it, marked by its number."""
    return {
        "$schema": "/logrouter/api_request/1.1.0",
        "meta": {
            "stream": "api.request",
            "dt": "2026-11-26T10:00:00.000Z",
            "id": mark(number),
            "request_id": "r-1",
            "domain": "api.example.org",
        },
        "route": "core",
        "client_id": "c-1",
        "http": {"method": "GET", "path": "/a", "status_code": 200, "request_headers": {"user-agent": "reader/1.0"}},
        "total_time_ms": 12,
        "source": {"topic": "logs", "partition": 0, "offset": number, "format": "envoy"},
        **changes,
    }


def mark(number: int) -> str:
    """The id of an event."""
    return str(uuid.UUID(int=number))


def record(number: int, value: object) -> RawRecord:
    """A record of the topic of events; what is no bytes becomes JSON."""
    data = value if isinstance(value, bytes) or value is None else orjson.dumps(value)
    return RawRecord("out", 0, number, 1_795_687_200_000, data)


def records(*numbers: int) -> list[RawRecord]:
    """Records of events with these numbers."""
    return [record(number, event(number)) for number in numbers]


def take_all(marks: list[str]) -> list[Verdict]:
    """A target that takes everything."""
    return [Verdict.TAKE] * len(marks)


def marks_of(kind: str, request: Any) -> list[str]:
    """`meta.id` of each event in a request that is not sent yet."""
    return marks_in(kind, request) if kind in SYSLOG else STAND_INS[kind].marks(as_request(request)) or []


def is_batching(kind: str) -> bool:
    """Whether a request holds more than one event."""
    return kind == MEMORY or kind in SYSLOG or STAND_INS[kind].batches


class World:
    """A sink and its target. *requests* are the marks of each request, *taken* those of events that were taken."""

    def __init__(self, kind: str, judge: Callable[[list[str]], Sequence[Verdict]]) -> None:
        self.kind = kind
        self.judge = judge
        self.requests: list[list[str]] = []
        self.taken: list[str] = []
        self.raw: list[bytes | None] = []
        """Answers for the next requests, whatever they hold: None is no answer at all."""
        self.unreadable: list[Exception] = []
        """Requests that no target could read."""
        self.sink: Sink

    @property
    def batches(self) -> bool:
        return is_batching(self.kind)

    def verdicts(self, marks: list[str]) -> list[Verdict]:
        """What the target makes of a request with these events."""
        self.requests.append(marks)
        found = [*self.judge(marks)]
        per_item = self.kind == MEMORY or STAND_INS[self.kind].per_item
        if per_item or all(each is Verdict.TAKE for each in found):
            self.taken += [each for each, verdict in zip(marks, found, strict=True) if verdict is Verdict.TAKE]
        return found

    def answer(self, head: str, body: bytes) -> bytes | None:
        """For the server: the answer to a request."""
        stand_in = STAND_INS[self.kind]
        request = read_request(head, body)
        try:
            marks = stand_in.marks(request)
        except Exception as error:  # noqa: BLE001 - whatever a parser says of it
            self.unreadable.append(error)
            return reply(400, b"can't be read")
        if marks is None:
            return stand_in.other(request)
        if self.raw:
            self.requests.append(marks)
            return self.raw.pop(0)
        return stand_in.answer(request, self.verdicts(marks))

    def forget(self) -> None:
        """Begin anew, as if nothing had been sent."""
        self.requests, self.taken = [], []

    async def deliver(self, batch: Sequence[RawRecord]) -> list[object]:
        """What becomes of the events of *batch*, by the same `Delivery` that the lane uses."""
        delivery = Delivery("it", self.sink, _AT_ONCE)
        async with asyncio.timeout(20):
            return list(await delivery.deliver(batch))


class JudgedMemory(MemorySink):
    """The sink in memory, with a target that judges events by their marks."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def classify(self, answer: tuple[list[bytes], Sequence[Result] | None], events: Sequence[RawRecord]):
        request, _ = answer
        verdicts = self._world.verdicts([_mark_of(value) for value in request])
        results = {
            Verdict.TAKE: DELIVERED,
            Verdict.REFUSE: Refused(400, "bad"),
            Verdict.BUSY: Retry(Trouble.OVERLOADED),
        }
        return super().classify((request, [results[each] for each in verdicts]), events)


def _mark_of(value: bytes) -> str:
    try:
        return orjson.loads(value)["meta"]["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return ""


def type_of(kind: str) -> str:
    """What topics.yaml calls it."""
    return kind.partition(" ")[0]


def open_kind(kind: str, port: int = 1, more: str = "") -> Sink:
    """The sink of that kind, built from topics.yaml, whose target is at a port of loopback."""
    own = options_of(kind, port) if kind in SYSLOG else f"url: 'http://127.0.0.1:{port}', {STAND_INS[kind].options}"
    text = (
        "version: 1\n"
        "sources: {logs: {topics: [logs], envelope: rsyslog}}\n"
        "routes: [{name: a, from: logs, format: envoy, to: out}]\n"
        f"sinks: {{it: {{type: {type_of(kind)}, from: out, {own}{more}}}}}\n"
    )
    sink = open_sink(config.parse(text.encode(), ENV).sinks["it"])
    if isinstance(sink, AcknowledgedSink):
        sink._sleep = lambda _seconds: asyncio.sleep(0)
    return sink


@lru_cache
def pure_part(kind: str) -> Sink:
    """A sink of which nothing is sent."""
    return open_kind(kind)


@asynccontextmanager
async def world(
    kind: str, judge: Callable[[list[str]], Sequence[Verdict]] = take_all, more: str = ""
) -> AsyncIterator[Any]:
    """A sink of that kind and its target, which judges events by their marks: a `World`, or what looks like one."""
    if kind in SYSLOG:
        async with receiver_of(kind) as received:
            sink = open_kind(kind, received.port, more)
            try:
                yield SyslogWorld(kind, sink, received)
            finally:
                await sink.close()
        return
    made = World(kind, judge)
    if kind == MEMORY:
        made.sink = JudgedMemory(made)
        yield made
        return
    async with serve(made.answer) as heard:
        made.sink = open_kind(kind, heard.port, more)
        try:
            yield made
        finally:
            await made.sink.close()
        assert made.unreadable == []


every_sink = pytest.mark.parametrize("kind", [MEMORY, *STAND_INS, *SYSLOG])
every_target = pytest.mark.parametrize("kind", [*STAND_INS, *SYSLOG])
every_judged = pytest.mark.parametrize("kind", [MEMORY, *STAND_INS])
"""Sinks whose targets say what they make of events."""
every_http = pytest.mark.parametrize("kind", STAND_INS)
"""Sinks whose targets answer at all."""
