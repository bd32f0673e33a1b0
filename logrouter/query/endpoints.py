"""Every endpoint of the table view, each declared once: routes, index page and OpenAPI document are made from this."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from logrouter.query import parameters as p
from logrouter.query import schemas

if TYPE_CHECKING:
    from logrouter.query.parameters import Parameter
    from logrouter.query.schemas import Schema

    _Parameters = tuple[Parameter[Any], ...]


class Reach(Enum):
    """Whom the figures of an endpoint are about, and so how it can fail."""

    NOBODY = auto()
    """About the worker itself."""
    ONE = auto()
    """About the subject in its path."""
    ALL = auto()
    """About all subjects of a kind, or one that everybody shares."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. *rows* is the member of the answer that CSV holds, None where there is no CSV; *example* a path."""

    name: str
    path: str
    does: str
    reach: Reach
    parameters: tuple[Parameter[Any], ...] = ()
    schema: Schema | None = None
    rows: str | None = None
    example: str | None = None

    @property
    def kind(self) -> str:
        """The subject kind that it is about."""
        return "c" if self.path.startswith("/v1/clients") else "a"


_CLIENT: Final = "/v1/clients/{client_id}"
_API: Final = "/v1/apis/{api}"


def _all(path: str, name: str, does: str, takes: _Parameters, answer: Schema, rows: str | None = None) -> Endpoint:
    return Endpoint(name, path, does, Reach.ALL, takes, answer, rows)


def _one(path: str, name: str, does: str, takes: _Parameters, answer: Schema, rows: str | None = None) -> Endpoint:
    example = path.replace("{client_id}", "-") if path.startswith(_CLIENT) else None
    return Endpoint(name, path, does, Reach.ONE, takes, answer, rows, example)


_WHOAMI: Final = schemas.object_of(
    {"name": schemas.TEXT, "scopes": schemas.list_of(schemas.TEXT), "open": {"type": "boolean"}}
)
_READY: Final = schemas.object_of({"ready": {"const": True}, "partitions": schemas.list_of(schemas.COUNT)})
_IS_CLIENT: Final = "One client: lifetime, last 24 hours and any window; - is everybody without an id"
_IS_API: Final = "One API: lifetime, last 24 hours and any window; - is no API known"

_of_client = partial(schemas.broken_down, "client_id")
_of_api = partial(schemas.broken_down, "api")

ENDPOINTS: Final = (
    _all("/v1/totals", "totals", "Figures over everything", p.TOTALS, schemas.totals()),
    _all("/v1/totals/series", "totals_series", "Everything over time", p.TOTALS_SERIES, schemas.series(), "points"),
    _all("/v1/clients", "clients", "Top clients", p.TOP, schemas.ranking("client_id", "clients"), "clients"),
    _one(_CLIENT, "client", _IS_CLIENT, p.SUMMARY, schemas.summary("client_id")),
    _one(
        *(f"{_CLIENT}/series", "client_series", "One client over time"),
        *(p.CLIENT_SERIES, schemas.series("client_id"), "points"),
    ),
    _one(
        f"{_CLIENT}/apis",
        "client_apis",
        "APIs of one client, by status",
        p.CLIENT_APIS,
        _of_client(schemas.APIS),
        "apis",
    ),
    _one(
        f"{_CLIENT}/urls", "client_urls", "Most frequent URLs of one client", p.URLS, _of_client(schemas.URLS), "urls"
    ),
    _one(
        *(f"{_CLIENT}/errors", "client_errors", "What failed for one client, and the newest failures"),
        *(p.ERRORS, _of_client(schemas.errors("api")), "errors"),
    ),
    _all("/v1/apis", "apis", "Top APIs", p.TOP, schemas.ranking("api", "apis"), "apis"),
    _one(_API, "api", _IS_API, p.SUMMARY, schemas.summary("api")),
    _one(f"{_API}/series", "api_series", "One API over time", p.API_SERIES, schemas.series("api"), "points"),
    _one(
        *(f"{_API}/clients", "api_clients", "Most frequent clients of one API"),
        *(p.API_CLIENTS, _of_api(schemas.CLIENTS), "clients"),
    ),
    _one(f"{_API}/urls", "api_urls", "Most frequent URLs of one API", p.URLS, _of_api(schemas.URLS), "urls"),
    _one(
        *(f"{_API}/errors", "api_errors", "What failed in one API, and the newest failures"),
        *(p.ERRORS, _of_api(schemas.errors("client_id")), "errors"),
    ),
    _all("/v1/reports/calls", "calls", "Calls per API over time", p.CALLS, schemas.CALLS, "apis"),
    _all(
        *("/v1/reports/outcomes", "outcomes", "Success and failure by API and error"),
        *(p.OUTCOMES, schemas.broken_down(None, schemas.OUTCOMES), "rows"),
    ),
    _all(
        *("/v1/reports/unmatched", "unmatched", "Requested URLs that matched no API"),
        *(p.UNMATCHED, schemas.broken_down(None, schemas.URLS), "urls"),
    ),
    Endpoint("whoami", "/v1/whoami", "As whom, and for what, the caller is let in", Reach.NOBODY, (), _WHOAMI),
    Endpoint(
        *("livez", "/livez", "200 as long as the process works"),
        *(Reach.NOBODY, (), schemas.object_of({"live": {"const": True}})),
    ),
    Endpoint("readyz", "/readyz", "200 when the tables are recovered, else 503", Reach.NOBODY, (), _READY),
    Endpoint("metrics", "/metrics", "Metrics for Prometheus", Reach.NOBODY),
    Endpoint("openapi", "/openapi.json", "This API as an OpenAPI document", Reach.NOBODY),
)
"""Every public endpoint, in the order in which they are explained."""

BY_NAME: Final = {endpoint.name: endpoint for endpoint in ENDPOINTS}
