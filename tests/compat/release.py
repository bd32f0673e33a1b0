"""What is kept of a release: a folder of text files, and how these are written and read.

release.json        version, cluster id, clock, topics with their partitions and ends, committed offsets
topics.yaml         with `compat` for what all names begin with, and BOOTSTRAP for the cluster's address
topics/*.jsonl      every committed record of a topic, as it was when the lanes had stopped
rest.jsonl          records that came then, and completed.jsonl the events which these made out of what had waited
answers.json        what the table view answered, by path
tables.tar.gz       the data folder of the tables worker
"""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from logrouter.config.compile.extras import SINCE_1_1
from logrouter.core.templates.masking import mask_segments
from logrouter.core.transform import drop

FOLDER: Final = Path(__file__).parent
PREFIX: Final = "compat"
"""What all names of topics and groups begin with, in everything that is kept."""
_NOT_DATA: Final = ("LOG", "LOCK", "lock")
"""Files of a database that tell about the machine, or only that somebody has it open."""

_OF_THE_MOMENT: Final = {"freshness", "from", "to"}


class Record(NamedTuple):
    """One record of a topic; *at_ms* is the time that Kafka has beside it, in epoch milliseconds."""

    partition: int
    offset: int
    at_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Committed(NamedTuple):
    """What a group has committed for a partition: *metadata* is the text beside the offset."""

    group: str
    topic: str
    partition: int
    offset: int
    metadata: str


class Release:
    """What is kept of one version in *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        about = orjson.loads((folder / "release.json").read_bytes())
        self.cluster: str = about["cluster"]
        self.clock_ms: int = about["clock_ms"]
        self.ends: dict[str, list[int]] = about["ends"]
        """By topic the end of each partition: the offset that the next record would have."""
        self.committed = [Committed(**each) for each in about["committed"]]
        self.pieces: dict[tuple[str, int], list[int]] = {
            (each["topic"], each["partition"]): each["offsets"] for each in about["pieces"]
        }
        """By topic and partition the offsets of the pieces that wait."""
        self.config = (folder / "topics.yaml").read_text()

    def topic(self, name: str) -> list[Record]:
        """The records of a topic, in order within partitions."""
        return _read(self.folder / "topics" / f"{name}.jsonl")

    def rest(self) -> list[tuple[str, Record]]:
        """(topic, record) of what came later."""
        lines = (self.folder / "rest.jsonl").read_bytes().splitlines()
        return [(orjson.loads(line)["topic"], _record(orjson.loads(line))) for line in lines]

    def completed(self) -> list[Record]:
        """The events that `rest` completed."""
        return _read(self.folder / "completed.jsonl")

    def answers(self) -> dict[str, Any]:
        """Bodies by path, in the form that they have now."""
        answers: dict[str, Any] = orjson.loads((self.folder / "answers.json").read_bytes())
        return {path: by_template(answer) for path, answer in answers.items()}

    def unpack_tables(self, into: Path) -> None:
        """Put the data folder of the tables worker there."""
        with tarfile.open(self.folder / "tables.tar.gz") as archive:
            archive.extractall(into, filter="data")


def figures(answer: Any) -> Any:
    """An answer of the table view without what tells when and by which worker it was given."""
    if isinstance(answer, list):
        return [figures(each) for each in answer]
    if isinstance(answer, dict):
        return {name: figures(value) for name, value in answer.items() if name not in _OF_THE_MOMENT}
    return answer


def within(before: Any, now: Any) -> Any:
    """The part of *now* that was there *before*."""
    if isinstance(before, dict) and isinstance(now, dict):
        return {name: within(value, now[name]) for name, value in before.items() if name in now}
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [within(one, other) for one, other in zip(before, now, strict=True)]
    return now


def without_minor(value: bytes) -> bytes:
    """An event or a line that waits, with the schema's version of 0.1.0, and without the fields that 1.1.0 adds."""
    found = orjson.loads(value)
    event = found[-1] if isinstance(found, list) else found
    if isinstance(event, dict) and event.get("$schema") == "/logrouter/api_request/1.1.0":
        event["$schema"] = "/logrouter/api_request/1.0.0"
        drop(SINCE_1_1)(event)
    return orjson.dumps(found)


def by_template(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer of 0.1.0 about URLs or an API's clients as it is now: an entry per template, bounds by entry."""
    if "max_undercount" not in answer:
        return answer
    now = {name: value for name, value in answer.items() if name != "max_undercount"}
    if "urls" in answer:
        urls: dict[str, Any] = {}
        for each in answer["urls"]:
            name = mask_segments(each["url"])
            url = urls.setdefault(name, {"url": name, "status": {}, "count": 0})
            url["status"][each["status"]] = each["count"] + url["status"].get(each["status"], 0)
            url["count"] += each["count"]
        now["urls"] = sorted(urls.values(), key=lambda url: (-url["count"], url["url"]))
    return now


def releases() -> list[Path]:
    """The folders of all releases that are kept."""
    return sorted(path.parent for path in FOLDER.glob("*/release.json"))


def write_topic(path: Path, records: list[Record]) -> None:
    """One record per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(_plain(record)) + b"\n" for record in records))


def write_rest(path: Path, records: list[tuple[str, Record]]) -> None:
    """One record per line, with its topic."""
    path.write_bytes(b"".join(orjson.dumps({"topic": topic} | _plain(each)) + b"\n" for topic, each in records))


def pack_tables(data: Path, path: Path) -> None:
    """The data folder of a tables worker, without what tells about this machine."""

    def anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if Path(info.name).name.startswith(_NOT_DATA):
            return None
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        return info

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=9) as archive:
        archive.add(data, arcname=".", filter=anonymous)
    path.write_bytes(packed.getvalue())


def _read(path: Path) -> list[Record]:
    return [_record(orjson.loads(line)) for line in path.read_bytes().splitlines()]


def _plain(record: Record) -> dict[str, Any]:
    found = record._asdict() | {"key": _text(record.key), "value": _text(record.value)}
    return found | {"headers": [[name, _text(value)] for name, value in record.headers]}


def _record(found: dict[str, Any]) -> Record:
    headers = tuple((name, _bytes(value)) for name, value in found["headers"])
    where = found["partition"], found["offset"], found["at_ms"]
    return Record(*where, _bytes(found["key"]), _bytes(found["value"]), headers)


def _text(data: bytes | None) -> Any:
    """Bytes as a text if they are one, else in base64."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _bytes(found: Any) -> bytes | None:
    if isinstance(found, dict):
        return base64.b64decode(found["base64"])
    return None if found is None else found.encode()
