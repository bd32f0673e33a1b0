"""Records what this version writes on topics, changelogs and disks: `python -m tests.compat.record 0.1.0`.

Starts a Kafka of its own, routes the lines of `lines.py`, asks the table view, stops both lanes in order, and keeps
everything in the folder of the version (`release.py` says what).
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from logrouter.devkafka.broker import DevKafka
from logrouter.kafka.reader import describe_cluster
from tests.compat.lanes import Lanes
from tests.compat.lines import FIRST, NOW_MS, PIECES, QUESTIONS, REST, Fed
from tests.compat.release import FOLDER, PREFIX, Record, figures, pack_tables, write_rest, write_topic

if TYPE_CHECKING:
    from collections.abc import Iterable

SOURCES = sorted({f"{PREFIX}.{fed.topic}" for fed in FIRST})
EVENTS = [f"{PREFIX}.{topic}" for topic in ("aws", "clean", "requests", "sampled", "web")]


def main(version: str) -> None:
    """Make the folder of *version* anew."""
    config = (FOLDER / "topics.yaml").read_text()
    into = FOLDER / version
    with tempfile.TemporaryDirectory() as scratch, DevKafka() as kafka:
        lanes = Lanes(kafka.bootstrap, Path(scratch), PREFIX, config)
        try:
            answers = _run(lanes, Path(scratch) / "tables")
            shutil.rmtree(into, ignore_errors=True)
            into.mkdir()
            (into / "topics.yaml").write_text(config)
            (into / "answers.json").write_bytes(orjson.dumps(answers, option=orjson.OPT_INDENT_2))
            pack_tables(Path(scratch) / "tables", into / "tables.tar.gz")
            _keep(lanes, into, version)
            rest = _next(lanes, REST)
            write_rest(into / "rest.jsonl", rest)
            write_topic(into / "completed.jsonl", _complete(lanes, rest))
        finally:
            lanes.close()
    size = sum(path.stat().st_size for path in into.rglob("*") if path.is_file())
    print(f"{into}: {size:,} bytes")  # noqa: T201 - a script


def _run(lanes: Lanes, data: Path) -> dict[str, Any]:
    """Route and fold everything, stop, and say what the table view answered."""
    lanes.create_outputs()
    lanes.create(dict.fromkeys(SOURCES, 2))
    route, tables = lanes.route(), lanes.tables(data, NOW_MS)
    half = len(FIRST) // 2
    for part in (FIRST[:half], FIRST[half:]):  # so that rows are written more than once
        for topic, record in _next(lanes, part):
            lanes.write(topic, [record])
        lanes.until(lambda: lanes.done("route", *SOURCES), "all is routed")
        lanes.until(lambda: lanes.done("tables", f"{PREFIX}.rollup", transactions=True), "all is folded")
    lanes.until(lambda: b"never_completed" in b"".join(_values(lanes, "requests")), "a line has waited in vain")
    lanes.until(lambda: lanes.done("route", f"{PREFIX}.pairing", transactions=True), "all lines that can meet have met")
    lanes.until(lambda: lanes.done("tables", f"{PREFIX}.rollup", transactions=True), "all is folded")
    answers = {}
    for path in QUESTIONS:
        status, body = lanes.get(path)
        assert status == 200, (path, status, body)
        answers[path] = figures(body)
    assert (route.stop(), tables.stop()) == (0, 0)
    return answers


def _keep(lanes: Lanes, into: Path, version: str) -> None:
    topics = lanes.topics()
    for topic in topics:
        write_topic(into / "topics" / f"{topic}.jsonl", lanes.read(topic))
    groups = {f"{PREFIX}-route": [*SOURCES, f"{PREFIX}.pairing"], f"{PREFIX}-tables": [f"{PREFIX}.rollup"]}
    committed = [each._asdict() for group, read in groups.items() for each in lanes.committed(group, read)]
    pieces = [
        {"topic": f"{PREFIX}.{topic}", "partition": partition, "offsets": offsets}
        for (topic, partition), offsets in PIECES.items()
    ]
    about = {
        "version": version,
        "cluster": describe_cluster(lanes.kafka).id,
        "clock_ms": NOW_MS,
        "ends": {topic: lanes.ends(topic) for topic in topics},
        "committed": committed,
        "pieces": pieces,
    }
    (into / "release.json").write_bytes(orjson.dumps(about, option=orjson.OPT_INDENT_2))


def _next(lanes: Lanes, lines: Iterable[Fed]) -> list[tuple[str, Record]]:
    """Records that come next, by topic, with the offsets that they will have."""
    ends = {topic: lanes.ends(topic) for topic in SOURCES}
    found = []
    for fed in lines:
        topic = f"{PREFIX}.{fed.topic}"
        found.append((topic, Record(fed.partition, ends[topic][fed.partition], _now_ms(), None, fed.value)))
        ends[topic][fed.partition] += 1
    return found


def _complete(lanes: Lanes, rest: list[tuple[str, Record]]) -> list[Record]:
    """The events that are new once *rest* is routed."""
    before = {topic: {record[:2] for record in lanes.read(topic)} for topic in EVENTS}
    for topic, record in rest:
        lanes.write(topic, [record])
    route = lanes.route()

    def new() -> list[Record]:
        return [record for topic in EVENTS for record in lanes.read(topic) if record[:2] not in before[topic]]

    lanes.until(lambda: len(new()) >= len(rest), f"{len(rest)} events more")
    assert route.stop() == 0
    return new()


def _values(lanes: Lanes, topic: str) -> list[bytes]:
    return [record.value or b"" for record in lanes.read(f"{PREFIX}.{topic}")]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.fullmatch(r"\d+\.\d+\.\d+", sys.argv[1]):
        sys.exit("which version? For example: make compat VERSION=0.2.0")
    main(sys.argv[1])
