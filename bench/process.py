"""What a line costs the route lane, and a partial sum the tables: Python alone, no Kafka, one tree next to another.

    python bench/process.py [--lines 5000] [--clients 5000,50000] [--rounds 10] [--starts 8] [--against FOLDER]

route   `BatchProcessor.process` on batches of the mixed stream: decode, match, parse, enrich, validate, partial sums
fold    its rollup records decoded, merged, flushed to rows and merged with the rows there were; rows in a dictionary

FOLDER is another checkout, such as `git worktree add FOLDER main`. Every tree runs its own copy of this file in a
process of its own, in turn, so that whatever else the machine does hits all of them: the ratios mean something, the
absolute figures little.
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
        self.key = self.headers = self.error = self.leader_epoch = lambda: None


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


class Worker:
    """A process that runs one tree's own copy of this file, so that trees may differ in their layout."""

    def __init__(self, tree: Path, count: int, clients: int) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                tree / "bench" / "process.py",
                "--serve",
                "--lines",
                str(count),
                "--clients",
                str(clients),
            ],
            env={**os.environ, "PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.size = self.process.stdout.readline().strip()

    def seconds(self, work: str) -> float:
        """CPU per line, or per partial sum, of one run."""
        self.process.stdin.write(f"{work}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait(30)


def measure_start(trees: list[Path], works: list[str], rounds: int, count: int, clients: int) -> dict[str, list[float]]:
    """Start a process per tree, ask them in turn, and give the least time of each tree by work."""
    workers: list[Worker] = []
    try:
        workers += [Worker(tree, count, clients) for tree in trees]
        found = {
            work: list(zip(*[[w.seconds(work) for w in workers] for _ in range(rounds)], strict=True)) for work in works
        }
        found["size"] = [(float(worker.size),) for worker in workers]
    finally:
        for worker in workers:
            worker.close()
    return {work: [min(times) for times in columns] for work, columns in found.items()}


def measure(trees: list[Path], works: list[str], args: argparse.Namespace, clients: int) -> None:
    """Start all trees again and again, the first one first and last in turn; print each tree's ratios to the last.

    Where a process finds its memory is chance and lasts as long as it lives, worth some percent: hence several starts.
    """
    found = []
    for start in range(args.starts):
        turn = 1 if start % 2 else -1
        least = measure_start(trees[::turn], works, args.rounds, args.lines, clients)
        found.append({work: times[::turn] for work, times in least.items()})
    for work in works:
        for index, tree in enumerate(trees):
            ratios = sorted(each[work][index] / each[work][-1] for each in found)
            least = min(each[work][index] for each in found)
            spread = f"({ratios[0]:.3f} to {ratios[-1]:.3f})"
            print(
                f"{clients:>7,} clients | {work:<5} | {least * 1e6:6.2f} us | {statistics.median(ratios):5.3f} "
                f"of the last {spread} | {found[0]['size'][index]:.0f} rollup bytes/sum | {tree}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=5_000, help="lines of one batch")
    parser.add_argument("--clients", default="5000,50000")
    parser.add_argument("--rounds", type=int, default=10, help="runs of each process, of which the least counts")
    parser.add_argument("--starts", type=int, default=8, help="starts of every tree; their median ratio is shown")
    parser.add_argument("--work", choices=WORK, action="append", help="one of the two alone")
    parser.add_argument("--against", type=Path, action="append", default=[], help="another checkout, measured in turn")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.lines, int(args.clients))
        return
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    for clients in args.clients.split(","):
        measure([HERE, *args.against], args.work or list(WORK), args, int(clients))


if __name__ == "__main__":
    main()
