"""Processes of this version go on where those of an earlier release have stopped, on a real broker.

Not covered: events and dead letters of before, which nothing reads back; processes of both versions at one time; and a
release that was killed.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.compat.lanes import Lanes
from tests.compat.release import PREFIX, Release, figures, releases, within, without_minor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.compat.release import Record

pytestmark = [
    pytest.mark.broker,
    pytest.mark.parametrize("release", [Release(path) for path in releases()], ids=lambda r: r.folder.name),
]

ROUTE = f"{PREFIX}-route"
TABLES = f"{PREFIX}-tables"
CHANGELOG = f"{TABLES}-usage-changelog"
ROLLUP = f"{PREFIX}.rollup"
PAIRING = f"{PREFIX}.pairing"


@pytest.fixture
def lanes(release, broker, tmp_path, unique) -> Iterator[Lanes]:
    """The lanes with the settings of the release; topics are there and empty, also those that it did not have."""
    made = Lanes(broker.bootstrap, tmp_path, unique("c"), release.config)
    made.create(
        {made.named(topic): len(ends) for topic, ends in release.ends.items()},
        compacted=[made.named(f"{PAIRING}.state"), made.named(CHANGELOG)],
    )
    made.create_outputs(upgrade=True)
    yield made
    made.close()


def restore(lanes: Lanes, release: Release, topics: Iterable[str]) -> None:
    """Put kept records into topics."""
    for topic in topics:
        lanes.restore(lanes.named(topic), release.topic(topic), release.ends[topic])


def commit(lanes: Lanes, release: Release, group: str, **changes: int) -> None:
    """Commit what a group of the release had committed."""
    mine = [at._replace(topic=lanes.named(at.topic), **changes) for at in release.committed if at.group == group]
    lanes.commit(lanes.named(group), mine)


def comparable(record: Record, name: str) -> tuple[bytes | None, str]:
    """Key and event, without the id, which depends on cluster and topic."""
    event = orjson.loads(without_minor(record.value or b"").replace(name.encode(), PREFIX.encode()))
    del event["meta"]["id"]
    return record.key, orjson.dumps(event, option=orjson.OPT_SORT_KEYS).decode()


def test_what_waits_is_completed_once_by_the_route_lane(release, lanes):
    """Pieces are found by the text beside the offset, lines of requests by the changelog; nothing is routed twice."""
    sources = sorted({at.topic for at in release.committed if at.group == ROUTE} - {PAIRING})
    restore(lanes, release, [*sources, PAIRING, f"{PAIRING}.state"])
    commit(lanes, release, ROUTE)
    for topic, record in release.rest():
        lanes.write(lanes.named(topic), [record])
    expected = Counter(comparable(record, PREFIX) for record in release.completed())
    topics = {lanes.named(orjson.loads(each.value or b"")["meta"]["stream"]) for each in release.completed()}
    route = lanes.route()

    def found() -> Counter[tuple[bytes | None, str]]:
        return Counter(comparable(record, lanes.name) for topic in topics for record in lanes.read(topic))

    lanes.until(lambda: lanes.done("route", *map(lanes.named, sources)), "all is routed")
    lanes.until(lambda: lanes.done("route", lanes.named(PAIRING), transactions=True), "all lines have met that can")
    lanes.until(lambda: found().total() >= expected.total(), "all is completed")
    assert route.stop() == 0
    assert found() == expected
    assert lanes.read(lanes.named(f"{PREFIX}.dead-letter")) == []


@pytest.mark.long
def test_tables_of_the_release_are_served(release, lanes, tmp_path):
    """First by a worker that has nothing but the changelog; then from the disk, while all records are folded again."""
    restore(lanes, release, [ROLLUP, CHANGELOG])
    commit(lanes, release, TABLES)
    before = release.answers()

    def answers() -> dict[str, object]:
        return {path: within(answer, figures(lanes.get(path)[1])) for path, answer in before.items()}

    worker = lanes.tables(tmp_path / "empty", release.clock_ms)
    lanes.until(lambda: lanes.get("/readyz")[0] == 200, "the changelog is read")
    recovered = answers()
    assert worker.stop() == 0

    release.unpack_tables(tmp_path / "kept")
    commit(lanes, release, TABLES, offset=0)
    worker = lanes.tables(tmp_path / "kept", release.clock_ms)
    lanes.until(lambda: lanes.get("/readyz")[0] == 200, "the databases are open")
    opened = answers()
    lanes.until(lambda: lanes.done("tables", lanes.named(ROLLUP), transactions=True), "all records are folded again")
    folded = answers()
    assert worker.stop() == 0

    assert recovered == before
    assert opened == before
    assert folded == before
