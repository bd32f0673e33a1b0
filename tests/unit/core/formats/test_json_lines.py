"""Every format reads an object alike, however a transport hands it on: over all lines of the corpus that are objects.

A new format is tested by the cases that it has anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from logrouter.config.compile.schemas import packaged_schemas
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats import FORMATS, parser
from logrouter.core.redact import names_secret
from logrouter.core.text.json_numbers import MAX_WHOLE
from logrouter.core.validate import Validator
from logrouter.model import Envelope, Ignored, Parsed, Rejected

from .test_corpus import cases, client_id, folder_of, format_cases, line_of, settings_of_case

if TYPE_CHECKING:
    from collections.abc import Iterator

VALIDATOR = Validator(orjson.loads(packaged_schemas()["api_request/1.1.0"]))
SHIPPED: dict[str, Any] = {"stream": "stdout", "kubernetes": {"pod_name": "q", "container_name": "c"}}


def object_of(line: Envelope) -> dict[str, Any] | None:
    """The object that a line is, None if it is another kind of line or no object that a transport could read."""
    try:
        found = orjson.loads(line.text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def as_floats(value: Any) -> Any:
    """The value as a transport writes it that knows floats only: 503.0."""
    if isinstance(value, dict):
        return {name: as_floats(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_floats(each) for each in value]
    return float(value) if type(value) is int and abs(value) <= MAX_WHOLE else value


def shipped(**fields: Any) -> Envelope | Rejected:
    """The line in a record of Fluent Bit."""
    found = ENVELOPES["kubernetes"].decode(orjson.dumps({**SHIPPED, **fields}))
    assert isinstance(found, Envelope | Rejected)
    return found


HANDED_ON = {
    "text": lambda line: Envelope("plain", orjson.dumps(line).decode()),
    "document": lambda line: Envelope("cee", "", line),
    "merged": lambda line: shipped(**line),
    "under a key": lambda line: shipped(log_processed=line),
    "kept and merged": lambda line: shipped(**line, log=orjson.dumps(line).decode()),
    "beside a message": lambda line: shipped(**line, message='{"level": "info"}'),
    "beside a cut message": lambda line: shipped(**line, message='{"level": "in'),
    "floats": lambda line: Envelope("plain", orjson.dumps(as_floats(line)).decode()),
    "floats, merged": lambda line: shipped(**as_floats(line)),
}

OBJECTS = [
    (kind, case, found) for kind, case in format_cases() if (found := object_of(line_of(kind, case))) is not None
]


def told(result: Parsed | Ignored | Rejected) -> Any:
    """What must not depend on the way."""
    if isinstance(result, Parsed):
        return result.event, result.outcome, result.pair_key, client_id(result)
    return result.reason


def tails() -> Iterator[tuple[str, str, Envelope, Envelope]]:
    """Every line that ends with an object behind something else, and the same with floats for whole numbers."""
    for kind, case in format_cases():
        line = line_of(kind, case)
        head, brace, tail = line.text.partition("{")
        found = object_of(Envelope("plain", brace + tail)) if head else None
        if found is None and head:
            head, brace, tail = line.text.partition(": {") if ": {" in line.text else line.text.partition(" - {")
            head, found = head + brace[:-1], object_of(Envelope("plain", brace[-1:] + tail))
        if found is not None:
            yield kind, case, line, Envelope(line.shape, head + orjson.dumps(as_floats(found)).decode())


@pytest.mark.parametrize(
    ("kind", "line", "floats"), [pytest.param(k, a, b, id=f"{k}-{case}") for k, case, a, b in tails()]
)
def test_an_object_behind_something_else_may_have_floats_as_well(kind, line, floats):
    """The figures of a logger that writes its own columns before an object."""
    parse = parser(kind)
    assert told(parse(floats)) == told(parse(line))


@pytest.mark.parametrize("way", HANDED_ON)
@pytest.mark.parametrize(("kind", "case", "line"), OBJECTS, ids=[f"{kind}-{case}" for kind, case, _ in OBJECTS])
def test_a_line_is_the_same_however_it_is_handed_on(kind, case, line, way):
    """As text, as an object, merged into a record with and without the text, under a key, and with floats only."""
    parse = parser(kind, settings_of_case(kind, case))
    given = line_of(kind, case)
    written = parse(given)
    if isinstance(written, Rejected):
        return  # what is wrong with a text may be lost on the way
    if "cut" in way and isinstance(written, Ignored):
        return  # the message may have been a request
    if ("kept" in way or "beside" in way) and not {"log", "message", "msg"}.isdisjoint(line):
        return
    handed_on = HANDED_ON[way](line)
    assert isinstance(handed_on, Envelope)
    handed_on.fields = {**handed_on.fields, **given.fields} if handed_on.fields else given.fields

    found = parse(handed_on)

    assert told(found) == told(written)
    if isinstance(found, Parsed) and isinstance(written, Parsed):
        assert [type(each) for each in figures(found.event)] == [type(each) for each in figures(written.event)]


def paths_of(part: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the values of an object are that hold no others."""
    if isinstance(part, dict | list) and part:
        for name, value in part.items() if isinstance(part, dict) else enumerate(part):
            yield from paths_of(value, (*above, name))
    else:
        yield above


def replaced(part: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The object with another value in one place."""
    if not path:
        return value
    copied = part.copy()
    copied[path[0]] = replaced(part[path[0]], path[1:], value)
    return copied


ODD: list[Any] = [
    0,
    -1,
    -1.0,
    7,
    "0",
    "-1",
    "7",
    0.527,
    "0.527",
    2**63,
    1e300,
    True,
    None,
    "",
    "-",
    [],
    {},
    [7],
    {"a": 7},
]


@pytest.mark.parametrize(("kind", "case", "line"), OBJECTS, ids=[f"{kind}-{case}" for kind, case, _ in OBJECTS])
def test_what_is_odd_in_any_place_is_no_figure_of_an_event(kind, case, line):
    """Zeros, numbers below 0, fractions, other types: no format raises, and what it reads keeps the rules."""
    parse = parser(kind, settings_of_case(kind, case))
    valid = VALIDATOR.is_valid
    for path in paths_of(line):
        for value in ODD:
            found = parse(Envelope("cee", "", replaced(line, path, value)))
            if not isinstance(found, Parsed):
                continue
            client_id(found)
            event = found.event
            assert not any(map(names_secret, http_of(event).get("request_headers", {}))), (path, value, event)
            http = http_of(event)
            status, backend = http.get("status_code"), event.get("backend_status_code")
            at = (path, value, event)
            assert type(status) is not int or status >= 100 or (status == 0 and kind in ZERO_IS_A_CLIENT_THAT_LEFT), at
            assert type(backend) is not int or (backend >= 100 and backend != status), at
            for name in ("total_time_ms", "backend_time_ms", "bytes_sent", "bytes_received"):
                figure = event.get(name, 0)
                assert type(figure) is not int or figure >= 0, at
                assert not (type(figure) is float and figure.is_integer() and figure <= MAX_WHOLE), at
            # An address that is no text never reaches the address policy: the schema refuses the event.
            assert isinstance(http.get("client_ip", ""), str) or not valid(as_published(event)), at


ZERO_IS_A_CLIENT_THAT_LEFT = {"envoy", "haproxy", "istio", "nginx"}
"""Formats of gateways whose own word for that is the status 0."""


def http_of(event: dict[str, Any]) -> dict[str, Any]:
    """The part of an event about request and response."""
    found = event.get("http", {})
    assert isinstance(found, dict)
    return found


def as_published(event: dict[str, Any]) -> dict[str, Any]:
    """The event with what the pipeline adds to it."""
    source = {"format": "x", "topic": "t", "partition": 0, "offset": 0, "index": 0}
    meta = {"stream": "s", "dt": "2026-05-01T10:00:00.000Z", "id": "1b2c3d4e-5f60-8123-8456-789abcdef012"}
    return {**event, "$schema": VALIDATOR.uri, "meta": meta, "source": source, "weight": 1.0}


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_a_status_of_the_backend_is_another_one_in_every_format(kind):
    """Where both are the same the event has it once."""
    for case in cases(folder_of(kind)):
        found = parser(kind, settings_of_case(kind, case))(line_of(kind, case))
        backend = found.event.get("backend_status_code") if isinstance(found, Parsed) else None
        if isinstance(found, Parsed) and type(backend) is int:
            assert backend >= 100, case
            assert backend != found.event.get("http", {}).get("status_code"), case


def figures(event: dict[str, Any]) -> list[Any]:
    """What is counted and measured, in order of the names."""
    http = event.get("http", {})
    found = {**event, "status_code": http.get("status_code")}
    return [found[name] for name in sorted(found) if name.endswith(("_code", "_ms")) or name.startswith("bytes_")]


def test_every_format_that_reads_objects_is_among_them():
    """A format whose corpus has objects has some that are requests."""
    found = {
        kind
        for kind, case, line in OBJECTS
        if isinstance(parser(kind, settings_of_case(kind, case))(line_of(kind, case)), Parsed)
    }
    assert {"aws_json", "envoy", "istio", "json", "kong", "nginx", "traefik"} <= found
