"""`logrouter demo`: a real Kafka broker, all lanes as processes, a sink, and a generated stream of log lines.

With *once* it feeds a bounded number of lines, waits until all are processed, reads the topics, the table view and the
sink's target back, and compares them with what the generator knows.
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
from logrouter.commands.terminal import console, print_json
from logrouter.demo import generator
from logrouter.demo.checks import RequestCounts, compare_counts, differing_clients, shorten_names
from logrouter.demo.processes import DemoError, LaneProcesses, find_json
from logrouter.demo.screen import TOP, Screen, addresses, check_table, take_snapshot, top_table
from logrouter.demo.sink_target import start_opensearch, start_receiver, write_config
from logrouter.devjava.jars import DevServerError
from logrouter.devkafka.broker import DevKafka, hangup
from logrouter.kafka.producer import LineProducer
from logrouter.kafka.reader import read_committed
from logrouter.kafka.topics import WantedTopic, create_missing
from logrouter.process.watchdog import Watchdog
from logrouter.route import process
from logrouter.route.process import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from logrouter.config import Settings
    from logrouter.demo.checks import Check
    from logrouter.demo.screen import Snapshot
    from logrouter.demo.sink_target import SinkTarget

SOURCE_TOPIC: Final = "rsyslog-notice"
SOURCE_PARTITIONS: Final = 4
CLIENTS: Final = 200
LINES_PER_SECOND: Final = 3_000.0
_SLICE: Final = 20_000
_TICK_SECONDS: Final = 0.1
_REFRESH_SECONDS: Final = 0.5
_PLAIN_REFRESH_SECONDS: Final = 3.0
_CAUGHT_UP_SECONDS: Final = 60.0


@dataclass(slots=True)
class DemoSession:
    """What a run of the demo works with, made by `_set_up`; closing is on its `ExitStack`."""

    settings: Settings
    lanes: LaneProcesses
    target: SinkTarget
    feeder: LineProducer
    screen: Screen


def run(
    *,
    once: bool = False,
    lines: int = 20_000,
    as_json: bool = False,
    opensearch: bool = False,
    bootstrap: str | None = None,
) -> int:
    """Run the demo; the exit code is 0, or 1 when something failed or (with *once*) a number is wrong.

    With *opensearch* events are delivered to an embedded OpenSearch in the place of a receiver of webhooks. *bootstrap*
    names a cluster to use instead of the embedded broker. Ctrl-C, SIGTERM and SIGHUP end the demo in
    bounded time, and no process or file of it is left.
    """
    screen = Screen(quiet=as_json)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, *hangup())}
    for number in before:  # SIGINT too: a shell starts its background jobs with it ignored
        signal.signal(number, _interrupt)
    try:
        with ExitStack() as exits:
            try:
                session = _set_up(exits, screen, bootstrap, opensearch=opensearch)
                return _run_once(session, lines, as_json=as_json) if once else _run_live(session)
            except KeyboardInterrupt:
                screen.print("stopping the lanes and Kafka")
                raise
            finally:
                _ignore_signals(before)  # a second Ctrl-C must not interrupt the cleaning up
    except KeyboardInterrupt:
        return 1 if once else 0
    except (DevServerError, ClientError, DemoError, config.ConfigError, OSError) as error:
        console(stderr=True).print(f"logrouter: {error}", soft_wrap=True)
        return 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _ignore_signals(numbers: Iterable[signal.Signals]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def _set_up(exits: ExitStack, screen: Screen, bootstrap: str | None, *, opensearch: bool) -> DemoSession:
    folder = Path(tempfile.mkdtemp(prefix="logrouter-demo-"))
    exits.callback(shutil.rmtree, folder, ignore_errors=True)
    watchdog = exits.enter_context(Watchdog(folder))
    if bootstrap is None:
        bootstrap = exits.enter_context(DevKafka(progress=screen.say)).bootstrap
    target = start_opensearch(exits, screen.say) if opensearch else start_receiver(exits)
    demo_config = write_config(folder, target)
    settings = config.load(demo_config.file, target.environment)
    settings = replace(settings, kafka={"bootstrap.servers": bootstrap})
    screen.say("creating topics")
    create_missing(settings.kafka, [WantedTopic(SOURCE_TOPIC, SOURCE_PARTITIONS)])
    process.ensure_topics(settings)
    lanes = LaneProcesses(folder, bootstrap, watchdog, demo_config)
    exits.callback(lanes.stop)
    lanes.start()
    lanes.await_ready(screen.say)
    exits.callback(screen.end)
    return DemoSession(settings, lanes, target, LineProducer(settings.kafka, SOURCE_TOPIC), screen)


def _run_live(session: DemoSession) -> int:
    """Feed and show until Ctrl-C."""
    lanes, screen = session.lanes, session.screen
    stopping = threading.Event()
    fed = _Count()
    failed: list[BaseException] = []
    thread = threading.Thread(target=_feed_steadily, args=(session.feeder, fed, stopping, failed), daemon=True)
    thread.start()
    if screen.plain:
        for what, where in addresses(lanes):
            screen.say(f"{what} {where}")
    try:
        while True:
            lanes.check()
            if failed:
                raise failed[0]
            screen.show(take_snapshot(lanes), fed.value, lanes, rate=LINES_PER_SECOND)
            time.sleep(_PLAIN_REFRESH_SECONDS if screen.plain else _REFRESH_SECONDS)
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


def _run_once(session: DemoSession, count: int, *, as_json: bool) -> int:
    """Feed *count* lines, wait for them, compare, print the result; the exit code."""
    screen, lanes = session.screen, session.lanes
    started = time.monotonic()
    truth = RequestCounts()
    _feed(session, count, truth)
    snapshot = _await_caught_up(session, count, truth.requests)
    seconds = time.monotonic() - started
    screen.say("reading the topics and the table view back")
    outputs = session.settings.outputs
    published, tables = RequestCounts(), RequestCounts()
    for topic in _event_topics(session.settings):
        for _, record in read_committed(session.settings.kafka, topic):
            published.add_event(orjson.loads(record.value or b""))
    dead_letters = sum(1 for _ in read_committed(session.settings.kafka, outputs.dead_letter.topic))
    for client in truth.clients:
        answer = find_json(f"{lanes.tables_url}/v1/clients/{quote(client, safe='')}")
        if answer is not None:
            tables.add_answer(client, answer["lifetime"])
    found = compare_counts(
        truth,
        published,
        tables,
        fed=count,
        read=snapshot.read,
        outcomes=snapshot.outcomes,
        dead_letters=dead_letters,
        listed=(snapshot.clients, snapshot.in_tables),
        in_sink=session.target.count_held(),
    )
    ok = all(check.ok for check in found)
    if as_json:
        print_json(_document(snapshot, found, truth, seconds), indent=True)
    else:
        _print_summary(screen, snapshot, found, seconds)
        wrong = differing_clients(truth, published) or differing_clients(truth, tables)
        if wrong:
            screen.print(f"clients that differ: {shorten_names(wrong)}")
    return 0 if ok else 1


def _feed(session: DemoSession, count: int, truth: RequestCounts) -> None:
    records = generator.records(count, start_ms=_recent(count), clients=CLIENTS, interval_ms=1.0)
    lines = _record_truth(truth, records)
    for fed in range(0, count, _SLICE):
        session.screen.say(f"feeding lines, {fed:,} of {count:,}")
        session.feeder.feed(islice(lines, _SLICE))
    session.feeder.flush()


def _record_truth(truth: RequestCounts, records: Iterator[tuple[bytes, generator.Truth | None]]) -> Iterator[bytes]:
    for line, request in records:
        if request is not None:
            truth.add_truth(request)
        yield line


def _recent(count: int) -> int:
    """A start such that the last of *count* lines, a millisecond apart, is from just now."""
    return int(time.time() * 1000) - count


def _event_topics(settings: Settings) -> list[str]:
    return settings.table.event_topics()


def _await_caught_up(session: DemoSession, lines: int, requests: int) -> Snapshot:
    """The snapshot when all lines are processed and counted, or the last one before the time is up."""
    deadline = time.monotonic() + _CAUGHT_UP_SECONDS + lines / LINES_PER_SECOND
    while True:
        session.lanes.check()
        snapshot = take_snapshot(session.lanes)
        done = sum(snapshot.outcomes.values()) >= lines and snapshot.in_tables >= requests and snapshot.lag == 0
        done = done and snapshot.delivered + snapshot.refused >= requests
        session.screen.show(snapshot, lines, session.lanes)
        if done or time.monotonic() > deadline:
            return snapshot
        time.sleep(_REFRESH_SECONDS)


def _document(snapshot: Snapshot, checks: list[Check], truth: RequestCounts, seconds: float) -> dict[str, Any]:
    return {
        "ok": all(check.ok for check in checks),
        "seconds": round(seconds, 1),
        "read": snapshot.read,
        "published": snapshot.published,
        "delivered": snapshot.delivered,
        "ignored": dict(snapshot.ignored),
        "rejected": dict(snapshot.rejected),
        "clients": len(truth.clients),
        "top": [{"client_id": client, "count": count} for client, count in truth.top(TOP)],
        "checks": [{**check._asdict(), "ok": check.ok} for check in checks],
    }


def _print_summary(screen: Screen, snapshot: Snapshot, checks: list[Check], seconds: float) -> None:
    screen.print("")
    screen.print(check_table(checks))
    screen.print("")
    screen.print(top_table(snapshot.top))
    screen.print("")
    good = sum(check.ok for check in checks)
    rate = snapshot.read / seconds if seconds else 0.0
    screen.print(
        f"{good} of {len(checks)} checks hold; {snapshot.read:,} lines in {seconds:.1f} s, {rate:,.0f} lines/s"
    )
