"""The job done the obvious way: one plain Faust agent that parses, sends and counts, one event at a time.

The yardstick of `make bench`, not an example to follow: docs/design.md says why the per-line work never enters Faust.
Reads its broker, topic names and the number of lines from the environment; exits when it has seen them all.
"""

from __future__ import annotations

import os
import resource
import sys
import time

import faust
import orjson

LINES = int(os.environ["BENCH_LINES"])
app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['BENCH_BOOTSTRAP']}",
    store="memory://",
    value_serializer="raw",
    topic_replication_factor=1,
    topic_partitions=int(os.environ["BENCH_PARTITIONS"]),
    topic_allow_declare=True,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
    cython_optimizations=True,
)
source = app.topic(os.environ["BENCH_TOPIC"], value_type=bytes)
clean = app.topic(os.environ["BENCH_GROUP"] + "-out", value_type=bytes)
counts = app.Table("counts", default=int)
state = {"seen": 0, "began": 0.0}


def request_of(line: bytes) -> dict | None:
    """The gateway request in one line, or None."""
    if not line or b"api-gateway" not in line:
        return None
    try:
        outer = orjson.loads(line)
        text = outer.get("log") or outer.get("message") or outer.get("msg", "").partition(" F ")[2]
        inner = orjson.loads(text)
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return None
    return inner if isinstance(inner, dict) and "http" in inner else None


@app.agent(source)
async def route(lines: faust.Stream) -> None:
    """Parse, publish and count."""
    async for line in lines:
        if not state["seen"]:
            state["began"] = time.perf_counter()
        state["seen"] += 1
        request = request_of(line)
        if request is not None:
            client = request.get("client_id") or "-"
            await clean.send(key=client.encode(), value=orjson.dumps(request))
            counts[client] += 1
        if state["seen"] == LINES:
            seconds = time.perf_counter() - state["began"]
            used = resource.getrusage(resource.RUSAGE_SELF)
            result = {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "lines": LINES}
            # Faust has put its logger in the place of standard output.
            sys.__stdout__.write(orjson.dumps(result).decode() + "\n")
            sys.__stdout__.flush()
            os._exit(0)
