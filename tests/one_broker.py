"""One Kafka for all workers of a test run: pytest's own process starts it when the first of them asks for it."""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import ExitStack
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import TYPE_CHECKING

from logrouter.devkafka.broker import DevKafka

if TYPE_CHECKING:
    from collections.abc import Callable

_WAITING = 64
"""How many workers may ask while the broker starts."""


class OneBroker:
    """A broker that starts when it is asked for; `close` ends it. It ends with this process, however that ends.

    A worker that crashes takes nothing with it that others use, as it would if one of them had the broker.
    """

    def __init__(self, make: Callable[[], DevKafka] = DevKafka) -> None:
        self._make = make
        self._cleanup = ExitStack()
        folder = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="logrouter-tests-"))
        self._key = os.urandom(16)
        self._listener = Listener(str(Path(folder) / "broker"), "AF_UNIX", _WAITING, self._key)
        self._cleanup.callback(self._listener.close)
        self._thread = threading.Thread(target=self._answer, name="one-broker", daemon=True)
        self._thread.start()

    @property
    def place(self) -> tuple[str, str]:
        """Where to ask and the key to do so, for `ask`."""
        return str(self._listener.address), self._key.hex()

    def close(self) -> None:
        """End the broker, if there is one."""
        _question(self.place, "close")
        self._thread.join()
        self._cleanup.close()

    def _answer(self) -> None:
        bootstrap = error = ""
        while True:
            with self._listener.accept() as connection:
                if connection.recv() == "close":
                    connection.send(("", ""))
                    return
                if not bootstrap and not error:
                    try:
                        bootstrap = self._cleanup.enter_context(self._make()).bootstrap
                    except Exception as failed:  # noqa: BLE001  every worker says it, instead of waiting
                        error = str(failed) or repr(failed)
                connection.send((bootstrap, error))


def ask(place: tuple[str, str]) -> str:
    """The broker's bootstrap address, when it is up; raises `RuntimeError` with the reason if it can't start."""
    bootstrap, error = _question(place, "where")
    if error:
        raise RuntimeError(error)
    return bootstrap


def _question(place: tuple[str, str], word: str) -> tuple[str, str]:
    address, key = place
    with Client(address, "AF_UNIX", bytes.fromhex(key)) as connection:
        connection.send(word)
        bootstrap, error = connection.recv()
    return bootstrap, error
