"""Requests and answers of HTTP, and what a status means that a sink's own rules say nothing about (RFC 9110). Pure."""

from __future__ import annotations

import gzip
import math
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.sinks.contract import RefusedTogether, Retry, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTENT: Final = frozenset({400, 413, 422})
"""Refusals of what the request holds."""
_DENIED: Final = frozenset(
    {401, 402, 403, 404, 405, 406, 407, 410, 411, 412, 414, 415, 416, 417, 421, 426, 428, 431, 451}
    | {501, 505, 506, 510, 511}
)
"""Refusals of whoever asks, or of how: another event would be refused as well."""
_OVERLOADED: Final = frozenset({425, 429, 503, 529})
# Answers with 400 that say nothing of the content, as servers write them that have not read it: nginx and those made of
# it, Go's, Tomcat, Apache. They count only from the first byte on: further inside a target may repeat an event, and
# whoever wrote that could hold up the sink with these words.
_CONNECTION: Final = re.compile(
    rb"\s*+(?:"
    rb"<html>\s*+<head>\s*+<title>400 (The SSL certificate error|No required SSL certificate was sent"
    rb"|The plain HTTP request was sent to HTTPS port|Request Header Or Cookie Too Large)</title>"
    rb"|(Client sent an HTTP request to an HTTPS server)\.\s*+\Z"
    rb"|Bad Request\s++(This combination of host and port requires TLS)\.\s*+\Z"
    rb"|<!DOCTYPE HTML [^<>]{1,100}>\s*+<html><head>\s*+<title>400 Bad Request</title>\s*+</head><body>\s*+"
    rb"<h1>Bad Request</h1>\s*+<p>Your browser sent a request that this server could not understand\.<br />\s*+"
    rb"Reason: You're (speaking plain HTTP to an SSL-enabled server port))"
)
MAX_DETAIL: Final = 500
_LEVEL: Final = 3
"""Of gzip: further ones make bodies of JSON a few per cent smaller, and cost several times as much."""


class HttpRequest(NamedTuple):
    """A request to be sent as it is. *headers* hold the content type and whatever authorises it."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"


class HttpAnswer(NamedTuple):
    """An answer that has come whole. Names of *headers* are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def judge_status(answer: HttpAnswer) -> Retry | RefusedTogether:
    """What an answer means for all events of its request, where nothing in it says more.

    A redirect is not followed: whoever configured the target has to know where events go.
    """
    status, detail, after = answer.status, excerpt(answer.body), read_retry_after(answer.headers)
    if status == 400 and (found := _CONNECTION.match(answer.body)):
        why = next(filter(None, found.groups())).decode()
        return Retry(Trouble.DENIED, status, f"{why}: check url, tls and headers of this sink", after)
    if status in _CONTENT:
        return RefusedTogether(status, detail)
    if 300 <= status < 400:
        detail = "redirects are not followed: name the address that it leads to"
    return Retry(_trouble_of(status), status, detail, after)


def _trouble_of(status: int) -> Trouble:
    if status in _OVERLOADED:
        return Trouble.OVERLOADED
    if status in _DENIED or 300 <= status < 400:
        return Trouble.DENIED
    if status == 408:
        return Trouble.TIMEOUT
    return Trouble.UNAVAILABLE if 500 <= status < 600 else Trouble.NONSENSE


def compress(request: HttpRequest) -> HttpRequest:
    """The request with its body in gzip; the same bytes for the same body."""
    body = gzip.compress(request.body, _LEVEL, mtime=0)
    return request._replace(body=body, headers={**request.headers, "Content-Encoding": "gzip"})


def excerpt(body: bytes) -> str:
    """The beginning of a body, as one line."""
    return " ".join(body[: 4 * MAX_DETAIL].decode("utf-8", "replace").split())[:MAX_DETAIL]


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of `Retry-After` (RFC 9110, section 10.2.3), None without a usable one.

    A date is compared with the answer's own, so that no two clocks have to agree.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        seconds = (parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
