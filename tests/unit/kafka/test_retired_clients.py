"""Clients that are replaced live on for as long as a question to them may be open."""

from __future__ import annotations

import gc
import weakref
from collections import deque

import pytest

from logrouter.kafka import client
from logrouter.kafka.client import retire_client


class Client:
    """Stands in for one of librdkafka."""


@pytest.mark.long
def test_a_client_that_is_replaced_ends_when_its_questions_are_over(monkeypatch):
    """An earlier end could abort the process; none at all would keep its connections for ever."""
    monkeypatch.setattr(client, "_RETIRED", deque(maxlen=64))
    now = [100.0]
    monkeypatch.setattr(client.time, "monotonic", lambda: now[0])
    ended = []
    for number in range(2):
        replaced = Client()
        weakref.finalize(replaced, ended.append, number)
        retire_client(replaced)
        del replaced
        gc.collect()
        assert ended == []
        now[0] += 3599
    retire_client(Client())
    gc.collect()
    assert ended == [0]
