"""Envoy lines: every generation is the same event, and the short way is the general way."""

from __future__ import annotations

import copy

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.formats import envoy
from logrouter.core.text.json_objects import decode_object
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected, Stage

WORDS = st.text(min_size=1, max_size=12).filter(lambda text: text != "-")
COUNTS = st.integers(0, 2**53 - 1)


def optional(**fields):
    """An object with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


LINES = st.fixed_dictionaries(
    {
        "$schema": st.just("/api-gateway/request/1.0.0"),
        "meta": optional(
            uri=st.from_regex(r"/[a-z/]{0,10}(\?[a-z=&]{0,10})?", fullmatch=True),
            request_id=WORDS,
            dt=WORDS,
            domain=WORDS,
            stream=WORDS,
        ),
        "http": optional(
            method=WORDS,
            protocol=WORDS,
            status_code=st.just(0) | st.integers(100, 599),
            client_ip=WORDS,
            request_headers=st.dictionaries(
                st.sampled_from(["user-agent", "referer", "x-wmf-user-id", "x.dotted", "x_underscored"]),
                WORDS,
                min_size=1,
            ),
        ),
    },
    optional={
        "route": WORDS,
        "client_id": WORDS,
        "ratelimit_key": WORDS,
        "total_time_ms": COUNTS,
        "backend_time_ms": COUNTS,
    },
)

ODDITIES = st.sampled_from([None, "", "-", "x", 0, 1.5, True, [], {}, ["a"], {"a": "b"}, 2**60, {"User-Agent": "-"}])
PLACES = st.sampled_from(
    [
        ("http",),
        ("meta",),
        ("route",),
        ("client_id",),
        ("total_time_ms",),
        ("extra",),
        ("$schema",),
        ("http.method",),
        ("http", "method"),
        ("http", "status_code"),
        ("http", "request_headers"),
        ("http", "other"),
        ("meta", "dt"),
        ("meta", "uri"),
        ("meta", "domain"),
        ("meta", "x"),
        ("http", "request_headers", "User-Agent"),
    ]
)


def line_envelope(line):
    """A line as text, or the bytes of one."""
    return Envelope("plain", line if isinstance(line, str) else orjson.dumps(line).decode())


def flatten(line, separator, prefix=""):
    """The line as a generation before nesting wrote it."""
    flat = {}
    for key, value in line.items():
        if isinstance(value, dict):
            flat |= flatten(value, separator, prefix + key + separator)
        else:
            flat[prefix + key] = value
    return flat


def as_g0(line):
    """The line under the names of the first generation, as far as it has them."""
    flat = flatten(line, ".")
    return {name: flat[path] for name, path in envoy.G0_NAMES.items() if path in flat}


def canonical(line):
    """The event that the line should become, told the slow and simple way."""
    event = {key: value for key, value in copy.deepcopy(line).items() if key not in ("client_id", "ratelimit_key")}
    if "uri" in event["meta"]:
        event["http"]["path"] = event["meta"]["uri"].partition("?")[0]
    return {key: value for key, value in event.items() if value != {}}


@given(LINES)
def test_render_then_parse_is_identity_when_nested(line):
    """G4 and G5: the event is the line, plus the path, minus who called."""
    if line["meta"].get("domain") == "canary":
        return
    parsed = envoy.parse(line_envelope(line))
    assert isinstance(parsed, Parsed)
    assert parsed.event == canonical(line)
    assert parsed.time == line["meta"].get("dt")
    assert parsed.fields.get("client_id") == line.get("client_id")


@given(LINES, st.sampled_from("._"))
def test_render_then_parse_is_identity_when_flat(line, separator):
    """G1 to G3, by dots as deployed or by underscores."""
    nested = envoy.parse(line_envelope(line))
    flat = envoy.parse(line_envelope(flatten(line, separator)))
    assert type(flat) is type(nested)
    if isinstance(flat, Parsed):
        assert (flat.event, flat.time, flat.fields.get("client_id")) == (
            nested.event,
            nested.time,
            line.get("client_id"),
        )


@given(LINES.filter(lambda line: {"method", "status_code"} <= line["http"].keys()))
def test_render_then_parse_is_identity_under_the_first_names(line):
    """G0: its own names become the canonical ones; what it had no name for is absent."""
    names = as_g0(line)
    parsed = envoy.parse(line_envelope(names))
    if line["meta"].get("domain") == "canary":
        assert parsed == Ignored(Reason.CANARY)
        return
    assert isinstance(parsed, Parsed)
    for name, path in envoy.G0_NAMES.items():
        value = parsed.event
        if path == "client_id":
            value = parsed.fields
        for key in path.split("."):
            value = value.get(key, {})
        assert value == names.get(name, {})


@given(LINES, st.lists(st.tuples(PLACES, ODDITIES), max_size=3))
def test_the_short_way_and_the_general_way_agree(line, changes):
    """A line that fits the types gives what it would give without them, and any other goes the general way."""
    for place, oddity in changes:
        target = line
        for key in place[:-1]:
            target = target.get(key) if isinstance(target.get(key), dict) else {}
        target[place[-1]] = copy.deepcopy(oddity)
    text = orjson.dumps(line).decode()
    short = envoy.parse(line_envelope(text))
    general = envoy._general(decode_object(text, Stage.PARSE), ())
    assert type(short) is type(general)
    if isinstance(short, Parsed):
        assert (short.event, short.time, short.flags) == (general.event, general.time, general.flags)
    else:
        assert short == general


@given(LINES, st.data())
def test_a_cut_line_is_told_as_cut(line, data):
    """Wherever the transport cuts a line, it is rejected as truncated, and never read in part."""
    text = orjson.dumps(line).decode()
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    parsed = envoy.parse(line_envelope(cut))
    assert isinstance(parsed, Rejected)
    assert (parsed.stage, parsed.reason) in (
        (Stage.PARSE, Reason.TRUNCATED),
        (Stage.PARSE, Reason.MALFORMED),  # cut right after an inner brace: it can't be told from a slip of the writer
    )


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: "{" + data.decode("utf-8", "replace")))
def test_no_text_makes_parsing_raise(text):
    """Any text ends as one of the three."""
    assert isinstance(envoy.parse(line_envelope(text)), Parsed | Ignored | Rejected)


def test_a_canary_is_no_request_of_anybody():
    """Events that only prove that the pipeline works are not counted."""
    line = {"$schema": "/api-gateway/request/1.0.0", "meta": {"domain": "canary"}, "http": {}}
    assert envoy.parse(line_envelope(line)) == Ignored(Reason.CANARY)


@pytest.mark.parametrize(
    "text", ["", "GET / 200", "[2024-05-01] starting", "{not json", '{"level":"info","http":{"method":"GET"}}', "{}"]
)
def test_an_application_log_is_never_published(text):
    """Text, other JSON, and JSON that lacks a status are ignored, or rejected if they begin like a cut request."""
    assert not isinstance(envoy.parse(line_envelope(text)), Parsed)
