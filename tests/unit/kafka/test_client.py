"""What is said of Kafka clients that cannot do their work."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from logrouter.config.yaml.secrets import FromEnv
from logrouter.kafka.connection import BrokerState
from logrouter.kafka.errors import no_answer_error


@pytest.mark.parametrize(
    ("servers", "named"),
    [("kafka-1:9092", " at kafka-1:9092"), (FromEnv("hidden:9092"), "")],
)
def test_who_does_not_answer_is_named(servers, named):
    """With where that is said; what came from the environment is not repeated."""
    away = KafkaException(KafkaError(KafkaError._TRANSPORT, "Broker transport failure"))

    said = str(no_answer_error({"bootstrap.servers": servers}, away))

    assert said == (
        f"the Kafka cluster{named} does not answer: Broker transport failure "
        "(kafka: bootstrap.servers of topics.yaml names it, or --bootstrap)"
    )


def test_a_refusal_is_no_silence():
    """Who is refused looks at the credentials, not at the network."""
    away = KafkaException(KafkaError(KafkaError._TRANSPORT, "Broker transport failure"))
    refused = KafkaError(KafkaError._AUTHENTICATION, "Invalid username or password")

    said = str(no_answer_error({"bootstrap.servers": "kafka-1:9092"}, away, refused))

    assert said == (
        "the Kafka cluster refuses the credentials (SASL): check security.protocol, sasl.mechanism, sasl.username and "
        "sasl.password in the kafka: block of topics.yaml (asked at kafka-1:9092: Invalid username or password)"
    )


AWAY, DOWN = KafkaError(KafkaError._TRANSPORT), KafkaError(KafkaError._ALL_BROKERS_DOWN)
REFUSED, NO_TLS = KafkaError(KafkaError._AUTHENTICATION), KafkaError(KafkaError._SSL)


@pytest.mark.parametrize(
    ("errors", "said", "why"),
    [
        ([AWAY, DOWN, AWAY], ["broker_down"], "does not answer"),
        ([AWAY, REFUSED, AWAY, DOWN, REFUSED], ["broker_down", "broker_refuses"], "refuses the credentials"),
        ([REFUSED, DOWN, AWAY], ["broker_refuses"], "sasl.password"),
        ([NO_TLS, AWAY], ["broker_refuses"], "ssl."),
    ],
)
def test_a_refusal_is_said_whatever_else_fails(caplog, errors, said, why):
    """Once per change. A call that fails because of it comes before or after it."""
    caplog.set_level("INFO", "logrouter")
    state = BrokerState(lambda: 0.0)

    for error in errors:
        state.mark_down(error)

    assert [record.getMessage() for record in caplog.records] == said
    assert why in state.why_waiting


def test_a_cluster_that_goes_away_after_a_refusal_is_away(caplog):
    """A refusal explains silence for a while, not for ever."""
    caplog.set_level("INFO", "logrouter")
    now = 0.0
    state = BrokerState(lambda: now)

    state.on_error(REFUSED)
    now = 100.0
    state.mark_down(AWAY)
    state.mark_up()

    assert [record.getMessage() for record in caplog.records] == ["broker_refuses", "broker_down", "broker_up"]
    assert not state.why_waiting
