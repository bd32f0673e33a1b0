"""How a request says who sends it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from logrouter.sinks.http_messages import HttpRequest


class Credentials(Protocol):
    """Whatever makes a request one of ours."""

    def authorise(self, request: HttpRequest, now: float) -> HttpRequest:
        """The request with the headers that it needs; *now* in epoch seconds."""
        ...


@dataclass(frozen=True, slots=True)
class HeaderCredentials:
    """The same header `Authorization` for all requests; none if it is empty."""

    authorization: str = field(default="", repr=False)

    def authorise(self, request: HttpRequest, now: float) -> HttpRequest:  # noqa: ARG002 - others sign the time
        """The request with the header."""
        if not self.authorization:
            return request
        return request._replace(headers={**request.headers, "Authorization": self.authorization})


def basic(user: str, password: str) -> HeaderCredentials:
    """A user with a password (RFC 7617)."""
    return HeaderCredentials("Basic " + b64encode(f"{user}:{password}".encode()).decode())


def api_key(key: str) -> HeaderCredentials:
    """An API key of Elasticsearch: as it is encoded in base64, or its id and secret with a colon between."""
    return HeaderCredentials("ApiKey " + (b64encode(key.encode()).decode() if ":" in key else key))
