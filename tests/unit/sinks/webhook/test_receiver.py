"""The receiver of docs/sinks/webhook.md, as it stands there, behind a real socket."""

from __future__ import annotations

import asyncio
import re
import threading
from base64 import b64encode
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logrouter.core.signing_keys import read_key
from logrouter.model import RawRecord
from logrouter.sinks.contract import DELIVERED
from logrouter.sinks.delivery import Delivery
from logrouter.sinks.http_client import HttpBounds, HttpClient
from logrouter.sinks.http_sink import HttpSink
from logrouter.sinks.pacing import PaceLimits
from logrouter.sinks.webhook.protocol import WebhookProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

PAGE = Path(__file__).parents[4] / "docs" / "sinks" / "webhook.md"
OLD_KEY, KEY, OTHER_KEY = ("whsec_" + b64encode(bytes([each]) * 32).decode() for each in range(3))


@contextmanager
def receiver(monkeypatch: pytest.MonkeyPatch, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The address of a receiver that has this key, and the names of its module."""
    monkeypatch.setenv("PARTNER_WEBHOOK_KEY", key)
    [code] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - our own documentation
    names["Receiver"].log_message = lambda *_: None
    with ThreadingHTTPServer(("127.0.0.1", 0), names["Receiver"]) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/in", names
        server.shutdown()
        thread.join()


def event(number: int) -> RawRecord:
    """A numbered event."""
    return RawRecord("clean", 0, number, 0, b'{"meta":{"id":"id-%d"},"n":%d}' % (number, number))


async def deliver(url: str, keys: tuple[str, ...], numbers: range) -> list[object]:
    """What becomes of numbered events, each in a batch of its own; one attempt each."""
    protocol = WebhookProtocol(url, keys=tuple(map(read_key, keys)))
    sink = HttpSink(protocol, HttpClient(HttpBounds()))
    delivery = Delivery("hook", sink, PaceLimits(4, 0, 0), give_up_seconds=0)
    settled = await asyncio.gather(*(delivery.deliver([event(number)]) for number in numbers))
    await delivery.close()
    return [each for batch in settled for each in batch]


def test_the_receiver_of_the_page_keeps_each_event_once(monkeypatch):
    """Half of the events are sent twice, by two processes; the receiver has the older one of two keys."""
    with receiver(monkeypatch, OLD_KEY) as (url, names):
        first = asyncio.run(deliver(url, (KEY, OLD_KEY), range(20)))
        again = asyncio.run(deliver(url, (KEY, OLD_KEY), range(10, 30)))

    assert first + again == [DELIVERED] * 40
    assert names["kept"] == {f"id-{number}": event(number).value for number in range(30)}


def test_the_receiver_of_the_page_takes_nothing_from_others(monkeypatch):
    """A signature with another key is answered with 401, which is no reason to drop an event."""
    with receiver(monkeypatch, OTHER_KEY) as (url, names):
        settled = asyncio.run(deliver(url, (KEY,), range(1)))

    assert [each.status for each in settled] == [401]
    assert names["kept"] == {}
