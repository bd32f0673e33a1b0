"""A TCP proxy between Kafka clients and brokers that knows requests and answers apart, and does harm on demand.

Nothing is rewritten: brokers advertise the proxy's ports. A test states a `Fault`, which frames it is about and what
becomes of them; the fault keeps a list of the frames it hit, so that the test can assert that it happened.
"""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest

from tests.conftest import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

HOST = "127.0.0.1"


class Api(enum.IntEnum):
    """Kafka's numbers of the requests that tests name (https://kafka.apache.org/protocol)."""

    PRODUCE = 0
    FETCH = 1
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    SYNC_GROUP = 14
    API_VERSIONS = 18
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


class Way(enum.Enum):
    """Which way a frame goes."""

    REQUEST = "request"
    ANSWER = "answer"


class Action(enum.Enum):
    """What becomes of a frame that a fault hits."""

    WATCH = "goes on: the test only wants to know of it"
    DELAY = "goes on some seconds later, and so does whatever comes after it on that way"
    HOLD = "goes on when the fault is released, and so does whatever comes after it on that way"
    SWALLOW = "is dropped; whatever comes after it goes on"
    RESET = "is dropped, and both sides see the connection reset"
    HALF_CLOSE = "is dropped with what comes after it, its receiver sees the end of the stream; the other way stays"


class Frame(NamedTuple):
    """A request or an answer, as a fault has hit it: *node* names the broker, *size* is in bytes without the length."""

    node: int
    way: Way
    api: int
    client: str
    correlation: int
    size: int
    at: float


@dataclass(eq=False)
class Fault:
    """What to do to which frames, all that is left at None or empty being all the same.

    *api* is the request's key, for answers, too; *client* how the client id begins; *containing* what a request has
    somewhere in it, such as the name of a topic or of a transaction. At most *times* frames are hit.
    """

    action: Action
    way: Way
    api: Api | None = None
    node: int | None = None
    client: str = ""
    containing: bytes = b""
    times: int | None = 1
    seconds: float = 0.0
    hits: list[Frame] = field(default_factory=list)
    _released: threading.Event = field(default_factory=threading.Event)

    def takes(self, frame: Frame, request: bytes) -> bool:
        """Whether *frame* is one of those, and there are some to go; *request* is its own body or what it answers."""
        return (
            not self._released.is_set()
            and (self.times is None or len(self.hits) < self.times)
            and frame.way is self.way
            and self.api in {None, frame.api}
            and self.node in {None, frame.node}
            and frame.client.startswith(self.client)
            and self.containing in request
        )

    def release(self) -> None:
        """Let go what is held, and hit nothing more."""
        self._released.set()

    async def apply_delay(self) -> None:
        """Wait for as long as a delayed or a held frame has to."""
        by = time.monotonic() + (self.seconds if self.action is Action.DELAY else HANG_SECONDS)
        while time.monotonic() < by and not self._released.is_set():  # noqa: ASYNC110 - another thread releases it
            await asyncio.sleep(0.005)

    def await_hit(self, count: int = 1) -> None:
        """Wait until *count* frames were hit."""
        by = time.monotonic() + HANG_SECONDS
        while len(self.hits) < count:
            if time.monotonic() > by:
                pytest.fail(f"{len(self.hits)} of {count} frames were hit in {HANG_SECONDS:g} s by {self}")
            time.sleep(0.005)


class Proxy:
    """Listens on a port for each broker, from a thread of its own while the `with` block runs.

    *brokers* has the port of each node, which need not be there yet. `ports` says where the proxy listens for it, which
    is what the broker has to advertise.
    """

    def __init__(self, brokers: Mapping[int, int]) -> None:
        self._targets = dict(brokers)
        self._faults: list[Fault] = []
        self._streams: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._servers: list[asyncio.Server] = []
        self.ports: dict[int, int] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def bootstrap(self) -> str:
        """Addresses for clients."""
        return ",".join(f"{HOST}:{port}" for port in self.ports.values())

    @property
    def connections(self) -> int:
        """How many clients' connections are open."""
        return len(self._streams)

    def add(self, fault: Fault) -> Fault:
        """From now on *fault* hits the frames it is about; of several the one that was added first."""
        self._faults = [*self._faults, fault]
        return fault

    def clear(self) -> None:
        """Release and forget all faults."""
        for fault in self._faults:
            fault.release()
        self._faults = []

    def reset_all(self, node: int | None = None) -> int:
        """Reset the open connections to a broker, or to all. How many there were."""

        async def reset() -> int:
            chosen = [each for each in self._streams if node in {None, each.node}]
            for each in chosen:
                each.reset()
            return len(chosen)

        return self._call(reset())

    def fault_for(self, frame: Frame, request: bytes) -> Fault | None:
        """What hits *frame*, counted as a hit."""
        for fault in self._faults:
            if fault.takes(frame, request):
                fault.hits.append(frame)
                return fault
        return None

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(HANG_SECONDS)

    async def _listen(self) -> None:
        for node in self._targets:
            server = await asyncio.start_server(
                lambda reader, writer, node=node: self._serve(node, reader, writer), HOST, 0
            )
            self._servers.append(server)
            self.ports[node] = server.sockets[0].getsockname()[1]

    async def _serve(self, node: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            broker_reader, broker_writer = await asyncio.open_connection(HOST, self._targets[node])
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(self, node, writer, broker_writer)
        self._streams.add(connection)
        try:
            await connection.run(reader, broker_reader)
        finally:
            self._streams.discard(connection)

    async def _close(self) -> None:
        for server in self._servers:
            for bound in server.sockets:
                self._loop.remove_reader(bound.fileno())
        for _ in range(4):  # else what was just accepted is neither served nor closed (CPython issue 109564)
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()
        for each in self._streams:
            each.reset()
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Connection:
    """One client's connection to one broker, and the requests on it that wait for an answer."""

    def __init__(self, proxy: Proxy, node: int, client: asyncio.StreamWriter, broker: asyncio.StreamWriter) -> None:
        self.node = node
        self._proxy = proxy
        self._client = client
        self._broker = broker
        self._asked: dict[int, tuple[int, str, bytes]] = {}

    async def run(self, client: asyncio.StreamReader, broker: asyncio.StreamReader) -> None:
        """Pass frames on both ways until both have ended."""
        ways = (self._pump(client, self._broker, Way.REQUEST), self._pump(broker, self._client, Way.ANSWER))
        try:
            await asyncio.gather(*ways)
        finally:
            self._client.close()
            self._broker.close()

    def reset(self) -> None:
        """Both sides see the connection reset."""
        for writer in (self._client, self._broker):
            with suppress(OSError):
                linger = struct.pack("ii", 1, 0)  # closing sends RST instead of FIN
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: Way) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                size = await source.readexactly(4)
                body = await source.readexactly(int.from_bytes(size))
                frame, request = self._describe(body, way)
                fault = self._proxy.fault_for(frame, request)
                if fault is not None and not await self._survives(fault):
                    if fault.action is Action.SWALLOW:
                        continue
                    break
                if way is Way.REQUEST:
                    self._asked[frame.correlation] = frame.api, frame.client, body
                sink.write(size + body)
                await sink.drain()
        await self._end(source, sink)

    def _describe(self, body: bytes, way: Way) -> tuple[Frame, bytes]:
        """The frame, and the body of the request that it is or answers."""
        if way is Way.REQUEST:
            api, _version, correlation, length = struct.unpack_from(">hhih", body)
            client = body[10 : 10 + max(length, 0)].decode()
            request = body
        else:
            correlation = int.from_bytes(body[:4], signed=True)
            api, client, request = self._asked.pop(correlation)
        return Frame(self.node, way, api, client, correlation, len(body), time.monotonic()), request

    async def _survives(self, fault: Fault) -> bool:
        """Do what *fault* says; whether the frame goes on afterwards."""
        if fault.action is Action.WATCH:
            return True
        if fault.action in {Action.DELAY, Action.HOLD}:
            await fault.apply_delay()
            return True
        if fault.action is Action.RESET:
            self.reset()
        return False

    async def _end(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """The sink sees the end of the stream; what else the source sends is read, and nobody gets it."""
        with suppress(OSError, RuntimeError):  # closed already
            sink.write_eof()
        with suppress(OSError):
            while await source.read(1 << 16):
                pass
