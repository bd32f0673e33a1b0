"""What every test may ask for: a real broker, names of its own, and waiting without guessing how long."""

from __future__ import annotations

import logging
import os
import random
import time
import uuid
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import hypothesis
import pytest

from logrouter.devkafka.broker import DevKafka
from tests import one_broker

# Assertions of what tests share say their values, too, as those of the tests themselves do.
pytest.register_assert_rewrite(*(f"tests.{each.name}" for each in Path(__file__).parent.iterdir() if each.is_dir()))

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

Answer = TypeVar("Answer")

THOROUGH = os.environ.get("LOGROUTER_TEST_PROFILE") == "thorough"
"""Whether property tests look at all their examples, as `make test-long` does, instead of a quarter of them."""


def examples(count: int) -> int:
    """How many examples a property test looks at that has *count* of them in a thorough run."""
    return count if THOROUGH else count // 4


# Property tests look at new examples on every developer's run; in CI they are the same each time, so that a change
# fails for what it changed. Examples take as long as a busy machine makes them take.
hypothesis.settings.register_profile("developer", deadline=None, max_examples=examples(100))
hypothesis.settings.register_profile("ci", deadline=None, max_examples=examples(100), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "developer")

BROKER_ENV = "LOGROUTER_TEST_BROKER"
HANG_SECONDS = 120.0
"""How long a test waits for what must happen: so long that on a busy machine only what hangs takes longer."""


class Broker(NamedTuple):
    """Where the tests' Kafka is."""

    bootstrap: str


# Brokers live for minutes here, too short for Java's optimizing compiler to pay off.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")


ONE_BROKER = pytest.StashKey[one_broker.OneBroker]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker learns where to ask for the broker that all of them share."""
    stash = node.config.stash
    if ONE_BROKER not in stash:
        stash[ONE_BROKER] = one_broker.OneBroker()
        node.config.add_cleanup(stash[ONE_BROKER].close)
    node.workerinput["one_broker"] = stash[ONE_BROKER].place


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> Iterator[Broker]:
    """One real Kafka for the whole run: the one that LOGROUTER_TEST_BROKER names, else an embedded one."""
    named = os.environ.get(BROKER_ENV)
    if named:
        yield Broker(named)
        return
    if hasattr(pytestconfig, "workerinput"):
        yield Broker(one_broker.ask(pytestconfig.workerinput["one_broker"]))
        return
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def progress(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n[broker] {line}", end="", flush=True)  # noqa: T201  a first download takes a while

    with DevKafka(progress=progress) as kafka:
        yield Broker(kafka.bootstrap)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait for a broker come first, the longest before others: those which only compute fill the pauses.

    With several workers each begins with its share of them: `--dist worksteal` first gives each a stretch of the list,
    so that one worker would have them all, and the others get the last of them one by one at the end. `make test-long`
    deals them out in their order.
    """
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in ("broker", "slow")])
    if THOROUGH:
        return
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    waiting = sum(item.get_closest_marker("broker") is not None for item in items)
    shares, rest = _deal(items[:waiting], workers), iter(items[waiting:])
    ordered: list[pytest.Item] = []
    for worker, mine in enumerate(shares):
        stretch = (len(items) - len(ordered)) // (workers - worker)
        ordered += [*mine, *islice(rest, max(stretch - len(mine), 0))]
    items[:] = [*ordered, *rest]


def _deal(items: list[pytest.Item], workers: int) -> list[list[pytest.Item]]:
    """As many to each worker; those of one group, which share a server that takes seconds to start, to one of them."""
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        share = min(shares, key=len)
        marker = item.get_closest_marker("xdist_group")
        if marker is not None:
            share = groups.setdefault(marker.args[0], share)
        share.append(item)
    return shares


@pytest.fixture(autouse=True)
def _same_log_level() -> Iterator[None]:
    """A test in which a command sets the level of our log leaves it to the next as it was."""
    logger = logging.getLogger("logrouter")
    before = logger.level
    yield
    logger.setLevel(before)


@pytest.fixture
def seed() -> int:
    """A new one for every run; pytest shows it for a failed test, and LOGROUTER_TEST_SEED gives it again."""
    chosen = int(os.environ.get("LOGROUTER_TEST_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"seed {chosen}: LOGROUTER_TEST_SEED={chosen}")  # noqa: T201 - for whoever has to repeat it
    return chosen


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Make a name that no other test uses: `unique("group")`."""
    return lambda name: f"{name}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def topics(broker: Broker, unique: Callable[[str], str]) -> Iterator[Callable[..., str]]:
    """Make a topic with a unique name, `topics("source", partitions=3, config={...})`; deleted after the test."""
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    made: list[str] = []

    def create(name: str, partitions: int = 1, config: dict[str, str] | None = None) -> str:
        topic = unique(name)
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=config or {})
        admin.create_topics([new])[topic].result(HANG_SECONDS)
        made.append(topic)
        return topic

    yield create
    for future in admin.delete_topics(made).values() if made else ():
        future.exception(HANG_SECONDS)  # a topic that the test deleted itself is fine


def wait_until(predicate: Callable[[], Answer], message: str = "condition") -> Answer:
    """Poll *predicate* until it gives something true, and return that; fail after `HANG_SECONDS`."""
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"not within {HANG_SECONDS:g} s: {message} (last answer: {answer!r})")
        time.sleep(0.05)


@pytest.fixture
def eventually() -> Callable[..., Answer]:
    """Wait for a condition: `eventually(lambda: consumer.lag() == 0, "caught up")`."""
    return wait_until


_LOG_LINES: Final = 60


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what processes of a failed test have logged: nobody has its folder where tests run unattended."""
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and folder is not None:
        for path in sorted(folder.rglob("*.log")):
            lines = [line for line in path.read_text(errors="replace").splitlines() if "|rdkafka#" not in line]
            report.sections.append((f"end of {path.relative_to(folder)}", "\n".join(lines[-_LOG_LINES:])))
    return report
