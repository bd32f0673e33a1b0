"""Warnings about sinks of type `eventgate`: events that it would refuse, and events that would come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.config.options.sinks import EventgateOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logrouter.config.options.file import FileOptions
    from logrouter.config.yaml.problems import Problems
    from logrouter.core.routing import Route, RouteTable

_SCHEMA: Final = "/api-gateway/request/1.0.0"
_CANONICAL: Final = "/logrouter/api_request/1."


def warn_eventgate(file: FileOptions, table: RouteTable, problems: Problems) -> None:
    """Warn of topics that do not go together with the sink that reads them."""
    for name, sink in (file.sinks or {}).items():
        if not isinstance(sink, EventgateOptions):
            continue
        for topic in sink.topics:
            if topic == sink.stream or topic.endswith(f".{sink.stream}"):
                problems.warn(
                    f"sinks.{name}.from",
                    f"{topic} is what eventgate may call its own topic of {sink.stream}: if it writes to this cluster, "
                    "each event comes back without end",
                )
            for route in _writers(topic, table):
                if not route.schema_uri.startswith(_CANONICAL) and route.schema_uri != _SCHEMA:
                    problems.warn(
                        f"sinks.{name}.from",
                        f"route {route.name} writes events of {route.schema_uri or 'a schema without $id'} to {topic}, "
                        f"which become dead letters here: only {_SCHEMA} and canonical events are sent",
                    )


def _writers(topic: str, table: RouteTable) -> Iterator[Route]:
    """Routes that may write to a topic, each once."""
    found = {
        route.name: route for source in table.sources for route in source.routes if topic in (route.to, *route.topics)
    }
    yield from found.values()
