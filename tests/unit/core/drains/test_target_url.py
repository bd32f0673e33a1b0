"""URLs of drains: what they lead to, which are refused and in which words, and what is shown of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.drains.target_url import DrainTarget, DrainUrlError, read_drain_url, redact_url


@pytest.mark.parametrize(
    ("text", "target", "shown"),
    [
        ("syslog://logs.example", DrainTarget("syslog+tcp", "logs.example", 514), "syslog://logs.example"),
        ("SYSLOG://Logs.Example:1514/", DrainTarget("syslog+tcp", "logs.example", 1514), "syslog://logs.example:1514"),
        ("syslog+tls://h", DrainTarget("syslog+tls", "h", 6514), "syslog+tls://h"),
        ("syslog+udp://192.0.2.1:5514", DrainTarget("syslog+udp", "192.0.2.1", 5514), "syslog+udp://192.0.2.1:5514"),
        ("syslog+tcp://[2001:DB8::1]:1", DrainTarget("syslog+tcp", "2001:db8::1", 1), "syslog+tcp://[2001:db8::1]:1"),
        ("https://h", DrainTarget("https", "h", 443, "https://h/"), "https://h"),
        ("https://h:443/", DrainTarget("https", "h", 443, "https://h/"), "https://h"),
        ("http://[::1]:", DrainTarget("http", "::1", 80, "http://[::1]/"), "http://[::1]"),
        ("https://h?key=%2b+a%2F", DrainTarget("https", "h", 443, "https://h/?key=%2b+a%2F"), "https://h/…"),
        ("https://h:8/a/%7Eb?", DrainTarget("https", "h", 8, "https://h:8/a/%7Eb?"), "https://h:8/…"),
        (
            "https://me:p%40ss:%c3%a9@h/x",
            DrainTarget("https", "h", 443, "https://h/x", b"me:p@ss:\xc3\xa9"),
            "https://h/…",
        ),
        ("https://token@h/", DrainTarget("https", "h", 443, "https://h/", b"token:"), "https://h"),
    ],
)
def test_what_a_url_leads_to(text, target, shown):
    """Path and query are kept as they are; user and password are decoded, and in no text."""
    assert read_drain_url(text) == target
    assert redact_url(text) == shown


CHARACTERS = "has a character that a URL must write as %XX, or a % that begins none"
HOST = "must name its host by a name in ASCII, or by an address like 192.0.2.1 or [2001:db8::1]"
NO_SYSLOG = "must not have a user, a path or a query: syslog knows none"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", CHARACTERS),
        ("https://h/" + "a" * 2_000, "has 2010 characters, at most 2000 are allowed"),
        ("https://h/a b", CHARACTERS),
        ("https://h/\r\nX: 1", CHARACTERS),
        ("https://hé/", CHARACTERS),
        ("https://a\\@b/", CHARACTERS),
        ("https://h/%zz", CHARACTERS),
        ("https://h/#top", "must not have a fragment"),
        ("https://h/#", "must not have a fragment"),
        ("https://a@b@h/", "has more than one @ before its path: write it as %40"),
        ("https://me:a%0d%0ab@h/", "its user or password has a character that basic authentication can't take"),
        ("https://m%3ae:a@h/", "its user or password has a character that basic authentication can't take"),
        ("https:///x", HOST),
        ("https://:443/", HOST),
        ("https://127.1/", HOST),
        ("https://0x7f.0.0.1/", HOST),
        ("https://2130706433/", HOST),
        ("https://[::1%25lo]/", HOST),
        ("https://::1/", "its port can't be read"),
        ("https://h:x/", "its port can't be read"),
        ("https://h:-1/", "its port can't be read"),
        ("https://h:0/", "its port must be from 1 to 65535"),
        ("https://h:65536/", "its port must be from 1 to 65535"),
        ("https://[::1/", "its host can't be read"),
        ("syslog://me:secret@h", NO_SYSLOG),
        ("syslog://h?a=secret", NO_SYSLOG),
        ("syslog+tls://h/path", NO_SYSLOG),
        *(
            (text, "must begin with one of syslog+tcp://, syslog+tls://, syslog+udp://, https://, http://, syslog://")
            for text in ("ftp://h/", "file:///etc/passwd", "//h/", "h:514", "https:/h", "javascript:alert(1)")
        ),
    ],
)
def test_what_no_drain_may_have_is_said_in_one_line(text, why):
    """And nothing of what may be a secret is repeated."""
    with pytest.raises(DrainUrlError) as caught:
        read_drain_url(text)
    assert str(caught.value) == why
    assert redact_url(text) == "…"


def test_nothing_secret_is_printed():
    """A target may stand in an error or a log."""
    assert (
        repr(read_drain_url("https://me:secret@h/secret?secret")) == "DrainTarget(scheme='https', host='h', port=443)"
    )


@given(st.text() | st.text("htps:/@?#[]%.01a-syloguckd+\\", max_size=40).map("https://".__add__))
def test_any_text_is_read_or_refused(text):
    """What was read is read again as the same, and what is shown leads to the same place."""
    try:
        target = read_drain_url(text)
    except DrainUrlError:
        assert redact_url(text) == "…"
        return
    if target.is_http:
        again = read_drain_url(target.address)
        assert (again.scheme, again.host, again.port, again.address) == (*target_place(target), target.address)
        assert again.credentials is None
    shown = read_drain_url(redact_url(text).replace("…", ""))
    assert target_place(shown) == target_place(target)


def target_place(target: DrainTarget) -> tuple[str, str, int]:
    """Where it is."""
    return target.scheme, target.host, target.port
