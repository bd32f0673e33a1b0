"""One connection for a stream of bytes in one direction, over TCP or TLS; whatever comes back is read and dropped.

TLS is done on bytes in memory, so that what is still to be sent is either in the kernel's queue or with whoever calls
`write`, and nowhere between.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
from typing import Final

if sys.platform != "win32":
    import fcntl
    import termios

_PIECE: Final = 1 << 16
_READS_AT_ONCE: Final = 16
_VERDICT_SECONDS: Final = 1.0
"""In TLS 1.3 a client has done its part before the target has looked at its certificate. Targets then send something:
tickets, or an alert. One that sends nothing for so long is taken for content."""
_FIRST_LOOK: Final = 0.0002
_LONGEST_LOOK: Final = 0.05
_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}
"""In seconds, and how many: what is in between forgets connections on which nothing is said for minutes."""


class StreamEndError(ConnectionError):
    """The target has ended the connection in good order."""


class SyslogConnection:
    """A connected socket, which it closes. Used in one event loop, by one writer at a time."""

    def __init__(self, connected: socket.socket, tls: ssl.SSLContext | None = None, host: str = "") -> None:
        """*host* is who the target's certificate has to be for."""
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = None if tls is None else tls.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._heard = asyncio.Event()
        self.end: OSError | None = None
        """Why nothing can be sent any more, None while it can."""
        # Of a batch the last piece is small, and would wait for the target's word on the one before.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            if hasattr(socket, name):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    async def open(self) -> None:
        """Shake hands, if the target speaks TLS, and begin to listen.

        In TLS 1.3 `hear_verdict` says whether the target has taken it.

        Raises:
            ssl.SSLError: one side does not accept the other.
            OSError: the connection has ended.
        """
        if self._tls is not None:
            await self._shake_hands(self._tls)
        self._loop.add_reader(self._socket, self.take_in)
        self._check()

    async def hear_verdict(self) -> None:
        """Wait until the target has said anything, where it may still refuse us; not for long.

        Raises:
            ssl.SSLError: it has refused us.
            OSError: the connection has ended.
        """
        if self._tls is not None and self._tls.version() == "TLSv1.3":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_VERDICT_SECONDS):
                    await self._heard.wait()
        self._check()

    async def _shake_hands(self, tls: ssl.SSLObject) -> None:
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._socket.send(self._outgoing.read())  # the alert that says why
                raise
            else:
                return await self._flush()
            await asyncio.sleep(0)  # a target that always has something more would have us do nothing else
            data = await self._loop.sock_recv(self._socket, _PIECE)
            if not data:
                raise ssl.SSLError("the target ended the connection during the handshake")
            self._incoming.write(data)

    async def write(self, data: bytes) -> None:
        """Give all of *data* to the kernel.

        Raises:
            OSError: the connection has ended; nobody knows how much the target has.
        """
        self.take_in()
        self._check()
        view = memoryview(data)
        try:
            for at in range(0, len(view), _PIECE):
                piece = view[at : at + _PIECE]
                if self._tls is None:
                    await self._loop.sock_sendall(self._socket, piece)
                else:
                    self._seal(self._tls, piece)
                    await self._flush()
        except OSError:
            self._check()  # what the target has said of it says more
            raise

    async def settle(self) -> None:
        """Wait until the target's kernel has said that it has everything.

        Where the system does not tell, that all was given to our own kernel is all that is known.

        Raises:
            OSError: the connection has ended; nobody knows how much the target has.
        """
        pause = _FIRST_LOOK
        while self.end is None and _unacknowledged(self._socket):
            await asyncio.sleep(pause)  # the kernel tells nobody
            pause = min(pause * 2, _LONGEST_LOOK)
        self.take_in()  # a connection that was reset has nothing in its queue, either
        self._check()

    def take_in(self) -> None:
        """Read and drop what has come, and note whether the target has ended the connection."""
        for _ in range(_READS_AT_ONCE):
            if self.end is not None:
                return
            try:
                data = self._socket.recv(_PIECE)
                if not data:
                    raise StreamEndError("the target has ended the connection")
                if self._tls is not None:
                    self._open_sealed(self._tls, data)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._note_end(error)
                return
            self._heard.set()

    def _open_sealed(self, tls: ssl.SSLObject, data: bytes) -> None:
        self._incoming.write(data)
        try:
            while tls.read(_PIECE):
                pass
        except ssl.SSLWantReadError:
            # What TLS has to say to new keys goes out with the next batch. A target may ask for them again and again.
            if self._outgoing.pending <= _PIECE:
                return
            raise ConnectionAbortedError("the target has asked for new keys too often") from None
        except ssl.SSLZeroReturnError:
            pass
        raise StreamEndError("the target has ended the connection")

    def _seal(self, tls: ssl.SSLObject, piece: memoryview) -> None:
        while piece:
            piece = piece[tls.write(piece) :]

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self._loop.sock_sendall(self._socket, data)

    def _note_end(self, error: OSError) -> None:
        self.end = error
        self._heard.set()
        self._loop.remove_reader(self._socket)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # so that a write that waits ends

    def _check(self) -> None:
        if self.end is not None:
            raise self.end

    def close(self) -> None:
        """End the connection, as politely as is possible without waiting; what is in the kernel's queue still goes."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        with contextlib.suppress(OSError):
            if self._tls is not None and self.end is None:
                with contextlib.suppress(ssl.SSLWantReadError):
                    self._tls.unwrap()
                self._socket.send(self._outgoing.read())
            self._socket.shutdown(socket.SHUT_WR)  # with unread bytes, closing alone is a reset
        self._socket.close()


def _unacknowledged(connected: socket.socket) -> int:
    """Bytes in the kernel's queue that the other side has not acknowledged (SIOCOUTQ); 0 where nobody tells."""
    if sys.platform != "linux":
        return 0
    answer = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4))
    return int(struct.unpack("i", answer)[0])
