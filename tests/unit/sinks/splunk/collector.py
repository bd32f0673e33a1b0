"""A stand-in for Splunk's HTTP Event Collector: what its documentation says of events and acknowledgement."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web


@dataclass
class Collector:
    """Takes envelopes with the right token into `indexed`, each once per request that had it.

    *answers* are codes with which the next requests for events are answered instead. With *acknowledges*, requests need
    a channel, and get a receipt; `lost` is how many of the next ones are taken and then not indexed.
    """

    token: str = "abc"  # noqa: S105 - of the stand-in
    acknowledges: bool = False
    answers: list[int] = field(default_factory=list)
    lost: int = 0
    questions_before_yes: int = 1
    indexed: list[Any] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _receipts: itertools.count = field(default_factory=itertools.count)
    _pending: dict[tuple[str, str], int] = field(default_factory=dict)

    def application(self) -> web.Application:
        """The server."""
        made = web.Application(client_max_size=64 << 20)
        made.router.add_post("/services/collector/event", self._take)
        made.router.add_post("/services/collector/ack", self._acknowledge)
        return made

    async def _take(self, request: web.Request) -> web.Response:
        self.requests.append("event")
        if (refusal := self._refuse(request)) is not None:
            return refusal
        if self.answers:
            return answer(self.answers.pop(0))
        body = await request.read()  # the server has undone the compression
        envelopes = [orjson.loads(line) for line in body.split(b"\n")]
        for number, envelope in enumerate(envelopes):
            if "event" not in envelope:
                return answer(12, **{"invalid-event-number": number})
            if envelope["event"] == "":
                return answer(13, **{"invalid-event-number": number})
        if not self.acknowledges:
            self.keep(envelopes)
            return answer(0)
        receipt = next(self._receipts)
        if self.lost:
            self.lost -= 1
        else:
            key = request.headers["X-Splunk-Request-Channel"], str(receipt)
            self.keep(envelopes, key)
            self._pending[key] = self.questions_before_yes
        return answer(0, ackId=receipt)

    def keep(self, envelopes: list[Any], key: tuple[str, str] | None = None) -> None:  # noqa: ARG002 - of others
        """Index what was taken; *key* is what it is asked for by."""
        self.indexed += envelopes

    def note_acknowledged(self, key: tuple[str, str]) -> None:
        """What was taken under *key* is about to be acknowledged."""

    async def _acknowledge(self, request: web.Request) -> web.Response:
        self.requests.append("ack")
        if (refusal := self._refuse(request)) is not None:
            return refusal
        if not self.acknowledges:
            return answer(14)
        told = {}
        for receipt in map(str, (await request.json())["acks"]):
            key = request.headers["X-Splunk-Request-Channel"], receipt
            left = self._pending.get(key)
            if left is not None:
                self._pending[key] = left - 1
            told[receipt] = left is not None and left <= 1
            if told[receipt]:
                self.note_acknowledged(key)
                del self._pending[key]  # a receipt is told once
        return web.json_response({"acks": told})

    def _refuse(self, request: web.Request) -> web.Response | None:
        if "Authorization" not in request.headers:
            return answer(2)
        if request.headers["Authorization"] != f"Splunk {self.token}":
            return answer(4)
        if self.acknowledges and "X-Splunk-Request-Channel" not in request.headers:
            return answer(10)
        return None


STATUSES = {0: 200, 2: 401, 4: 403, 8: 500, 9: 503, 26: 429}


def answer(code: int, **more: Any) -> web.Response:
    """An answer with a code."""
    return web.json_response({"text": "words", "code": code} | more, status=STATUSES.get(code, 400))
