"""Source topics that are deleted and made anew: their events never repeat an id, and replays never change one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from logrouter.kafka.reader import read_committed
from tests.conftest import HANG_SECONDS, wait_until
from tests.integration.stack import Stack, request_line

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.broker, pytest.mark.long]


@pytest.fixture
def stack(broker, tmp_path, unique) -> Iterator[Stack]:
    """A stack whose source has one partition, and a ledger that no other test has."""
    name = unique("recreated")
    made = Stack(broker.bootstrap, tmp_path, name, partitions=1)
    text = made.config.read_text()
    made.config.write_text(text.replace("outputs:\n", f"outputs:\n  ledger: {{topic: {name}.ledger}}\n"))
    made.command("topics")
    yield made
    made.close()


def delete_source(stack: Stack) -> None:
    """The topic is gone, or will be in a moment."""
    admin = AdminClient(stack.kafka)
    admin.delete_topics([stack.source])[stack.source].result(HANG_SECONDS)


def make_source(stack: Stack) -> None:
    """Make the source topic anew as soon as its name is free."""

    def made() -> bool:
        try:
            stack.create_topic(stack.source, 1)
        except KafkaException:
            return False
        return True

    wait_until(made, "the topic made anew")


def ids_by_number(stack: Stack) -> dict[int, list[str]]:
    """The ids of the events of each request."""
    found: dict[int, list[str]] = {}
    for _, record in read_committed(stack.kafka, stack.clean):
        meta = orjson.loads(record.value or b"")["meta"]
        found.setdefault(int(meta["request_id"]), []).append(meta["id"])
    return found


def distinct(stack: Stack) -> bool:
    """Whether each request has one id, and no two have the same."""
    found = ids_by_number(stack)
    return len({each for ids in found.values() for each in ids}) == len(found)


def test_ids_of_a_topic_made_anew_while_the_lane_was_down(stack, eventually):
    """They are others than those before; a new group that reads what is there gives the same ones again."""
    stack.feed(request_line(n, "c") for n in range(3))
    lane = stack.route()
    eventually(lambda: len(ids_by_number(stack)) == 3, "the first topic routed")
    assert lane.stop() == 0

    delete_source(stack)
    make_source(stack)
    stack.feed(request_line(n, "c") for n in range(10, 13))
    lane = stack.route()
    eventually(lambda: len(ids_by_number(stack)) == 6, "the second one routed")
    assert lane.stop() == 0
    assert "source_recreated" in lane.text()
    assert distinct(stack)
    before, after = ids_by_number(stack)[1][0], ids_by_number(stack)[11][0]
    assert after in stack.command("explain", after, "--json")
    stack.command("explain", before, code=1)

    stack.config.write_text(stack.config.read_text().replace(f"{stack.name}-route", f"{stack.name}-again"))
    lane = stack.route()
    eventually(lambda: len(ids_by_number(stack)[12]) == 2, "read again by a new group")
    assert lane.stop() == 0
    assert distinct(stack)


def test_ids_of_a_topic_made_anew_while_the_lane_runs(stack, eventually):
    """Its first record has an id of the new topic already, and so it has after a restart."""
    lane = stack.route()
    stack.feed(request_line(n, "c") for n in range(3))
    eventually(lambda: len(ids_by_number(stack)) == 3, "the first topic routed")

    delete_source(stack)
    eventually(lambda: "partitions_lost" in lane.text(), "the lane saw that it is gone")
    make_source(stack)
    stack.feed(request_line(n, "c") for n in range(10, 13))
    eventually(lambda: len(ids_by_number(stack)) == 6, "the second one routed")
    assert lane.stop() == 0
    lane = stack.route()
    stack.feed([request_line(13, "c")])
    eventually(lambda: len(ids_by_number(stack)) == 7, "routed after a restart")
    assert lane.stop() == 0
    assert distinct(stack)
    assert [int(ids[0][-12:], 16) >> 14 for _, ids in sorted(ids_by_number(stack).items())] == [0, 1, 2, 0, 1, 2, 3]


def test_a_topic_made_anew_at_once_and_filled_beyond_the_position(stack, eventually):
    """Clients go on in it as if nothing had happened; the lane reads it from its start, and no id occurs twice."""
    lane = stack.route()
    stack.feed(request_line(n, "c") for n in range(3))
    eventually(lambda: len(ids_by_number(stack)) == 3, "the first topic routed")

    delete_source(stack)
    make_source(stack)
    stack.feed(request_line(n, "c") for n in range(10, 20))
    eventually(lambda: ids_by_number(stack).keys() >= {*range(10, 20)}, "all of the second one routed")
    assert lane.stop() == 0
    owners: dict[str, set[int]] = {}
    for number, ids in ids_by_number(stack).items():
        for each in ids:
            owners.setdefault(each, set()).add(number)
    assert all(len(numbers) == 1 for numbers in owners.values())
    (letter,) = stack.dead_letters()
    assert letter["lost"] in ({"first": 3}, {"first": 10})  # the latter if it had read on in the new topic
