"""Changes of registrations on a Kafka in memory: what is stored, however commits end and whoever interferes."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
from msgspec.structs import replace

from logrouter.core.drains.directory import Directory
from logrouter.core.drains.owner import Owner, OwnerKind
from logrouter.core.drains.registration import Registration
from logrouter.drains import registry as module
from logrouter.drains.registry import CHANGE_HEADER, Registry, RegistrySettings
from logrouter.drains.registry_errors import DrainLimitError, RegistryUnavailableError
from logrouter.kafka.connection import BrokerState
from logrouter.kafka.errors import ClientError
from logrouter.process.daemon_threads import run_to_result
from tests.conftest import HANG_SECONDS
from tests.fake_kafka.clients import End, FakeProducer
from tests.fake_kafka.cluster import FakeCluster

SHOP, BASKET = Owner(OwnerKind.APP, "shop"), Owner(OwnerKind.APP, "basket")
AT = ("drains", 0)


def a_drain(drain_id: str, url: str = "syslog://h:1", owner: Owner = SHOP) -> Registration:
    """One of which nothing else matters."""
    return Registration(id=drain_id, token="t", owner=owner, url=url, created_ms=1, updated_ms=1)  # noqa: S106


class ReadingFollower:
    """Reads the whole topic whenever it is asked, unless it is deaf."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.is_deaf = False
        self.state = Directory()
        self.why_waiting = ""

    def fetch_ends(self, _seconds: float) -> dict[int, int]:
        if self.is_deaf:
            raise ClientError("no answer")
        return {0: len(self._cluster.logs[AT])}

    def await_read(self, ends, _seconds: float) -> bool:
        self._read()
        return self._cluster.stable_end(AT) >= ends[0]

    def await_state(self, is_wanted, _seconds: float) -> bool:
        self._read()
        return is_wanted(self.state)

    def _read(self) -> None:
        state = Directory()
        for _offset, record in self._cluster.read(AT, 0, 10_000):
            state = state.apply(record.key, record.value, dict(record.headers)[CHANGE_HEADER])
        self.state = state


class World:
    """Registries of several processes on one cluster."""

    def __init__(self, monkeypatch) -> None:
        self.cluster = FakeCluster({"drains": 1})
        self.producers: list[FakeProducer] = []
        self.registries: list[Registry] = []
        monkeypatch.setattr(module, "open_producer", self._open)
        monkeypatch.setattr(module, "_LONGEST_PAUSE", 0)

    def _open(self, _kafka, *, transactional_id, **_options) -> FakeProducer:
        self.producers.append(FakeProducer(self.cluster, transactional_id))
        return self.producers[-1]

    def registry(self, most: int = 2, seconds: float = HANG_SECONDS) -> Registry:
        """That of one more process; a change waits for so long."""
        settings = RegistrySettings({}, "drains", "g", most, decide_seconds=seconds, learn_seconds=seconds)
        made = Registry(settings, ReadingFollower(self.cluster), BrokerState())
        self.registries.append(made)
        return made

    def stored(self) -> list[str]:
        """The ids of all records that are committed, the deleted ones with a minus."""
        return [
            f"{'-' if record.value is None else ''}{record.key.decode()}"
            for _offset, record in self.cluster.read(AT, 0, 10_000)
        ]


@pytest.fixture
def world(monkeypatch):
    """A cluster without drains."""
    made = World(monkeypatch)
    yield made
    for each in made.registries:
        each.close()


def test_a_drain_is_added_once_for_an_owner_and_url(world):
    """By whichever process; another owner, or another URL, is another drain."""
    one, other = world.registry(), world.registry()

    assert run_to_result(one.add(a_drain("a"))) == a_drain("a")
    assert run_to_result(other.add(a_drain("b"))) == a_drain("a")
    assert run_to_result(one.add(a_drain("c", owner=BASKET))) == a_drain("c", owner=BASKET)
    assert run_to_result(other.add(a_drain("d", "syslog://h:2"))) == a_drain("d", "syslog://h:2")
    assert (world.stored(), other.drains_of(SHOP)) == (["a", "c", "d"], (a_drain("a"), a_drain("d", "syslog://h:2")))
    assert world.producers[0] is not world.producers[1]


def test_an_owner_has_no_more_drains_than_the_limit(world):
    """Until one is removed."""
    one, other = world.registry(most=1), world.registry(most=1)
    run_to_result(one.add(a_drain("a")))

    with pytest.raises(DrainLimitError, match="1 drains"):
        run_to_result(other.add(a_drain("b", "syslog://h:2")))
    assert run_to_result(other.remove(SHOP, "a")) is True
    assert run_to_result(one.add(a_drain("b", "syslog://h:2"))).id == "b"
    assert world.stored() == ["a", "-a", "b"]


def test_only_its_owner_removes_a_drain(world):
    """An owner that differs in the pair alone is another one."""
    registry = world.registry()
    run_to_result(registry.add(a_drain("a")))

    assert run_to_result(registry.remove(BASKET, "a")) is False
    assert run_to_result(registry.remove(SHOP, "b")) is False
    assert registry.drain("a") == a_drain("a")
    assert run_to_result(registry.remove(SHOP, "a")) is True
    assert (registry.drain("a"), registry.drains_of(SHOP)) == (None, ())


@pytest.mark.parametrize(
    "ends",
    [
        [End.LOST_ANSWER],
        [End.REFUSED],
        [End.PRODUCE_REFUSED],
        [End.STOPPED],
        [End.REFUSED, End.LOST_ANSWER],
        [End.LOST_ANSWER, End.LOST_ANSWER],
    ],
)
def test_a_change_is_made_once_however_its_commit_ends(world, ends):
    """Where the answer is lost, the topic says whether it has come through."""
    registry = world.registry()
    run_to_result(registry.add(a_drain("a")))
    for made, change in [
        (a_drain("b", "syslog://h:2"), lambda: registry.add(a_drain("b", "syslog://h:2"))),
        (
            replace(a_drain("a"), reason="x"),
            lambda: registry.change("a", lambda old: replace(old, reason=old.reason + "x")),
        ),
        (True, lambda: registry.remove(SHOP, "a")),
    ]:
        world.producers[0].ends = [*ends]
        assert run_to_result(change()) == made

    assert world.stored() == ["a", "b", "a", "-a"]


def interfering(*changes):
    """A function that makes these changes, of another process, when it is called for the first time."""
    left = [*changes]

    def interfere(*_args):
        while left:
            run_to_result(left.pop(0)())

    return interfere


def test_what_another_process_has_committed_meanwhile_counts(world):
    """Between the decision and the commit: the commit is refused, and it is decided anew."""
    one, other = world.registry(), world.registry()

    same = interfering(lambda: other.add(a_drain("b")))
    assert run_to_result(one.add(a_drain("a"), same)).id == "b"
    full = interfering(lambda: other.add(a_drain("c", "syslog://h:3")))
    with pytest.raises(DrainLimitError):
        run_to_result(one.add(a_drain("d", "syslog://h:4"), full))
    assert world.stored() == ["b", "c"]


@pytest.mark.parametrize("reason", ["x", "y"])
def test_edits_of_two_processes_are_both_kept(world, reason):
    """Also if they make the same of the drain: each must know which record is its own."""
    one, other = world.registry(), world.registry()
    run_to_result(one.add(a_drain("a")))
    first = interfering(lambda: other.change("a", lambda old: replace(old, reason=old.reason + reason)))

    def edit(old: Registration) -> Registration:
        first()
        return replace(old, reason=old.reason + "x")

    assert run_to_result(one.change("a", edit)).reason == reason + "x"
    assert other.drain("a").reason == reason, "as it was when it last read"
    assert world.stored() == ["a"] * 3


def test_an_edit_that_changes_nothing_writes_nothing(world):
    """Nor one that declines, or that fails; and it can't move a drain."""
    registry = world.registry()
    run_to_result(registry.add(a_drain("a")))

    assert run_to_result(registry.change("a", lambda old: old)) == a_drain("a")
    assert run_to_result(registry.change("a", lambda _old: None)) is None
    assert run_to_result(registry.change("b", lambda old: replace(old, reason="x"))) is None
    with pytest.raises(ZeroDivisionError):
        run_to_result(registry.change("a", lambda _old: 1 // 0))
    for moved in ({"id": "b"}, {"owner": BASKET}, {"url": "syslog://h:2"}):
        with pytest.raises(ValueError, match="keeps its id"):
            run_to_result(registry.change("a", lambda old, moved=moved: replace(old, **moved)))
    assert world.stored() == ["a"]


def test_a_check_sees_what_is_there_and_may_refuse(world):
    """As where another app has taken a name that means two now."""
    registry, seen = world.registry(), []
    run_to_result(registry.add(a_drain("a")))

    def refuse(directory: Directory) -> None:
        seen.extend(directory.drains_of(SHOP))
        raise LookupError

    with pytest.raises(LookupError):
        run_to_result(registry.add(a_drain("b", "syslog://h:2"), refuse))
    assert (seen, world.stored()) == ([a_drain("a")], ["a"])


def test_without_an_answer_of_the_cluster_nothing_is_stored(world):
    """And what is known can still be read."""
    registry = world.registry(seconds=0.2)
    run_to_result(registry.add(a_drain("a")))
    registry._follower.is_deaf = True
    with pytest.raises(RegistryUnavailableError) as caught:
        run_to_result(registry.add(a_drain("b", "syslog://h:2")))

    assert (caught.value.may_be_stored, registry.drains_of(SHOP)) == (False, (a_drain("a"),))
    registry._follower.is_deaf = False
    assert run_to_result(registry.add(a_drain("c", "syslog://h:3"))).id == "c"
    assert world.stored() == ["a", "c"]


def test_whether_it_is_stored_is_said_to_be_unknown(world):
    """If the commit was asked for, and the cluster is away when it could be looked up."""
    registry = world.registry(seconds=0.2)
    run_to_result(registry.add(a_drain("a")))
    world.producers[0].ends = [End.LOST_ANSWER]
    world.cluster.before_commit = lambda _transaction: setattr(registry._follower, "is_deaf", True)
    with pytest.raises(RegistryUnavailableError) as caught:
        run_to_result(registry.add(a_drain("b", "syslog://h:2")))

    assert caught.value.may_be_stored
    registry._follower.is_deaf = False
    assert run_to_result(registry.add(a_drain("c", "syslog://h:2"))).id == "b", "who asks again gets it"


def test_changes_that_wait_are_bounded_and_forgotten_with_their_callers(world, monkeypatch):
    """A caller that has gone away, or has been refused, finds nothing changed."""
    monkeypatch.setattr(module, "_MOST_WAITING", 2)
    registry, entered, go_on = world.registry(most=9), threading.Event(), threading.Event()

    def block(_directory: Directory) -> None:
        entered.set()
        assert go_on.wait(HANG_SECONDS)

    async def ask() -> list[str]:
        first = asyncio.create_task(registry.add(a_drain("a"), block))
        assert await asyncio.to_thread(entered.wait, HANG_SECONDS)
        gone, kept = (
            asyncio.create_task(registry.add(a_drain(each, f"syslog://h:{each}"))) for each in ("gone", "kept")
        )
        await asyncio.sleep(0)
        with pytest.raises(RegistryUnavailableError, match="too many"):
            await registry.add(a_drain("refused", "syslog://h:9"))
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone
        go_on.set()
        return [(await each).id for each in (first, kept)]

    assert run_to_result(ask()) == ["a", "kept"]
    assert run_to_result(registry.add(a_drain("b", "syslog://h:8"))).id == "b", "there is room again"
    assert world.stored() == ["a", "kept", "b"]


def test_a_closed_registry_takes_no_changes(world):
    """It can be read."""
    registry = world.registry()
    run_to_result(registry.add(a_drain("a")))
    registry.close()

    with pytest.raises(RegistryUnavailableError):
        run_to_result(registry.remove(SHOP, "a"))
    assert registry.drain("a") == a_drain("a")


def test_a_change_that_waits_while_its_registry_is_closed_is_not_made(world):
    """Its caller hears of it; one that is being made is ended."""
    registry, entered, go_on = world.registry(), threading.Event(), threading.Event()

    def block(_directory: Directory) -> None:
        entered.set()
        assert go_on.wait(HANG_SECONDS)

    async def ask() -> list[object]:
        first = asyncio.create_task(registry.add(a_drain("a"), block))
        assert await asyncio.to_thread(entered.wait, HANG_SECONDS)
        second = asyncio.create_task(registry.add(a_drain("b", "syslog://h:2")))
        await asyncio.sleep(0)
        registry.close()
        go_on.set()
        return await asyncio.gather(first, second, return_exceptions=True)

    first, second = run_to_result(ask())
    assert first == a_drain("a")
    assert isinstance(second, RegistryUnavailableError)
    assert not second.may_be_stored
    assert world.stored() == ["a"]
