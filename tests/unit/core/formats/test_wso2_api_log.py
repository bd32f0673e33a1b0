"""api.log: which of the four lines counts, and that headers and payloads are not read."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.formats import FORMATS, parser
from logrouter.model import Envelope, Ignored, PairKey, Parsed, Reason, Rejected

PARSE = parser("wso2_api_log")
SHORT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=60).filter(
    lambda text: text not in {"-", "null", "N/A", "UNKNOWN"}
)
LINE = st.fixed_dictionaries(
    {"flow": st.just("RESPONSE_OUT")},
    optional={
        "verb": SHORT,
        "correlationId": SHORT,
        "sourceIP": SHORT,
        "apiTo": st.from_regex(r"[a-z./]{1,20}(\?[a-z=]{0,9})?", fullmatch=True).filter(lambda text: text != "-"),
        "statusCode": st.integers(100, 999),
    },
)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_.]{0,20}", fullmatch=True).filter(lambda text: text != "null")


def line(content: dict[str, Any], named: str = "Weather - ") -> str:
    """A line as the gateway writes it."""
    return f"[2026-05-01 10:00:00,118]  INFO {{API_LOG}} {named}{orjson.dumps(content).decode()}"


def read(text: str) -> Parsed | Ignored | Rejected:
    """What a line is read as."""
    return PARSE(Envelope("plain", text))


@given(LINE, NAMES)
def test_render_then_parse_is_the_identity(content: dict[str, Any], name: str) -> None:
    """Every field comes back under its canonical name."""
    found = read(line(content, f"{name} - "))
    assert isinstance(found, Parsed)
    http, meta = found.event.get("http", {}), found.event.get("meta", {})

    assert found.event["api"] == name
    assert found.time == "2026-05-01 10:00:00,118"
    assert http.get("method") == content.get("verb")
    assert http.get("client_ip") == content.get("sourceIP")
    assert http.get("status_code") == content.get("statusCode")
    assert meta.get("correlation_id") == content.get("correlationId")
    assert meta.get("uri", "").lstrip("/") == content.get("apiTo", "").lstrip("/")
    assert found.pair_key == (PairKey(content["correlationId"], opens=False) if "correlationId" in content else None)


def test_of_four_lines_one_counts() -> None:
    """The first opens the request, the last closes it, and those between are of the gateway and the backend."""
    flows = ("REQUEST_IN", "REQUEST_OUT", "RESPONSE_IN", "RESPONSE_OUT")
    found = [read(line({"correlationId": "c", "flow": flow})) for flow in flows]

    halves = [each.pair_key if isinstance(each, Parsed) else each for each in found]
    not_counted = Ignored(Reason.NOT_COUNTED)
    assert halves == [PairKey("c", opens=True), not_counted, not_counted, PairKey("c", opens=False)]


def test_headers_and_payload_are_not_read() -> None:
    """Not into the event, and not into the fields that client ids come from."""
    secrets = {"headers": ["Authorization=Bearer s3cret"], "payload": "s3cret", "other": "s3cret"}
    found = read(line({**secrets, "flow": "RESPONSE_OUT", "apiTo": "https://s3cret.example/"}))
    assert isinstance(found, Parsed)
    assert "s3cret" not in str(found)


@pytest.mark.parametrize(
    ("named", "api", "tenant"),
    [
        ("Weather - ", "Weather", None),
        ("Weather | /weather/1 | example.org | ", "Weather", "example.org"),
        ("Weather - | /weather/1 | example.org | ", "Weather", "example.org"),
        ("Weather - | /weather/1 | ", "Weather", None),
        ("admin--Weather-Report:v1 - ", "Weather-Report", None),
        (" - ", None, None),
        ("", None, None),
    ],
)
def test_what_stands_before_the_object_names_api_and_tenant(named: str, api: str | None, tenant: str | None) -> None:
    """In the forms of several versions."""
    found = read(line({"flow": "RESPONSE_OUT"}, named))
    assert isinstance(found, Parsed)
    assert (found.event.get("api"), found.event.get("tenant")) == (api, tenant)


@given(
    st.text(max_size=100)
    | st.dictionaries(
        st.sampled_from(["flow", "verb", "apiTo", "statusCode", "correlationId", "sourceIP", "headers"]),
        st.none()
        | st.integers(-(2**63), 2**63)
        | st.floats()
        | st.text()
        | st.sampled_from(["RESPONSE_OUT", "REQUEST_IN"]),
    ).map(line)
)
def test_no_text_raises_and_the_signature_misses_nothing(text: str) -> None:
    """Values of any type are read, left out, or make the line malformed."""
    envelope = Envelope("plain", text)
    found = PARSE(envelope)
    signature = FORMATS["wso2_api_log"].signature
    assert signature is not None
    assert signature(envelope) or not isinstance(found, Parsed)
