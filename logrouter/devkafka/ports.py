"""TCP ports for servers of this machine that are started later: each number is given to one process alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["claim_port"]

_HOST: Final = "127.0.0.1"
# Below the ephemeral ports: a client that keeps connecting to a server that is down could else be given the very port
# as its own, connect to itself, and so keep the server from coming back.
_PORTS: Final = range(20_000, 32_000)
_claimed: Final[set[int]] = set()


def claim_port() -> int:
    """A port that nobody listens on, and that no process of this user is given while this one runs.

    Between the choice and the moment when a server binds it lie seconds, in which another choice must not meet it.
    """
    for port in secrets.SystemRandom().sample(_PORTS, len(_PORTS)):
        if port not in _claimed and _is_free(port) and _claim(port):
            _claimed.add(port)
            return port
    raise OSError(f"no free TCP port from {_PORTS.start} to {_PORTS.stop - 1}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind((_HOST, port))
        return True
    return False


def _claim(port: int) -> bool:
    """One byte of a common file stands for a port; the system lets go of it when the process ends, however that is."""
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _claims() -> int:
    # Open for as long as the process runs: closing any descriptor of a file ends all locks on it.
    path = Path(tempfile.gettempdir()) / f"logrouter-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
