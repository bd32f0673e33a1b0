"""Requests through a mesh: every spelling of a protobuf message is the same request, and none gets lost."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats.families.istio_upstream import Upstream, service_of, upstream_of
from logrouter.core.formats.families.response_flags import FLAGS, flags_of
from logrouter.core.formats.istio import FORMAT, parse
from logrouter.core.outcomes import OUTCOMES
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected

METHODS = ["", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
PROTOCOLS = {"HTTP10": "HTTP/1.0", "HTTP11": "HTTP/1.1", "HTTP2": "HTTP/2", "HTTP3": "HTTP/3"}
WORDS = st.text("abcdefgh0123456789", min_size=1, max_size=8)
COUNTS = st.integers(0, 2**53 - 1)
REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(METHODS[1:]),
        "protocol": st.sampled_from(sorted(PROTOCOLS)),
        "path": WORDS.map("/{}".format),
        "status": st.integers(100, 599),
        "sent": COUNTS,
        "received": COUNTS,
        "total": st.integers(0, 10**7),
        "app": WORDS,
        "space": WORDS,
        "id": WORDS,
    }
)


def rendered(request: dict[str, Any], *, camel: bool, texts: bool, messages: bool) -> dict[str, Any]:
    """An entry in one of the ways that programs make JSON of it."""
    total = request["total"]
    seconds, nanos = divmod(total * 1_000_000, 1_000_000_000)
    entry = {
        "common_properties": {
            "start_time": {"seconds": 1_777_629_600, "nanos": 5} if messages else "2026-05-01T10:00:00.000000005Z",
            "time_to_last_downstream_tx_byte": (
                {"seconds": str(seconds) if texts else seconds, "nanos": nanos}
                if messages
                else f"{seconds}.{nanos:09d}s"
            ),
            "upstream_cluster": f"outbound|80||{request['app']}.{request['space']}.svc.cluster.local",
            "upstream_remote_address": {"socket_address": {"address": "198.51.100.9"}},
        },
        "protocol_version": (sorted(PROTOCOLS).index(request["protocol"]) + 1) if messages else request["protocol"],
        "request": {
            "request_method": METHODS.index(request["method"]) if messages else request["method"],
            "path": request["path"],
            "request_id": request["id"],
            "request_body_bytes": str(request["received"]) if texts else request["received"],
        },
        "response": {
            "response_code": {"value": request["status"]} if messages else request["status"],
            "response_body_bytes": str(request["sent"]) if texts else request["sent"],
        },
    }
    return camelled(entry) if camel else entry


def camelled(part: Any) -> Any:
    """The same under the names that protobuf's own JSON has."""
    if not isinstance(part, dict):
        return part
    first = {name: name.split("_") for name in part}
    return {first[n][0] + "".join(map(str.capitalize, first[n][1:])): camelled(value) for n, value in part.items()}


def read(line: Any) -> Parsed | Ignored | Rejected:
    """What the format makes of an object as text, which is also what it makes of it taken in by the transport."""
    found = parse(Envelope("plain", orjson.dumps(line).decode()))
    if isinstance(line, dict):
        assert parse(Envelope("json", "", line)) == found
    return found


@given(REQUESTS, st.booleans(), st.booleans(), st.booleans())
def test_render_then_parse_is_the_identity(request, camel, texts, messages):
    """Whichever way a message becomes JSON, the same request comes out."""
    found = read(rendered(request, camel=camel, texts=texts, messages=messages))
    assert isinstance(found, Parsed)
    assert found.event == {
        "http": {
            "method": request["method"],
            "path": request["path"],
            "protocol": PROTOCOLS[request["protocol"]],
            "status_code": request["status"],
        },
        "meta": {"uri": request["path"], "request_id": request["id"]},
        "api": request["app"],
        "tenant": request["space"],
        "total_time_ms": request["total"],
        "bytes_sent": request["sent"],
        "bytes_received": request["received"],
        "backend": {
            "instance": "198.51.100.9",
            "cluster": f"outbound|80||{request['app']}.{request['space']}.svc.cluster.local",
        },
    }


@given(st.lists(REQUESTS, max_size=4), st.booleans())
def test_a_batch_is_its_entries(requests, camel):
    """One record, several lines: each is what it would be alone."""
    entries = [rendered(request, camel=camel, texts=True, messages=False) for request in requests]
    batch = {"httpLogs": {"logEntry": entries}} if camel else {"http_logs": {"log_entry": entries}}
    lines = ENVELOPES["json"].decode(orjson.dumps(batch))
    assert isinstance(lines, tuple)
    assert [parse(line) for line in lines] == [read(entry) for entry in entries]  # type: ignore[arg-type]


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["value", "seconds", "x"]), below),
    max_leaves=4,
)
PLACES = st.sampled_from(
    [
        *[("common_properties", name) for name in ("start_time", "time_to_last_downstream_tx_byte", "response_flags")],
        *[("common_properties", name) for name in ("upstream_cluster", "downstream_remote_address", "metadata")],
        *[("common_properties", name) for name in ("tls_properties", "custom_tags", "route_name")],
        *[("request", name) for name in ("request_method", "path", "request_headers", "forwarded_for")],
        *[("response", name) for name in ("response_code", "response_body_bytes", "response_code_details")],
        *[("protocol_version",), ("request",), ("response",), ("connection_properties",)],
    ]
)


@given(REQUESTS, st.lists(st.tuples(PLACES, ODD), max_size=4))
def test_no_value_anywhere_makes_it_raise(request, changes):
    """A hostile entry is read as far as it makes sense."""
    entry = rendered(request, camel=False, texts=False, messages=False)
    for place, odd in changes:
        part = entry
        for name in place[:-1]:
            part = part[name] if isinstance(part.get(name), dict) else {}
        part[place[-1]] = odd
    found = parse(Envelope("json", "", entry))
    assert isinstance(found, Parsed | Ignored | Rejected)
    if isinstance(found, Parsed):
        assert found.outcome is None or found.outcome in OUTCOMES
        orjson.dumps(found.fields, option=orjson.OPT_NON_STR_KEYS)


@given(st.text(max_size=60) | st.text(max_size=60).map("{{{}".format))
def test_no_text_makes_it_raise(text):
    """Any text ends as one of the three, and what is read has the signature."""
    envelope = Envelope("plain", text)
    found = parse(envelope)
    assert isinstance(found, Ignored | Rejected | Parsed)
    assert FORMAT.signature is not None
    assert FORMAT.signature(envelope) or found == Ignored(Reason.NOT_REQUEST)


@pytest.mark.parametrize(
    ("cluster", "found"),
    [
        ("outbound|80|v1|shop.prod.svc.cluster.local", Upstream("80", "v1", "shop", "prod", "v1")),
        ("outbound|80||shop.prod.svc.cluster.local", Upstream("80", "", "shop", "prod")),
        ("inbound|8080|http|shop.prod.svc.cluster.local", Upstream("8080", "http", "shop", "prod")),
        ("outbound_.80_._.shop.prod.svc.cluster.local", Upstream("80", "", "shop", "prod")),
        ("inbound|8080||", Upstream("8080")),
        ("outbound|443||api.example.com", Upstream("443")),
        ("outbound|80||shop", Upstream("80")),
        ("outbound|80||.prod.svc.cluster.local", Upstream("80")),
        ("outbound|80||sh op.prod.svc", Upstream("80")),
        ("outbound|80", Upstream()),
        ("outbound", Upstream()),
        ("|||", Upstream()),
        ("PassthroughCluster", Upstream()),
        ("", Upstream()),
        ("outbound|" * 500, Upstream()),
    ],
)
def test_a_cluster_s_name_says_what_it_can(cluster, found):
    """Any name is taken apart without assuming that its parts are there."""
    assert upstream_of(cluster) == found


@given(st.text(max_size=40) | st.text("outbound|._svc", max_size=40))
def test_no_name_of_a_cluster_makes_it_raise(name):
    """And what is found are bounded labels."""
    assert len(upstream_of(name).app) <= 63
    assert len(service_of(name)[1]) <= 63


def test_flags_are_known_by_both_names():
    """Every flag as text logs have it and as protobuf has it."""
    for flag in FLAGS:
        first, *rest = flag.name.split("_")
        camel = first + "".join(map(str.capitalize, rest))
        assert flags_of(flag.short) == flags_of({flag.name: True}) == flags_of({camel: True}) == (flag,)
    assert flags_of("-") == flags_of({"upstream_overflow": False}) == flags_of("XYZ") == flags_of([]) == ()
    assert [flag.short for flag in flags_of("DC,URX,UF")] == ["UF", "URX", "DC"]


@pytest.mark.parametrize(
    ("status", "flags", "outcome"),
    [
        (503, "UH", "backend_error"),
        (503, "UF,URX", "backend_error"),
        (404, "NR", "not_found"),
        (503, "NR", "gateway_error"),
        (0, "DC", "aborted"),
        (200, "DC", "aborted"),
        (200, "UC,DC", "backend_error"),
        (429, "RL", "throttled"),
        (403, "UAEX", "auth"),
        (400, "DPE", "client_error"),
        (200, "DI", None),
        (503, "-", None),
        (None, "UF", "backend_error"),
        (None, "DC", "aborted"),
        (0, "-", None),
        (0, "UF", "backend_error"),
        (0, "UF,DC", "backend_error"),
    ],
)
def test_a_flag_tells_how_a_request_ended(status, flags, outcome):
    """The weightiest one; without any the status does."""
    found = read({"method": "GET", "path": "/", "response_code": status, "response_flags": flags})
    assert isinstance(found, Parsed)
    left = 0 if "DC" in flags else None
    assert (found.event["http"].get("status_code"), found.outcome) == (status or left, outcome)


def test_secrets_are_not_read_and_addresses_of_backends_are_in_one_place():
    """Neither headers nor metadata nor keys that hold tokens, and no address of a backend but as such."""
    entry = rendered(
        {"method": "GET", "protocol": "HTTP2", "path": "/", "status": 503, "sent": 0, "received": 0, "total": 1}
        | {"app": "shop", "space": "prod", "id": "1"},
        camel=False,
        texts=False,
        messages=False,
    )
    entry["request"]["request_headers"] = {"Authorization": "s3cret", "cookie": "s3cret", "X-Consumer": "c-7"}
    entry["common_properties"]["metadata"] = {"filter_metadata": {"jwt": {"access_token": "s3cret", "azp": "c-7"}}}
    entry["common_properties"]["response_flags"] = {"upstream_connection_failure": True}
    entry["response"]["response_code_details"] = "upstream_reset{198.51.100.9}"
    found = read(entry)
    assert isinstance(found, Parsed)
    assert found.fields["metadata"] == {"jwt": {"azp": "c-7"}}
    assert found.event["http"]["request_headers"] == {"x-consumer": "c-7"}
    assert b"s3cret" not in orjson.dumps(found.fields)
    assert found.event.pop("backend")["instance"] == "198.51.100.9"
    assert b"198.51.100.9" not in orjson.dumps(found.event)
    flat = read({"method": "GET", "url": "/?t=s3cret", "responseCode": 200, "apiKey": "s3cret", "sourceApp": "edge"})
    assert isinstance(flat, Parsed)
    assert flat.fields["sourceApp"] == "edge"
    assert "apiKey" not in flat.fields
    assert "url" not in flat.fields


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{ name: 'shop', ready: true }", Ignored(Reason.NOT_REQUEST)),
        ('{"level":"info","msg":"cut here', Ignored(Reason.NOT_REQUEST)),
        ('{"level":"info","path":"/cart","msg":"cut here', Reason.TRUNCATED),
        ('{"common_properties":{"start_time":', Reason.TRUNCATED),
        ('{"comm', Reason.TRUNCATED),
        ("{", Reason.TRUNCATED),
    ],
)
def test_a_damaged_line_has_a_key_of_a_request_or_is_another_program_s(text, found):
    """What an app prints in braces is no dead letter; a line that is cut before its first key ends may be a request."""
    parsed = parse(Envelope("plain", text))
    assert (parsed.reason if isinstance(parsed, Rejected) else parsed) == found
