"""What a sink makes of any answer of its target, and of any value in its topic.

The sinks are those of the contract suite, so that a type which is there is fuzzed.
"""

from __future__ import annotations

from functools import lru_cache
from http.client import parse_headers
from io import BytesIO
from typing import TYPE_CHECKING, Any, get_args

import orjson

from logrouter.sinks.contract import Delivered, Refused, Result, Skipped
from logrouter.sinks.http_messages import HttpAnswer
from tests.unit.sinks.stand_ins import STAND_INS, Verdict, as_request
from tests.unit.sinks.syslog_stand_in import SYSLOG
from tests.unit.sinks.worlds import CORPUS_OF_ANSWERS, event, is_batching, marks_of, pure_part, record, records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESULTS = get_args(Result)
MAX_DETAIL = 1_000
EVENTS = 2


def check_answer(kind: str, data: bytes) -> None:
    """Classify an answer: a status, headers, an empty line, and the body, as in HTTP."""
    answer = read_answer(data)
    found = [*pure_part(kind).classify(answer, list(records(*range(EVENTS))))]
    if len(found) != EVENTS:
        raise AssertionError(f"{len(found)} results for {EVENTS} events")
    for result in found:
        check_result(result, answer.status)


def check_result(result: Any, status: int) -> None:
    """What a sink may say of an event."""
    if not isinstance(result, RESULTS):
        raise TypeError(f"{type(result).__name__} is no result")
    if isinstance(result, Delivered) and status >= 300:
        raise AssertionError(f"delivered, by an answer with {status}")
    detail = getattr(result, "detail", "")
    detail.encode()  # it becomes part of a dead letter
    if len(detail) > MAX_DETAIL:
        raise AssertionError(f"{len(detail)} characters of detail")


def check_value(kind: str, data: bytes) -> None:
    """Encode a value together with an event, which must be in the request alone or beside it."""
    sink = pure_part(kind)
    encoded = sink.encode([record(1, data), *records(2)])
    first, second = encoded.settled
    if second is not None:
        raise AssertionError("a value has spoilt the event beside it")
    if not isinstance(first, Refused | Skipped | None):
        raise TypeError(f"{type(first).__name__} is nothing that may become of an event")
    if not is_batching(kind) and first is None:
        if encoded.size <= sink.max_request_bytes:
            raise AssertionError("two events in a request that holds one")
        return
    marks = marks_of(kind, encoded.request)
    if len(marks) != (first is None) + 1:
        raise AssertionError(f"{len(marks)} events in the request")


def read_answer(data: bytes) -> HttpAnswer:
    """An answer of any bytes; what is no status is 200."""
    line, _, rest = data.partition(b"\n")
    head, _, body = rest.partition(b"\n\n")
    status = int(line[:3]) if line[:3].isdigit() else 200
    try:
        headers = {name.lower(): value for name, value in parse_headers(BytesIO(head + b"\n\n")).items()}
    except Exception:  # noqa: BLE001 - such headers don't come through the client
        headers = {}
    return HttpAnswer(max(status, 200), headers, body)


def answers(kind: str) -> Iterator[bytes]:
    """Answers to begin with: of real targets, and of the stand-in."""
    sink, stand_in = pure_part(kind), STAND_INS[kind]
    request = as_request(sink.encode(list(records(1))).request)
    for verdict in Verdict:
        head, _, body = stand_in.answer(request, [verdict]).partition(b"\r\n\r\n")
        yield head.partition(b" ")[2].replace(b"\r\n", b"\n") + b"\n\n" + body
    for file in sorted(CORPUS_OF_ANSWERS.glob("*.json")):
        yield b"200 OK\n\n\n" + file.read_bytes()


def values(_kind: str) -> Iterator[bytes]:
    """Events to begin with."""
    yield orjson.dumps(event(9))
    yield orjson.dumps(event(9, meta={"id": 5, "dt": "0001-01-01T00:00:00Z"}), option=orjson.OPT_INDENT_2)


@lru_cache
def sink_targets() -> dict[str, tuple[Callable[[str, bytes], None], Callable[[str], Iterator[bytes]], str]]:
    """By name: what is run, its seeds, and the kind that both are given."""
    made = {}
    for kind in STAND_INS:
        made[f"sink-answer:{kind.replace(' ', '-')}"] = check_answer, answers, kind
    for kind in [*STAND_INS, *SYSLOG]:
        name = kind.replace(" ", "-")
        made[f"sink-value:{name}"] = check_value, values, kind
    return made
