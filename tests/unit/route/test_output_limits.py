"""What the lane makes of the limits of its output topics. The cluster is a dictionary."""

from __future__ import annotations

import pytest

from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.kafka.errors import ClientError
from logrouter.kafka.topic_facts import TopicFacts
from logrouter.route.output_limits import LETTERS_NEED, SUMS_NEED, OutputLimits
from logrouter.route.settings import LaneSettings

SETTINGS = LaneSettings({}, "g", "i", DeadLetterSettings("dead", 65_536), "rollup", 4)
ORDINARY = 1_048_588
TOPICS = ("clean", "dead", "rollup")


def limits(client=1_000_000, **sizes):
    """Limits as read from a cluster whose topics have these; the dictionary is the cluster's, to be changed."""
    cluster = dict.fromkeys(TOPICS, TopicFacts(ORDINARY, 2, 3)) | {t: TopicFacts(size) for t, size in sizes.items()}
    made = OutputLimits(lambda topics: {topic: cluster[topic] for topic in topics}, client_bytes=client)
    made.read(TOPICS)
    return made, cluster


def test_ordinary_limits_change_nothing():
    """Batches are as large as the settings say, and so are dead letters."""
    found, _ = limits()

    assert (found.batch_bytes, found.is_due, found.fit(SETTINGS, ())) == (None, False, SETTINGS)


@pytest.mark.parametrize("size", [LETTERS_NEED, 100_000, 500_000])
def test_dead_letters_are_cut_to_what_their_topic_takes(size):
    """With room for key, headers and framing."""
    found, _ = limits(dead=size)

    assert found.fit(SETTINGS, ()).dead_letters.max_bytes < size - 1000


@pytest.mark.parametrize(("topic", "least"), [("dead", LETTERS_NEED), ("rollup", SUMS_NEED)])
def test_a_topic_that_takes_too_little_is_named_with_its_size(topic, least):
    """At the start, or whenever it is found: no transaction would ever come through."""
    enough, _ = limits(**{topic: least})
    enough.fit(SETTINGS, ())
    found, _ = limits(**{topic: least - 1})

    with pytest.raises(ClientError, match=rf"^topic {topic} takes {least - 1} bytes .* need {least}"):
        found.fit(SETTINGS, ())


def test_a_client_that_sends_too_little_is_an_error_of_the_file():
    """The producer's own limit is an option of topics.yaml."""
    found, _ = limits(client=100_000)

    with pytest.raises(ClientError, match=r"^kafka: message\.max\.bytes is 100000"):
        found.fit(SETTINGS, ())


@pytest.mark.parametrize(("client", "smallest"), [(1_000_000, 20_000), (5_000_000, ORDINARY)])
def test_batches_fit_the_smallest_topic(client, smallest):
    """A broker refuses a batch by its size, however small its records are, and whatever the client may send."""
    found, _ = limits(client, clean=smallest)

    assert smallest - 1_000 < found.batch_bytes < smallest


def test_a_limit_that_was_lowered_is_read_anew():
    """As soon as a broker has refused a batch."""
    found, cluster = limits()
    cluster["clean"] = TopicFacts(5_000)

    found.read_again("clean")

    assert 4_000 < found.most("clean") < 5_000


@pytest.mark.parametrize("refused", ["clean", ""])
def test_without_an_answer_limits_shrink_until_it_fits(refused):
    """No right to describe settings: what is refused again and again ends, by then as a dead letter."""
    found, cluster = limits()
    cluster.update(dict.fromkeys(TOPICS, TopicFacts()))

    sizes = []
    for _ in range(4):
        found.read_again(refused)
        sizes.append(found.most("clean"))

    assert sizes == sorted(set(sizes), reverse=True)
    assert sizes[-1] < 70_000


def test_topics_on_one_broker_alone_are_warned_of_once(caplog):
    """With three replicas two could be asked for; with fewer none can fail then."""
    cluster = {"a": TopicFacts(ORDINARY, 1, 3), "b": TopicFacts(ORDINARY, 1, 2), "c": TopicFacts(ORDINARY, 2, 3)}
    found = OutputLimits(lambda topics: {topic: cluster[topic] for topic in topics})

    found.read(cluster)
    found.read(cluster)

    assert [(r.getMessage(), r.fields["topic"]) for r in caplog.records] == [("topic_at_risk", "a")]


def test_a_table_is_limited_by_the_smallest_topic_of_each_route():
    """What goes to several topics is one event: it fits all of them, or is rejected."""
    found, _ = limits(clean=10_000)

    class Table:
        def event_topics(self):
            return ["clean", "rollup"]

        def limited(self, most):
            return [most(topic) for topic in self.event_topics()]

    assert found.fit_table(Table()) == [10_000 - 512, 999_000]
