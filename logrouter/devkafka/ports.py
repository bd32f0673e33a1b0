"""TCP ports for servers of this machine that are started later: each number is given to one process alone."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import socket
from typing import Final

__all__ = ["claim_port"]

_HOST: Final = "127.0.0.1"
# Below the ephemeral ports: a client that keeps connecting to a server that is down could else be given the very port
# as its own, connect to itself, and so keep the server from coming back.
_PORTS: Final = range(20_000, 32_000)


def claim_port() -> int:
    """A port that nobody listens on, and that no other call is given while this process runs.

    Between the choice and the moment when a server binds it lie seconds, in which another choice must not meet it.
    """
    first = secrets.randbelow(len(_PORTS))  # not always the same ones, of which connections of before may linger
    for port in itertools.chain(_PORTS[first:], _PORTS[:first]):
        if _is_free(port) and _claim(port):
            return port
    raise OSError(f"no free TCP port from {_PORTS.start} to {_PORTS.stop - 1}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind((_HOST, port))
        return True
    return False


def _claim(port: int) -> bool:
    """Take the number's name among abstract sockets (unix(7)): one process has it, and loses it by ending, however."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0logrouter-port-{port}")
    except OSError:
        name.close()
        return False
    name.detach()  # it stays open for as long as the process runs
    return True
