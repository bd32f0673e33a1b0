"""The header of syslog is taken off a line that came with it, and a line that only looks so stays whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.envelopes import ENVELOPES
from logrouter.core.envelopes.syslog_header import FIRST, split_header

LINE = '192.0.2.7 - - [09/Nov/2026:12:11:55 +0000] "GET /a HTTP/1.1" 200 5'
HEADERS = [
    ("Nov  9 12:11:55 web1 nginx[7]: ", "web1", "nginx", None),
    ("Nov 10 12:11:55 web1 nginx: ", "web1", "nginx", None),
    ("<190>Nov  9 12:11:55 198.51.100.13 nginx: ", "198.51.100.13", "nginx", None),
    ("<190>Nov  9 12:11:55 nginx: ", None, "nginx", None),
    ("Nov  9 12:11:55 2001:db8::1 httpd[-]: ", "2001:db8::1", "httpd", None),
    ("Nov  9 2026 12:11:55.123 web1 a/b:", "web1", "a/b", None),
    ("2026-11-09T12:11:55.123456+01:00 web1 nginx[7]: ", "web1", "nginx", "2026-11-09T12:11:55.123456+01:00"),
    ("<190>1 2026-11-09T12:11:55Z web1 nginx 7 access - ", "web1", "nginx", "2026-11-09T12:11:55Z"),
    ("1 2026-11-09T12:11:55Z web1 nginx - - - \ufeff", "web1", "nginx", "2026-11-09T12:11:55Z"),
    ('<190>1 - - - - - [a@1 k="v \\"]" l=""][b] ', None, None, None),
]


@pytest.mark.parametrize(("header", "host", "program", "time"), HEADERS)
@pytest.mark.parametrize("envelope", ["plain", "lines"])
def test_a_header_says_host_and_program(envelope, header, host, program, time):
    """As old and new syslog write it, with and without priority, process and host; the time only if it has a year."""
    found = ENVELOPES[envelope].decode(f"{header}{LINE}\n".encode())

    assert (found.text, found.host, found.program, found.time) == (LINE, host, program, time)


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        "1.2.3.4 - - x",
        "203.0.113.7 - - x",
        "Nov  9 12:11:55 192.0.2.7 - - [x]: y",
        "Nov  9 12:11:55 web1 nginx:",
        "2026-11-09T12:11:55.123456789Z stdout F: x",
        "2026-11-09T12:11:55Z 192.0.2.7 GET /a: b",
        "2026-11-09 12:11:55,118 INFO a: b",
        "<html>",
        "<190>Nov  9 12:11:55",
        "<190>1 2026-11-09T12:11:55Z web1 nginx 7 access [a line",
        "Not a header: x",
        "",
    ],
)
def test_what_is_no_header_stays(text):
    """Without a program and something behind it, it is a line."""
    found = ENVELOPES["plain"].decode(text.encode())
    assert (found.text, found.host, found.program, found.time, found.fields) == (text, None, None, None, {})


def test_json_behind_the_cookie_of_rsyslog_is_the_line():
    """As for messages in rsyslog's JSON."""
    assert ENVELOPES["plain"].decode(b'Nov  9 12:11:55 web1 nginx: @cee: {"a":1}').text == '{"a":1}'


@given(st.text(max_size=80) | st.sampled_from([header for header, *_ in HEADERS]), st.text(max_size=20))
def test_a_header_and_its_line_are_the_record(begin, end):
    """No text raises, nothing is lost, and the test of two characters never hides a header."""
    found = split_header(begin + end)
    if found is not None:
        assert found.text + found.line == begin + end
        assert found.text[:2] in FIRST
