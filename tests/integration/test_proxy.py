"""The proxy passes frames on as they are, and does to those that a test names what it says."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.integration.proxy import HOST, Action, Api, Fault, Proxy, Way

if TYPE_CHECKING:
    from collections.abc import Iterator


class Broker:
    """Answers each request with its correlation id and its body, in its order, and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.ended = threading.Event()
        self.was_reset = threading.Event()
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`, which `close` does not
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while body := read_frame(connection):
                    self.got.append(body)
                    connection.sendall(framed(body[4:8] + body))
                self.ended.set()
                connection.settimeout(5)
                connection.recv(1)
            except ConnectionError:
                self.was_reset.set()


class Client:
    """Sends requests to the proxy and reads what comes back."""

    def __init__(self, port: int, name: str = "tester") -> None:
        self.socket = socket.create_connection((HOST, port), timeout=10)
        self._name = name.encode()
        self._number = 100

    def ask(self, api: Api, payload: bytes = b"") -> int:
        """Send a request; its correlation id."""
        self._number += 1
        head = struct.pack(">hhih", api, 7, self._number, len(self._name))
        self.socket.sendall(framed(head + self._name + payload))
        return self._number

    def answer(self) -> int:
        """The correlation id of the next answer, 0 at the end of the stream."""
        return int.from_bytes(read_frame(self.socket)[:4])


def framed(body: bytes) -> bytes:
    """With its length before it."""
    return struct.pack(">i", len(body)) + body


def read_frame(connection: socket.socket) -> bytes:
    """The next frame, empty at the end of the stream."""
    with connection.makefile("rb", buffering=0) as stream:
        size = stream.read(4)
        body, left = b"", int.from_bytes(size) if size else 0
        while len(body) < left:
            body += stream.read(left - len(body))
        return body


@pytest.fixture
def brokers() -> Iterator[dict[int, Broker]]:
    """Two of them, by node."""
    made = {1: Broker(), 2: Broker()}
    yield made
    for each in made.values():
        each.close()


@pytest.fixture
def proxy(brokers) -> Iterator[Proxy]:
    """In front of both."""
    with Proxy({node: each.port for node, each in brokers.items()}) as running:
        yield running


@pytest.fixture
def client(proxy) -> Iterator[Client]:
    """One at the first."""
    made = Client(proxy.ports[1])
    yield made
    made.socket.close()


def test_without_a_fault_frames_of_any_size_pass_both_ways(client, brokers):
    """In order, and to the broker that was asked alone."""
    sizes = [0, 1, 70_000, 3_000_000]
    asked = [client.ask(Api.PRODUCE, b"x" * size) for size in sizes]
    assert [client.answer() for _ in sizes] == asked
    assert [len(body) - len(brokers[1].got[0]) for body in brokers[1].got] == sizes
    assert brokers[2].got == []


def test_answer_of_the_next_request_of_a_kind_is_swallowed(proxy, client, brokers):
    """The broker has done what it was asked for, and nobody hears of it."""
    fault = proxy.add(Fault(Action.SWALLOW, Way.ANSWER, Api.END_TXN))
    asked = [client.ask(api) for api in (Api.HEARTBEAT, Api.END_TXN, Api.HEARTBEAT, Api.END_TXN)]
    assert [client.answer() for _ in range(3)] == [asked[0], asked[2], asked[3]]
    assert len(brokers[1].got) == 4
    assert [(hit.api, hit.correlation, hit.client, hit.node) for hit in fault.hits] == [
        (Api.END_TXN, asked[1], "tester", 1)
    ]


def test_swallowed_request_reaches_no_broker(proxy, client, brokers):
    """As often as the fault says, the next one does."""
    fault = proxy.add(Fault(Action.SWALLOW, Way.REQUEST, Api.PRODUCE, times=2))
    asked = [client.ask(Api.PRODUCE) for _ in range(3)]
    assert client.answer() == asked[2]
    assert (len(brokers[1].got), len(fault.hits)) == (1, 2)


@pytest.mark.parametrize("way", Way)
def test_held_frame_waits_for_its_release_and_others_of_its_way_with_it(proxy, client, brokers, way):
    """A held request has not reached the broker; a held answer says what it has done already."""
    fault = proxy.add(Fault(Action.HOLD, way, Api.TXN_OFFSET_COMMIT))
    asked = [client.ask(Api.TXN_OFFSET_COMMIT), client.ask(Api.HEARTBEAT)]
    fault.await_hit()
    client.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.answer()
    assert (len(brokers[1].got) == 0) == (way is Way.REQUEST)
    client.socket.settimeout(10)
    fault.release()
    assert [client.answer(), client.answer()] == asked


def test_watched_frames_go_on(proxy, client):
    """All of them, and the fault has what there is to know."""
    fault = proxy.add(Fault(Action.WATCH, Way.ANSWER, Api.HEARTBEAT, times=None))
    for api in (Api.HEARTBEAT, Api.FETCH, Api.HEARTBEAT):
        assert client.ask(api) == client.answer()
    assert [hit.size for hit in fault.hits] == [4 + 10 + len("tester")] * 2


def test_delayed_frame_is_late_by_that_time(proxy, client):
    """And comes."""
    proxy.add(Fault(Action.DELAY, Way.ANSWER, Api.FETCH, seconds=0.3))
    began = time.monotonic()
    assert client.ask(Api.FETCH) == client.answer()
    assert time.monotonic() - began >= 0.3


def test_reset_is_seen_by_both_sides(proxy, client, brokers):
    """An error, unlike the end of a stream."""
    fault = proxy.add(Fault(Action.RESET, Way.REQUEST, Api.PRODUCE))
    client.ask(Api.PRODUCE)
    with pytest.raises(ConnectionResetError):
        client.answer()
    assert brokers[1].was_reset.wait(10)
    assert (len(fault.hits), brokers[1].got) == (1, [])


def test_half_close_ends_one_way_alone(proxy, client, brokers):
    """The client reads the end of the stream, and the broker still gets what the client sends."""
    proxy.add(Fault(Action.HALF_CLOSE, Way.ANSWER, Api.HEARTBEAT))
    client.ask(Api.HEARTBEAT)
    assert client.answer() == 0
    client.ask(Api.HEARTBEAT)
    client.socket.shutdown(socket.SHUT_WR)
    assert brokers[1].ended.wait(10)
    assert len(brokers[1].got) == 2


@pytest.mark.parametrize(
    ("chosen", "others"),
    [
        ({"node": 2}, ("tester", 1, b"clean")),
        ({"client": "faust"}, ("tester", 2, b"clean")),
        ({"containing": b"clean"}, ("faust-1", 2, b"rollup")),
    ],
)
def test_fault_is_about_what_it_names_alone(proxy, chosen, others):
    """A broker, a client, or a topic within the request."""
    fault = proxy.add(Fault(Action.SWALLOW, Way.ANSWER, times=None, **chosen))
    for name, node, payload, hits in ((*others, 0), ("faust-1", 2, b"clean", 1)):
        client = Client(proxy.ports[node], name)
        asked = client.ask(Api.PRODUCE, payload)
        if not hits:
            assert client.answer() == asked
        else:
            fault.await_hit()
        assert len(fault.hits) == hits
        client.socket.close()


def test_all_connections_to_a_broker_are_reset_at_once(proxy):
    """Those to others are not, and new ones are let in."""
    clients = [Client(proxy.ports[node]) for node in (1, 2, 2)]
    for each in clients:
        assert each.ask(Api.METADATA) == each.answer()
    assert proxy.reset_all(node=2) == 2
    for each in clients[1:]:
        with pytest.raises(ConnectionResetError):
            each.answer()
    assert clients[0].ask(Api.METADATA) == clients[0].answer()
    for each in clients:
        each.socket.close()


def test_broker_that_is_away_refuses_through_the_proxy(proxy, brokers):
    """The client is cut off instead of waiting."""
    brokers.pop(1).close()
    client = Client(proxy.ports[1])
    with suppress(ConnectionError):
        client.ask(Api.METADATA)
        assert client.answer() == 0
    client.socket.close()
