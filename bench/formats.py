"""What one line costs, per envelope and per format, in one process without Kafka.

    python bench/formats.py [--repeat 7] [--only NAME ...]

The lines are the cases of the golden corpus that are read as requests, and for envelopes all records; those longer than
4 KiB are there to break things and are left out. Every line is read in a loop, and of several loops the fastest counts:
the others were disturbed. A format's figure is for the text alone, the envelope's comes on top; what the pipeline does
with an event afterwards is the same for all (bench/route.py).
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats import FORMATS
from logrouter.core.formats.auto import default_order
from logrouter.core.formats.format import FormatSettings
from logrouter.model import Envelope, Parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CORPUS = Path(__file__).parent.parent / "tests" / "corpus"
LONGEST = 4096
LOOP_SECONDS = 0.02


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--only", nargs="+", default=[])
    args = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("orjson", "msgspec"))
    print(f"machine: {os.cpu_count()} cores, {cpu()}, Python {platform.python_version()}; {packages}")
    print(f"load before: {os.getloadavg()[0]:.1f}\n")
    print(f"{'':30}{'lines':>6}{'bytes':>7}{'us/line':>9}{'median':>9}{'worst':>9}")
    for name, envelope in ENVELOPES.items():
        if not args.only or name in args.only:
            data = [record for record in records(name) if len(record) <= LONGEST]
            report(f"envelope {name}", data, envelope.decode, args.repeat)
    for name, each in FORMATS.items():
        # What a format costs that needs options is up to these.
        if not each.needs and (not args.only or name in args.only):
            parse = each.compile(FormatSettings())
            texts = dict.fromkeys(lines_of(name))
            read = [
                text for text in texts if len(text) <= LONGEST and isinstance(parse(Envelope("plain", text)), Parsed)
            ]
            report(f"format {name}", read, lambda text, parse=parse: parse(Envelope("plain", text)), args.repeat)
    if not args.only:
        compare(args.repeat)


def compare(repeat: int) -> None:
    """What `format: auto` takes for the lines of all formats, next to trying every format in turn."""
    names = default_order(FORMATS)
    parsers = [FORMATS[name].compile(FormatSettings()) for name in names]
    auto = FORMATS["auto"].compile(FormatSettings())
    texts = dict.fromkeys(line for name in names for line in lines_of(name))
    chosen = [text for text in texts if len(text) <= LONGEST]

    def in_turn(text: str) -> None:
        next((found for parse in parsers if isinstance(found := parse(Envelope("plain", text)), Parsed)), None)

    by_auto = statistics.mean(cost(lambda text: auto(Envelope("plain", text)), text, repeat) for text in chosen)
    by_turn = statistics.mean(cost(in_turn, text, repeat) for text in chosen)
    print(f"\nauto over {len(chosen)} lines of all formats: {by_auto:.1f} us/line; trying each in turn: {by_turn:.1f}")
    print(f"ratio: {by_auto / by_turn:.2f}")


def records(name: str) -> list[bytes]:
    """The records of an envelope's or a format's golden corpus."""
    return [file.read_bytes() for file in sorted((CORPUS / name).glob("*.in"))]


def lines_of(name: str) -> Iterator[str]:
    """The lines of a format's corpus, as they are and out of whatever envelope they are in."""
    for record in records(name):
        yield record.decode("utf-8", "replace").rstrip("\r\n")
        for envelope in ENVELOPES.values():
            found = envelope.decode(record)
            if isinstance(found, Envelope):
                yield found.text.rstrip("\r\n")
                if found.document is not None:
                    yield orjson.dumps(found.document).decode()


def report(name: str, lines: list, read: Callable, repeat: int) -> None:
    """A row of the table."""
    costs = [cost(read, line, repeat) for line in lines]
    size = statistics.mean(map(len, lines))
    mean, middle, worst = statistics.mean(costs), statistics.median(costs), max(costs)
    print(f"{name:30}{len(lines):>6}{size:>7.0f}{mean:>9.1f}{middle:>9.1f}{worst:>9.1f}", flush=True)


def cost(read: Callable, line: object, repeat: int) -> float:
    """Microseconds for one line: the best of several loops that each last long enough for the clock."""
    loops = 1
    while True:
        took = loop(read, line, loops)
        if took >= LOOP_SECONDS / 4:
            break
        loops *= 4
    return min(loop(read, line, loops) for _ in range(repeat)) / loops * 1e6


def loop(read: Callable, line: object, loops: int) -> float:
    """Seconds of this process for reading a line so often."""
    started = time.process_time()
    for _ in range(loops):
        read(line)
    return time.process_time() - started


def cpu() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
