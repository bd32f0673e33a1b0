"""What earlier releases have written is read by this version, without a broker: every folder beside this file.

Not covered: lines that waited because nobody knew their route (`PARKED`), lines that were given up, samples of events
by rate, and what a process that was killed leaves behind; these releases were stopped in order.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import orjson
import pytest
from msgspec.structs import asdict
from prometheus_client import CollectorRegistry
from yarl import URL

from logrouter import config
from logrouter.access.policy import OPEN
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.core.join import held_lines, pairs
from logrouter.core.join.pairs import PairingBuffer
from logrouter.core.join.partial_lines import decode_places
from logrouter.core.redact.disclosure import STRICT
from logrouter.core.rollup.records import decode_record, encode_record
from logrouter.http_server import server
from logrouter.query.memory import MemoryReader, MemoryTables
from logrouter.query.tiers import Tier
from logrouter.route.batch import BatchProcessor
from logrouter.route.paired import PairFinisher
from logrouter.route.partial_lines import PartialLines
from logrouter.tables import replicas, rows
from logrouter.tables.fold import PartitionFold
from logrouter.tables.retention import Cutoffs
from logrouter.tables.store import open_database
from logrouter.web import app
from tests.compat.release import PREFIX, Record, Release, figures, releases, within, without_minor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from logrouter.route.output import BatchOutput

pytestmark = pytest.mark.parametrize("release", [Release(path) for path in releases()], ids=lambda r: r.folder.name)

PAIRING = f"{PREFIX}.pairing"
STATE = f"{PAIRING}.state"
ROLLUP = f"{PREFIX}.rollup"
CHANGELOG = f"{PREFIX}-tables-usage-changelog"
DEAD = f"{PREFIX}.dead-letter"
BEYOND_ANY_SHORT_WAIT_MS = 60_000
KEPT = Cutoffs(0, 0, 0)


class Message(NamedTuple):
    """A record as the lane's client hands it out."""

    of: str
    record: Record

    def topic(self) -> str:
        return self.of

    def partition(self) -> int:
        return self.record.partition

    def offset(self) -> int:
        return self.record.offset

    def key(self) -> bytes | None:
        return self.record.key

    def value(self) -> bytes | None:
        return self.record.value

    def headers(self) -> list[tuple[str, bytes | None]]:
        return list(self.record.headers)

    def timestamp(self) -> tuple[int, int]:
        return 1, self.record.at_ms

    def leader_epoch(self) -> int | None:
        """None, as an old broker says it."""


class Lane:
    """The route lane as it computes, with the settings of a release; *state* is what waits in the pairing topic."""

    def __init__(self, release: Release, state: Mapping[int, Mapping[bytes, Any]] | None = None) -> None:
        settings = config.parse(release.config.encode(), {})
        self.sources = [topic for topic in release.ends if settings.table.source_of(topic) is not None]
        partitions = len(release.ends[PAIRING])
        common = {
            "rollup_partitions": len(release.ends[ROLLUP]),
            "dead_letters": DeadLetterSettings(DEAD, settings.outputs.dead_letter.max_raw_bytes),
            "clock_ms": lambda: self.now_ms,
        }
        self.now_ms = max(record.at_ms for topic in self.sources for record in release.topic(topic))
        self.partial_lines = PartialLines()
        self.partial_lines.configure(None, settings.table)
        self._processor = BatchProcessor(
            settings.table,
            cluster=release.cluster,
            pairing_partitions=partitions,
            partial_lines=self.partial_lines,
            **common,
        )
        self._joined = PairFinisher(settings.table, **common)
        self._pending = [PairingBuffer(max_lines=100, max_bytes=1 << 20) for _ in range(partitions)]
        for partition, entries in (state or {}).items():
            self._pending[partition].restore(entries.items())

    def route(self, messages: Iterable[Message]) -> BatchOutput:
        """What becomes of records, and of the lines that meet because of them."""
        output = self._processor.process(list(messages))
        for partition, key, value in output.held_lines:
            line = held_lines.decode(value)
            self._joined.add(self._pending[partition].take(key, line, value, self.now_ms), output)
        return output

    def wait(self, output: BatchOutput) -> None:
        """Let go of lines that wait for a short time only."""
        for pending in self._pending:
            self._joined.add(pending.expire(self.now_ms + BEYOND_ANY_SHORT_WAIT_MS), output)


@pytest.fixture
def state(release) -> dict[int, dict[bytes, Any]]:
    """What waits in the pairing topic, by partition and key, as the changelog tells."""
    found: dict[int, dict[bytes, Any]] = {}
    for record in release.topic(STATE):
        entries = found.setdefault(record.partition, {})
        if record.value is None:
            entries.pop(record.key, None)
        else:
            entries[record.key] = pairs.decode(record.value)
            assert entries[record.key] is not None, record
    return found


def kept(release: Release, topics: Iterable[str]) -> list[Message]:
    """Everything in some topics, one after the other."""
    return [Message(topic, record) for topic in topics for record in release.topic(topic)]


def events_of(found: Iterable[tuple[str, bytes, bytes | None]]) -> Counter[str]:
    """(topic, value, key) as texts that are equal if the events are, however their fields are ordered."""
    return Counter(
        comparable([topic, orjson.loads(without_minor(value)), key and key.decode()]) for topic, value, key in found
    )


def comparable(value: Any) -> str:
    """JSON in one spelling."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def event_topics(release: Release) -> list[str]:
    """The topics of events."""
    table = config.parse(release.config.encode(), {}).table
    return table.event_topics()


def kept_events(release: Release) -> Counter[str]:
    """The events of the release."""
    topics = event_topics(release)
    return events_of((topic, each.value or b"", each.key) for topic in topics for each in release.topic(topic))


def completed_events(release: Release) -> Counter[str]:
    """The events that the rest completed; each names its topic."""
    found = [(orjson.loads(each.value or b"")["meta"]["stream"], each) for each in release.completed()]
    return events_of((topic, each.value or b"", each.key) for topic, each in found)


def test_the_same_lines_become_the_same_events_with_the_same_ids(release):
    """Field by field, to the same topics with the same keys; and a replay is known by its ids."""
    lane = Lane(release)
    output = lane.route(kept(release, lane.sources))
    lane.wait(output)

    assert events_of(output.events) == kept_events(release)
    assert len(output.events) > 50


def test_the_same_lines_become_the_same_dead_letters(release):
    """Same key, headers and text, but for when and by whom."""

    def letter(key: bytes, value: bytes, headers: Iterable[Any]) -> str:
        found = orjson.loads(value)
        del found["emitter_id"], found["meta"]["dt"]
        if "text" in found["raw"]:  # what a later version hides besides is no difference
            found["raw"]["text"] = STRICT.text(found["raw"]["text"])
        names = {name: data.decode() for name, data in headers if name != "logrouter-generation"}
        return comparable([key.decode(), found, names])

    lane = Lane(release)
    output = lane.route(kept(release, lane.sources))

    assert Counter(letter(*each) for each in output.dead_letters) == Counter(
        letter(each.key or b"", each.value or b"", each.headers) for each in release.topic(DEAD)
    )
    assert len({orjson.loads(value)["reason"] for _, value, _ in output.dead_letters}) > 3


def test_the_same_lines_wait_in_the_same_places_of_the_pairing_topic(release):
    """So a line from before and one from after an upgrade meet; and either version reads the other's lines."""
    lane = Lane(release)
    output = lane.route(kept(release, lane.sources))
    before = release.topic(PAIRING)

    assert Counter(
        (p, key, comparable(orjson.loads(without_minor(value)))) for p, key, value in output.held_lines
    ) == Counter((each.partition, each.key, comparable(orjson.loads(each.value or b""))) for each in before)
    assert [each for each in before if held_lines.decode(each.value or b"") is None] == []


def test_the_same_lines_come_to_the_same_sums(release):
    """The partial sums of the release and those of today fold to the same rows, but for what 0.1.0 did not count."""
    lane = Lane(release)
    output = lane.route(kept(release, lane.sources))
    lane.wait(output)

    now = folded(value for _, value in output.rollup)
    for cells in now.rows.values():
        for cell in cells.values():
            cell.parts = None
    assert plain(now) == plain(folded_rollup(release))


def test_what_waits_is_completed_once(release, state):
    """From the text beside the offsets, the pairing changelog, and what came later: the same events, and no others."""
    lane = Lane(release, state)
    begin = {(at.topic, at.partition): at.offset for at in release.committed}
    for at in release.committed:
        if at.topic in lane.sources:
            begin[at.topic, at.partition] = lane.partial_lines.replay((at.topic, at.partition), at.offset, at.metadata)
    again = [m for m in kept(release, lane.sources) if m.record.offset >= begin[m.topic(), m.partition()]]
    rest = [Message(topic, record) for topic, record in release.rest()]
    output = lane.route(lane.partial_lines.screen([*again, *rest], lane.now_ms).kept)

    assert events_of(output.events) == completed_events(release)
    assert (output.dead_letters, len(again)) == ([], sum(map(len, release.pieces.values())))


def test_places_of_pieces_are_read_from_the_text_beside_an_offset(release):
    """Those that the release had read, and nothing where nothing waits."""
    read = {(at.topic, at.partition): list(decode_places(at.metadata)) for at in release.committed}

    assert {place: offsets for place, offsets in read.items() if offsets} == release.pieces


# --- tables


def test_records_of_this_version_and_of_the_release_fold_together(release):
    """While a fleet is upgraded: in any order, by a worker that takes over in between. Every sum is there once."""
    expected = MemoryTables(2)
    stored: dict[bytes, bytes] = {}

    def read(keys: list[bytes]) -> list[bytes | None]:
        return [stored.get(key) for key in keys]

    for partition in range(2):
        values = [each.value or b"" for each in release.topic(ROLLUP) if each.partition == partition]
        mixed = [value for old in values for value in (old, encode_record(decode_record(old)))]
        fold = PartitionFold(read, rows.NOTHING)
        for offset, value in enumerate(mixed):
            expected.fold(decode_record(value))
            fold.add(offset, decode_record(value), KEPT)
            if offset % 5 == 4 or offset == len(mixed) - 1:
                fold.begin_flush()
                while (chunk := fold.take(100, KEPT)) is not None:
                    stored.update(chunk.rows)
                # The next owner folds the last records again: nobody has committed them.
                fold = PartitionFold(read, offset, last=max(offset - 3, rows.NOTHING))
                for again in range(max(offset - 2, 0), offset + 1):
                    fold.add(again, decode_record(mixed[again]), KEPT)
        fold.begin_flush()
        while (chunk := fold.take(100, KEPT)) is not None:
            stored.update(chunk.rows)

    assert plain(tabled(stored.items())) == plain(expected)
    assert sum(cell.count for cell in expected.rows[Tier.LIFE].values()) > 100


def folded(values: Iterable[bytes | None]) -> MemoryTables:
    """The tables that rollup records come to."""
    tables = MemoryTables(2)
    for value in values:
        tables.fold(decode_record(value or b""))
    return tables


def folded_rollup(release: Release) -> MemoryTables:
    """From the rollup topic."""
    return folded(record.value for record in release.topic(ROLLUP))


def recovered(release: Release) -> MemoryTables:
    """From the changelog: the last value of every key."""
    return tabled((record.key, record.value) for record in release.topic(CHANGELOG))


def tabled(found: Iterable[tuple[bytes | None, bytes | None]]) -> MemoryTables:
    """Tables of rows as they are stored."""
    tables = MemoryTables(2)
    for key, value in found:
        if key is not None and value is not None and rows.is_row(key):
            row = rows.parse_key(key)
            tables.rows[row.tier][row.bucket, row.subject] = rows.decode_cell(value)
    return tables


def stored(release: Release, into: Path) -> Iterator[tuple[bytes, bytes]]:
    """Every key and value of the databases of the release."""
    release.unpack_tables(into)
    for path in sorted(into.rglob("*.db")):
        database = open_database(path)
        yield from database.items()
        database.close()


def plain(tables: MemoryTables) -> dict[Tier, dict[tuple[int, str], Any]]:
    """All that is in the rows."""
    return {tier: {place: asdict(cell) for place, cell in tables.rows[tier].items()} for tier in Tier}


async def asked(tables: MemoryTables, paths: Iterable[str], now_ms: int) -> dict[str, Any]:
    """What the table view answers."""
    reader = MemoryReader(tables, mine=frozenset(range(tables.partitions)))
    view = app.build_app(reader, clock=lambda: now_ms, registry=CollectorRegistry(), access=OPEN)
    runner = await server.start(view, "127.0.0.1", 0)
    reader.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    reader.owners = dict.fromkeys(range(tables.partitions), reader.url)
    found = {}
    async with aiohttp.ClientSession() as session:
        for path in paths:
            async with session.get(URL(reader.url + path, encoded=True)) as response:
                found[path] = figures(await response.json())
    await runner.cleanup()
    return found


@pytest.mark.parametrize("origin", ["rollup records", "changelog", "disk"])
def test_the_table_view_answers_as_before(release, tmp_path, origin):
    """From the partial sums, the rows of the changelog, and those in the databases. Answers may have more fields."""
    if origin == "disk":
        tables = tabled(stored(release, tmp_path))
    else:
        tables = recovered(release) if origin == "changelog" else folded_rollup(release)
    before = release.answers()
    now = asyncio.run(asked(tables, before, release.clock_ms))

    assert {path: within(answer, now[path]) for path, answer in before.items()} == before
    assert len(before) > 15


def test_replicas_know_how_far_they_reach(release):
    """The last checkpoint of each partition in the changelog has the last rollup offset and the newest event time."""
    changelog = [each for each in release.topic(CHANGELOG) if each.key == replicas.LAST_CHECKPOINT]
    checkpoints = {each.partition: replicas.decode_checkpoint(each.value) for each in changelog}
    last, newest = {}, {}
    for each in release.topic(ROLLUP):
        last[each.partition] = each.offset
        times = [cell.last_ms for _, cells in decode_record(each.value or b"") for cell in cells]
        newest[each.partition] = max(*times, newest.get(each.partition, 0))

    assert {partition: found.offset for partition, found in checkpoints.items()} == last
    assert {partition: found.newest_ms for partition, found in checkpoints.items()} == newest
