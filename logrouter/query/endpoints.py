"""What an endpoint of the table view declares, and the endpoints that are not reports.

Reports are endpoints as well; `query.reports.registry` lists them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from logrouter.query import schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logrouter.query.answers import Answer
    from logrouter.query.parameters import Parameter
    from logrouter.query.schemas import Schema

    CsvWriter = Callable[[Answer], Iterator[str]]


class Reach(Enum):
    """Whom the figures of an endpoint are about, and so how it can fail."""

    NOBODY = auto()
    """The worker itself."""
    ONE = auto()
    """The client or API in the path: unknown ones are a 404."""
    ALL = auto()
    """All clients or APIs, or one that is the same for every caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint, declared once: its route, the index page and the OpenAPI document are made from this."""

    name: str
    """Operation id in the OpenAPI document, route name in metrics and the audit log."""
    path: str
    """With ``{client_id}`` or ``{api}`` in it if it is about one."""
    summary: str
    """One line without a full stop, for the index page and the OpenAPI document."""
    parameters: tuple[Parameter[Any], ...] = ()
    """Query parameters, in the order in which they are documented."""
    schema: Schema | None = None
    """JSON Schema of the answer without its freshness; None if it is not documented as JSON."""
    csv: CsvWriter | None = None
    """Writes an answer as CSV, in small pieces; None where there is no CSV."""

    @property
    def reach(self) -> Reach:
        """Whom the figures are about."""
        return Reach.NOBODY

    @property
    def example(self) -> str | None:
        """A path that can be called as it is; None if the path needs a name of which no example is always there."""
        return None if "{" in self.path else self.path


WORKER_ENDPOINTS: Final = (
    Endpoint(
        name="whoami",
        path="/v1/whoami",
        summary="As whom, and for what, the caller is let in",
        schema=schemas.object_of(
            {"name": schemas.TEXT, "scopes": schemas.list_of(schemas.TEXT), "open": {"type": "boolean"}}
        ),
    ),
    Endpoint(
        name="livez",
        path="/livez",
        summary="200 as long as the process works",
        schema=schemas.object_of({"live": {"const": True}}),
    ),
    Endpoint(
        name="readyz",
        path="/readyz",
        summary="200 when the tables are recovered, else 503",
        schema=schemas.object_of({"ready": {"const": True}, "partitions": schemas.list_of(schemas.COUNT)}),
    ),
    Endpoint(name="metrics", path="/metrics", summary="Metrics for Prometheus"),
    Endpoint(name="openapi", path="/openapi.json", summary="This API as an OpenAPI document"),
)
"""The endpoints about a worker itself, in the order in which they are documented."""
