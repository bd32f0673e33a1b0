"""apim_metrics.log: what is read of a metric, and that nothing else gets out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.formats import FORMATS, parser
from logrouter.core.formats.format import ErrorRule, FormatSettings
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected

PARSE = parser("wso2_apim_metrics")
HEAD = "10:00:00,118 [-] [PassThroughMessageProcessor-7]  INFO ELKCounterMetric apimMetrics: "
SHORT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=60).filter(
    lambda text: text not in {"-", "null", "N/A", "UNKNOWN"}
)
COUNTS = st.integers(0, 2**53 - 1)
RESPONSE = st.fixed_dictionaries(
    {"apiName": SHORT, "proxyResponseCode": st.integers(100, 999)},
    optional={
        "apiVersion": SHORT,
        "apiCreator": SHORT,
        "apiMethod": SHORT,
        "applicationName": SHORT,
        "applicationId": SHORT,
        "userName": SHORT,
        "userIp": SHORT,
        "correlationId": SHORT,
        "requestTimestamp": SHORT,
        "responseLatency": COUNTS,
        "backendLatency": COUNTS,
        "targetResponseCode": st.integers(-1, 999),
    },
)


def line(metric: dict[str, Any], name: str = "apim:response") -> str:
    """A line as the gateway's analytics write it."""
    return f"{HEAD}{name}, properties :{orjson.dumps(metric).decode()}"


def parsed(text: str) -> Parsed:
    """The request of a line that is one."""
    found = PARSE(Envelope("plain", text))
    assert isinstance(found, Parsed), found
    return found


@given(RESPONSE)
def test_render_then_parse_is_the_identity(metric: dict[str, Any]) -> None:
    """Every field comes back under its canonical name, whatever texts hold."""
    found = parsed(line(metric))
    event = found.event
    http, meta = event.get("http", {}), event.get("meta", {})

    assert event["api"] == metric["apiName"] or "suspect" in found.flags
    assert http["status_code"] == metric["proxyResponseCode"]
    assert http.get("method") == metric.get("apiMethod")
    assert http.get("client_ip") == metric.get("userIp")
    assert meta.get("correlation_id") == metric.get("correlationId")
    assert event.get("total_time_ms") == metric.get("responseLatency")
    assert event.get("backend_time_ms") == metric.get("backendLatency")
    assert found.time == metric.get("requestTimestamp")
    for name in ("applicationId", "applicationName", "userName"):
        assert found.fields.get(name) == metric.get(name)


@pytest.mark.parametrize(
    ("metric", "outcome", "status"),
    [
        ({"errorCode": 900901, "errorType": "AUTH", "proxyResponseCode": 401}, "auth", 401),
        ({"errorCode": 900803, "errorType": "THROTTLED"}, "throttled", 429),
        ({"errorCode": 101504, "errorType": "TARGET_CONNECTIVITY", "proxyResponseCode": 504}, "backend_error", 504),
        ({"errorCode": "900803"}, "throttled", 429),
        ({"errorCode": -1, "errorType": "THROTTLED", "proxyResponseCode": 503}, "throttled", 503),
        ({"errorCode": 1, "errorType": "OTHER", "proxyResponseCode": 500}, "gateway_error", 500),
        ({"errorCode": 1, "errorType": "OTHER", "proxyResponseCode": 404}, "not_found", 404),
        ({"errorCode": True, "proxyResponseCode": 403}, "auth", 403),
        ({"errorCode": 1}, "gateway_error", None),
    ],
)
def test_a_fault_ends_as_its_number_type_or_status_says(
    metric: dict[str, Any], outcome: str, status: int | None
) -> None:
    """In that order."""
    found = parsed(line(metric, "apim:faulty"))
    assert (found.outcome, found.event.get("http", {}).get("status_code")) == (outcome, status)


@pytest.mark.parametrize(("target", "outcome"), [(500, "backend_error"), (-1, "gateway_error"), (200, "gateway_error")])
def test_a_5xx_is_the_backend_s_if_it_has_sent_one(target: int, outcome: str) -> None:
    """Whose fault a response is, is told by the backend's own status."""
    assert parsed(line({"proxyResponseCode": 500, "targetResponseCode": target})).outcome == outcome


def test_error_codes_can_be_given_another_meaning() -> None:
    """As in every dialect of these gateways."""
    parse = parser("wso2_apim_metrics", FormatSettings(errors={"900901": ErrorRule("client_error", 400)}))
    found = parse(Envelope("plain", line({"errorCode": 900901}, "apim:faulty")))
    assert isinstance(found, Parsed)
    assert (found.outcome, found.event["http"], found.flags) == (
        "client_error",
        {"status_code": 400},
        ("status_from_error",),
    )


def test_backend_user_and_properties_stay_inside() -> None:
    """The user can be a client id; the backend's address and free properties can't even be that."""
    metric = {"apiName": "a", "destination": "https://s3cret", "properties": {"x": "s3cret"}, "userName": "jdoe"}
    found = parsed(line(metric | {"aiMetadata": {"x": "s3cret"}, "y": "s3cret"}))
    assert "s3cret" not in str(found)
    assert "jdoe" not in str(found.event)
    assert found.fields["userName"] == "jdoe"


def test_a_java_map_is_told_from_json_that_is_cut() -> None:
    """Neither is guessed at."""
    java = PARSE(Envelope("plain", f"{HEAD}apim:response, properties :{{apiName=Weather, x=1}}"))
    cut = PARSE(Envelope("plain", line({"apiName": "Weather"})[:-3]))
    assert isinstance(java, Rejected)
    assert isinstance(cut, Rejected)
    assert (java.reason, java.detail, cut.reason) == (Reason.MALFORMED, "a Java map, not JSON", Reason.TRUNCATED)


def test_any_layout_of_the_prefix_will_do() -> None:
    """As of the gateway's main log, which names the logger in braces."""
    head = "TID: [-1234] [] [2026-05-01 10:00:00,118]  INFO {org.example.reporter.elk.ELKCounterMetric} - apimMetrics: "
    found = parsed(line({"apiName": "Weather"}).replace(HEAD, head))
    assert found.event["api"] == "Weather"


@pytest.mark.parametrize("head", ['UserAgent="', "{", "x" * 600])
def test_a_metric_in_somebody_s_value_is_none(head: str) -> None:
    """What a client writes into another log does not become a request here."""
    assert PARSE(Envelope("plain", head + line({"apiName": "Weather"}))) == Ignored(Reason.NOT_REQUEST)


@given(
    st.text(max_size=100)
    | st.dictionaries(
        st.sampled_from(["apiName", "proxyResponseCode", "errorCode", "userIp", "properties", "requestTimestamp", "x"]),
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text() | st.lists(st.none()),
    ).map(line)
)
def test_no_text_raises_and_the_signature_misses_nothing(text: str) -> None:
    """Values of any type are read or left out."""
    envelope = Envelope("plain", text)
    found = PARSE(envelope)
    signature = FORMATS["wso2_apim_metrics"].signature
    assert signature is not None
    assert signature(envelope) or not isinstance(found, Parsed)
