"""Numbered requests that never stop coming, with a recount of all that was fed."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from logrouter.kafka.producer import LineProducer
from tests.integration.stack import now, request_line, syslog_line

if TYPE_CHECKING:
    from tests.integration.stack import Stack

CLIENTS = (None, "wapp", "wapp", "bot/1", "bot/2", "böt 3", "client-4", "client-5", "client-6", "client-7", "client-8")
APIS = ("core", "core", "feed", "search")
STATUSES = (200, 200, 200, 304, 404, 429, 503)
_TICK_SECONDS = 0.05
ANONYMOUS = "-"
_STEPS = {"minute": (16, ":00.000Z"), "hour": (13, ":00:00.000Z"), "day": (10, "T00:00:00.000Z")}
"""How much of an ISO time a step keeps, and what then follows."""


class Traffic:
    """Feeds a stack's source topic from a thread while the `with` block runs: requests, noise and poison.

    *rate* is in requests per second. Every request has a number of its own; `requests` is how many there were, `lines`
    how many records with noise and poison.
    """

    def __init__(self, stack: Stack, seed: int, *, rate: int = 600) -> None:
        self._rnd = random.Random(seed)
        self._feeder = LineProducer(stack.kafka, stack.source)
        self._per_tick = int(rate * _TICK_SECONDS)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")
        self._error: BaseException | None = None
        self.requests = self.lines = 0
        self.poison: Counter[str] = Counter()
        self._status: dict[str, Counter[str]] = {}
        self._apis: dict[str, Counter[str]] = {}
        self._latency: dict[str, list[int]] = {}
        self._minutes: dict[str, Counter[tuple[str, str]]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def clients(self) -> dict[str, dict[str, Any]]:
        """What `GET /v1/clients/{name}` must say of each client, as `summary` reduces it."""
        return {
            name: {
                "count": status.total(),
                "status": dict(status),
                "apis": dict(self._apis[name]),
                "latency": (len(told := self._latency[name]), round(sum(told) / len(told), 3), max(told)),
            }
            for name, status in self._status.items()
        }

    def series(self, name: str, step: str) -> dict[str, dict[str, int]]:
        """What `GET /v1/clients/{name}/series` must say of the times at which there was something: counts by status.

        *step* is `minute`, `hour` or `day`; times are those of a point's beginning.
        """
        kept, rest = _STEPS[step]
        found: dict[str, dict[str, int]] = {}
        for (at, status), count in self._minutes[name].items():
            point = found.setdefault(at[:kept] + rest, {})
            point[status] = point.get(status, 0) + count
        return found

    def apis(self) -> dict[str, int]:
        """How many requests each API had."""
        return dict(sum(self._apis.values(), Counter()))

    def _run(self) -> None:
        try:
            while not self._done.wait(_TICK_SECONDS):
                self.lines += self._feeder.feed(line for _ in range(self._per_tick) for line in self._lines())
            self._feeder.flush()
        except BaseException as exc:  # noqa: BLE001 - raised where the test sees it
            self._error = exc

    def _lines(self) -> list[bytes | None]:
        lines: list[bytes | None] = [self._request()]
        if self._rnd.random() < 0.05:
            lines.append(self._poison())
        if self._rnd.random() < 0.2:
            lines.append(self._rnd.choice([None, b"", syslog_line("connection closed", program="sshd")]))
        return lines

    def _request(self) -> bytes:
        rnd, number = self._rnd, self.requests
        client, api, status = rnd.choice(CLIENTS), rnd.choice(APIS), rnd.choice(STATUSES)
        milliseconds = rnd.randrange(2000)
        self.requests += 1
        name = client or ANONYMOUS
        self._status.setdefault(name, Counter())[str(status)] += 1
        self._apis.setdefault(name, Counter())[api] += 1
        self._latency.setdefault(name, []).append(milliseconds)
        at = now()
        self._minutes.setdefault(name, Counter())[at[:16], str(status)] += 1
        return request_line(number, client, api=api, status=status, ms=milliseconds, at=at)

    def _poison(self) -> bytes:
        if self._rnd.random() < 0.5:
            self.poison["invalid_json"] += 1
            return b'{"program":"api-gateway","message":"{\\"$schema\\":\\"\\/api-gateway\\/requ'
        self.poison["schema"] += 1
        return request_line(-1, "poison", api="core", status="200")  # type: ignore[arg-type]  # a string: invalid


def summary(body: dict[str, Any]) -> dict[str, Any]:
    """The part of an answer that `Traffic.clients` foretells."""
    life = body["lifetime"]
    latency = life["latency_ms"]
    return {
        "count": life["count"],
        "status": life["status"],
        "apis": life["apis"],
        "latency": (latency["count"], latency["mean"], latency["max"]),
    }


def points(body: dict[str, Any]) -> dict[str, dict[str, int]]:
    """The part of a series by status that `Traffic.series` foretells."""
    return {point["time"]: point["by"] for point in body["points"] if point["count"]}
