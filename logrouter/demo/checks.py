"""The same requests counted three ways: by who made them up, from the topic, and from the table view. Pure."""

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
class Usage:
    """Requests of one client."""

    count: int = 0
    status: Counter[int] = field(default_factory=Counter)
    apis: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Ledger:
    """Requests of all clients, and how often each numbered request was seen."""

    clients: dict[str, Usage] = field(default_factory=dict)
    numbers: Counter[int] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(usage.count for usage in self.clients.values())

    def add_truth(self, truth: Truth) -> None:
        """Count a request as it was made up."""
        self._add(truth.number, truth.client, truth.api, truth.status)

    def add_event(self, event: Mapping[str, Any]) -> None:
        """Count a request as it was published."""
        number = request_number(event["meta"]["request_id"])
        self._add(number, event.get("client_id"), event.get("api"), event["http"]["status_code"])

    def add_answer(self, client: str, lifetime: Mapping[str, Any]) -> None:
        """Take a client's lifetime figures over from the table view."""
        status = Counter({int(code): count for code, count in lifetime["status"].items()})
        self.clients[client] = Usage(lifetime["count"], status, Counter(lifetime["apis"]))

    def _add(self, number: int, client: str | None, api: str | None, status: int) -> None:
        usage = self.clients.setdefault(client or ANONYMOUS, Usage())
        usage.count += 1
        usage.status[status] += 1
        usage.apis[api or ANONYMOUS] += 1
        self.numbers[number] += 1

    def top(self, limit: int) -> list[tuple[str, int]]:
        """The busiest clients."""
        ranked = sorted(self.clients.items(), key=lambda item: (-item[1].count, item[0]))
        return [(client, usage.count) for client, usage in ranked[:limit]]


class Check(NamedTuple):
    """Two numbers that must be equal."""

    what: str
    expected: int
    found: int

    @property
    def ok(self) -> bool:
        """Whether they are."""
        return self.expected == self.found


def differing_clients(expected: Ledger, found: Ledger) -> list[str]:
    """The clients whose count, statuses or APIs differ."""
    names = expected.clients.keys() | found.clients.keys()
    return sorted(name for name in names if expected.clients.get(name) != found.clients.get(name))


def checks(
    truth: Ledger,
    published: Ledger,
    tables: Ledger,
    *,
    fed: int,
    read: int,
    outcomes: Mapping[str, int],
    dead_letters: int,
    listed: tuple[int, int],
) -> list[Check]:
    """Everything that must be so at the end; *outcomes* are the route lane's own counts by outcome.

    *tables* was asked client by client, and *listed* is how many clients and requests the list of all clients has.
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
    ]


def describe(names: list[str]) -> str:
    """The first few of *names*."""
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest
