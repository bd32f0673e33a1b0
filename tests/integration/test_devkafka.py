"""The embedded broker is a real one, keeps its data, and never outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from logrouter.devjava import jars
from logrouter.devkafka.broker import DevKafka, DevKafkaError
from logrouter.devkafka.jars import KAFKA
from logrouter.devkafka.ports import claim_port
from tests.conftest import HANG_SECONDS

pytestmark = pytest.mark.broker

OWNER = """
import sys, time
from logrouter.devkafka.broker import DevKafka
kafka = DevKafka().start()
print(kafka.pid, kafka.log_path.parent, flush=True)
time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def create(bootstrap: str, topic: str) -> None:
    """Make a one-partition topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(HANG_SECONDS)


def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    """Write values and wait for their acknowledgement."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(HANG_SECONDS) == 0


def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """Read the first *count* values of a topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        return [message.value() for message in consumer.consume(count, timeout=HANG_SECONDS)]
    finally:
        consumer.close()


def test_broker_round_trip(broker, topics):
    """What is produced to the shared broker is consumed from it."""
    topic = topics("round-trip")
    produce(broker.bootstrap, topic, [b"one", b"two"])
    assert consume(broker.bootstrap, topic, 2) == [b"one", b"two"]


@pytest.mark.long
def test_restart_and_kill_keep_address_and_data():
    """After an orderly restart and after a crash the same address serves the same data; close leaves nothing."""
    with DevKafka() as kafka:
        bootstrap, scratch = kafka.bootstrap, kafka.log_path.parent
        create(bootstrap, "kept")
        produce(bootstrap, "kept", [b"before"])
        kafka.restart()
        produce(bootstrap, "kept", [b"between"])
        kafka.kill()
        assert not kafka.running
        kafka.start()
        assert kafka.bootstrap == bootstrap
        assert consume(bootstrap, "kept", 2) == [b"before", b"between"]
        pid = kafka.pid
    assert not alive(pid)
    assert not scratch.exists()


def test_given_data_dir_is_kept(tmp_path):
    """A data folder that the user names is not removed; one that nobody has named is."""
    given, temporary = DevKafka(tmp_path), DevKafka()
    scratch = temporary.log_path.parent
    assert scratch.exists()
    given.close()
    temporary.close()
    assert tmp_path.exists()
    assert not scratch.exists()


@pytest.mark.long
def test_given_data_dir_serves_the_next_broker(tmp_path):
    """What one broker wrote to a data folder that the user names, the next one reads."""
    with DevKafka(tmp_path) as kafka:
        create(kafka.bootstrap, "mine")
        produce(kafka.bootstrap, "mine", [b"x"])
    with DevKafka(tmp_path) as kafka:
        assert consume(kafka.bootstrap, "mine", 1) == [b"x"]


def test_sigkill_of_the_owner_leaves_nothing(eventually):
    """When the owner is killed with SIGKILL, the broker and its temporary folder go too."""
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        pid, scratch = owner.stdout.readline().split()
        assert alive(int(pid))
        os.kill(owner.pid, signal.SIGKILL)
        eventually(lambda: not alive(int(pid)), "the broker is gone")
        eventually(lambda: not Path(scratch).exists(), "the temporary folder is gone")


def test_start_failure_is_one_error_with_the_log(monkeypatch):
    """A setting that Kafka refuses gives a DevKafkaError that quotes the broker's log."""
    kafka = DevKafka(settings={"num.io.threads": "none"})
    try:
        with pytest.raises(DevKafkaError, match=r"(?s)exit code 1; end of its log.*num\.io\.threads"):
            kafka.start()
    finally:
        kafka.close()


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.long)])
def test_ctrl_c_ends_serve_with_zero(number):
    """`python -m logrouter.devkafka PORT` prints its address and ends cleanly on SIGINT, and when its terminal goes."""
    port = claim_port()
    command = [sys.executable, "-m", "logrouter.devkafka", str(port)]
    before = signal.signal(number, signal.SIG_DFL)  # what runs the tests may ignore it, as nohup does
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    signal.signal(number, before)
    with server:
        lines = iter(server.stdout.readline, "")
        assert any(f"127.0.0.1:{port} (Ctrl-C" in line for line in lines)
        server.send_signal(number)
        try:
            code = server.wait(HANG_SECONDS)
        finally:
            server.kill()
        assert code == 0


def test_failed_download_names_the_jar(monkeypatch, tmp_path):
    """Without a reachable repository the error is one line, and nothing half-made stays in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(jars.MAVEN_URL_ENV, f"http://127.0.0.1:{claim_port()}")
    with pytest.raises(DevKafkaError, match=r"^cannot download .*\.jar of Apache Kafka [^\n]*$"):
        jars.ensure_jars(KAFKA, lambda _line: None)
    assert [path.name for path in jars.cache_dir(KAFKA).iterdir()] == [".lock"]
