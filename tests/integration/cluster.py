"""Three brokers and a controller on this machine, each of which can be killed or frozen; behind a proxy, too."""

from __future__ import annotations

import os
import signal
import uuid
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from logrouter.devkafka.broker import DevKafka
from logrouter.devkafka.ports import claim_port
from tests.conftest import wait_until
from tests.integration.proxy import HOST, Proxy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka.admin import PartitionMetadata

BROKERS: Final = (1, 2, 3)
_CONTROLLER: Final = 9
_SETTINGS: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    # A replica that is away must be noticed within seconds, not within half a minute.
    "replica.lag.time.max.ms": "3000",
    "replica.socket.timeout.ms": "3000",
    "controller.socket.timeout.ms": "3000",
    "request.timeout.ms": "3000",
    # What a node led goes back to it this soon after it has come back.
    "leader.imbalance.check.interval.seconds": "3",
}


class Node(DevKafka):
    """One process of a cluster. *options* are those with which its storage is formatted."""

    def __init__(self, settings: Mapping[str, str], cluster_id: str, *options: str, heap: str) -> None:
        super().__init__(settings=settings, heap=heap)
        self._format_options = (f"--cluster-id={cluster_id}", *options)

    def freeze(self) -> None:
        """It stands still with its connections open, as a machine does that swaps; until `thaw` or a kill."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on as if nothing had been."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGCONT)


class Controller(Node):
    """The node that only elects: it is always there, and clients never see it."""

    def _is_ready(self) -> bool:
        return True  # brokers wait for it themselves


class DevCluster:
    """Replication factor 3, two in-sync replicas at least. Runs while the `with` block does.

    `bootstrap` are the brokers themselves, for what a test observes with; `proxied` lead through `proxy`.
    """

    def __init__(self) -> None:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        port = claim_port()
        quorum = {"controller.quorum.bootstrap.servers": f"{HOST}:{port}"}
        role = {"process.roles": "controller", "node.id": str(_CONTROLLER), "listeners": f"CONTROLLER://{HOST}:{port}"}
        settings = {**_SETTINGS, **quorum, **role, "advertised.listeners": f"CONTROLLER://{HOST}:{port}"}
        self._controller = Controller(settings, cluster_id, "--standalone", heap="256m")
        self._behind = {node: claim_port() for node in BROKERS}
        self._quorum, self._cluster_id = quorum, cluster_id
        self.proxy = Proxy(self._behind)
        self.nodes: dict[int, Node] = {}
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            cleanup.enter_context(self.proxy)
            for node in BROKERS:
                self.nodes[node] = self._broker(node)
            everything = [self._controller, *self.nodes.values()]
            for each in everything:
                cleanup.callback(each.close)
            with ThreadPoolExecutor(len(everything)) as threads:
                list(threads.map(lambda each: each.start(), everything))
            self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
            wait_until(lambda: len(self.admin.list_topics(timeout=5).brokers) == len(BROKERS), "three brokers")
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def _broker(self, node: int) -> Node:
        own, behind = claim_port(), self._behind[node]
        listeners = {"PLAINTEXT": own, "PROXIED": behind}
        advertised = {"PLAINTEXT": own, "PROXIED": self.proxy.ports[node]}
        settings = {
            **_SETTINGS,
            **self._quorum,
            "process.roles": "broker",
            "node.id": str(node),
            "listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in listeners.items()),
            "advertised.listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in advertised.items()),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
        }
        made = Node(settings, self._cluster_id, heap="384m")
        made._port = own
        return made

    @property
    def bootstrap(self) -> str:
        """Addresses of the brokers themselves."""
        return ",".join(node.bootstrap for node in self.nodes.values())

    @property
    def proxied(self) -> str:
        """Addresses of the proxy: whoever begins there stays behind it."""
        return self.proxy.bootstrap

    def leader(self, topic: str, partition: int) -> int:
        """The node that leads a partition now, -1 while none does."""
        return self._partitions(topic)[partition].leader

    def in_sync(self, topic: str, partition: int) -> set[int]:
        """The nodes whose replicas of a partition are in sync."""
        return set(self._partitions(topic)[partition].isrs)

    def coordinator(self, topic: str, name: str) -> int:
        """The node that coordinates the group (`__consumer_offsets`) or transactional id (`__transaction_state`)."""
        partitions = self._partitions(topic)
        return partitions[coordinating_partition(name, len(partitions))].leader

    def _partitions(self, topic: str) -> dict[int, PartitionMetadata]:
        """What any node says that is not frozen."""

        def ask() -> dict[int, PartitionMetadata]:
            with suppress(KafkaException):
                return self.admin.list_topics(topic, timeout=1).topics[topic].partitions
            return {}

        return wait_until(ask, f"metadata of {topic}")

    def heal(self) -> None:
        """Every node is up, thawed, and in sync in all partitions; the proxy does no harm."""
        self.proxy.clear()
        for node in self.nodes.values():
            if node.running:
                node.thaw()
        with ThreadPoolExecutor(len(BROKERS)) as threads:
            list(threads.map(lambda node: node.start(), self.nodes.values()))
        wait_until(self._is_whole, "all replicas in sync")

    def _is_whole(self) -> bool:
        try:
            topics = self.admin.list_topics(timeout=5).topics.values()
        except KafkaException:
            return False
        return all(set(p.isrs) == set(p.replicas) for topic in topics for p in topic.partitions.values())


def coordinating_partition(name: str, partitions: int) -> int:
    """Which partition of Kafka's own topics keeps a group or a transactional id: by Java's hash of its name.

    A hash is 32 bits with a sign, of which Kafka takes the absolute value here, other than for the keys of records.
    """
    code = 0
    for character in name:
        code = (31 * code + ord(character)) & 0xFFFFFFFF
    signed = code - (code >> 31 << 32)
    return abs(signed) % partitions
