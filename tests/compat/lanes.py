"""Both lanes as processes with a topics.yaml that is kept, and the topics they work on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from logrouter.commands.exit_codes import EXIT_DRIFT
from logrouter.devkafka.ports import claim_port
from logrouter.kafka.reader import read_committed
from logrouter.process.watchdog import Watchdog
from tests.compat.release import PREFIX, Committed, Record
from tests.conftest import wait_until
from tests.integration.fleet import get_json, insist
from tests.integration.stack import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


class Lanes:
    """Names begin with *name* in the cluster where they begin with `PREFIX` in *config*. `close` ends processes."""

    def __init__(self, bootstrap: str, folder: Path, name: str, config: str) -> None:
        self.folder, self.name = folder, name
        self.kafka = {"bootstrap.servers": bootstrap}
        self.config = folder / "topics.yaml"
        self.config.write_text(self.named(config).replace("BOOTSTRAP", bootstrap))
        self.port = claim_port()
        self._admin = AdminClient(self.kafka | {"log_level": 0})
        self._watchdog = Watchdog()  # should pytest itself be killed
        self._processes: list[Process] = []
        self._consumers: dict[str, Consumer] = {}

    def named(self, text: str) -> str:
        """A name, or a text with names, as it is in this cluster."""
        return text.replace(PREFIX, self.name)

    def create_outputs(self, *, upgrade: bool = False) -> None:
        """`logrouter topics`; in an *upgrade* it may find topics whose settings are no longer what they should be."""
        command = [sys.executable, "-m", "logrouter", "topics", "--config", str(self.config)]
        done = subprocess.run(command, check=False, capture_output=True, timeout=60)
        assert done.returncode in ((0, EXIT_DRIFT) if upgrade else (0,)), done

    def route(self) -> Process:
        """Start the route lane."""
        return self._start("route", "--instance", f"{self.name}-route-0", "--metrics-port", "0")

    def tables(self, data: Path, now_ms: int) -> Process:
        """Start the tables lane, by whose clock it is *now_ms*."""
        before = os.environ.get("LOGROUTER_CLOCK_OFFSET_SECONDS")
        os.environ["LOGROUTER_CLOCK_OFFSET_SECONDS"] = str(now_ms // 1000 - int(time.time()))
        try:
            return self._start("tables", "--port", str(self.port), "--data-dir", str(data))
        finally:
            os.environ.pop("LOGROUTER_CLOCK_OFFSET_SECONDS")
            if before is not None:
                os.environ["LOGROUTER_CLOCK_OFFSET_SECONDS"] = before

    def _start(self, lane: str, *arguments: str) -> Process:
        log = self.folder / f"{len(self._processes)}-{lane}.log"
        process = Process(log, lane, *arguments, "--config", str(self.config))
        self._processes.append(process)
        self._watchdog.watch(process.popen.pid)
        return process

    def close(self) -> None:
        """End what runs and delete the topics."""
        for process in self._processes:
            if process.running:
                process.kill()
                process.wait()
            print(f"--- {process.log.name}\n{process.text()[-5000:]}")  # noqa: T201 - shown for a failed test
        self._watchdog.close()
        for consumer in self._consumers.values():
            consumer.close()
        for future in self._admin.delete_topics(self.topics()).values() if self.topics() else ():
            future.exception(30)

    def get(self, path: str) -> tuple[int, Any]:
        """Status and body of an answer of the table view; 0 while nobody listens."""
        return get_json(self.port, path)

    def until(self, condition: Callable[[], object], message: str) -> None:
        """Wait for a condition; only when something hangs it does not come."""
        deadline = time.monotonic() + 90
        while not condition():
            ended = [process.log.name for process in self._processes if process.popen.poll() not in (None, 0)]
            assert not ended, f"{ended} ended while waiting for: {message}"
            assert time.monotonic() < deadline, f"not within 90 s: {message}"
            time.sleep(0.05)

    def topics(self) -> list[str]:
        """All of ours."""
        return sorted(name for name in self._admin.list_topics(timeout=60).topics if name.startswith(self.name))

    def create(self, topics: dict[str, int], compacted: Iterable[str] = ()) -> None:
        """Make topics with so many partitions."""
        config = {topic: {"cleanup.policy": "compact"} for topic in compacted}
        new = [
            NewTopic(topic, num_partitions=partitions, replication_factor=1, config=config.get(topic, {}))
            for topic, partitions in topics.items()
        ]
        for future in self._admin.create_topics(new).values():
            future.result(30)

        def there() -> bool:
            known = self._admin.list_topics(timeout=60).topics
            return all(topic in known and len(known[topic].partitions) == topics[topic] for topic in topics)

        self.until(there, "the topics are there")

    def read(self, topic: str) -> list[Record]:
        """Every committed record, in order within partitions."""
        found = [
            Record(record.partition, record.offset, record.timestamp_ms, key, record.value, record.headers)
            for key, record in read_committed(self.kafka, topic)
        ]
        return sorted(found, key=lambda record: record[:2])

    def ends(self, topic: str) -> list[int]:
        """The end of each partition."""
        consumer = self._asking("ends")

        def ask() -> list[int]:
            partitions = sorted(consumer.list_topics(topic, timeout=60).topics[topic].partitions)
            return [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=60)[1] for p in partitions]

        return insist(ask)  # a topic that was just made may have no leader yet

    def write(self, topic: str, records: Iterable[Record]) -> None:
        """Write records as they come, to their partitions, stamped now; each must get the offset that it says."""
        self._produce(self._plain, topic, records)
        assert self._plain.flush(60) == 0

    def restore(self, topic: str, records: list[Record], ends: list[int]) -> None:
        """Write records so that each has the offset it had: the end of a transaction takes one where one is missing."""
        for partition, end in enumerate(ends):
            mine = [record for record in records if record.partition == partition]
            offsets = [record.offset for record in mine]
            if offsets == list(range(end)):
                self.write(topic, mine)
                continue
            starts = [0, *(after for before, after in pairwise([*offsets, end]) if after != before + 1)]
            for start, stop in pairwise([*starts, end] if starts[-1] != end else starts):
                self._transactions.begin_transaction()
                self._produce(self._transactions, topic, [each for each in mine if start <= each.offset < stop])
                self._transactions.commit_transaction(60)
        # A transaction is committed before its end is written to the partitions.
        wait_until(lambda: self.ends(topic) == ends, f"the ends of {topic} are {ends}")

    @staticmethod
    def _produce(producer: Producer, topic: str, records: Iterable[Record]) -> None:
        for each in records:

            def stored(error: object, message: Any, each: Record = each) -> None:
                assert (error, message.offset()) == (None, each.offset), topic

            headers = list(each.headers)
            producer.produce(topic, each.value, each.key, each.partition, on_delivery=stored, headers=headers)

    @cached_property
    def _plain(self) -> Producer:
        return Producer(self.kafka | {"linger.ms": 5, "log_level": 0})

    @cached_property
    def _transactions(self) -> Producer:
        producer = Producer(self.kafka | {"transactional.id": f"{self.name}-restored", "linger.ms": 5, "log_level": 0})
        producer.init_transactions(60)
        return producer

    def committed(self, group: str, topics: Iterable[str]) -> list[Committed]:
        """What a group has committed."""
        asked = [TopicPartition(topic, p) for topic in topics for p in range(len(self.ends(topic)))]
        found = insist(lambda: self._asking(group).committed(asked, timeout=60))
        return [
            Committed(group, each.topic, each.partition, each.offset, each.metadata or "")
            for each in found
            if each.offset >= 0
        ]

    def commit(self, group: str, offsets: Iterable[Committed]) -> None:
        """Commit for a group that has no members."""
        places = [TopicPartition(each.topic, each.partition, each.offset, each.metadata) for each in offsets]
        self._asking(group).commit(offsets=places, asynchronous=False)

    def done(self, lane: str, *topics: str, transactions: bool = False) -> bool:
        """Whether a lane has committed everything in topics. With *transactions* the end of one comes last there."""
        at = {(each.topic, each.partition): each.offset for each in self.committed(f"{self.name}-{lane}", topics)}
        return all(
            at.get((topic, partition), 0) >= end - transactions
            for topic in topics
            for partition, end in enumerate(self.ends(topic))
        )

    def _asking(self, group: str) -> Consumer:
        """A consumer that only asks, and never joins its group."""
        if group not in self._consumers:
            self._consumers[group] = Consumer(
                self.kafka | {"group.id": group, "enable.auto.commit": False, "log_level": 0}
            )
        return self._consumers[group]
