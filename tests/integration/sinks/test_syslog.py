"""Events to real receivers of syslog: what rsyslog and syslog-ng understand of them, and kills amid the stream."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from confluent_kafka import Producer

from logrouter import config
from logrouter.deliver.process import open_delivery
from logrouter.deliver.targets import open_sink
from logrouter.model import RawRecord
from logrouter.sinks.contract import DELIVERED, NoAnswer
from tests.certificates import Authority
from tests.conftest import HANG_SECONDS
from tests.integration.sinks.syslog_receivers import (
    HAS_TLS,
    RSYSLOGD,
    Message,
    fetch_syslog_ng,
    rsyslog,
    rsyslog_of_page,
    syslog_ng,
)
from tests.integration.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.sinks.syslog_receivers import Receiver
    from tests.integration.stack import Process

needs_rsyslog = pytest.mark.skipif(not RSYSLOGD, reason="rsyslogd is not installed (Debian: rsyslog)")
needs_tls = pytest.mark.skipif(
    not (RSYSLOGD and HAS_TLS), reason="rsyslogd with TLS is not installed (Debian: rsyslog rsyslog-openssl)"
)

PAGE = Path(__file__).parents[3] / "docs" / "sinks" / "syslog.md"
HEAD = """\
version: 1
sources: {{logs: {{topics: [logs], envelope: rsyslog}}}}
routes: [{{name: a, from: logs, format: envoy, to: out}}]
sinks: {{it: {{type: syslog, from: out, {options}}}}}
"""
TEXTS = ["plain", "forged\n5 hello\n<14>1 - - - - - - x\r\n", "\x7f\u0085\u2028 é 𝄞", 'quo"te ] \\', "100% %msg% $x {}"]


def event(number: int) -> dict[str, Any]:
    """An event with one of the texts."""
    status = (200, 404, 500)[number % 3]
    meta = {"id": f'e-{number}"]\\', "dt": "2026-11-26T10:00:00.000Z"}
    return {"meta": meta, "api": "core", "http": {"status_code": status}, "text": TEXTS[number % len(TEXTS)]}


def understood(number: int) -> Message:
    """What a receiver has to make of it."""
    text = orjson.dumps(event(number)).decode().replace("\x7f", "\\u007f").replace("\u0085", "\\u0085")
    return Message("user", "643"[number % 3], "logrouter", "core", "request", event(number)["meta"]["id"], text)


def records(*numbers: int) -> list[RawRecord]:
    """Records of events."""
    return [RawRecord("out", 0, number, 0, orjson.dumps(event(number))) for number in numbers]


def deliver(options: str, folder: Path, *batches: list[RawRecord]) -> list[object]:
    """What becomes of batches, by the sink of a file in *folder*."""
    sink = config.parse(HEAD.format(options=options).encode(), {}, folder=folder).sinks["it"]

    async def run() -> list[object]:
        delivery = open_delivery(sink)
        try:
            async with asyncio.timeout(HANG_SECONDS):
                return [settled for batch in batches for settled in await delivery.deliver(batch)]
        finally:
            await delivery.close()

    return asyncio.run(run())


def listens(receiver: Receiver) -> bool:
    """Whether somebody takes connections."""
    try:
        socket.create_connection(("127.0.0.1", receiver.port), timeout=HANG_SECONDS).close()
    except OSError:
        return False
    return True


@needs_rsyslog
@pytest.mark.parametrize("framing", ["octet-counting", "newline"])
def test_rsyslog_over_tcp(tmp_path, eventually, framing):
    """Every message with all of its fields, once and in order, whatever is in it."""
    with rsyslog(tmp_path, "tcp") as receiver:
        options = f"url: 'syslog+tcp://127.0.0.1:{receiver.port}', framing: {framing}"
        batches = [records(*range(start, start + 100)) for start in range(0, 500, 100)]
        assert deliver(options, tmp_path, *batches) == [DELIVERED] * 500
        eventually(lambda: len(receiver.messages()) >= 500, "all are written")
        assert receiver.messages() == [understood(number) for number in range(500)]


@needs_rsyslog
def test_the_receiver_on_the_page(tmp_path, eventually):
    """Writes each event as a line of JSON, also one that is longer than what it takes by default."""
    long = event(0) | {"text": "x" * 90_000}
    with rsyslog_of_page(tmp_path, PAGE) as receiver:
        batch = [RawRecord("out", 0, n, 0, orjson.dumps(each)) for n, each in enumerate([event(0), long, event(1)])]
        assert deliver(f"url: 'syslog://127.0.0.1:{receiver.port}'", tmp_path, batch) == [DELIVERED] * 3
        eventually(lambda: len(receiver.lines()) >= 3, "all are written")
        assert [orjson.loads(line) for line in receiver.lines()] == [event(0), long, event(1)]


@needs_rsyslog
def test_rsyslog_over_udp(tmp_path, eventually):
    """The same in datagrams, once somebody listens: until then its host says that nobody does."""
    with rsyslog(tmp_path, "udp") as receiver:
        options = f"url: 'syslog+udp://127.0.0.1:{receiver.port}', retry: {{first_pause_ms: 50, longest_pause_ms: 50}}"
        assert deliver(options, tmp_path, records(*range(30))) == [DELIVERED] * 30
        # A batch that was cut short by the host's word goes again, so some may be there twice.
        expected = [understood(number) for number in range(30)]
        eventually(lambda: receiver.messages()[-30:] == expected, "all are written, in order")


@pytest.fixture
def files(tmp_path):
    """A folder with a CA, the receiver's certificate and ours."""
    ca = Authority(tmp_path)
    ca.issue("receiver")
    ca.issue("ours", ["client.example"])
    return tmp_path


@needs_tls
def test_rsyslog_over_tls(files, eventually):
    """Which asks for a certificate of ours."""
    with rsyslog(files, "tls") as receiver:
        options = (
            f"url: 'syslog+tls://127.0.0.1:{receiver.port}', retry: {{first_pause_ms: 50, longest_pause_ms: 50}}, "
            "tls: {ca: ca.pem, certificate: ours.pem, key: ours.key}"
        )
        assert deliver(options, files, records(*range(300)), records(300)) == [DELIVERED] * 301
        eventually(lambda: len(receiver.messages()) >= 301, "all are written")
        assert receiver.messages() == [understood(number) for number in range(301)]


@needs_tls
def test_rsyslog_over_tls_without_a_certificate_of_ours(files, eventually):
    """It throws away what it gets, so nothing counts as delivered."""
    with rsyslog(files, "tls") as receiver:
        eventually(lambda: listens(receiver), "rsyslog listens")
        options = f"url: 'syslog+tls://127.0.0.1:{receiver.port}', tls: {{ca: ca.pem}}"
        sink = config.parse(HEAD.format(options=options).encode(), {}, folder=files).sinks["it"]

        async def send() -> object:
            opened = open_sink(sink)
            try:
                return await opened.send(opened.encode(records(1)).request)
            finally:
                await opened.close()

        answers = [asyncio.run(send()) for _ in range(10)]
        assert [type(each) for each in answers] == [NoAnswer] * 10, answers
        assert receiver.messages() == []


def test_syslog_ng(tmp_path, eventually):
    """Every message with all of its fields, once and in order."""
    root = fetch_syslog_ng()
    if root is None:
        pytest.skip("syslog-ng can't be had as packages of Debian 12, which can be unpacked beside rsyslog")
    with syslog_ng(tmp_path, root) as receiver:
        options = f"url: 'syslog://127.0.0.1:{receiver.port}', retry: {{first_pause_ms: 50, longest_pause_ms: 50}}"
        assert deliver(options, tmp_path, records(*range(300))) == [DELIVERED] * 300
        eventually(lambda: len(receiver.messages()) >= 300, "all are written")
        assert receiver.messages() == [understood(number) for number in range(300)]


class Archive:
    """A stack with numbered events in its topic, and a sink of type syslog."""

    def __init__(self, stack: Stack, port: int) -> None:
        self.stack, self.published = stack, 0
        sink = {
            "type": "syslog",
            "from": stack.clean,
            "group": f"{stack.name}-sink",
            "url": f"syslog+tcp://127.0.0.1:{port}",
            "batch": {"max_records": 20, "max_wait_ms": 20},
            "retry": {"first_pause_ms": 20, "longest_pause_ms": 200},
            "waiting": {"max_records": 200},
        }
        # A process that is killed is followed by the next one of its name at once.
        text = stack.config.read_text().replace("route_lane:", "route_lane:\n  static_membership: true")
        stack.config.write_text(f"{text}\nsinks: {json.dumps({'archive': sink})}\n")
        self._producer = Producer(stack.kafka)

    def start_sink(self) -> Process:
        """A process of the sink."""
        return self.stack.start("sink", "archive", "--instance", "sink-0", "--metrics-port", "0")

    def publish(self, number: int) -> None:
        """So many more events, each in the partition that is its remainder."""
        for each in range(self.published, self.published + number):
            self._producer.produce(self.stack.clean, b'{"meta":{"id":"%d"}}' % each, partition=each % 4)
        self.published += number
        assert self._producer.flush(HANG_SECONDS) == 0


@pytest.fixture
def make(broker, tmp_path, unique) -> Iterator[Callable[[int], Archive]]:
    """Make a stack with a sink for a port; its processes end with the test."""
    stacks: list[Stack] = []

    def archive(port: int) -> Archive:
        stacks.append(Stack(broker.bootstrap, tmp_path, unique("archive"), session_timeout_ms=2_000))
        return Archive(stacks[-1], port)

    yield archive
    for made in stacks:
        made.close()
        for process in made.processes:
            print(f"--- {process.log.name}\n{process.text()[-2000:]}")  # noqa: T201 - pytest shows it for a failed test


@needs_rsyslog
@pytest.mark.broker
def test_kills_of_the_sink_amid_the_stream_lose_nothing(make, tmp_path, seed, eventually):
    """Each event is at rsyslog at least once, and those of a partition for the first time in its order."""
    rnd = random.Random(seed)
    folder = tmp_path / "receiver"
    folder.mkdir()
    with rsyslog(folder, "tcp") as receiver:
        archive = make(receiver.port)
        sink = archive.start_sink()
        for _ in range(3):
            before = len(receiver.messages())
            archive.publish(1_000)
            wanted = before + rnd.randrange(20, 300)
            eventually(lambda wanted=wanted: len(receiver.messages()) >= wanted, "amid the stream")
            sink.kill()
            sink.wait()
            arrived = {int(each.id) for each in receiver.messages()}
            assert len(arrived) < archive.published, "the kill came after all was done"
            sink = archive.start_sink()
        everything = set(range(archive.published))
        eventually(lambda: {int(each.id) for each in receiver.messages()} >= everything, "every event is there")
        assert sink.stop() == 0

    numbers = [int(each.id) for each in receiver.messages()]
    assert set(numbers) == everything
    first = dict.fromkeys(numbers)  # in the order in which they came for the first time
    for partition in range(4):
        assert [each for each in first if each % 4 == partition] == [*range(partition, archive.published, 4)]
    assert archive.stack.dead_letters() == []
