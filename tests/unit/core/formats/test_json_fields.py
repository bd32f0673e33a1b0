"""The format json: what tells a request, how values are read, and that nothing is made into what it is not."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import logrouter
from logrouter.core.enrich import compile_client_id
from logrouter.core.enrich.sources import field_getter
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats import parser
from logrouter.core.formats.format import ErrorRule, FormatSettings, KeyRule
from logrouter.core.formats.json_fields import UNREAD
from logrouter.core.formats.json_rules import JSON_FIELDS
from logrouter.core.text.timestamps import epoch_ms
from logrouter.core.validate import Validator
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected

UNITS = {"s": Fraction(1000), "ms": Fraction(1), "us": Fraction(1, 1000), "ns": Fraction(1, 1_000_000)}
KEYS = st.sampled_from(["a", "b", "c", "a.b", "b.c"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["200", "1.5s"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
EVERY_FIELD = {
    name: KeyRule(("a.b", "b", "c"), unit="ms" if name.endswith("time_ms") else "", at_end=name == "time")
    for name in JSON_FIELDS
}
ALL = parser("json", FormatSettings(fields=EVERY_FIELD, extras={"plan": KeyRule(("b.c",))}, required=("a",)))

SCHEMA = Path(logrouter.__file__).parent / "schemas" / "api_request" / "1.1.0.json"
VALIDATOR = Validator(orjson.loads(SCHEMA.read_bytes()))


def read(line: dict[str, Any], fields: dict[str, str | KeyRule], **more: Any) -> Any:
    """What a line is read as, which is a request unless *required* is given. A key alone stands for its rule."""
    rules = {name: KeyRule((rule,)) if isinstance(rule, str) else rule for name, rule in fields.items()}
    settings = FormatSettings(fields=rules, **{"required": ("is",), **more})
    return parser("json", settings)(Envelope("plain", orjson.dumps({**line, "is": "a request"}).decode()))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"s": 200, "m": "GET"}, None),
        ({"s": 0, "m": "GET", "x": None}, None),
        ({"s": "0", "m": "GET"}, None),
        ({"s": 200}, "no usable value of m, as requests have"),
        ({"s": 200, "m": "-"}, "no usable value of m, as requests have"),
        ({"m": "GET", "s": None}, "no usable value of s, as requests have"),
        ({"m": "GET", "s": "done"}, "no usable value of s, as requests have"),
        ({"x": 1}, "no usable value of s, m, as requests have"),
        ({"s": None, "m": ""}, "no usable value of s, m, as requests have"),
        ({"s": "done"}, "no usable value of s, m, as requests have"),
    ],
)
def test_required_keys_tell_a_request(line, expected):
    """All of them have a value: a request. None has: it is none. Some have: rejected, with the others' names."""
    found = read(line, {"http.status_code": "s", "http.method": "m"}, required=("s", "m"))

    if expected is None:
        assert isinstance(found, Parsed)
    else:
        assert isinstance(found, Ignored if "s, m" in expected else Rejected)
        assert found.detail == expected
        assert found.reason is (Reason.MALFORMED if isinstance(found, Rejected) else Reason.NOT_REQUEST)


@pytest.mark.parametrize("status", ["done", 0, "0", 7, 99, 1000, True, [200], None])
@pytest.mark.parametrize("required", [(), ("s",)])
def test_a_job_s_status_alone_tells_no_request(status, required):
    """Only one that HTTP has does."""
    rules = {"http.status_code": "s", "route": "job"}

    assert isinstance(read({"s": status, "job": "backup"}, rules, required=required), Ignored)
    assert isinstance(read({"s": 200, "job": "backup"}, rules, required=required), Parsed)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ({"s": 200, "m": "GET"}, Parsed),
        ({"t": 200, "m": "GET"}, Parsed),
        ({"t": 200}, Rejected),
        ({"m": "GET"}, Rejected),
        ({"u": "/a"}, Ignored),
    ],
)
def test_without_required_keys_a_request_has_status_and_method(line, kind):
    """Each under one of its names, as far as they are fields."""
    rules = {"http.status_code": KeyRule(("s", "t")), "http.method": "m", "meta.uri": "u"}

    assert type(read(line, rules, required=())) is kind


@given(st.integers(0, 2**50) | st.floats(0, 2**50), st.sampled_from(sorted(UNITS)), st.booleans())
def test_a_duration_is_what_its_unit_makes_of_it(value, unit, as_text):
    """To half a millisecond, as a number and as a text; none where figures end."""
    text = str(value)
    if "e" in text:
        as_text = False
    found = read({"t": text if as_text else value}, {"total_time_ms": KeyRule(("t",), unit=unit)}).event
    exact = Fraction(text) * UNITS[unit]

    if "total_time_ms" in found:
        assert abs(found["total_time_ms"] - exact) <= Fraction(1, 2)
    else:
        assert exact >= 2**53 - 1


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("12.5ms", 13),
        ("1m2s", 62_000),
        ("100.92968ms", 101),
        ("0.5s", 500),
        ("12", None),
        (12, None),
        ("12.5", None),
        ("fast", None),
        (["1s"], None),
    ],
)
def test_a_duration_in_a_text_has_its_unit_there(value, ms):
    """A bare number would be a guess."""
    found = read({"t": value}, {"total_time_ms": KeyRule(("t",), unit="text")})

    assert found.event.get("total_time_ms") == ms
    assert (UNREAD in found.flags) == (ms is None)


NOW = datetime(2026, 5, 1, 10, 0, 0, 250_000, UTC)
NOW_MS = 1777629600250


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("", "2026-05-01T10:00:00.25Z"),
        ("", "2026-05-01 12:00:00,250 +0200"),
        ("", 1777629600.25),
        ("", 1777629600250),
        ("", 1777629600250.0),
        ("", 1777629600250.75),
        ("", 1777629600250113402),
        ("", "1777629600.25"),
        ("rfc3339", "2026-05-01T12:00:00.250113+02:00"),
        ("epoch_s", 1777629600.25),
        ("epoch_s", "1777629600.25"),
        ("epoch_ms", NOW_MS),
        ("epoch_ms", 1777629600250.9),
        ("epoch_us", 1777629600250113),
        ("epoch_ns", 1777629600250113402),
        ("epoch_ns", "1777629600250113402"),
        ("%d/%b/%Y:%H:%M:%S.%f %z", "01/May/2026:12:00:00.250 +0200"),
        ("%F %T.%f", "2026-05-01 10:00:00.250113"),
        ("%s.%f", "1777629600.250"),
    ],
)
def test_a_time_is_read_by_its_form(form, value):
    """The same moment in every form that there is."""
    found = read({"t": value}, {"time": KeyRule(("t",), form=form)})

    assert epoch_ms(found.time) == NOW_MS
    assert found.flags == ()


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("", "yesterday"),
        ("", 12),
        ("", -1777629600),
        ("", True),
        ("", 1e300),
        ("", ["2026-05-01T10:00:00Z"]),
        ("rfc3339", "2026-05-01T10:00:00"),
        ("rfc3339", 1777629600),
        ("epoch_s", 1777629600250),
        ("epoch_s", "2026-05-01T10:00:00Z"),
        ("epoch_s", -1),
        ("epoch_ms", True),
        ("%F %T", "2026-05-01T10:00:00"),
        ("%F %T", "2026-02-30 10:00:00"),
        ("%s", 17),
    ],
)
def test_a_time_in_another_form_is_none(form, value):
    """And the event says so: it has the time of the transport or of the record."""
    found = read({"t": value}, {"time": KeyRule(("t",), form=form)})

    assert found.time is None
    assert found.flags == (UNREAD,)


@given(st.integers(10**9, 4 * 10**9), st.integers(0, 10**6))
def test_a_time_of_the_end_is_no_earlier_than_the_duration_says(second, took):
    """Where the line has whole seconds, whole seconds are taken away; without a duration nothing is."""
    rules = {"time": KeyRule(("t",), form="epoch_s", at_end=True), "total_time_ms": KeyRule(("d",), unit="ms")}
    found = read({"t": second, "d": took}, rules)

    assert second * 1000 - took <= epoch_ms(found.time) <= second * 1000
    assert epoch_ms(read({"t": second}, rules).time) == second * 1000


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("http.status_code", 503, 503),
        ("http.status_code", 503.0, 503),
        ("http.status_code", "503", 503),
        ("http.status_code", "503.0", 503),
        ("http.status_code", 0, None),
        ("http.status_code", 99, None),
        ("http.status_code", 1000, None),
        ("http.status_code", -200, None),
        ("http.status_code", 200.5, None),
        ("http.status_code", "200 OK", None),
        ("http.status_code", True, None),
        ("http.status_code", [200], None),
        ("bytes_sent", 0, 0),
        ("bytes_sent", "12", 12),
        ("bytes_sent", 2**53 - 1, 2**53 - 1),
        ("bytes_sent", 2**53, None),
        ("bytes_sent", -1, None),
        ("bytes_sent", 0.5, None),
        ("route", "cart", "cart"),
        ("route", 7, "7"),
        ("route", 7.0, "7"),
        ("route", ["cart"], "cart"),
        ("route", ["cart", "shop"], None),
        ("route", {"name": "cart"}, None),
        ("route", False, None),
        ("route", 7.5, None),
        ("http.path", "/a?x=1", "/a"),
        ("http.path", 7, None),
        ("http.client_ip", ["203.0.113.9", "192.0.2.7"], "203.0.113.9, 192.0.2.7"),
        ("http.client_ip", 7, None),
        ("http.request_headers", {"A": ["x", "y"], "B": "z", "C": 7}, {"a": "x, y", "b": "z"}),
        ("http.request_headers", ["A"], None),
        ("http.request_headers.x-id", ["x", "y"], "x, y"),
        ("error.message", "token=made-up", "token=REDACTED"),
    ],
)
def test_a_value_is_of_the_kind_of_its_field_or_left_out(name, value, expected):
    """What is left out is flagged."""
    found = read({"v": value}, {name: "v"})
    part: Any = found.event
    for each in name.split(".", 2):
        part = part.get(each) if part is not None else None

    assert part == expected
    assert (UNREAD in found.flags) == (expected is None)


def test_what_was_left_out_is_named_for_explain():
    """By the names of fields and extras, never by what stood there."""
    rules = {"http.status_code": "s", "time": "t", "request_line": "r", "route": "x"}
    found = read({"s": "oops", "t": "now", "r": "TLS", "x": "cart", "p": {}}, rules, extras={"plan": KeyRule(("p",))})

    assert found.detail == "without http.status_code, plan, time, request_line: of another kind than the field"
    assert read({"s": 200}, rules).detail == ""


@pytest.mark.parametrize("absent", [None, "", "-"])
def test_what_is_absent_is_not_flagged(absent):
    """It is no value of another kind, and the next key has its turn."""
    assert read({"r": absent, "x": 1}, {"route": "r"}, required=("x",)).flags == ()
    assert read({"r": absent, "x": "cart"}, {"route": KeyRule(("r", "x"))}, required=("x",)).event["route"] == "cart"


def test_a_request_line_gives_what_has_no_key_of_its_own():
    """And what is none, as of TLS spoken to a plain port, gives nothing."""
    rules = {"request_line": "r", "http.method": "m"}

    found = read({"r": "GET /a?x=1 HTTP/1.1", "m": "PUT"}, rules)
    assert found.event["http"] == {"method": "PUT", "protocol": "HTTP/1.1", "path": "/a"}
    assert found.event["meta"] == {"uri": "/a?x=1"}
    assert read({"r": "\x16\x03\x01"}, rules).event == {}


def test_a_status_of_the_backend_is_another_one():
    """Where both are the same the event has it once."""
    rules = {"http.status_code": "s", "backend_status_code": "b"}

    assert read({"s": 500, "b": 500}, rules).event == {"http": {"status_code": 500}}
    assert read({"s": 500, "b": 200}, rules).event["backend_status_code"] == 200


def test_a_whole_url_gives_the_host_unless_a_key_does():
    """Without port and user."""
    line = {"u": "https://ann:made-up@api.example.com:8443/a?x=1", "h": "shop.example.com"}

    assert read(line, {"meta.uri": "u"}).event["meta"]["domain"] == "api.example.com"
    assert read(line, {"meta.uri": "u", "meta.domain": "h"}).event["meta"]["domain"] == "shop.example.com"


def test_a_header_of_its_own_goes_before_that_among_all_headers():
    """Whatever their order in topics.yaml."""
    rules = {"http.request_headers.x-id": "id", "http.request_headers": "h"}
    found = read({"id": "one", "h": {"X-Id": "two", "x-more": "three"}}, rules)

    assert found.event["http"]["request_headers"] == {"x-id": "one", "x-more": "three"}


def test_an_error_code_has_the_meaning_that_the_route_gives_it():
    """With its status where the line has none."""
    errors = {"QUOTA": ErrorRule("throttled", 429)}
    rules = {"error.code": "e", "http.status_code": "s"}

    found = read({"e": "QUOTA", "s": 403}, rules, errors=errors)
    assert (found.outcome, found.event["http"]["status_code"]) == ("throttled", 403)
    found = read({"e": "QUOTA"}, rules, errors=errors)
    assert (found.outcome, found.event["http"]["status_code"]) == ("throttled", 429)
    assert read({"e": "OTHER", "s": 403}, rules, errors=errors).outcome is None


@pytest.mark.parametrize(
    ("value", "found"),
    [("gold", "gold"), (7, 7), (1.5, 1.5), (True, "true"), ([7, "a"], [7, "a"]), ({"a": 1}, None), ([], None)],
)
def test_extras_are_sources_and_nothing_else_is(value, found):
    """By their names; they are no part of the event, and the rest of the line is not there."""
    line = read({"p": value, "rest": 1}, {"route": "r"}, extras={"plan": KeyRule(("p",))})

    assert field_getter("plan")(line) == found
    assert field_getter("rest")(line) is None
    assert line.event == {}


def test_fields_of_the_event_are_sources():
    """The address as the policy leaves it, and headers by their names."""
    line = read({"ip": "192.0.2.7", "id": "shop"}, {"http.client_ip": "ip", "http.request_headers.x-client-id": "id"})

    assert compile_client_id(["x-client-id"])(line) == ("shop", None)
    assert compile_client_id(["http.client_ip"], lambda _chain: "192.0.2.0")(line)[0] == "x-client-ip:192.0.2.0"


@pytest.mark.parametrize("message", ["handled", "{id} handled", '{"a":1}', '{"s":', "[1] handled", "[1]", ""])
def test_a_message_beside_the_request_is_no_matter(message):
    """A transport takes it for the text of the line, and the object is still the request."""
    parse = parser("json", FormatSettings(fields={"http.status_code": KeyRule(("s",))}))
    (envelope,) = ENVELOPES["json"].decode(orjson.dumps([{"s": 200, "message": message}]))

    assert parse(envelope).event == {"http": {"status_code": 200}}


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ('{"s":200,"u":"/a","s":500}', Rejected, Reason.FIELD_CONFLICT),
        ('{"s":200,"\\u0073":500}', Rejected, Reason.FIELD_CONFLICT),
        ('{"s":200,"x":1,"x":2}', Parsed, None),
        ('{"s":200,"x":{"s":500}}', Parsed, None),
        ('{"s":200,"u":"/\\",\\"s\\":500"}', Parsed, None),
        ('{"s":200,"u":"/a', Rejected, Reason.TRUNCATED),
        ('{"s":200,"u":/a}', Rejected, Reason.MALFORMED),
        ('[{"s":200}]', Rejected, Reason.MALFORMED),
        ('[warn] no "s" today', Ignored, Reason.NOT_REQUEST),
        ('{"level":"wa', Ignored, Reason.NOT_REQUEST),
        ("s=200", Ignored, Reason.NOT_REQUEST),
    ],
)
def test_a_text_that_is_no_sound_object_is_told_by_its_required_keys(text, kind, reason):
    """A key that is read and that stands there twice has two values; another one may."""
    settings = FormatSettings(fields={"http.status_code": KeyRule(("s",)), "meta.uri": KeyRule(("u",))})
    found = parser("json", settings)(Envelope("plain", text))

    assert type(found) is kind
    assert reason is None or found.reason is reason


@given(VALUES, VALUES, VALUES)
def test_no_object_makes_parsing_raise(a, b, c):
    """Whatever stands in each key; and what is read is what the schema allows there, but for lengths."""
    line = {"a": a, "b": b, "c": c}
    found = ALL(Envelope("cee", "", line))

    assert isinstance(found, Parsed | Ignored)
    if isinstance(found, Parsed):
        assert found.time is None or epoch_ms(found.time) is not None
        event = {
            "$schema": "/logrouter/api_request/1.1.0",
            "source": {"format": "json", "topic": "t", "partition": 0, "offset": 0, "index": 0},
            "weight": 1.0,
            **found.event,
            "meta": {
                **found.event.get("meta", {}),
                "stream": "s",
                "dt": "2026-05-01T10:00:00.250Z",
                "id": "1b2c3d4e-5f60-8123-8456-789abcdef012",
            },
        }
        assert VALIDATOR.is_valid(orjson.loads(orjson.dumps(event))), VALIDATOR.explain(event)


@given(VALUES)
def test_an_object_is_read_as_its_text_is(value):
    """A transport that has merged it changes nothing."""
    line = {"a": value, "b": "x"}
    try:
        text = orjson.dumps(line).decode()
    except TypeError:  # integers of more than 64 bits
        return
    found, expected = ALL(Envelope("cee", "", orjson.loads(text))), ALL(Envelope("plain", text))

    assert type(found) is type(expected)
    assert not isinstance(found, Parsed) or found == expected


@given(st.floats(), st.sampled_from(["total_time_ms", "http.status_code", "bytes_sent", "time"]))
def test_what_is_no_finite_number_is_nothing(value, name):
    """Infinity and NaN, as a reader of another kind may give them."""
    if not math.isfinite(value):
        rules = {name: KeyRule(("v",), unit="s" if name == "total_time_ms" else "")}
        parse = parser("json", FormatSettings(fields=rules, required=("x",)))
        found = parse(Envelope("cee", "", {"v": value, "x": 1}))
        assert isinstance(found, Parsed)
        assert found.event == {}
        assert found.time is None
