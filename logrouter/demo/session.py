"""`logrouter demo`: a real Kafka, both lanes as processes, a made-up stream, and what becomes of it.

With *once* it feeds a bounded number of lines, waits until every one is through, reads the topics and the table view
back, and compares them with what the generator knows.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson

from logrouter import config
from logrouter.demo import checks as recount
from logrouter.demo import generator, processes, screen
from logrouter.demo.checks import Ledger
from logrouter.demo.processes import Cast, StageError
from logrouter.devkafka.broker import DevKafka, DevKafkaError
from logrouter.kafka.producer import LineProducer
from logrouter.kafka.reader import read_committed
from logrouter.kafka.topics import Wanted, ensure
from logrouter.process.watchdog import Leash
from logrouter.route import process
from logrouter.route.process import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from logrouter.config import Settings
    from logrouter.demo.checks import Check
    from logrouter.demo.screen import Picture, Screen

SOURCE_TOPIC: Final = "rsyslog-notice"
SOURCE_PARTITIONS: Final = 4
CLIENTS: Final = 200
LINES_PER_SECOND: Final = 3_000.0
_SLICE: Final = 20_000
_TICK_SECONDS: Final = 0.1
_LOOK_SECONDS: Final = 0.5
_PLAIN_LOOK_SECONDS: Final = 3.0
_CAUGHT_UP_SECONDS: Final = 60.0


@dataclass(slots=True)
class DemoSession:
    """Everything that a performance needs."""

    settings: Settings
    players: Cast
    feeder: LineProducer
    screen: Screen


def run(*, once: bool = False, lines: int = 20_000, as_json: bool = False, bootstrap: str | None = None) -> int:
    """Perform, and return the exit code: 0, or 1 when something failed or (with *once*) a number is wrong.

    *bootstrap* names a cluster to use instead of the embedded broker. Ctrl-C and SIGTERM end a performance in bounded
    time; then nothing is left of it.
    """
    show = screen.Screen(quiet=as_json)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:  # SIGINT too: a shell starts its background jobs with it ignored
        signal.signal(number, _interrupt)
    try:
        with ExitStack() as exits:
            try:
                stage = _set_up(exits, show, bootstrap)
                return _once(stage, lines, as_json=as_json) if once else _live(stage)
            except KeyboardInterrupt:
                show.print("stopping the lanes and Kafka")
                raise
            finally:
                _ignore(before)  # a second Ctrl-C must not interrupt the cleaning up
    except KeyboardInterrupt:
        return 1 if once else 0
    except (DevKafkaError, ClientError, StageError, config.ConfigError, OSError) as error:
        print(f"logrouter: {error}", file=sys.stderr)  # noqa: T201  a command's output
        return 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _ignore(numbers: Iterable[signal.Signals]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def _set_up(exits: ExitStack, show: Screen, bootstrap: str | None) -> DemoSession:
    folder = Path(tempfile.mkdtemp(prefix="logrouter-demo-"))
    exits.callback(shutil.rmtree, folder, ignore_errors=True)
    leash = exits.enter_context(Leash(folder))
    if bootstrap is None:
        bootstrap = exits.enter_context(DevKafka(progress=show.say)).bootstrap
    settings = config.load(processes.shipped_config(), {})
    settings = replace(settings, kafka={"bootstrap.servers": bootstrap})
    show.say("creating topics")
    ensure(settings.kafka, [Wanted(SOURCE_TOPIC, SOURCE_PARTITIONS)])
    process.ensure_topics(settings)
    players = Cast(folder, bootstrap, leash)
    exits.callback(players.stop)
    players.start()
    players.await_ready(show.say)
    exits.callback(show.end)
    return DemoSession(settings, players, LineProducer(settings.kafka, SOURCE_TOPIC), show)


def _live(stage: DemoSession) -> int:
    """Feed and show until Ctrl-C."""
    players, show = stage.players, stage.screen
    stopping = threading.Event()
    fed = _Count()
    failed: list[BaseException] = []
    thread = threading.Thread(target=_feed_steadily, args=(stage.feeder, fed, stopping, failed), daemon=True)
    thread.start()
    if show.plain:
        for what, where in screen.addresses(players):
            show.say(f"{what} {where}")
    try:
        while True:
            players.check()
            if failed:
                raise failed[0]
            show.show(screen.look(players), fed.value, players, rate=LINES_PER_SECOND)
            time.sleep(_PLAIN_LOOK_SECONDS if show.plain else _LOOK_SECONDS)
    finally:
        stopping.set()
        thread.join(5)


class _Count:
    """A number that one thread raises and another reads."""

    value = 0


def _feed_steadily(feeder: LineProducer, fed: _Count, stopping: threading.Event, failed: list[BaseException]) -> None:
    lines = _endless(int(time.time() * 1000))
    started = time.monotonic()
    try:
        while not stopping.wait(_TICK_SECONDS):
            due = int((time.monotonic() - started) * LINES_PER_SECOND) - fed.value
            fed.value += feeder.feed(islice(lines, due))
    except ClientError as error:
        failed.append(error)


def _endless(start_ms: int) -> Iterator[bytes]:
    interval_ms = 1000 / LINES_PER_SECOND
    found = generator.records(sys.maxsize, start_ms=start_ms, clients=CLIENTS, interval_ms=interval_ms)
    return (line for line, _ in found)


def _once(stage: DemoSession, count: int, *, as_json: bool) -> int:
    """Feed, wait, recount, say how it went."""
    show, players = stage.screen, stage.players
    started = time.monotonic()
    truth = Ledger()
    _feed(stage, count, truth)
    picture = _await_caught_up(stage, count, truth.requests)
    seconds = time.monotonic() - started
    show.say("reading the topics and the table view back")
    outputs = stage.settings.outputs
    published, tables = Ledger(), Ledger()
    for topic in _event_topics(stage.settings):
        for _, record in read_committed(stage.settings.kafka, topic):
            published.add_event(orjson.loads(record.value or b""))
    dead_letters = sum(1 for _ in read_committed(stage.settings.kafka, outputs.dead_letter.topic))
    for client in truth.clients:
        answer = processes.find_json(f"{players.tables_url}/v1/clients/{quote(client, safe='')}")
        if answer is not None:
            tables.add_answer(client, answer["lifetime"])
    found = recount.checks(
        truth,
        published,
        tables,
        fed=count,
        read=picture.read,
        outcomes=picture.outcomes,
        dead_letters=dead_letters,
        listed=(picture.clients, picture.in_tables),
    )
    ok = all(check.ok for check in found)
    if as_json:
        print(orjson.dumps(_document(picture, found, truth, seconds), option=orjson.OPT_INDENT_2).decode())  # noqa: T201  a command's output
    else:
        _print_summary(show, picture, found, seconds)
        wrong = recount.differing_clients(truth, published) or recount.differing_clients(truth, tables)
        if wrong:
            show.print(f"clients that differ: {recount.describe(wrong)}")
    return 0 if ok else 1


def _feed(stage: DemoSession, count: int, truth: Ledger) -> None:
    records = generator.records(count, start_ms=_recent(count), clients=CLIENTS, interval_ms=1.0)
    lines = _told(truth, records)
    for fed in range(0, count, _SLICE):
        stage.screen.say(f"feeding lines, {fed:,} of {count:,}")
        stage.feeder.feed(islice(lines, _SLICE))
    stage.feeder.flush()


def _told(truth: Ledger, records: Iterator[tuple[bytes, generator.Truth | None]]) -> Iterator[bytes]:
    for line, said in records:
        if said is not None:
            truth.add_truth(said)
        yield line


def _recent(count: int) -> int:
    """A start such that the last of *count* lines, a millisecond apart, is from just now."""
    return int(time.time() * 1000) - count


def _event_topics(settings: Settings) -> list[str]:
    return settings.table.event_topics()


def _await_caught_up(stage: DemoSession, lines: int, requests: int) -> Picture:
    """The picture when all lines are through and counted, or the last one before the time is up."""
    deadline = time.monotonic() + _CAUGHT_UP_SECONDS + lines / LINES_PER_SECOND
    while True:
        stage.players.check()
        picture = screen.look(stage.players)
        done = sum(picture.outcomes.values()) >= lines and picture.in_tables >= requests and picture.lag == 0
        stage.screen.show(picture, lines, stage.players)
        if done or time.monotonic() > deadline:
            return picture
        time.sleep(_LOOK_SECONDS)


def _document(picture: Picture, checks: list[Check], truth: Ledger, seconds: float) -> dict[str, Any]:
    return {
        "ok": all(check.ok for check in checks),
        "seconds": round(seconds, 1),
        "read": picture.read,
        "published": picture.published,
        "ignored": dict(picture.ignored),
        "rejected": dict(picture.rejected),
        "clients": len(truth.clients),
        "top": [{"client_id": client, "count": count} for client, count in truth.top(screen.TOP)],
        "checks": [{**check._asdict(), "ok": check.ok} for check in checks],
    }


def _print_summary(show: Screen, picture: Picture, checks: list[Check], seconds: float) -> None:
    show.print("")
    show.print(screen.check_table(checks))
    show.print("")
    show.print(screen.top_table(picture.top))
    show.print("")
    good = sum(check.ok for check in checks)
    rate = picture.read / seconds if seconds else 0.0
    show.print(f"{good} of {len(checks)} checks hold; {picture.read:,} lines in {seconds:.1f} s, {rate:,.0f} lines/s")
