"""A fleet of an earlier release is upgraded in the documented order, and taken back, while requests come."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from logrouter.commands.exit_codes import EXIT_DRIFT
from logrouter.devkafka.ports import claim_port
from logrouter.kafka.reader import read_committed
from logrouter.tables import notes
from tests.compat.release import releases
from tests.conftest import HANG_SECONDS, wait_until
from tests.integration.fleet import get_json
from tests.integration.stack import Process, Stack, request_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = [pytest.mark.broker, pytest.mark.long]

ROOT = Path(__file__).parents[2]
NEW = ("-m", "logrouter")
CLIENTS = 20


def code_of(version: str, folder: Path) -> Path:
    """The program of a release as git has it, by the commit that the changelog names."""
    text = (ROOT / "CHANGELOG.md").read_text()
    found = re.search(rf"^## \[{re.escape(version)}\].*?^The commit `(\w+)`", text, re.MULTILINE | re.DOTALL)
    assert found, f"CHANGELOG.md names no commit for {version}"
    done = subprocess.run(["git", "archive", found[1], "logrouter"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"the commit of {version} is not in this clone: {done.stderr.decode()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


class Fleet(Stack):
    """Two route processes and two tables workers with standbys; what is started is of version *program*."""

    def __init__(self, old: Path, bootstrap: str, folder: Path, name: str) -> None:
        start = f"import sys; sys.path.insert(0, {str(old)!r}); from logrouter.cli import cli; cli()"
        self.old: tuple[str, ...] = ("-c", start)
        self.program: tuple[str, ...] = self.old
        self.fed = Counter[str]()
        self.ports = [claim_port(), claim_port()]
        super().__init__(bootstrap, folder, name, standby_replicas=1)
        self.workers = [self.tables(number, port) for number, port in enumerate(self.ports)]
        self.routers = [self.route(f"{name}-route-{number}") for number in range(2)]

    def start(self, *arguments: str, program: Sequence[str] = ()) -> Process:
        return super().start(*arguments, program=program or self.program)

    def command(self, *arguments: str, code: int = 0) -> str:
        done = self.start(*arguments)
        assert done.wait() == code, done.text()
        return done.text()

    def feed_more(self) -> None:
        """Requests that are on their way when this returns."""
        first = self.fed.total()
        names = [f"client{number % CLIENTS}" for number in range(first, first + 1000)]
        self.feed(request_line(first + number, name) for number, name in enumerate(names))
        self.fed.update(names)

    def ready(self) -> bool:
        """Whether both workers answer."""
        ended = [each.log.name for each in self.workers + self.routers if each.popen.poll() is not None]
        assert not ended, f"{ended} ended"
        return all(get_json(port, "/readyz")[0] == 200 for port in self.ports)

    def restart_tables(self, number: int, *, wipe: bool = False) -> None:
        """Stop a worker amid requests, start one of *program* on its data or on none, and wait until all are ready."""
        self.feed_more()
        assert self.workers[number].stop() == 0
        if wipe:
            shutil.rmtree(self.folder / f"tables-{number}")
        self.workers[number] = self.tables(number, self.ports[number])
        wait_until(self.ready, "both workers are ready")

    def restart_route(self, number: int) -> None:
        """Stop a route process amid requests, and start one of *program*."""
        self.feed_more()
        assert self.routers[number].stop() == 0
        self.routers[number] = self.route(f"{self.name}-route-{number}")

    def counts(self, port: int) -> dict[str, int]:
        """Requests by client, by the tables."""
        status, body = get_json(port, f"/v1/clients?window=life&limit={CLIENTS}")
        assert status != 200 or "partial" not in body, body
        return {each["client_id"]: each["count"] for each in body["clients"]} if status == 200 else {}

    def wait_exact(self) -> None:
        """Return when every request is counted once; each is in the topic of events once then."""
        for port in self.ports:
            wait_until(lambda port=port: self.counts(port) == dict(self.fed), "every request is counted once")
        assert self.numbers() == Counter(range(self.fed.total()))

    def noted(self) -> bool:
        """Whether the changelog holds what the release knows nothing of."""
        topic = f"{self.name}-tables-usage-changelog"
        return any(key == notes.ORIGIN for key, _ in read_committed(self.kafka, topic))


@pytest.fixture(params=[path.name for path in releases()])
def fleet(request: Any, broker: Any, tmp_path: Path, unique: Any) -> Iterator[Fleet]:
    """The fleet of a release, ready."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    made = Fleet(code_of(request.param, tmp_path / "code"), broker.bootstrap, folder, unique("u"))
    try:
        wait_until(made.ready, "the release is ready")
        yield made
    finally:
        made.close()


def test_fleet_is_upgraded_and_taken_back_without_losing_or_doubling_a_request(fleet):
    """Tables first, one after the other; amid that an old worker on an empty disk reads what a new one has written."""
    fleet.feed_more()
    fleet.wait_exact()

    fleet.program = NEW
    fleet.command("topics", code=EXIT_DRIFT)
    alter(fleet, {"retention.bytes": "-1", "message.timestamp.type": "LogAppendTime"})
    fleet.command("topics")
    fleet.restart_tables(0)
    fleet.feed_more()
    wait_until(fleet.noted, "a new worker has written notes")
    fleet.program = fleet.old
    fleet.restart_tables(1, wipe=True)
    fleet.wait_exact()
    fleet.program = NEW
    fleet.restart_tables(1)
    for number in range(2):
        fleet.restart_route(number)
    fleet.wait_exact()

    fleet.program = fleet.old
    for number in range(2):
        fleet.restart_route(number)
    fleet.wait_exact()
    for number in range(2):
        fleet.restart_tables(number)
    fleet.wait_exact()

    fleet.program = NEW
    for number in range(2):
        fleet.restart_tables(number)
    for number in range(2):
        fleet.restart_route(number)
    fleet.wait_exact()


def alter(fleet: Fleet, settings: dict[str, str]) -> None:
    """What the changelog says of the rollup topic's settings."""
    entries = [ConfigEntry(name, text, incremental_operation=AlterConfigOpType.SET) for name, text in settings.items()]
    resource = ConfigResource(ResourceType.TOPIC, fleet.rollup, incremental_configs=entries)
    admin = AdminClient(fleet.kafka)
    admin.incremental_alter_configs([resource])[resource].result(HANG_SECONDS)
