"""Dead letters of sinks: what they say, and that they satisfy the schema."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logrouter.config.compile.schemas import packaged_schemas
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.core.validate import Validator
from logrouter.deliver.letters import LetterWriter
from logrouter.deliver.starts import Loss
from logrouter.kafka.offset_reset import LostRange
from logrouter.model import RawRecord
from logrouter.sinks.contract import Refused
from tests.conftest import examples

NOW = 1_777_888_800_000
EVENT = RawRecord("requests", 2, 41, NOW, b'{"meta": {"id": "a-1"}, "http": {"client_ip": "203.0.113.77"}}')
VALIDATOR = Validator(orjson.loads(packaged_schemas()["dead_letter/1.0.0"]))


def writer(sink: str = "search") -> LetterWriter:
    """What writes letters of a sink."""
    return LetterWriter(sink, DeadLetterSettings("dead", 4096), emitter="logrouter-sink-search-a", cluster="c")


def test_a_letter_says_which_event_which_sink_refused_and_why():
    """The place of the event in its topic, the status of the answer, and the event without what is private."""
    key, value, headers = writer().refuse(EVENT, Refused(400, "mapper_parsing_exception: [http.status]"), NOW)
    letter = orjson.loads(value)

    assert VALIDATOR.explain(letter) == ("", "")
    assert key == b"requests:2:41"
    assert [text for _, text in headers] == [b"deliver", b"refused", b"search"]
    assert letter["sink"] == {"name": "search", "status": 400}
    assert letter["route"] == "search"
    assert "pointer" not in letter
    assert (letter["stage"], letter["reason"], letter["detail"]) == (
        "deliver",
        "refused",
        "mapper_parsing_exception: [http.status]",
    )
    assert letter["source"] == {"topic": "requests", "partition": 2, "offset": 41}
    assert "a-1" in letter["raw"]["text"]
    assert "203.0.113.77" not in letter["raw"]["text"]


def test_a_letter_about_events_that_were_never_read_names_the_sink_as_well():
    """Another sink of the topic may have read them."""
    lost = Loss(LostRange(100, 200), "they were deleted before they were read", 200)
    letter = orjson.loads(writer().lose(("requests", 0), lost, NOW)[1])

    assert VALIDATOR.explain(letter) == ("", "")
    assert (letter["stage"], letter["reason"], letter["sink"]) == ("read", "records_lost", {"name": "search"})
    assert letter["lost"] == {"first": 100, "end": 200}


def test_two_sinks_write_two_letters_about_one_event():
    """Their ids differ from each other's, and are the same when one is written again."""
    ids = [orjson.loads(writer(sink).refuse(EVENT, Refused(), NOW)[1])["meta"]["id"] for sink in ("a", "b", "a")]

    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize("status", [0, -1, 99, 1000])
def test_a_status_that_is_none_is_left_out(status):
    """Without an answer there is no status, and nonsense is none."""
    letter = orjson.loads(writer().refuse(EVENT, Refused(status, "given up: connect"), NOW)[1])

    assert letter["sink"] == {"name": "search"}


def test_what_a_target_says_is_shown_without_secrets_and_not_at_any_length():
    """Answers repeat headers and documents: a secret is hidden before the text is cut."""
    secret = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlc2lnbmF0dXJl"  # noqa: S105 - what a target might quote
    for before in (0, 970, 990):
        said = f"{'x ' * (before // 2)}Authorization: Bearer {secret}"
        letter = orjson.loads(writer().refuse(EVENT, Refused(400, said), NOW)[1])

        assert "eyJ" not in letter["detail"]
        assert len(letter["detail"]) <= 1000


@settings(max_examples=examples(100))
@given(st.integers(-(2**40), 2**40), st.text(max_size=3000), st.one_of(st.none(), st.binary(max_size=100)))
def test_every_letter_satisfies_the_schema(status, detail, value):
    """Whatever a target answers to whatever record."""
    event = RawRecord("requests", 2, 41, NOW, value)

    assert VALIDATOR.explain(orjson.loads(writer().refuse(event, Refused(status, detail), NOW)[1])) == ("", "")
