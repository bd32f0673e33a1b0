"""What the dialects of WSO2 gateways share: names of APIs and numbered faults."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.formats.families import wso2
from logrouter.core.formats.format import ErrorRule
from logrouter.core.outcomes import OUTCOMES


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("admin--Weather:v1.2.0", ("Weather", "1.2.0", "admin")),
        ("admin--Weather:vv2.0", ("Weather", "v2.0", "admin")),
        ("jane-AT-example.org--Weather:v1", ("Weather", "1", "jane@example.org")),
        ("admin--Ticket--Desk:v1", ("Ticket--Desk", "1", "admin")),
        ("admin--Desk:v1:v2", ("Desk:v1", "2", "admin")),
        ("admin--Weather", ("Weather", None, "admin")),
        ("Weather:v1", ("Weather", "1", None)),
        ("Weather", ("Weather", None, None)),
        ("--Weather:v1", ("--Weather", "1", None)),
        ("admin--", ("admin--", None, None)),
        ("admin--:v1", (":v1", None, "admin")),
        ("admin--Weather:v", ("Weather", None, "admin")),
    ],
)
def test_the_full_name_of_an_api_is_split(text: str, parts: tuple[str | None, ...]) -> None:
    """First `--`, last `:v`, one v gone; what would leave no name is part of the name."""
    assert wso2.split_api(text) == parts


def spelled(provider: str) -> str:
    """A provider as the gateway spells it."""
    return provider.replace("@", "-AT-")


@given(
    st.text("abc-.@", min_size=1).filter(lambda text: "--" not in spelled(text) and spelled(text)[-1] != "-"),
    st.text(min_size=1).filter(lambda text: text[0] != "-"),
    st.text(min_size=1).filter(lambda text: ":v" not in text),
)
def test_a_name_that_is_put_together_is_split_again(provider: str, name: str, version: str) -> None:
    """Any name may hold `--` and `:v`, as long as provider and version do not."""
    written = f"{spelled(provider)}--{name}:v{version}"
    assert wso2.split_api(written) == (name, version, provider)


@given(st.text())
def test_any_text_is_an_api_within_bounds(text: str) -> None:
    """Whatever the gateway writes, names fit the schema and nothing raises."""
    event: dict[str, str] = {}
    flags = wso2.put_api(event, wso2.split_api(text))

    assert set(flags) <= {"suspect"}
    assert len(event["api"]) <= 128
    assert len(event.get("api_version", "")) <= 128
    assert len(event.get("api_provider", "")) <= 256


@pytest.mark.parametrize(
    ("code", "source", "fault"),
    [
        ("900803", None, ("throttled", "throttled", 429)),
        ("900801", None, ("throttled", "throttled", 503)),
        ("900901", "fault", ("auth", "auth", 401)),
        ("900908", None, ("auth", "auth", 403)),
        ("900906", None, ("not_found", "resource", 403)),
        ("101504", "fault", ("backend_error", "backend", 502)),
        ("101599", None, ("backend_error", "backend", None)),
        ("900899", None, ("throttled", "throttled", None)),
        ("900999", None, ("auth", "auth", None)),
        ("9008", "main", ("not_found", "resource", 404)),
        ("9008x1", None, None),
        ("7", "fault", ("gateway_error", "other", None)),
        (None, "_auth_failure_handler_", ("auth", "auth", None)),
        (None, "elsewhere", None),
        (None, None, None),
    ],
)
def test_a_number_tells_what_went_wrong(
    code: str | None, source: str | None, fault: tuple[str, str, int | None] | None
) -> None:
    """The number first, by its prefix if it is unknown, then who reports it; an unknown one is no failure."""
    assert wso2.compile_faults({})(code, source) == fault


def test_topics_yaml_goes_before_what_is_known() -> None:
    """A rule keeps what it does not say: the class of the same outcome, and the status."""
    rules = {
        "900906": ErrorRule("not_found", 404),
        "700700": ErrorRule("throttled"),
        "900901": ErrorRule("client_error"),
        "X-1": ErrorRule("throttled", 420),
    }
    fault_of = wso2.compile_faults(rules)

    assert fault_of("900906", None) == ("not_found", "resource", 404)
    assert fault_of("700700", None) == ("throttled", "blocked", 503)
    assert fault_of("900901", None) == ("client_error", "client", 401)
    assert fault_of("X-1", "main") == ("throttled", "throttled", 420)
    assert fault_of("900902", None) == ("auth", "auth", 401)


def test_every_fault_is_an_outcome_that_events_can_have() -> None:
    """The tables hold no word of their own."""
    faults = [*wso2.FAULTS.values(), *wso2.PREFIXES.values(), *wso2.SOURCES.values()]
    assert {fault.outcome for fault in faults} <= set(OUTCOMES)
