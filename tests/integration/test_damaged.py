"""A source batch whose bytes a disk has damaged: reported with its place, passed over only if the file says so."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from logrouter.devkafka.broker import DevKafka
from logrouter.devkafka.ports import claim_port
from tests.conftest import HANG_SECONDS
from tests.integration.damage import damage, produce_batch
from tests.integration.sinks.lane_stack import Receiver, SinkStack
from tests.integration.stack import Stack, metrics, request_line

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.broker, pytest.mark.long]


@pytest.fixture
def kafka(tmp_path) -> Iterator[DevKafka]:
    """A broker of our own, whose files are known."""
    with DevKafka(data_dir=tmp_path / "kafka") as made:
        yield made


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and body of the answer of a process."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=HANG_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def unreadable(text: str) -> list[tuple[dict[str, str], float]]:
    """The partitions that stand still before a damaged batch, by a scrape."""
    return metrics(text).get("logrouter_partition_unreadable", [])


def test_a_damaged_batch_stops_its_partition_until_the_file_says_skip(kafka, tmp_path, unique, eventually):
    """Others go on. Then exactly its records are lost, and one dead letter says which."""
    stack = Stack(kafka.bootstrap, tmp_path, unique("damaged"), partitions=2)
    try:
        for first in (0, 10, 20):
            produce_batch(stack.kafka, stack.source, [request_line(n, "c") for n in range(first, first + 10)])
        damage(tmp_path / "kafka" / "data" / f"{stack.source}-0", 1)
        port = claim_port()
        lane = stack.route(port=port)
        eventually(lambda: "source_unreadable" in lane.text(), "reported")
        stack.feed((request_line(n, "c") for n in range(30, 40)), partition=1)
        eventually(lambda: stack.numbers() == Counter([*range(10), *range(30, 40)]), "all but what stands still")
        assert f"topic={stack.source} partition=0 offset=10 " in lane.text()
        assert lane.text().count("source_unreadable") == 1
        status, why = ask(port, "/readyz")
        assert status == 503
        assert why.strip() == (
            f"{stack.source} [0] stands still before offset 10, a batch of records whose bytes are damaged: "
            "restore the partition from a good replica, or set `route_lane.on_unreadable: skip`"
        )
        assert unreadable(ask(port, "/metrics")[1]) == [({"topic": stack.source, "partition": "0"}, 1)]

        text = stack.config.read_text()
        stack.config.write_text(text.replace("  metrics: {port: 0}", "  on_unreadable: skip\n  metrics: {port: 0}"))
        eventually(lambda: stack.numbers() == Counter([*range(10), *range(20, 40)]), "passed over")
        assert ask(port, "/readyz")[0] == 200
        assert unreadable(ask(port, "/metrics")[1]) == []
        assert lane.stop() == 0
        lane = stack.route()
        stack.feed([request_line(40, "c")], partition=0)
        eventually(lambda: stack.numbers() == Counter([*range(10), *range(20, 41)]), "goes on behind it")
        assert lane.stop() == 0
        (letter,) = stack.dead_letters()
        assert letter["lost"] == {"first": 10, "end": 20}
        assert letter["source"] == {"topic": stack.source, "partition": 0, "offset": 10}
        assert "damaged" in letter["detail"]
    finally:
        stack.close()


def test_a_process_of_a_sink_is_unready_until_a_damaged_batch_is_restored_or_given_up(
    kafka, tmp_path, unique, eventually
):
    """Both ways are those of docs/operations.md. Another partition is delivered meanwhile."""
    with Receiver() as target:
        stack = SinkStack(kafka.bootstrap, tmp_path, unique("damaged"), target.url, partitions=2)
        folder = tmp_path / "kafka" / "data" / f"{stack.events}-0"

        def why() -> str:
            return stack.ask(sink, "/readyz")[1].strip()

        def stands_before(offset: int) -> str:
            return (
                f"{stack.events} [0] stands still before offset {offset}, a batch of records whose bytes are damaged: "
                f"restore the partition from a good replica, or stop all processes of this sink and move the offset of "
                f"group {stack.name} behind the batch"
            )

        try:
            for first in (0, 10):
                produce_batch(stack.kafka, stack.events, [event(n) for n in range(first, first + 10)])
            restore = damage(folder, 1)
            sink = stack.start()
            eventually(lambda: why() == stands_before(10), "it says what is damaged")
            assert stack.ask(sink, "/readyz")[0] == 503
            assert unreadable(stack.ask(sink, "/metrics")[1]) == [({"topic": stack.events, "partition": "0"}, 1)]
            stack.produce([101])
            eventually(lambda: target.got == Counter([*range(10), 101]), "all but what stands still")
            restore()
            eventually(lambda: target.got == Counter([*range(20), 101]), "restored")
            assert why() == "ready"
            assert unreadable(stack.ask(sink, "/metrics")[1]) == []
            assert sink.stop() == 0

            for first in (20, 30):
                produce_batch(stack.kafka, stack.events, [event(n) for n in range(first, first + 10)])
            damage(folder, 2)
            sink = stack.start()
            eventually(lambda: why() == stands_before(20), "it says what is damaged")
            assert sink.stop() == 0
            behind = ConsumerGroupTopicPartitions(stack.name, [TopicPartition(stack.events, 0, 30)])
            stack.admin.alter_consumer_group_offsets([behind])[stack.name].result(HANG_SECONDS)
            sink = stack.start()
            eventually(lambda: target.got == Counter([*range(20), *range(30, 40), 101]), "given up")
            assert why() == "ready"
            assert sink.stop() == 0
        finally:
            stack.close()


def event(number: int) -> bytes:
    """An event for partition 0, as the receiver takes it."""
    return orjson.dumps({"n": number, "p": 0, "meta": {"id": str(number)}})
