"""Kong's logging plugins: figures, who made an error, what may be asked for; whatever their JSON holds."""

from __future__ import annotations

import copy

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.enrich import compile_client_id
from logrouter.core.enrich.sources import field_getter
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats.kong import FORMAT, parse
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected

from .test_corpus import cases, line_of

TRY = {"ip": "198.51.100.20", "port": 8080, "balancer_start": 1777629600251}
LINE: dict = {
    "request": {"method": "GET", "uri": "/cart?x=1", "url": "https://api.example.com:443/cart?x=1", "size": 316},
    "response": {"status": 200, "size": 512},
    "latencies": {"request": 12, "kong": 1, "proxy": 11},
    "client_ip": "192.0.2.7",
    "started_at": 1777629600250,
    "upstream_uri": "/cart?x=1",
    "tries": [TRY],
    "route": {"id": "r-1", "name": "cart"},
    "service": {"id": "s-1", "name": "shop"},
}
NOBODY_ASKED = {"tries": None, "latencies.proxy": -1}
"""What a line of Kong 2 has if no backend was asked."""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*LINE, "id", "name", "code"]), inner),
    max_leaves=6,
)


def changed(**changes: object) -> dict:
    """The line with some values changed, by dotted names; None leaves one out."""
    found = copy.deepcopy(LINE)
    for path, value in changes.items():
        *above, name = path.split(".")
        part = found
        for each in above:
            part = part[each]
        if value is None:
            part.pop(name, None)
        else:
            part[name] = value
    return found


def read(line: dict) -> Parsed:
    """The request in a line, which has to be one."""
    found = parse(Envelope("plain", orjson.dumps(line).decode()))
    assert isinstance(found, Parsed)
    return found


@pytest.mark.parametrize(
    ("status", "changes", "outcome"),
    [
        (500, {"source": "upstream"}, None),
        (500, {"source": "service"}, None),
        (500, {"source": "kong"}, "gateway_error"),
        (500, {"source": "exit"}, "gateway_error"),
        (500, {"source": "error"}, "gateway_error"),
        (500, {"upstream_status": "500"}, None),
        (500, {"upstream_status": "502, 500"}, None),
        (500, {"upstream_status": "500, 200"}, "gateway_error"),
        (500, {"upstream_status": 200}, "gateway_error"),
        (500, {}, None),
        (500, NOBODY_ASKED, "gateway_error"),
        (500, {**NOBODY_ASKED, "tries": []}, "gateway_error"),
        (500, {"latencies.proxy": -1}, None),
        (500, {"tries": None}, None),
        (502, {"source": "kong"}, "backend_error"),
        (503, NOBODY_ASKED, "backend_error"),
        (500.0, NOBODY_ASKED, "gateway_error"),
        (429, {**NOBODY_ASKED, "source": "kong"}, None),
        (499, {"source": "kong"}, None),
        (0, {**NOBODY_ASKED, "source": "kong"}, None),
    ],
)
def test_an_error_is_the_gateway_s_only_if_the_line_says_so(status, changes, outcome):
    """By its source, by a status of the backend, or as no backend was asked; else the status alone tells."""
    assert read(changed(**{"response.status": status}, **changes)).outcome == outcome


@pytest.mark.parametrize(
    ("written", "ms"),
    [(0, 0), (11, 11), (11.0, 11), (11.4, 11), (11.5, 12), (-1, None), (-1.0, None), (-0.5, None), (-(2**60), None)],
)
def test_a_negative_latency_is_none(written, ms):
    """Kong writes -1 where no backend was asked, which is no figure and no error."""
    event = read(changed(**{"latencies.proxy": written, "latencies.request": written})).event

    assert (event.get("backend_time_ms"), event.get("total_time_ms")) == (ms, ms)


@pytest.mark.parametrize("size", [316, 316.0, "316"])
def test_sizes_are_numbers_although_old_versions_write_texts(size):
    """Until 2.0 they were what nginx's variables are."""
    assert read(changed(**{"request.size": size})).event["bytes_received"] == 316


def test_no_status_is_no_status_of_http():
    """Kong writes 0 where nothing was answered."""
    found = read(changed(**{"response.status": 0}))

    assert "status_code" not in found.event["http"]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("consumer.username", "ann"),
        ("consumer.custom_id", "crm-42"),
        ("consumer.id", "c-1"),
        ("authenticated_entity.id", "k-1"),
        ("service.name", "shop"),
        ("service.id", "s-1"),
        ("route.name", "cart"),
        ("route.id", "r-1"),
        ("route", "cart"),
        ("workspace", "w-1"),
        ("source", "upstream"),
        ("latencies.kong", 1),
        ("tries.ip", "198.51.100.20"),
        ("tries.count", 1),
        ("plan.name", "gold"),
        ("http.path", "/cart"),
        ("client_ip", None),
        ("plan.token", None),
        ("authorization_note", None),
        ("upstream_uri", None),
        ("request", None),
    ],
)
def test_sources_know_who_called_what(source, value):
    """Consumer, credential, service, route and what the operator has added; no secrets, queries and whole addresses."""
    found = read(
        changed(
            consumer={"id": "c-1", "username": "ann", "custom_id": "crm-42"},
            authenticated_entity={"id": "k-1"},
            workspace="w-1",
            source="upstream",
            plan={"name": "gold", "token": "made-up"},
            authorization_note="made-up",
        )
    )

    assert field_getter(source)(found) == value


def test_the_client_s_address_passes_the_policy_alone():
    """As a client id it is what the policy leaves of it."""
    client_id = compile_client_id(["client_ip", "http.client_ip"], lambda _chain: "192.0.2.0")

    assert client_id(read(LINE)) == ("x-client-ip:192.0.2.0", "x-client-ip")


def test_a_list_of_requests_is_as_many_lines():
    """As http-log sends them, and the envelope json takes them apart."""
    lines = ENVELOPES["json"].decode(orjson.dumps([LINE, changed(**{"response.status": 404})]))

    assert isinstance(lines, tuple)
    found = [parse(each) for each in lines]
    assert [each.event["http"]["status_code"] for each in found if isinstance(each, Parsed)] == [200, 404]


@pytest.mark.parametrize("case", cases("kong"))
def test_an_object_that_a_transport_has_merged_is_read_as_its_text(case):
    """Beside whatever the transport's own object holds."""
    line = line_of("kong", case)
    try:
        document = orjson.loads(line.text)
    except ValueError:
        return
    if isinstance(document, dict):
        merged = {"host": "node7", "program": "kong", "message": "", **document}
        found, expected = parse(Envelope("cee", "", merged)), parse(line)
        assert type(found) is type(expected)
        assert not isinstance(found, Parsed) or found.event == expected.event


@pytest.mark.parametrize("message", ["handled", "{id} handled", '{"a":1}', '{"latencies":', "[1] handled", "[1]", ""])
def test_a_message_beside_the_request_is_no_matter(message):
    """A transport takes it for the text of the line, and the object is still the request."""
    (envelope,) = ENVELOPES["json"].decode(orjson.dumps([LINE | {"message": message}]))

    assert parse(envelope).event == read(LINE).event


@given(st.sampled_from(sorted(LINE)), st.sampled_from(["", *LINE, "id", "status", "headers", "size"]), VALUES)
def test_whatever_stands_in_a_line_ends_as_one_of_the_three(name, below, value):
    """In place of a part, or of a member of one; and what is read bears the signature."""
    line = changed()
    if below and isinstance(line[name], dict):
        line[name][below] = value
    else:
        line[name] = value
    envelope = Envelope("cee", "", line)
    found = parse(envelope)

    assert isinstance(found, Parsed | Ignored | Rejected)
    assert FORMAT.signature is not None
    assert FORMAT.signature(envelope) or not isinstance(found, Parsed)


@given(st.data())
def test_a_cut_line_is_told_as_cut(data):
    """As soon as it holds a name that only Kong writes."""
    text = orjson.dumps({"latencies": LINE["latencies"], **LINE}).decode()
    found = parse(Envelope("plain", text[: data.draw(st.integers(13, len(text) - 1))]))

    assert isinstance(found, Rejected)
    assert found.reason in (Reason.TRUNCATED, Reason.MALFORMED)
