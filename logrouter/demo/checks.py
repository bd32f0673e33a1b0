"""The same requests counted by the generator, from the topics of events, and from the table view; compared. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from logrouter.demo.generator import request_number
from logrouter.model import ANONYMOUS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.demo.generator import Truth

_SHOWN = 5


@dataclass(slots=True)
class ClientCounts:
    """Requests of one client: in all, by status code, and by API."""

    count: int = 0
    status: Counter[int] = field(default_factory=Counter)
    apis: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class RequestCounts:
    """Requests by client, and how often each request number was seen."""

    clients: dict[str, ClientCounts] = field(default_factory=dict)
    numbers: Counter[int] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        """How many requests there are of all clients."""
        return sum(usage.count for usage in self.clients.values())

    def add_truth(self, truth: Truth) -> None:
        """Count a generated request."""
        self._add(truth.number, truth.client, truth.api, truth.status)

    def add_event(self, event: Mapping[str, Any]) -> None:
        """Count an event of a topic, decoded from JSON."""
        number = request_number(event["meta"]["request_id"])
        self._add(number, event.get("client_id"), event.get("api"), event["http"]["status_code"])

    def add_answer(self, client: str, lifetime: Mapping[str, Any]) -> None:
        """Set a client's counts from the `lifetime` object of the table view's answer."""
        status = Counter({int(code): count for code, count in lifetime["status"].items()})
        self.clients[client] = ClientCounts(lifetime["count"], status, Counter(lifetime["apis"]))

    def _add(self, number: int, client: str | None, api: str | None, status: int) -> None:
        usage = self.clients.setdefault(client or ANONYMOUS, ClientCounts())
        usage.count += 1
        usage.status[status] += 1
        usage.apis[api or ANONYMOUS] += 1
        self.numbers[number] += 1

    def top(self, limit: int) -> list[tuple[str, int]]:
        """The busiest clients and their requests, largest first."""
        ranked = sorted(self.clients.items(), key=lambda item: (-item[1].count, item[0]))
        return [(client, usage.count) for client, usage in ranked[:limit]]


class Check(NamedTuple):
    """Two numbers that must be equal."""

    what: str
    expected: int
    found: int

    @property
    def ok(self) -> bool:
        """Whether they are equal."""
        return self.expected == self.found


def differing_clients(expected: RequestCounts, found: RequestCounts) -> list[str]:
    """The clients whose count, statuses or APIs differ."""
    names = expected.clients.keys() | found.clients.keys()
    return sorted(name for name in names if expected.clients.get(name) != found.clients.get(name))


def compare_counts(
    truth: RequestCounts,
    published: RequestCounts,
    tables: RequestCounts,
    *,
    fed: int,
    read: int,
    outcomes: Mapping[str, int],
    dead_letters: int,
    listed: tuple[int, int],
    in_sink: int,
) -> list[Check]:
    """Every check at the end of a run, passed or not.

    *truth*, *published* and *tables* are the counts of the generator, the topics and the table view (asked client by
    client). *fed* and *read* are lines, *outcomes* the route lane's counts by outcome, *dead_letters* the records in
    that topic, *listed* the clients and requests that the list of all clients gives, *in_sink* the events that the
    sink's target holds.
    """
    rejected = outcomes.get("rejected", 0)
    return [
        Check("lines read of those fed", fed, read),
        Check("accepted + ignored + rejected of lines read", read, sum(outcomes.values())),
        Check("requests published", truth.requests, published.requests),
        Check("requests missing in the topic", 0, len(truth.numbers.keys() - published.numbers.keys())),
        Check("requests published twice", 0, sum(count > 1 for count in published.numbers.values())),
        Check("clients that differ between topic and truth", 0, len(differing_clients(truth, published))),
        Check("records in the dead-letter topic", rejected, dead_letters),
        Check("requests in the tables", truth.requests, tables.requests),
        Check("clients that differ between tables and truth", 0, len(differing_clients(truth, tables))),
        Check("clients in the list of all", len(truth.clients), listed[0]),
        Check("requests in the list of all", truth.requests, listed[1]),
        Check("events in the sink", truth.requests, in_sink),
    ]


def shorten_names(names: list[str]) -> str:
    """The first five of *names*, and how many more there are."""
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest
