"""Dead letters are no larger than what their topic and the client take."""

from __future__ import annotations

import pytest

from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.deliver.letter_limits import fit_letters
from logrouter.kafka.errors import ClientError

SETTINGS = DeadLetterSettings("dead", 100)
MILLION = 1_000_000


@pytest.mark.parametrize(
    ("topic", "client", "letter", "batch"),
    [
        (None, MILLION, 512 * 1024, None),
        (1_048_588, MILLION, 512 * 1024, None),
        (100_000, MILLION, 100_000 - 1536, 100_000 - 256),
        (MILLION, 50_000, 50_000 - 1536, None),
    ],
)
def test_letters_are_no_larger_than_what_topic_and_client_take(topic, client, letter, batch):
    """A letter that is refused would be refused for ever."""
    fitted, batch_bytes = fit_letters(SETTINGS, topic, client)
    assert (fitted.max_bytes, batch_bytes) == (letter, batch)


@pytest.mark.parametrize(
    ("topic", "client", "said"),
    [(9_000, MILLION, "topic dead: max.message.bytes"), (None, 9_000, "kafka: message.max")],
)
def test_a_topic_that_takes_no_letter_is_a_mistake(topic, client, said):
    """One sentence says what to raise."""
    with pytest.raises(ClientError, match=said):
        fit_letters(SETTINGS, topic, client)
