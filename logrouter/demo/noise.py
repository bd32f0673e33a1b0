"""The lines of the demo's stream that are no requests: other programs, the gateway's own log, and broken lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.demo import vocabulary
from logrouter.demo.random_draws import uniform_draws
from logrouter.demo.requests import Requests
from logrouter.demo.templates import SHAPES, compile_template, envelope

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from logrouter.demo.random_draws import TimeFields

MALFORMED_FROM: Final = 900_000_000_000
"""Broken request lines carry numbers above this one, so that none can pass for a request."""


class _FromTemplates:
    """Lines from fixed templates; words and numbers in them differ."""

    def __init__(self, rng: random.Random, clock: TimeFields, documents: Sequence[dict[str, Any]]) -> None:
        self._clock = clock
        self._templates = uniform_draws(rng, [compile_template(document) for document in documents])
        self._words = uniform_draws(rng, [word.encode() for word in vocabulary.WORDS])
        self._small = uniform_draws(rng, [b"%d" % number for number in range(1, 100)])
        self._large = uniform_draws(rng, [b"%d" % rng.randrange(10**5, 10**7) for _ in range(1000)])

    def __call__(self, time_ms: int) -> tuple[bytes, None]:
        _, fields = self._clock.fields(time_ms)
        fields |= {b"word": next(self._words), b"small": next(self._small), b"offset": next(self._large)}
        return next(self._templates) % fields, None


class GatewayLog(_FromTemplates):
    """Lines of the gateway's application log and its sidecars: same programs and containers, no requests."""

    def __init__(self, rng: random.Random, clock: TimeFields) -> None:
        documents = [
            envelope(shape, host, "api-gateway", text)
            for shape in SHAPES
            for host in vocabulary.GATEWAY_HOSTS
            for text in vocabulary.GATEWAY_LOGS
        ]
        super().__init__(rng, clock, documents)


class OtherPrograms(_FromTemplates):
    """Lines of other programs in the same topic."""

    def __init__(self, rng: random.Random, clock: TimeFields) -> None:
        documents = []
        for host in vocabulary.OTHER_HOSTS:
            for program, severity, text in vocabulary.FOREIGN:
                documents += [envelope("plain", host, program, text, severity=severity)] * 2
                documents.append(envelope("ecs", host, program, text, severity=severity))
            documents += [
                envelope("containerd", host, name, vocabulary.SERVICE_LOG) for name in vocabulary.FOREIGN_SERVICES
            ]
            documents.append(envelope("plain", host, "web", vocabulary.FOREIGN[0][2]) | vocabulary.MERGED)
        super().__init__(rng, clock, documents)


class Malformed:
    """Request lines that were broken on their way, in five ways."""

    def __init__(self, rng: random.Random, clock: TimeFields, ids: list[str]) -> None:
        self._requests = Requests(rng, clock, ids)
        self._breaks = uniform_draws(rng, (_cut, _not_utf8, _trailing_comma, _cut_message, _nothing))
        self._count = 0

    def __call__(self, time_ms: int) -> tuple[bytes, None]:
        """The next broken line, at this epoch millisecond; it has no truth."""
        self._count += 1
        line, _ = self._requests.render(MALFORMED_FROM + self._count, time_ms)
        return next(self._breaks)(line), None


def _cut(line: bytes) -> bytes:
    return line[: len(line) * 2 // 3]


def _not_utf8(line: bytes) -> bytes:
    return line.replace(b"example", b"ex\xffmple")


def _trailing_comma(line: bytes) -> bytes:
    return line[:-1] + b", }"


def _cut_message(line: bytes) -> bytes:
    """The envelope is whole, but the application's line in it ends early."""
    head, _, _ = line.partition(b"status_code")
    return b'{"program": "api-gateway", "host": "node1011", "message": "{' + head[head.index(b'\\"') :] + b'status_c"}'


def _nothing(_line: bytes) -> bytes:
    return b""
