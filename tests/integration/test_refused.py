"""A cluster that refuses: wrong credentials, and rights that are missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson
import pytest
from click.testing import CliRunner
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from logrouter.cli import cli
from logrouter.config.options.kafka import REFUSED_CREDENTIALS
from logrouter.devkafka.broker import DevKafka
from logrouter.devkafka.ports import claim_port
from logrouter.kafka.producer import LineProducer
from tests.conftest import HANG_SECONDS

from .stack import CONFIG, Process, request_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.broker

PASSWORD = "of-the-router"  # noqa: S105 - of this broker


class GuardedBroker:
    """A broker that lets anybody in at *open*, and at *guarded* SASL users, who may do what ACLs say."""

    def __init__(self) -> None:
        port = claim_port()
        kafka = DevKafka(port=port)
        sasl = claim_port()
        listeners = {"PLAINTEXT": port, "SASL_PLAINTEXT": sasl, "CONTROLLER": kafka._controller_port}
        module = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        kafka._settings = {
            "listeners": ",".join(f"{name}://127.0.0.1:{number}" for name, number in listeners.items()),
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl}",
            "listener.security.protocol.map": ",".join(
                f"{name}:{'PLAINTEXT' if name == 'CONTROLLER' else name}" for name in listeners
            ),
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": f'{module} user_router="{PASSWORD}";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
        self.kafka = kafka
        self.open = f"127.0.0.1:{port}"
        self.guarded = f"127.0.0.1:{sasl}"

    def client(self, *, password: str = PASSWORD, mechanism: str = "PLAIN") -> dict[str, str]:
        """The `kafka:` block of a user."""
        return {
            "bootstrap.servers": self.guarded,
            "security.protocol": "sasl_plaintext",
            "sasl.mechanism": mechanism,
            "sasl.username": "router",
            "sasl.password": password,
        }


@pytest.fixture(scope="module")
def guarded() -> Iterator[GuardedBroker]:
    """One for all tests of this file."""
    made = GuardedBroker()
    with made.kafka:
        yield made


def write_config(folder: Path, kafka: dict[str, str], name: str) -> Path:
    """A topics.yaml whose password is in the environment, as it must be."""
    settings = dict(kafka, **{"sasl.password": "${KAFKA_PASSWORD}"})
    text = CONFIG.format(
        bootstrap="x",
        name=name,
        max_records=500,
        transaction_timeout_ms=10_000,
        session_timeout_ms=6_000,
        standby_replicas=0,
        http_port=0,
    )
    path = folder / "topics.yaml"
    path.write_text(text.replace('{bootstrap.servers: "x"}', orjson.dumps(settings).decode()))
    return path


@pytest.mark.long
@pytest.mark.parametrize(
    ("password", "mechanism"), [("wrong", "PLAIN"), (PASSWORD, "SCRAM-SHA-256")], ids=["password", "mechanism"]
)
@pytest.mark.parametrize("command", [["topics"], ["explain", "x:0:0"], ["plan"]], ids=lambda c: c[0])
def test_commands_say_that_the_credentials_are_refused(guarded, tmp_path, unique, command, password, mechanism):
    """Not that nobody answers: the fault is in the file."""
    config = str(write_config(tmp_path, guarded.client(mechanism=mechanism), unique("refused")))
    arguments = [*command, config] if command == ["plan"] else command

    done = CliRunner().invoke(cli, arguments, env={"LOGROUTER_CONFIG": config, "KAFKA_PASSWORD": password})

    assert done.exit_code == (2 if command[0] == "plan" else 1), done.output
    assert done.stderr.startswith(
        "logrouter: the Kafka cluster refuses the credentials (SASL): check security.protocol"
    )
    assert done.stderr.count("\n") == 1
    assert password not in done.output


@pytest.mark.long
def test_lanes_say_once_that_the_credentials_are_refused(guarded, tmp_path, unique, eventually, monkeypatch):
    """In their logs, and to whoever asks whether they are ready."""
    monkeypatch.setenv("KAFKA_PASSWORD", "wrong")
    config = str(write_config(tmp_path, guarded.client(), unique("refused")))
    ports = claim_port(), claim_port()
    data = ["--data-dir", str(tmp_path / "tables")]
    lanes = (
        Process(tmp_path / "route.log", "route", "--config", config, "--metrics-port", str(ports[0])),
        Process(tmp_path / "tables.log", "tables", "--config", config, "--port", str(ports[1]), *data),
    )
    try:
        for lane, port in zip(lanes, ports, strict=True):
            eventually(lambda lane=lane: "broker_refuses" in lane.text(), "said")
            eventually(lambda port=port: REFUSED_CREDENTIALS in readiness(port), "said why it is not ready")
        for lane in lanes:
            assert lane.text().count("broker_refuses") == 1
            assert lane.stop() == 0
            assert "Traceback" not in lane.text()
            assert "broker_down" not in lane.text()
    finally:
        for lane in lanes:
            lane.kill()
            lane.wait()


def readiness(port: int) -> str:
    """What `/readyz` answers, empty while nobody does."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.read().decode()
    except HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""


def allow(broker: GuardedBroker, kind: ResourceType, name: str, operation: AclOperation, *, prefix: bool = False):
    """Give the user a right."""
    how = ResourcePatternType.PREFIXED if prefix else ResourcePatternType.LITERAL
    right = AclBinding(kind, name, how, "User:router", "*", operation, AclPermissionType.ALLOW)
    admin = AdminClient({"bootstrap.servers": broker.open})  # kept: without it there is no answer
    for future in admin.create_acls([right]).values():
        future.result(HANG_SECONDS)


@pytest.mark.long
def test_a_source_that_may_not_be_read_keeps_the_lane_from_being_ready(
    guarded, tmp_path, unique, eventually, monkeypatch
):
    """Described, and so assigned, but not read. Once the right is there it goes on by itself, though nothing comes."""
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    name, source = unique("acl"), unique("mixed")
    path = write_config(tmp_path, guarded.client(), name)
    path.write_text(path.read_text().replace(f"{name}.source", source))
    admin = AdminClient({"bootstrap.servers": guarded.open})
    admin.create_topics([NewTopic(source, 1, 1)])[source].result(HANG_SECONDS)
    for prefix in (name, "logrouter."):  # the ledger has no name of its own here
        allow(guarded, ResourceType.TOPIC, prefix, AclOperation.ALL, prefix=True)
    allow(guarded, ResourceType.GROUP, name, AclOperation.ALL, prefix=True)
    allow(guarded, ResourceType.TRANSACTIONAL_ID, name, AclOperation.ALL, prefix=True)
    allow(guarded, ResourceType.TOPIC, source, AclOperation.DESCRIBE)
    path_open = tmp_path / "open.yaml"
    path_open.write_text(re.sub(r"kafka: \{.*\}", f'kafka: {{bootstrap.servers: "{guarded.open}"}}', path.read_text()))
    assert CliRunner().invoke(cli, ["topics"], env={"LOGROUTER_CONFIG": str(path_open)}).exit_code == 0
    port = claim_port()
    lane = Process(tmp_path / "route.log", "route", "--config", str(path), "--metrics-port", str(port))
    try:
        eventually(lambda: f"no right to read topic {source}" in readiness(port), "said what it may not")
        assert "TOPIC_AUTHORIZATION_FAILED" in lane.text()
        allow(guarded, ResourceType.TOPIC, source, AclOperation.READ)
        eventually(lambda: readiness(port) == "ready\n", "ready")

        feeder = LineProducer({"bootstrap.servers": guarded.open}, source)
        feeder.feed([request_line(1, "c")])
        feeder.flush()
        done = CliRunner().invoke(cli, ["explain", f"{source}:0:0"], env={"LOGROUTER_CONFIG": str(path)})
        assert (done.exit_code, done.stderr) == (0, "")
        assert "GROUP_AUTHORIZATION_FAILED" not in lane.text()
        assert lane.text().count(f"source_error topic={source}") == 1
        assert lane.stop() == 0
    finally:
        lane.kill()
        lane.wait()


@pytest.mark.long
def test_a_ledger_that_may_not_be_read_keeps_the_lane_from_being_ready(
    guarded, tmp_path, unique, eventually, monkeypatch
):
    """As after an upgrade from a release that had none. Nothing is read, and both log and readiness say so."""
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    name = unique("ledger")
    ledger, source = f"{name}-own.ledger", f"{name}.source"
    path = write_config(tmp_path, guarded.client(), name)
    path.write_text(path.read_text().replace("outputs:", f"outputs:\n  ledger: {{topic: {ledger}}}"))
    admin = AdminClient({"bootstrap.servers": guarded.open})
    admin.create_topics([NewTopic(source, 1, 1)])[source].result(HANG_SECONDS)
    allow(guarded, ResourceType.TOPIC, f"{name}.", AclOperation.ALL, prefix=True)
    allow(guarded, ResourceType.GROUP, name, AclOperation.ALL, prefix=True)
    allow(guarded, ResourceType.TRANSACTIONAL_ID, name, AclOperation.ALL, prefix=True)
    for operation in (AclOperation.DESCRIBE, AclOperation.WRITE):
        allow(guarded, ResourceType.TOPIC, ledger, operation)
    path_open = tmp_path / "open.yaml"
    path_open.write_text(re.sub(r"kafka: \{.*\}", f'kafka: {{bootstrap.servers: "{guarded.open}"}}', path.read_text()))
    assert CliRunner().invoke(cli, ["topics"], env={"LOGROUTER_CONFIG": str(path_open)}).exit_code == 0
    feeder = LineProducer({"bootstrap.servers": guarded.open}, source)
    feeder.feed([request_line(1, "c")])
    feeder.flush()
    port = claim_port()
    lane = Process(tmp_path / "route.log", "route", "--config", str(path), "--metrics-port", str(port))
    try:
        eventually(lambda: f"{source} [0] can't be read yet" in readiness(port), "said what waits")
        assert f"source_error topic={ledger} error=TOPIC_AUTHORIZATION_FAILED" in lane.text()
        allow(guarded, ResourceType.TOPIC, ledger, AclOperation.READ)
        eventually(lambda: readiness(port) == "ready\n", "ready")
        assert lane.stop() == 0
    finally:
        lane.kill()
        lane.wait()
