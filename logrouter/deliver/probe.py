"""One marked event to a sink's target, and what comes of it: what `logrouter sink test` does."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson

from logrouter.config.options.sinks import SyslogOptions
from logrouter.config.options.syslog_url import UDP, scheme_of
from logrouter.config.yaml.secrets import REDACTED, FromEnv, Secret
from logrouter.core.redact.disclosure import STRICT
from logrouter.core.text.timestamps import rfc3339
from logrouter.deliver.targets import open_sink
from logrouter.model import RawRecord
from logrouter.process.daemon_threads import run_to_result
from logrouter.sinks.contract import IN_OUR_WORDS, Delivered, NoAnswer, Retry, Skipped, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logrouter.config.compile.sinks import ConfiguredSink
    from logrouter.sinks.contract import Result, Sink

ID_PREFIX: Final = "logrouter-sink-test-"
"""How the id of each such event begins."""
DOMAIN: Final = "canary"
"""`meta.domain` of each such event, by which what is queried can leave it out."""

_MENDED: Final = "a process of this sink would go on trying, and deliver nothing until that is mended"
_WAITS: Final = "a process of this sink would try again, with pauses that grow, and lose nothing"
_IN_KERNEL: Final = "the receiver's kernel has the event; syslog has no answers, so look for it there"
_SENT: Final = "the event is on its way; UDP does not tell whether it arrives, so look for it there"
_TROUBLES: Final = {
    Trouble.CONNECT: f"no connection: check host and port of url, and what is between; {_WAITS}",
    Trouble.TLS: f"no TLS: check the certificates under tls; {_MENDED}",
    Trouble.TIMEOUT: f"no answer in time: the target is too slow or the url leads elsewhere; {_WAITS}",
    Trouble.BROKEN: f"the connection ended before the answer did; {_WAITS}",
    Trouble.NONSENSE: f"an answer that such a target does not give: check url and type; {_WAITS}",
    Trouble.OVERLOADED: f"the target asks for patience; {_WAITS}",
    Trouble.UNAVAILABLE: f"the target has failed; {_WAITS}",
    Trouble.DENIED: f"not for what the event is, but for who asks or how: check credentials and url; {_MENDED}",
    Trouble.GUARDED: f"the address may not be connected to: check url and guard; {_MENDED}",
}


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was sent and what came of it. *status* is the answer's, 0 without one; no text holds a secret."""

    sink: str
    url: str
    event_id: str
    size: int
    seconds: float
    result: str
    """`delivered`, `refused`, `skipped` or `retry`."""
    trouble: str
    status: int
    detail: str
    meaning: str

    @property
    def is_taken(self) -> bool:
        """Whether the target has the event."""
        return self.result == "delivered"


def make_event(stream: str, event_id: str, now_ms: int) -> bytes:
    """An event of the topic *stream* that satisfies `api_request/1.1.0` and says that it is a test."""
    return orjson.dumps(
        {
            "$schema": "/logrouter/api_request/1.1.0",
            "meta": {"stream": stream, "dt": rfc3339(now_ms), "id": event_id, "domain": DOMAIN, "uri": "/sink-test"},
            "http": {"method": "GET", "path": "/sink-test", "status_code": 200},
            "status_class": "2xx",
            "total_time_ms": 0,
            "weight": 1,
            "source": {"program": "logrouter", "topic": stream, "partition": 0, "offset": 0, "index": 0},
        }
    )


def probe(configured: ConfiguredSink, sink: Sink[RawRecord] | None = None) -> ProbeReport:
    """Send one event to the target, once. *sink* stands in for what *configured* describes."""
    now_ms = time.time_ns() // 1_000_000
    topic, event_id = configured.options.topics[0], ID_PREFIX + uuid.uuid4().hex[:16]
    record = RawRecord(topic, 0, 0, now_ms, make_event(topic, event_id, now_ms))
    began = time.monotonic()
    size, result, answer = run_to_result(_send(sink or open_sink(configured), record))
    kind, trouble, detail, meaning = _describe(result)
    if kind == "delivered" and isinstance(configured.options, SyslogOptions):
        meaning = _SENT if scheme_of(configured.options.url) == UDP else _IN_KERNEL
    return ProbeReport(
        configured.name,
        _shown_url(configured.options.url),
        event_id,
        size,
        round(time.monotonic() - began, 3),
        kind,
        trouble,
        getattr(answer, "status", 0),
        _without_secrets(detail, configured.options, by_target=trouble not in IN_OUR_WORDS),
        meaning,
    )


def _shown_url(url: str) -> str:
    """The URL; of one from the environment only where it leads, as some services put a secret into the path."""
    if not isinstance(url, FromEnv):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


async def _send(sink: Sink[RawRecord], record: RawRecord) -> tuple[int, Result, Any]:
    """Size of the body, what became of the event, and the answer, None if nothing was sent."""
    try:
        encoded = sink.encode([record])
        if encoded.settled[0] is not None:
            return encoded.size, encoded.settled[0], None
        answer = await sink.send(encoded.request)
        if isinstance(answer, NoAnswer):
            return encoded.size, Retry(answer.trouble, detail=answer.detail), answer
        return encoded.size, sink.classify(answer, [record])[0], answer
    finally:
        await sink.close()


def _describe(result: Result) -> tuple[str, str, str, str]:
    """Kind, trouble, the target's own words, and what it would mean for a process of the sink."""
    match result:
        case Delivered():
            return "delivered", "", "", "the target has the event"
        case Skipped(reason):
            return "skipped", "", "", f"nothing was sent, as the configuration says: {reason}"
        case Retry(trouble):
            return "retry", trouble, result.detail, _TROUBLES[trouble]
    return "refused", "", result.detail, "refused for what it is: such an event would become a dead letter"


def _without_secrets(text: str, options: object, *, by_target: bool) -> str:
    """What a target says may repeat what it was sent. Our own words name addresses that we have connected to."""
    for secret in _secrets_in(options):
        text = text.replace(secret, REDACTED)
    return STRICT.text(text) if by_target else text


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from _secrets_in(each)
    elif isinstance(value, dict):
        yield from _secrets_in([*value.values()])
    elif is_dataclass(value):
        for field in fields(value):
            yield from _secrets_in(getattr(value, field.name))
