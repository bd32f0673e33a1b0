"""A tables worker that measures for how long its event loop was held: run by `serve.py`, not by hand.

    python bench/watched_worker.py GROUP TOPIC DATA_DIR BOOTSTRAP PORT FLUSH_MS TOKENS

Its `/metrics` are open and have three gauges more, each the most since the scrape before: how late a timer of the loop
came, the CPU time of its thread from one timer to the next (less on a machine that does other things), and how long a
garbage collection took.  TOKENS are `name=hash=scope,scope`, with spaces between.  With
LOGROUTER_BENCH_STACKS=40 what the loop does is printed whenever a timer is 40 ms late.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
import traceback
from pathlib import Path

from mode import Service
from prometheus_client.core import GaugeMetricFamily

from logrouter.access.policy import Policy
from logrouter.access.scopes import Via, make_caller
from logrouter.access.tokens import Token, digest_of
from logrouter.tables import worker
from logrouter.tables.security import Security
from logrouter.tables.settings import TablesSettings
from logrouter.telemetry.log import configure_logging
from logrouter.telemetry.metrics import REGISTRY

TICK = 0.002
"""Seconds between two timers."""


class Longest:
    """The longest of some times since it was asked, in seconds, as a metric."""

    def __init__(self, name: str) -> None:
        self.name, self.seconds = name, 0.0
        REGISTRY.register(self)

    def note(self, seconds: float) -> None:
        """One of the times."""
        self.seconds = max(self.seconds, seconds)

    def collect(self):
        """Called at each scrape."""
        seconds, self.seconds = self.seconds, 0.0
        family = GaugeMetricFamily(self.name, "Longest since the scrape before.")
        family.add_metric([], seconds)
        yield family


LATE, CPU, GARBAGE = map(Longest, ("bench_loop_late_seconds", "bench_loop_cpu_seconds", "bench_gc_seconds"))


class Sampler(Service):
    """Timers of the loop, one after the other."""

    last = time.perf_counter()

    @Service.task
    async def _tick(self) -> None:
        if limit := float(os.environ.get("LOGROUTER_BENCH_STACKS") or 0) / 1000:
            threading.Thread(target=self._watch, args=(threading.get_ident(), limit), daemon=True).start()
        while not self.should_stop:
            self.last, used = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK)
            LATE.note(time.perf_counter() - self.last - TICK)
            CPU.note(time.thread_time() - used)

    def _watch(self, thread: int, limit: float) -> None:
        shown = 0.0
        while True:
            time.sleep(limit / 4)
            last = self.last
            if time.perf_counter() - last > limit and last != shown:
                shown = last
                frames = traceback.extract_stack(sys._current_frames()[thread])[-12:]  # noqa: SLF001 - the public way to see a thread
                at = " < ".join(f"{Path(one.filename).stem}:{one.lineno} {one.name}" for one in reversed(frames))
                print(f"held {time.perf_counter() - last:.3f} s: {at}", file=sys.stderr, flush=True)


def time_garbage() -> None:
    """Note how long each collection takes."""
    began = [0.0]

    def note(phase: str, _: object) -> None:
        if phase == "start":
            began[0] = time.perf_counter()
        else:
            GARBAGE.note(time.perf_counter() - began[0])

    gc.callbacks.append(note)


def main() -> int:
    group, topic, data_dir, bootstrap, port, flush, given = sys.argv[1:]
    tokens = []
    for name, hashed, scopes in (one.split("=", 2) for one in given.split()):
        tokens.append(Token(make_caller(name, Via.TOKEN, scopes.split(",")), digest_of(hashed)))
    create_app = worker.create_app

    def watched_app(settings: TablesSettings):
        app = create_app(settings)
        app.first_services = (*app.first_services, Sampler())
        return app

    worker.create_app = watched_app
    configure_logging(level="warning")
    time_garbage()
    return worker.run(
        TablesSettings(
            *(group, topic, 4, Path(data_dir), Security((bootstrap,))),
            port=int(port),
            access=Policy(tokens=tuple(tokens), metrics_open=True),
            standby_replicas=0,
            flush_interval_ms=int(flush),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
