"""Fatal errors of librdkafka end the lane whichever way they come, and name the mistake that leads to them."""

import pytest
from confluent_kafka import KafkaError

from logrouter.kafka.errors import FatalError, fatal_error, read_error

FENCED_TEXT = (
    "Fatal error: Broker: Static consumer fenced by other consumer with same group.instance.id: "
    "Fatal consumer error: Broker: Static consumer fenced by other consumer with same group.instance.id"
)


class Failed:
    """What a consumer delivers in place of a record."""

    def __init__(self, error):
        self._error = error

    def error(self):
        return self._error

    def topic(self):
        return None

    def partition(self):
        return -1

    def offset(self):
        return None


@pytest.mark.parametrize(
    ("error", "fenced"),
    [
        (KafkaError(KafkaError._FATAL, FENCED_TEXT), True),
        (KafkaError(KafkaError.FENCED_INSTANCE_ID, "fenced", fatal=True), True),
        (KafkaError(KafkaError._FATAL, "Fatal error: Broker: Unsupported version"), False),
        (KafkaError(KafkaError.UNSUPPORTED_VERSION, "version", fatal=True), False),
    ],
)
def test_fatal_error_in_place_of_a_record_is_raised(error, fenced):
    """As librdkafka words it for a consumer: a code that says "fatal", no flag, and the cause in the text."""
    with pytest.raises(FatalError) as raised:
        read_error(Failed(error))
    assert raised.value.fenced is fenced
    assert ("under the same instance name" in str(raised.value)) is fenced


def test_error_that_is_not_fatal_is_described():
    """A topic that is not there may be made."""
    error = read_error(Failed(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "no such topic")))
    assert (error.topic, error.is_unknown, error.text) == ("", True, "no such topic")


def test_a_transactional_id_without_rights_names_what_to_grant():
    """Kafka's own words name neither the id nor the right."""
    error = KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "no right", fatal=True)
    text = str(fatal_error(error))
    assert "grant Write and Describe for transactional ids" in text
    assert "route_lane.group, or that of the sink" in text
