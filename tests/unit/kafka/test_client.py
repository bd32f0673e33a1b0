"""What is said of Kafka clients that cannot do their work."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from logrouter.config.yaml.secrets import FromEnv
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
