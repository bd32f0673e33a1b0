"""Every error of the table view, as RFC 9457 problem details."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from logrouter.query.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from logrouter.query.parameters import ParameterFault

CONTENT_TYPE: Final = "application/problem+json"
_URN: Final = "urn:logrouter:problem:"
_MAX_INSTANCE: Final = 200
_OF_PATHS: Final = "/%:@!$&'()*+,;=~"
_ESCAPE_BEGUN: Final = re.compile(r"%[0-9A-Fa-f]?\Z")


class ProblemType(NamedTuple):
    """A type of problem (docs/table-view.md): the last part of its URI, its HTTP status and its title."""

    slug: str
    status: int
    title: str

    @property
    def uri(self) -> str:
        """The member ``type`` of the problem document."""
        return _URN + self.slug


BAD_PARAMETER: Final = ProblemType("bad-parameter", 400, "A parameter is not usable")
NOT_AUTHENTICATED: Final = ProblemType("not-authenticated", 401, "A valid token is needed")
NOT_ALLOWED: Final = ProblemType("not-allowed", 403, "The token does not allow this")
UNTRUSTED_HOP: Final = ProblemType("untrusted-hop", 403, "Not a worker of this group")
UNKNOWN_SUBJECT: Final = ProblemType("unknown-subject", 404, "Nothing was ever counted under this name")
UNKNOWN_PATH: Final = ProblemType("unknown-path", 404, "There is nothing at this path")
METHOD_NOT_ALLOWED: Final = ProblemType("method-not-allowed", 405, "This method is not allowed here")
WRONG_CONTENT: Final = ProblemType("wrong-content-type", 415, "The body must be sent as JSON")
NOT_OWNER: Final = ProblemType("not-owner", 421, "This worker does not hold the partition")
TOO_MANY_REQUESTS: Final = ProblemType("too-many-requests", 429, "Too many requests")
INTERNAL: Final = ProblemType("internal", 500, "Unexpected error")
NOT_READY: Final = ProblemType("not-ready", 503, "Tables are being recovered or moved")
OWNER_AWAY: Final = ProblemType("owner-away", 503, "The worker that holds the data does not answer")
PARTITIONS_MISSING: Final = ProblemType("partitions-missing", 503, "Some workers that hold the data do not answer")
NOT_YET: Final = ProblemType("not-yet", 503, "The figures do not reach as far yet as was asked for")
TOO_STALE: Final = ProblemType("too-stale", 503, "The figures are older than was asked for")
ISSUER_AWAY: Final = ProblemType("issuer-away", 503, "Tokens cannot be verified")
BUSY: Final = ProblemType("busy", 503, "Too many lists are being computed")
TOO_SLOW: Final = ProblemType("too-slow", 503, "The list took too long to compute")

PROBLEM_TYPES: Final = (
    *(BAD_PARAMETER, NOT_AUTHENTICATED, NOT_ALLOWED, UNTRUSTED_HOP),
    *(UNKNOWN_SUBJECT, UNKNOWN_PATH, METHOD_NOT_ALLOWED, NOT_OWNER, TOO_MANY_REQUESTS, INTERNAL),
    *(NOT_READY, OWNER_AWAY, PARTITIONS_MISSING, NOT_YET, TOO_STALE, ISSUER_AWAY, BUSY, TOO_SLOW),
)


class HttpProblem(Exception):  # noqa: N818 - the RFC's word; it is an answer more than an error
    """An error as it is answered: raised by handlers, turned into a response by the middleware.

    *detail* is one sentence for the caller, *retry_after* seconds; *members* are added to the document.
    """

    def __init__(self, kind: ProblemType, detail: str, *, retry_after: int | None = None, **members: object) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.members: dict[str, object] = members
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}


def bad_parameters(faults: Iterable[ParameterFault]) -> HttpProblem:
    """The problem (400) that lists every fault of a request."""
    errors = [{"parameter": fault.parameter, "detail": fault.detail} for fault in faults]
    detail = "; ".join(f"{error['parameter']}: {error['detail']}" for error in errors)
    return HttpProblem(BAD_PARAMETER, detail, errors=errors)


def problem_response(problem: HttpProblem, request: web.Request) -> web.Response:
    """The response of a problem."""
    kind = problem.kind
    return _response(request, kind.uri, kind.status, kind.title, problem.detail, problem.members, problem.headers)


def http_error_response(error: web.HTTPException, request: web.Request) -> web.Response:
    """The response of an error that the HTTP library found: no such path, no such method and the like."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        kind, detail, headers = METHOD_NOT_ALLOWED, f"allowed: {allowed}", {"Allow": allowed}
        return _response(request, kind.uri, kind.status, kind.title, detail, {}, headers)
    if error.status == 404:
        return problem_response(HttpProblem(UNKNOWN_PATH, "/openapi.json lists what there is"), request)
    title = HTTPStatus(error.status).phrase
    return _response(request, "about:blank", error.status, title, title, {}, {})


def _instance(path: str) -> str:
    """The path as it was sent, still percent-encoded, and bounded: an error repeats little. Always a valid URI."""
    cut = quote(path[:_MAX_INSTANCE], safe=_OF_PATHS)[:_MAX_INSTANCE]
    return _ESCAPE_BEGUN.sub("", cut)


def _response(
    request: web.Request,
    uri: str,
    status: int,
    title: str,
    detail: str,
    members: Mapping[str, object],
    headers: Mapping[str, str],
) -> web.Response:
    body: dict[str, Any] = {
        "type": uri,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": _instance(request.rel_url.raw_path),
        **members,
    }
    return web.Response(body=orjson.dumps(body), status=status, content_type=CONTENT_TYPE, headers=headers)


RETRY_SOON: Final = 2
"""Seconds after which recovered or moved partitions are usually served again."""


def json_response(body: Answer) -> web.Response:
    """A response with a JSON document."""
    return web.Response(body=orjson.dumps(body), content_type="application/json")
