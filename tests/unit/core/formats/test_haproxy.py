"""HAProxy: every line that it could write is the request that it served."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.formats import FORMATS, parser
from logrouter.core.formats.format import FormatSettings, FormatSettingsError
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected

TEXT = st.text(max_size=20) | st.sampled_from(['" 500 1', "\\", '\\"', "#", "{a|b}", "#22", "a b", "é", " - - ---- "])
PATHS = TEXT.map(lambda text: "/" + "".join(char for char in text if not char.isspace()))
BEGIN = "192.0.2.7:51234 [01/May/2026:10:00:00.250]"
ADDRESSES = st.ip_addresses().map(str)
STATES = st.sampled_from(["----", "--VN", "cD--", "SD--"])


def encoded(text, also=""):
    """A value as HAProxy encodes what it has from a client."""
    return "".join(
        chr(b) if 0x20 <= b < 0x7F and b not in b'"#' + also.encode() else f"#{b:02X}" for b in text.encode()
    )


def line(text):
    """A line in the plainest envelope."""
    return Envelope("plain", text)


@given(ADDRESSES, PATHS, st.lists(TEXT, max_size=3), st.integers(100, 599), STATES)
def test_no_client_can_become_another_field(address, path, captured, status, state):
    """Whatever stands in the path or in captured headers: method, path, status and address are the server's."""
    captures = "{" + "|".join(encoded(text, also="{|}") for text in captured) + "} " if captured else ""
    parsed = parser("haproxy")(
        line(
            f"{address}:51234 [01/May/2026:10:00:00.250] web~ core/app1 0/0/1/11/12 {status} 517 - - {state} "
            f'1/1/0/0/0 0/0 {captures}"GET {encoded(path)} HTTP/1.1"'
        )
    )
    assert isinstance(parsed, Parsed)
    http = parsed.event["http"]
    assert (http["client_ip"], http["method"], http["status_code"]) == (address, "GET", status)
    assert parsed.event["meta"]["uri"] == path
    assert (parsed.fields["frontend"], parsed.fields["backend"], parsed.fields["server"]) == ("web", "core", "app1")
    for number, text in enumerate(captured):
        assert parsed.fields.get(f"request_capture_{number}", "").strip(" ") == text.strip(" ")


@given(st.text(max_size=80) | TEXT.map(lambda text: f"{BEGIN} web core/app1 0/0/1/11/12 200 {text}"))
def test_no_text_makes_parsing_raise(text):
    """Any text ends as one of the three, and the signature never misses a line that is read."""
    for pattern in ("", "option httplog clf", 'log-format "%ci:%cp [%tr] %ST %{+Q}r"'):
        found = parser("haproxy", FormatSettings(pattern=pattern))(line(text))
        assert isinstance(found, Parsed | Ignored | Rejected)
        signature = FORMATS["haproxy"].signature
        assert signature is not None
        assert pattern or signature(line(text)) or not isinstance(found, Parsed)


@pytest.mark.parametrize(
    "pattern",
    [
        "%ci:%cp [%tr] %ST %{+Q}r",
        'log-format "%ci:%cp [%tr] %ST %{+Q}r"',
        "log-format '%ci:%cp [%tr] %ST %{+Q}r'",
        r"log-format %ci:%cp\ [%tr]\ %ST\ %{+Q}r",
        r'log-format "%ci:%cp [%tr] %ST \"%r\""',
        'log-format "%{+Q}o %{-Q}ci:%cp [%tr]  %ST %r"',
        'log-format "%[src]:%cp [%tr] %[status] %hr %{+Q}r"',
    ],
)
def test_a_log_format_may_be_pasted_as_it_is(pattern):
    """With its directive and the quotes or backslashes of haproxy.cfg, or alone."""
    parsed = parser("haproxy", FormatSettings(pattern=pattern))(line(f'{BEGIN} 404 "GET /a HTTP/1.1"'))
    assert isinstance(parsed, Parsed)
    assert parsed.event["http"] == {
        "method": "GET",
        "protocol": "HTTP/1.1",
        "path": "/a",
        "status_code": 404,
        "client_ip": "192.0.2.7",
    }


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("%ci %xyz", "at character 5: '%xyz' is no variable"),
        ("%ci % %ST", 'at character 5: "%" without'),
        ("%ci%cp", "nothing stands between %ci and %cp"),
        ("%[req.hdr(a)] %[req.hdr(b)]", "can't be told where"),
        ("no variable", "no variable"),
    ],
)
def test_a_pattern_that_cannot_be_read_back_says_where(pattern, words):
    """Found when topics.yaml is read, not when a line is."""
    with pytest.raises(FormatSettingsError) as raised:
        parser("haproxy", FormatSettings(pattern=pattern))
    assert words in raised.value.detail


@pytest.mark.parametrize(
    "expression",
    ["[req.hdr(authorization)]", "[req.cook(sid)]", "[url_param(token)]", "[var(txn.api_key)]", "CC", "HQ"],
)
def test_secrets_are_left_out_even_if_the_pattern_has_them(expression):
    """Neither the event nor the fields for client-id sources hold what a client proves itself with."""
    parse = parser("haproxy", FormatSettings(pattern=f"%ci %ST %{{+Q}}r %{expression}"))
    parsed = parse(line('192.0.2.7 200 "GET /a HTTP/1.1" hunter2'))
    assert isinstance(parsed, Parsed)
    assert "hunter2" not in repr(parsed)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{BEGIN} web core/app1 0/1/12 517 -- 1/1/0/0/0 0/0", Reason.NOT_REQUEST),
        (f"{BEGIN} web/1: Connection closed during SSL handshake", Reason.NOT_REQUEST),
        (f"{BEGIN} web core/app1 0/0/1/11/12 200 517", Reason.TRUNCATED),
        (f'{BEGIN} web core/app1 0/0/1/11/12 200 517 - - ---- 1/1/0/0/0 0/0 "GET /a HTTP/1.1" more"', Reason.MALFORMED),
    ],
)
def test_five_timers_make_a_line_a_request(text, reason):
    """What has them and is not read is an error; everything else of HAProxy is none of ours."""
    assert parser("haproxy")(line(text)).reason is reason
