"""Ports are given out once, by however many processes at a time."""

from __future__ import annotations

import subprocess
import sys

from logrouter.devkafka import ports
from logrouter.devkafka.ports import claim_port

FEW = range(32_000, 32_008)  # neither claimed by others nor ephemeral
CLAIM_FOUR = f"""
from logrouter.devkafka import ports
ports._PORTS = {FEW!r}
print(*(ports.claim_port() for _ in range(4)), flush=True)
input()
"""


def test_no_port_is_given_twice(monkeypatch):
    """Eight numbers for two other processes: all of them; none is left for us until one of the two is killed."""
    monkeypatch.setattr(ports, "_PORTS", FEW)
    others = [
        subprocess.Popen([sys.executable, "-c", CLAIM_FOUR], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    try:
        given = [[int(port) for port in other.stdout.readline().split()] for other in others]
        assert sorted(given[0] + given[1]) == list(FEW)
        assert refused()
        others[0].kill()
        others[0].wait()
        assert claim_port() in given[0]
    finally:
        for other in others:
            other.kill()
            other.communicate()


def refused() -> bool:
    """Whether there is no port to be had."""
    try:
        claim_port()
    except OSError as error:
        return str(error) == "no free TCP port from 32000 to 32007"
    return False
