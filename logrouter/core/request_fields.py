"""The fields of a parsed request that a route's `request:` conditions read, each as text or absent.

They are read before the event is changed: the client's address as it was received, whatever the route's policy makes of
it, and the client id and the API that this route finds. So a request that one route does not want reaches the next
route unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from logrouter.core.enrich.sources import field_getter
from logrouter.core.outcomes import outcome_of, status_class
from logrouter.core.text.json_numbers import as_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.routing import ApiOf, ClientIdOf, ClientIpOf
    from logrouter.model import Parsed

    RequestGetter = Callable[["Request"], str | None]


class RequestReader(Protocol):
    """What finds client, API and address of a parsed request: a route."""

    @property
    def client_id(self) -> ClientIdOf:
        """Returns (id, type), or None."""

    @property
    def api(self) -> ApiOf:
        """Returns (name, version), or None."""

    @property
    def address(self) -> ClientIpOf | None:
        """Returns the client's address out of all that a line names."""


class Request(NamedTuple):
    """The subject of `request:` conditions: a parsed request and the route that asks."""

    parsed: Parsed
    route: RequestReader


REQUEST_PREFIXES: Final = ("header.", "field.")
"""`header.<name>` is a request header, `field.<name>` any field of the line, flat or nested by dots."""

REQUEST_NUMBERS: Final = frozenset({"status_code", "total_time_ms", "backend_time_ms", "bytes_sent", "bytes_received"})

_IN_HTTP: Final = frozenset({"method", "protocol", "path", "status_code"})
_IN_META: Final = frozenset({"domain", "request_id"})


def _status(request: Request) -> int | None:
    http = request.parsed.event.get("http")
    status = http.get("status_code") if type(http) is dict else None
    return status if type(status) is int else None


def _client_ip(request: Request) -> str | None:
    """The one trusted address, before the route's policy truncates or hashes it."""
    http = request.parsed.event.get("http")
    chain = http.get("client_ip") if type(http) is dict else None
    address = request.route.address
    return address(chain) if type(chain) is str and address is not None else None


def _api(request: Request) -> tuple[str | None, str | None]:
    """The API by the route's rules, else the one that the format knows from the line."""
    event = request.parsed.event
    return request.route.api(request.parsed) or (_text(event.get("api")), _text(event.get("api_version")))


def _part(pair: tuple[str | None, str | None] | None, index: int) -> str | None:
    return pair[index] if pair is not None else None


_FOUND: Final = {
    "api": lambda request: _part(_api(request), 0),
    "api_version": lambda request: _part(_api(request), 1),
    "client_id": lambda request: _part(request.route.client_id(request.parsed), 0),
    "client_type": lambda request: _part(request.route.client_id(request.parsed), 1),
    "client_ip": _client_ip,
    "outcome": lambda request: request.parsed.outcome or outcome_of(_status(request)),
    "status_class": lambda request: status_class(_status(request)),
}

REQUEST_FIELDS: Final = frozenset(_FOUND) | _IN_HTTP | _IN_META | REQUEST_NUMBERS
"""Every name that `request_getter` knows, besides those with a prefix from `REQUEST_PREFIXES`."""


def request_getter(name: str) -> RequestGetter:
    """A function that reads the field *name* of a request: text, or None if it is missing, null, "" or "-".

    It never raises.

    Raises:
        ValueError: there is no such field.
    """
    if name in _FOUND:
        return _FOUND[name]
    if name in REQUEST_FIELDS:
        group = "http" if name in _IN_HTTP else "meta" if name in _IN_META else None
        return _in_event(group, name)
    prefix, _, rest = name.partition(".")
    if rest and f"{prefix}." in REQUEST_PREFIXES:
        get = field_getter(f"{prefix}:{rest}")
        return lambda request: _text(get(request.parsed))
    raise ValueError(f"no field {name!r} in a request")


def _in_event(group: str | None, name: str) -> RequestGetter:
    if group is None:
        return lambda request: _text(request.parsed.event.get(name))

    def get(request: Request) -> str | None:
        part = request.parsed.event.get(group)
        return _text(part.get(name)) if type(part) is dict else None

    return get


def _text(value: Any) -> str | None:
    if type(value) is str:
        return value if value and value != "-" else None
    return str(as_whole(value)) if type(value) in (int, float) else None
