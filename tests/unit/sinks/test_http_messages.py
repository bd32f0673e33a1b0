"""What an answer means that no rule of a target says more about, how its headers are read, and bodies of requests."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.sinks.contract import RefusedTogether, Retry, Trouble
from logrouter.sinks.http_messages import (
    MAX_DETAIL,
    HttpAnswer,
    HttpRequest,
    compress,
    judge_status,
    read_retry_after,
)

CONTENT = "the request's content"
# Every status of RFC 9110 and of the registry of statuses that may come from a target, and what is made of it.
MEANINGS = {
    CONTENT: (400, 413, 422),
    Trouble.DENIED: (
        *(300, 301, 302, 303, 304, 305, 306, 307, 308),
        *(401, 402, 403, 404, 405, 406, 407, 410, 411, 412, 414, 415, 416, 417, 421, 426, 428, 431, 451),
        *(501, 505, 506, 510, 511),
    ),
    Trouble.TIMEOUT: (408,),
    Trouble.OVERLOADED: (425, 429, 503, 529),
    Trouble.UNAVAILABLE: (500, 502, 504, 507, 508, 520, 599),
    Trouble.NONSENSE: (100, 101, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 409, 418, 423, 424, 499),
}


def answer(status: int, body: bytes = b"no", **headers: str) -> HttpAnswer:
    """An answer; underscores in names of headers stand for hyphens."""
    return HttpAnswer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(("status", "meaning"), [(each, why) for why, found in MEANINGS.items() for each in found])
def test_each_status_has_its_meaning(status, meaning):
    """Only what is said of the content can be for an event's sake; everything else is tried again."""
    result = judge_status(answer(status))

    if meaning == CONTENT:
        assert result == RefusedTogether(status, "no")
    else:
        assert isinstance(result, Retry)
        assert (result.trouble, result.status) == (meaning, status)


NGINX = b"<html>\r\n<head><title>400 %s</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n"
APACHE = b"""<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">
<html><head>
<title>400 Bad Request</title>
</head><body>
<h1>Bad Request</h1>
<p>Your browser sent a request that this server could not understand.<br />
%s</p>
</body></html>
"""
ABOUT_CONNECTION = [
    (NGINX % b"The SSL certificate error", "The SSL certificate error"),
    (NGINX % b"No required SSL certificate was sent", "No required SSL certificate was sent"),
    (NGINX % b"The plain HTTP request was sent to HTTPS port", "The plain HTTP request was sent to HTTPS port"),
    (NGINX % b"Request Header Or Cookie Too Large", "Request Header Or Cookie Too Large"),
    (b"Client sent an HTTP request to an HTTPS server.\n", "Client sent an HTTP request to an HTTPS server"),
    (
        b"Bad Request\r\nThis combination of host and port requires TLS.\r\n",
        "This combination of host and port requires TLS",
    ),
    (
        APACHE % b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
        "speaking plain HTTP to an SSL-enabled server port",
    ),
]


@pytest.mark.parametrize(("page", "why"), ABOUT_CONNECTION)
def test_a_400_of_a_server_that_has_not_read_the_request_says_nothing_of_its_content(page, why):
    """A certificate that is missing, or http at a port of https: all events would be dead letters for that."""
    assert judge_status(answer(400, page)) == Retry(
        Trouble.DENIED, 400, f"{why}: check url, tls and headers of this sink"
    )


@pytest.mark.parametrize(
    "page",
    [
        NGINX % b"Bad Request",
        APACHE % b"",
        *(b'{"refused": "%s"}' % page for page, _ in ABOUT_CONNECTION),
        *(page + b" said a client" for page, _ in ABOUT_CONNECTION[4:6]),
        b"<html><head><title>400 Bad Request</title></head><p>user-agent: " + ABOUT_CONNECTION[0][0],
    ],
)
def test_no_event_holds_up_a_sink_by_what_a_target_repeats_of_it(page):
    """Clients write what they like; only a whole page that nobody but the server has written counts."""
    assert isinstance(judge_status(answer(400, page)), RefusedTogether)


@given(st.integers(), st.binary(max_size=5000), st.text(max_size=30), st.text(max_size=30))
def test_any_answer_has_a_meaning(status, body, retry_after, date):
    """Whatever a target says: a result, one line of bounded length, and a time that can be waited for."""
    result = judge_status(HttpAnswer(status, {"retry-after": retry_after, "date": date}, body))

    assert result.status == status
    assert len(result.detail) <= MAX_DETAIL
    assert len(result.detail.splitlines()) <= 1
    if isinstance(result, Retry) and result.after_seconds is not None:
        assert 0 <= result.after_seconds < float("inf")


@pytest.mark.parametrize("status", [301, 408, 410, 429, 500, 503, 529])
def test_a_target_that_asks_for_time_gets_it(status):
    """With whatever status it says so."""
    result = judge_status(answer(status, retry_after="120"))

    assert isinstance(result, Retry)
    assert result.after_seconds == 120


@pytest.mark.parametrize(
    ("text", "date", "seconds"),
    [
        ("120", "", 120),
        (" 0 ", "", 0),
        ("9" * 5000, "", 999_999_999),
        ("Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:29 GMT", 30),
        ("Fri, 31 Dec 1999 23:59:29 GMT", "Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", "", None),
        ("-1", "", None),
        ("1.5", "", None),
        ("\u0661", "", None),
        ("soon", "Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("", "", None),
        ("Fri, 31 Dec 1999 23:59:59", "Fri, 31 Dec 1999 23:59:29 GMT", None),
        ("Fri, 31 Dec 99999999999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:29 GMT", None),
    ],
)
def test_the_time_that_a_target_asks_for_is_read(text, date, seconds):
    """Seconds, or a date that is compared with the answer's own; anything else is none."""
    assert read_retry_after({"retry-after": text, "date": date}) == seconds


@given(st.binary(max_size=2000))
def test_a_compressed_body_says_so_and_holds_the_same(body):
    """The same bytes each time, as signatures of some targets cover them."""
    request = HttpRequest("http://t.test/", body, {"Content-Type": "application/json"})

    made = compress(request)

    assert made.headers == {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert gzip.decompress(made.body) == body
    assert made == compress(request)
