"""The API Access Log: its grammar both ways, and what forged pairs can't do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.formats import FORMATS, parser
from logrouter.core.formats.wso2_access import MAX_PAIRS
from logrouter.core.join.held_lines import add_opening
from logrouter.core.text.timestamps import epoch_ms
from logrouter.model import Envelope, Ignored, PairKey, Parsed, Reason, Rejected

PARSE = parser("wso2_access")
PREFIX = "2026-05-01T10:00:00.118-0700 [][hMessageProcessor-56]{D_APIAccessLog.AccessLogWriter}[] INFO  "
ABSENT = {"", "-", "null", "N/A", "UNKNOWN"}

# Anything but a line end and what ends a value; the quote before it may be part of that.
VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.sampled_from('", ='), min_size=1, max_size=20
).filter(lambda text: '", ' not in f'"{text}' and text not in ABSENT and text.strip() == text)
PLAIN = st.text('abc"=,/?&{}[] ', min_size=1, max_size=30).filter(
    lambda text: '", ' not in f'"{text}' and text.strip() == text and text not in ABSENT
)
STATUSES = st.integers(100, 999).map(str)
COMPLETE = st.fixed_dictionaries(
    {"Event": st.just("REQUEST_COMPLETE"), "MessageID": VALUES, "RequestInMethod": VALUES, "StatusCode": STATUSES},
    optional={
        "ResponseTo": VALUES,
        "APPLICATION_NAME": PLAIN,
        "END_USER_NAME": VALUES,
        "RequestInURL": VALUES.map(lambda text: f"/{text}"),
        "RequestOutURL": VALUES,
    },
)
ERROR = st.fixed_dictionaries(
    {"Event": st.just("ERROR"), "MessageID": VALUES, "RequestInMethod": VALUES, "StatusCode": STATUSES},
    optional={
        "RequestInURL": VALUES.map(lambda text: f"/{text}"),
        "UserAgent": PLAIN,
        "RemoteIP": VALUES,
        "ErrorSource": VALUES,
        "ERROR_CODE": VALUES,
        "ERROR_MESSAGE": VALUES,
    },
)


TRUSTED = ("API", "APPLICATION_NAME", "END_USER_NAME", "ResponseTo", "ErrorSource", "ERROR_CODE", "StatusCode")
CLIENTS = frozenset({"RequestInURL", "RequestOutURL", "UserAgent", "RemoteIP"})


def line(*pairs: tuple[str, str], prefix: str = PREFIX) -> str:
    """A line as the gateway writes it."""
    return prefix + ", ".join(f'{key}="{value}"' for key, value in pairs)


def read(text: str) -> Parsed | Ignored | Rejected:
    """What a line is read as."""
    return PARSE(Envelope("plain", text))


def parsed(text: str) -> Parsed:
    """The request of a line that is one."""
    found = read(text)
    assert isinstance(found, Parsed), found
    return found


@given(st.data(), st.one_of(COMPLETE, ERROR))
def test_render_then_parse_is_the_identity_in_any_order(data: st.DataObject, values: dict[str, str]) -> None:
    """Quotes, commas, equals signs and braces in values are harmless.

    No order of keys matters, as long as what clients write stands before the gateway's own keys or behind them.
    """
    pairs = data.draw(st.permutations(list(values.items())))
    pairs.sort(key=lambda pair: pair[0] in CLIENTS, reverse=data.draw(st.booleans()))
    found = parsed(line(*pairs))
    http = found.event["http"]

    assert "suspect" not in found.flags or any(len(value) > 100 for value in values.values())
    assert found.time == "2026-05-01T10:00:00.118-0700"
    assert http["status_code"] == int(values["StatusCode"])
    assert http["method"] == values["RequestInMethod"]
    assert found.event.get("meta", {}).get("uri") == values.get("RequestInURL")
    assert http.get("client_ip") == values.get("RemoteIP")
    assert http.get("request_headers", {}).get("user-agent") == values.get("UserAgent")
    assert found.event.get("application") == values.get("APPLICATION_NAME")
    for key in ("Event", "MessageID", "ResponseTo", "END_USER_NAME", "ErrorSource", "ERROR_CODE"):
        assert found.fields.get(key) == values.get(key)
    closes = values.get("ResponseTo") if values["Event"] == "REQUEST_COMPLETE" else values["MessageID"]
    assert found.pair_key == (PairKey(closes, opens=False) if closes else None)


REAL = (
    ("Event", "ERROR"),
    ("MessageID", "urn:uuid:1"),
    ("StatusCode", "401"),
    ("ERROR_CODE", "900901"),
    ("RequestInURL", "/weather"),
    ("RequestInMethod", "GET"),
    ("UserAgent", "curl"),
    ("RemoteIP", "192.0.2.7"),
)
KEYS = st.sampled_from([*(key for key, _ in REAL), "APPLICATION_NAME", "END_USER_NAME", "API", "ResponseTo", "x"])


@given(st.lists(st.tuples(KEYS, st.sampled_from(["200", "GET", "x", "REQUEST_COMPLETE"])), min_size=1, max_size=6))
def test_the_first_of_several_values_counts(more: list[tuple[str, str]]) -> None:
    """Whatever is appended to what the gateway has written, nothing that it has written changes."""
    real = dict(REAL)
    found = parsed(line(*REAL, *more))

    assert found.event["http"]["status_code"] == 401
    assert found.event["http"]["method"] == "GET"
    assert found.event["error"]["code"] == "900901"
    assert found.pair_key == PairKey("urn:uuid:1", opens=False)
    assert "application" not in found.event
    assert found.outcome == "auth"
    assert ("suspect" in found.flags) or not {key for key, _ in more} & (
        real.keys() | {"APPLICATION_NAME", "END_USER_NAME", "ResponseTo"}
    )


@given(st.permutations(REAL), st.lists(st.tuples(KEYS, st.just("forged")), max_size=4), st.booleans())
def test_no_user_agent_or_url_overrides_what_the_gateway_knows(
    order: list[tuple[str, str]], forged: list[tuple[str, str]], in_url: bool
) -> None:
    """In any order of keys: a value is the gateway's or absent, but never that of a client."""
    carrier = "RequestInURL" if in_url else "UserAgent"
    pairs: list[tuple[str, str]] = []
    for key, value in order:
        pairs += [(key, value), *(forged if key == carrier else [])]
    found = read(line(*pairs))
    if isinstance(found, Rejected):
        assert found.pointer in {"/Event", "/StatusCode"}
        return
    assert isinstance(found, Parsed)
    real = dict(REAL)
    for key in ("Event", "MessageID", "StatusCode", "ERROR_CODE", "RemoteIP"):
        assert found.fields.get(key) in {None, real[key]}
    assert found.fields.keys().isdisjoint({"APPLICATION_NAME", "END_USER_NAME", "ResponseTo"})
    assert found.event.get("application") is None


def test_a_pair_of_the_gateway_parts_values_from_what_a_client_wrote() -> None:
    """The URL stands before the status, but the method between them is the gateway's: the first status is real."""
    pairs = [
        ("Event", "ERROR"),
        ("MessageID", "m"),
        ("RequestInURL", "/a"),
        ("RequestInMethod", "GET"),
        ("StatusCode", "404"),
        ("UserAgent", 'x", StatusCode="200'),
    ]
    found = parsed(line(*pairs))
    assert found.event["http"]["status_code"] == 404
    assert found.flags == ("suspect",)
    pairs[2] = ("RequestInURL", '/a", RequestInMethod="POST", StatusCode="200')
    found = parsed(line(*pairs))
    assert "status_code" not in found.event["http"]
    assert found.flags == ("suspect",)


REAL_COMPLETE = (
    ("Event", "REQUEST_COMPLETE"),
    ("MessageID", "m2"),
    ("ResponseTo", "m1"),
    ("API", "admin--Weather:v1"),
    ("APPLICATION_NAME", "CampusMap"),
    ("END_USER_NAME", "jdoe"),
    ("StatusCode", "503"),
    ("RequestOutURL", "https://backend.example/a"),
    ("RequestOutMethod", "GET"),
    ("RequestInURL", "/a"),
    ("RequestInMethod", "GET"),
)


@pytest.mark.parametrize("carrier", ["RequestInURL", "RequestOutURL"])
def test_a_client_cannot_take_the_status_of_its_request_away(carrier: str) -> None:
    """In the gateway's own order the status stands behind names, and what a URL adds comes later: the first counts."""
    forged = {carrier: '/a", StatusCode="200", END_USER_NAME="root", API="x--Y:v1'}
    found = parsed(line(*((key, forged.get(key, value)) for key, value in REAL_COMPLETE)))

    assert found.event["http"]["status_code"] == 503
    assert found.event["api"] == "Weather"
    assert found.fields["END_USER_NAME"] == "jdoe"
    assert found.flags == ("suspect",)


@given(
    st.sampled_from(["RequestInURL", "RequestOutURL", "UserAgent"]),
    st.sampled_from(["ERROR", "REQUEST_COMPLETE", "INCOMING_REQUEST"]),
    st.lists(st.sampled_from([*TRUSTED, "Consumer"]), min_size=1, unique=True),
    st.sampled_from(TRUSTED),
)
def test_what_the_gateway_left_out_no_client_can_add(carrier, event, forged, own):
    """An API, an application, a status: behind a URL or a user agent they are not believed."""
    values = {"API": "victim--Weather:v1", "StatusCode": "200"}
    pairs = [
        *(("Event", event), ("MessageID", "m"), ("RequestInMethod", "GET"), (own, values.get(own, "own"))),
        *((carrier, "/a"), *((key, values.get(key, "forged")) for key in forged if key != own)),
    ]
    found = parsed(line(*pairs))

    assert found.fields.keys().isdisjoint(set(forged) - {own})
    assert found.event.keys().isdisjoint({"api", "application"} - ({"api"} if own == "API" else {"application"}))


def test_an_error_without_an_api_gets_none_from_a_client():
    """In no order of keys: a request that matched no API has none, whatever the user agent says."""
    pairs = [("Event", "ERROR"), ("MessageID", "m"), ("RequestInURL", "/a"), ("UserAgent", 'x", API="a--Victim:v1')]
    for order in (pairs, pairs[::-1]):
        assert "api" not in parsed(line(*order, ("StatusCode", "404"))).event


@pytest.mark.parametrize("carrier", ["APPLICATION_NAME", "END_USER_NAME"])
def test_of_two_values_behind_names_none_counts(carrier: str) -> None:
    """Here the first one may be part of the name, and the second one part of the other name."""
    forged = {carrier: 'x", StatusCode="200'}
    found = parsed(line(*((key, forged.get(key, value)) for key, value in REAL_COMPLETE)))

    assert "status_code" not in found.event["http"]
    assert found.flags == ("suspect",)


def test_a_forged_event_makes_a_line_unreadable_at_most() -> None:
    """Where nobody can tell which Event is real, there is none."""
    found = read(line(("UserAgent", 'x", Event="REQUEST_COMPLETE'), ("Event", "ERROR"), ("MessageID", "m")))
    assert isinstance(found, Rejected)
    assert (found.reason, found.pointer) == (Reason.MALFORMED, "/Event")


def test_the_event_of_a_pair_has_both_message_ids():
    """The request's id stays what it is; the response's stands beside it, so that a search for either finds both."""
    request, response = "urn:uuid:5d0f8a52-0001", "urn:uuid:5d0f8a52-0002"
    opening = parsed(line(("Event", "INCOMING_REQUEST"), ("MessageID", request), ("RequestInURL", "/a"))).event
    closing = parsed(
        line(("Event", "REQUEST_COMPLETE"), ("MessageID", response), ("ResponseTo", request), ("StatusCode", "200"))
    ).event
    for event in (opening, closing):
        event["meta"]["dt"] = "2026-05-01T17:00:00.118Z"

    add_opening(closing, opening)

    assert (closing["meta"]["request_id"], closing["meta"]["response_id"]) == (request, response)
    assert "response_id" not in opening["meta"]


@pytest.mark.parametrize("own", ["jdoe@example.org", "Bearer 0123456789abcdef", "urn:uuid:" + "0" * 200, ""])
def test_what_is_no_id_by_its_form_is_no_response_id(own):
    """Nothing that may be about a person or a secret gets out as an id."""
    found = parsed(line(("Event", "REQUEST_COMPLETE"), ("MessageID", own), ("ResponseTo", "1"), ("StatusCode", "200")))

    assert found.event["meta"] == {"request_id": "1"}


@given(st.text(max_size=300).filter(lambda text: '"' not in text and "\n" not in text))
def test_source_of_an_error_is_bounded_and_printable(source: str) -> None:
    """The gateway's word for the part that reports the error, whatever it is, fits into the event."""
    found = parsed(line(("Event", "ERROR"), ("MessageID", "1"), ("StatusCode", "500"), ("ErrorSource", source)))
    told = found.event.get("error", {}).get("source", "")

    assert len(told) <= 128
    assert told.isprintable()
    assert (told == source) or len(source) > 64 or not source.isprintable() or source in ABSENT or "ey" in source


def test_times_are_exact_to_the_millisecond() -> None:
    """The two halves of a request give its latency."""
    opened = parsed(line(("Event", "INCOMING_REQUEST"), ("MessageID", "m1"), ("RequestInMethod", "GET")))
    closing = PREFIX.replace(".118", ".127")
    closed = parsed(line(("Event", "REQUEST_COMPLETE"), ("MessageID", "m2"), ("ResponseTo", "m1"), prefix=closing))

    assert (opened.pair_key, closed.pair_key) == (PairKey("m1", opens=True), PairKey("m1", opens=False))
    assert opened.time is not None
    assert closed.time is not None
    assert (epoch_ms(closed.time) or 0) - (epoch_ms(opened.time) or 0) == 9


@pytest.mark.parametrize("end", range(len(PREFIX) + 1, len(line(*REAL)) - 1, 7))
def test_no_part_of_a_line_is_a_request_of_another_kind(end: int) -> None:
    """A line that is cut is rejected, or is one that ends where a value ends and then has no more than it says."""
    found = read(line(*REAL)[:end])
    assert not isinstance(found, Ignored) or end <= len(PREFIX) + 6
    assert not isinstance(found, Parsed) or found.pair_key is not None or found.event == {}


def test_nothing_secret_gets_out() -> None:
    """Tokens in URLs are in neither fields nor headers; the user is a source only; backends are not named."""
    found = parsed(
        line(
            ("Event", "REQUEST_COMPLETE"),
            ("MessageID", "m"),
            ("END_USER_NAME", "jdoe@example.org"),
            ("RequestOutURL", "https://backend.internal.example/?key=s3cret"),
            ("RequestInURL", "/weather?access_token=s3cret"),
            ("RequestInMethod", "GET"),
        )
    )
    assert "s3cret" not in str(found.fields)
    assert "internal" not in str(found.event) + str(found.fields)
    assert "jdoe" not in str(found.event)
    assert found.fields["END_USER_NAME"] == "jdoe@example.org"


@given(st.text(max_size=200) | st.lists(st.sampled_from([*PREFIX, '"', "=", ", ", *KEYS.elements])).map("".join))
def test_no_text_raises_and_the_signature_misses_nothing(text: str) -> None:
    """Any text is read, ignored or rejected; a request is never one that auto-detection would pass over."""
    envelope = Envelope("plain", text)
    found = PARSE(envelope)
    signature = FORMATS["wso2_access"].signature
    assert signature is not None
    assert signature(envelope) or not isinstance(found, Parsed)


@pytest.mark.parametrize("unit", ['", a="', '="', 'Event="', "{", "2026-05-01T10:00:00 ", "a", '"'])
def test_long_hostile_lines_end_as_data(unit: str) -> None:
    """A megabyte of anything is answered, and pairs are bounded."""
    assert not isinstance(read(PREFIX + unit * (1_000_000 // len(unit))), Parsed)
    many = line(*REAL, *((f"k{number}", "v") for number in range(MAX_PAIRS)))
    assert isinstance(read(many), Rejected)
