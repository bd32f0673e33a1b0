"""http_access and http_gw: log format and pairs both ways, and what X-Forwarded-For and user names can't do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.enrich import compile_client_ip
from logrouter.core.formats import FORMATS, parser
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected

PARSE = parser("wso2_http")
TIME = "01/May/2026:10:00:00 +0000"
METHODS = st.sampled_from(["GET", "POST", "M-SEARCH", "OPTIONS"])
TARGETS = st.from_regex(r'/[a-z0-9/?&=".%-]{0,30}', fullmatch=True)
AGENTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.sampled_from('" -'), min_size=1, max_size=40
).filter(lambda text: '" "' not in text and text.strip() == text and text[0] != '"' and text != "-")
ADDRESSES = st.ip_addresses().map(str)
STATUSES = st.integers(100, 999).map(str) | st.just("-")
SIZES = st.integers(0, 2**50).map(str) | st.just("-")


def read(text: str) -> Parsed | Ignored | Rejected:
    """What a line is read as."""
    return PARSE(Envelope("plain", text))


def parsed(text: str) -> Parsed:
    """The request of a line that is one."""
    found = read(text)
    assert isinstance(found, Parsed), found
    return found


def number(text: str) -> int | None:
    """What a figure in the log means."""
    return None if text == "-" else int(text)


@given(METHODS, TARGETS, STATUSES, SIZES, AGENTS, st.lists(ADDRESSES, max_size=3), ADDRESSES)
def test_render_then_parse_is_the_identity(
    method: str, target: str, status: str, size: str, agent: str, chain: list[str], host: str
) -> None:
    """With and without X-Forwarded-For; quotes in target and user agent are harmless."""
    first = f"{', '.join(chain)} " if chain else ""
    found = parsed(f'{first}{host} - - [{TIME}] "{method} {target} HTTP/1.1" {status} {size} "-" "{agent}"')
    http = found.event["http"]

    assert (http["method"], found.event["meta"]["uri"], http["protocol"]) == (method, target, "HTTP/1.1")
    assert (http.get("status_code"), found.event.get("bytes_sent")) == (number(status), number(size))
    assert http["request_headers"] == {"user-agent": agent}
    assert http["client_ip"] == ", ".join([*chain, host])
    assert found.time == TIME


@given(METHODS, TARGETS, STATUSES, ADDRESSES)
def test_pairs_are_read_back(method: str, target: str, status: str, host: str) -> None:
    """The other documented pattern."""
    found = parsed(
        f"time=[{TIME}] remoteHostname=x localPort=- requestMethod={method} requestURL={target} remoteIP={host} "
        f"requestProtocol=HTTP/1.1 HTTPStatusCode={status} queryString=a=b"
    )
    http = found.event["http"]

    assert (http["method"], found.event["meta"]["uri"], http["client_ip"]) == (method, target, host)
    assert (http.get("status_code"), found.time) == (number(status), TIME)


def test_a_request_and_its_answer_count_once() -> None:
    """In both patterns the answer has neither method nor target."""
    request = f'192.0.2.7 - - [{TIME}] "GET /weather HTTP/1.1" - - "-" "curl"'
    answer = f'192.0.2.7  - [{TIME}] "- - " 200 - "-" "-"'
    pairs = "time=- requestMethod=- requestURL=- HTTPStatusCode=200"

    assert isinstance(read(request), Parsed)
    assert read(answer) == read(pairs) == Ignored(Reason.NOT_COUNTED)


def test_a_request_that_could_not_be_read_counts() -> None:
    """The server answers it with a status, so it is a request, if one without method and target."""
    found = parsed(f'192.0.2.7 - - [{TIME}] "-" 400 -')
    assert found.event == {"http": {"client_ip": "192.0.2.7", "status_code": 400}}


TYPED = st.text("198.51.100.66 -,xF:[]", max_size=30).filter(lambda text: text.strip() == text)


@given(TYPED)
def test_a_user_name_is_no_address(user: str) -> None:
    """The address that counts is the server's or absent, whatever somebody has typed as a user name."""
    found = parsed(f'192.0.2.7 - {user} [{TIME}] "GET /weather HTTP/1.1" 401 0')
    chain = found.event["http"].get("client_ip")
    assert chain is None or compile_client_ip(1)(chain) == "192.0.2.7"
    assert chain is not None or found.flags == ("suspect",)


@given(TYPED.filter(bool))
def test_a_forwarded_header_does_not_hide_the_address_of_the_connection(header: str) -> None:
    """The last address of the chain is the server's or absent, whatever the client has sent before it."""
    found = parsed(f'{header} 192.0.2.7 - - [{TIME}] "GET /weather HTTP/1.1" 200 0')
    chain = found.event["http"].get("client_ip")
    assert chain is None or compile_client_ip(1)(chain) == "192.0.2.7"


@pytest.mark.parametrize(
    ("behind", "reason"),
    [
        (' "-" "cur', Reason.TRUNCATED),
        (' "-" "', Reason.TRUNCATED),
        (' "-', Reason.TRUNCATED),
        (" 6f1c9a70 Zx81kQ=", Reason.MALFORMED),
        (' "-" "curl" 0.012 x', Reason.TRUNCATED),
    ],
)
def test_what_stands_behind_the_size_is_whole_or_no_request(behind: str, reason: Reason) -> None:
    """A line that was cut in its user agent has none, and a line of another gateway is not taken for one of these."""
    found = read(f'192.0.2.7 - - [{TIME}] "GET /weather HTTP/1.1" 200 0{behind}')
    assert isinstance(found, Rejected)
    assert found.reason is reason


@pytest.mark.parametrize("behind", ["", ' "-" "curl"', ' "-" "cu"rl"', ' "-" "curl" 0.012', " 0.012", ' "-" "x" 12 -'])
def test_headers_and_figures_may_stand_behind_the_size(behind: str) -> None:
    """Of the common and the combined format, and of what is often put behind them."""
    assert parsed(f'192.0.2.7 - - [{TIME}] "GET /weather HTTP/1.1" 200 0{behind}').event["http"]["status_code"] == 200


def test_a_user_is_a_source_only() -> None:
    """Names of people are not in events."""
    found = parsed(f'192.0.2.7 - jdoe [{TIME}] "GET /weather HTTP/1.1" 200 0')
    assert found.fields["user"] == "jdoe"
    assert "jdoe" not in str(found.event)


def test_a_forwarded_header_can_t_bring_its_own_line() -> None:
    """What stands first may look like a whole line; the real one behind it gives it away."""
    forged = f'203.0.113.9 - - [{TIME}] "GET /forged HTTP/1.1" 200 5 "-" "-"'
    found = read(f'{forged} 192.0.2.7 - - [{TIME}] "GET /weather HTTP/1.1" 404 5 "-" "curl"')
    assert isinstance(found, Rejected)
    assert found.reason is Reason.MALFORMED


def test_a_newline_is_a_client_s_own_text() -> None:
    """An rsyslog `#012` in one line is what a client wrote, although an envelope makes a newline of it."""
    found = parsed(f'192.0.2.7 - - [{TIME}] "GET /a\nb HTTP/1.1" 404 5 "-" "x\ny"\n')
    assert found.event["meta"] == {"uri": "/a#012b"}
    assert found.event["http"]["path"] == "/a"
    assert found.event["http"]["request_headers"] == {"user-agent": "x#012y"}


PAIRS = f"time={TIME} requestMethod=GET requestURL=/a HTTPStatusCode=404"


@pytest.mark.parametrize(
    "line",
    [
        f'2026-05-01T10:00:00.118-0700 [][x]{{APIAccessLog.AccessLogWriter}}[] INFO  Event="A", UserAgent="x {PAIRS}"',
        f'[2026-05-01 10:00:00,118]  INFO {{API_LOG}} Weather - {{"apiTo":"/a {PAIRS}"}}',
        f"TID: [-1] INFO {{org.example.Handler}} - {PAIRS}",
    ],
)
def test_pairs_in_another_log_are_no_line_of_this_one(line: str) -> None:
    """Else a client could take its request out of that log, where it counts, by a user agent."""
    assert read(line) == Ignored(Reason.NOT_REQUEST)


@pytest.mark.parametrize(
    "line",
    [
        f'{PAIRS} userAgent=x [{TIME}] "GET /forged HTTP/1.1" 200 5',
        f'{PAIRS} 192.0.2.7 - - [{TIME}] "GET /weather HTTP/1.1" 404 5 "-" "curl"',
    ],
)
def test_neither_pattern_can_be_written_into_the_other(line: str) -> None:
    """One of the two is what a client has sent, in its user agent or in X-Forwarded-For."""
    found = read(line)
    assert isinstance(found, Rejected)
    assert found.reason is Reason.MALFORMED


def test_the_first_of_several_keys_counts() -> None:
    """As in every pattern of pairs."""
    found = parsed("requestMethod=GET requestURL=/a HTTPStatusCode=404 HTTPStatusCode=200 requestMethod=PUT")
    assert found.event["http"] == {"method": "GET", "path": "/a", "status_code": 404}


@given(
    st.text(max_size=120)
    | st.lists(st.sampled_from(['"', " ", "-", f"[{TIME}]", "GET /", "200", "requestMethod=", "="]), max_size=20).map(
        "".join
    )
)
def test_no_text_raises_and_the_signature_misses_nothing(text: str) -> None:
    """Any text is read, ignored or rejected."""
    envelope = Envelope("plain", text)
    found = PARSE(envelope)
    signature = FORMATS["wso2_http"].signature
    assert signature is not None
    assert signature(envelope) or not isinstance(found, Parsed)


@pytest.mark.parametrize("unit", [' "', '" 200 ', f'[{TIME}] "', " a=", "a", "\\"])
def test_long_hostile_lines_end_as_data(unit: str) -> None:
    """A megabyte of anything is answered."""
    for start in ("", f'192.0.2.7 - - [{TIME}] "', "requestMethod=GET "):
        assert isinstance(read(start + unit * (1_000_000 // len(unit))), Ignored | Rejected)
