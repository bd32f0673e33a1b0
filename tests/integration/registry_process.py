"""A process with a registry of drains, driven by lines on its standard input: to be run as a module.

    python -m tests.integration.registry_process BOOTSTRAP TOPIC GROUP MOST SECONDS TRIGGER

Changes may wait for SECONDS. Lines are JSON: `[n, "add", owner, id, url]`, `[n, "remove", owner, id]`,
`[n, "mark", id, reason]`, `[n, "list", owner]`. Each has one answer, `[n, answer]`, as soon as it is there. While the
file TRIGGER is there, the next commit removes it and stops the process, as by SIGSTOP, with its record in an open
transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from msgspec.structs import replace

from logrouter.core.drains.owner import Owner, OwnerKind
from logrouter.core.drains.registration import Registration
from logrouter.drains.registry import Registry, RegistrySettings, follow_registrations
from logrouter.drains.registry_errors import DrainLimitError, RegistryUnavailableError
from logrouter.kafka import transaction
from logrouter.kafka.connection import BrokerState
from logrouter.process.daemon_threads import run_to_result


class HangingCommit(Producer):
    """Stops the process when its record is on the broker and its commit is not."""

    trigger = Path()

    def commit_transaction(self, *args: Any) -> None:
        if self.trigger.exists():
            self.flush(10)
            self.trigger.unlink()
            # To this very thread: of a signal to the process another thread may take its time, while this one goes on.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        super().commit_transaction(*args)


async def answer(registry: Registry, verb: str, *args: str) -> Any:
    """What the registry says, in words of JSON."""
    owner = Owner(OwnerKind.APP, args[0])
    try:
        match verb, *args:
            case "add", _, drain_id, url:
                new = Registration(id=drain_id, token="t", owner=owner, url=url, created_ms=1, updated_ms=1)  # noqa: S106
                return (await registry.add(new)).id
            case "remove", _, drain_id:
                return await registry.remove(owner, drain_id)
            case "mark", drain_id, reason:
                marked = await registry.change(drain_id, lambda found: replace(found, reason=found.reason + reason))
                return marked and marked.reason
            case _:
                return [each.id for each in registry.drains_of(owner)]
    except (DrainLimitError, RegistryUnavailableError) as error:
        return type(error).__name__


async def serve(registry: Registry) -> None:
    """Answer until the input ends."""
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()

    async def handle(number: int, *words: str) -> None:
        said = [number, await answer(registry, *words)]
        print(json.dumps(said), flush=True)  # noqa: T201 - this is how it answers

    async with asyncio.TaskGroup() as tasks:
        while line := await lines.get():
            tasks.create_task(handle(*json.loads(line)))


if __name__ == "__main__":
    bootstrap, topic, group, most, seconds, trigger = sys.argv[1:]
    HangingCommit.trigger = Path(trigger)
    transaction.Producer = HangingCommit  # type: ignore[misc]
    kafka, state = {"bootstrap.servers": bootstrap}, BrokerState()
    follower = follow_registrations(kafka, topic, state)
    follower.start()
    settings = RegistrySettings(kafka, topic, group, int(most), float(seconds), float(seconds))
    registry = Registry(settings, follower, state)
    with contextlib.closing(registry), contextlib.closing(follower):
        run_to_result(serve(registry))
