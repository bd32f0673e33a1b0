"""What a line costs the route lane, and a partial sum the tables: Python alone, no Kafka, one tree next to another.

    python bench/process.py [--lines 5000] [--clients 5000,50000] [--rounds 25] [--against FOLDER]

route   `BatchProcessor.process` on batches of the mixed stream: decode, match, parse, enrich, validate, partial sums
fold    its rollup records decoded, merged, flushed to rows and merged with the rows there were; rows in a dictionary

FOLDER is another checkout, such as `git worktree add FOLDER main`. Every tree runs in a process of its own, in turn, so
that whatever else the machine does hits all of them: the ratios mean something, the absolute figures little.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
START_MS = 1_777_888_800_000
BATCHES = 3
WORK = ("route", "fold")


class Line:
    """One consumed message, as far as the lane reads it."""

    def __init__(self, value: bytes, offset: int) -> None:
        self.topic = lambda: "rsyslog-notice"
        self.partition = lambda: 0
        self.offset = lambda: offset
        self.value = lambda: value
        self.timestamp = lambda: (1, START_MS)
        self.key = self.headers = self.error = lambda: None


def serve(count: int, clients: int) -> None:
    """Do what is asked for on standard input and answer with seconds of CPU per line, or per partial sum."""
    from logrouter import config
    from logrouter.core.rollup.records import decode_record
    from logrouter.demo.generator import lines
    from logrouter.route.batch import BatchProcessor
    from logrouter.route.output import DeadLetterSettings
    from logrouter.tables.fold import PartitionFold
    from logrouter.tables.retention import BucketsKept

    settings = config.parse((HERE / "topics.yaml").read_bytes(), {})
    processor = BatchProcessor(
        settings.table,
        cluster="bench",
        rollup_partitions=1,
        dead_letters=DeadLetterSettings("dead-letter", 1000),
        clock_ms=lambda: START_MS,
    )
    messages = [
        Line(value, offset)
        for offset, value in enumerate(lines(count * BATCHES, start_ms=START_MS - 60_000, clients=clients))
    ]
    batches = [messages[number * count : (number + 1) * count] for number in range(BATCHES)]
    records = [[value for _, value in processor.process(batch).rollup] for batch in batches]
    sums = sum(len(decode_record(value)) for batch in records for value in batch)
    cutoffs = BucketsKept().cutoffs(START_MS // 60_000)
    print(f"{sum(len(value) for batch in records for value in batch) / sums:.0f}", flush=True)

    def route() -> float:
        start = time.process_time()
        for batch in batches:
            processor.process(batch)
        return (time.process_time() - start) / len(messages)

    def fold() -> float:
        rows: dict[bytes, bytes] = {}
        folded = PartitionFold(lambda keys: [rows.get(key) for key in keys], high=-1)
        start, offset = time.process_time(), 0
        for batch in records:
            for value in batch:
                folded.add(offset, decode_record(value), cutoffs)
                offset += 1
            folded.begin_flush()
            while (written := folded.take(200, cutoffs)) is not None:
                rows.update(written.rows)
        return (time.process_time() - start) / sums

    work = {"route": route, "fold": fold}
    gc.set_threshold(50_000, 20, 100)
    for asked in sys.stdin:
        print(work[asked.strip()](), flush=True)


def measure(trees: list[Path], count: int, clients: int, rounds: int, works: list[str]) -> None:
    """Ask every tree in turn, *rounds* times, and print the least time of each and the ratios to the last tree's."""
    children = [
        subprocess.Popen(
            [sys.executable, __file__, "--serve", "--lines", str(count), "--clients", str(clients)],
            env={**os.environ, "PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for tree in trees
    ]
    try:
        sizes = [child.stdout.readline().strip() for child in children]
        for work in works:
            found: list[list[float]] = [[] for _ in trees]
            for _ in range(rounds):
                for child, times in zip(children, found, strict=True):
                    child.stdin.write(f"{work}\n")
                    child.stdin.flush()
                    times.append(float(child.stdout.readline()))
            for tree, size, times in zip(trees, sizes, found, strict=True):
                ratio = statistics.median(mine / other for mine, other in zip(times, found[-1], strict=True))
                print(
                    f"{clients:>7,} clients | {work:<5} | {min(times) * 1e6:6.2f} us, "
                    f"{ratio:5.3f} of the last (least: {min(times) / min(found[-1]):5.3f}) | "
                    f"{size} rollup bytes/sum | {tree}",
                    flush=True,
                )
    finally:
        for child in children:
            child.stdin.close()
            child.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=5_000, help="lines of one batch")
    parser.add_argument("--clients", default="5000,50000")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--work", choices=WORK, action="append", help="one of the two alone")
    parser.add_argument("--against", type=Path, action="append", default=[], help="another checkout, measured in turn")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.lines, int(args.clients))
        return
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    for clients in args.clients.split(","):
        measure([HERE, *args.against], args.lines, int(clients), args.rounds, args.work or list(WORK))


if __name__ == "__main__":
    main()
