"""Ids of topics: a topic that was deleted and made anew has the same name and another id (Kafka since 2.8, KIP-516)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from logrouter.kafka.client import make_client, plain_settings, retire_client

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from concurrent.futures import Future

_NO_ID: Final = "A" * 22
"""How sixteen zero bytes are written: a broker that knows no ids."""
_LASTING: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001 - librdkafka's own codes begin so
    }
)


class TopicIdAnswer(NamedTuple):
    """*topic_id* has 22 characters, or is empty if there is none to be had, for the reason *error*.

    *ask_again*: it may be had later. *is_gone*: there is no such topic at present.
    """

    topic_id: str
    error: str = ""
    ask_again: bool = False
    is_gone: bool = False


class _Question(NamedTuple):
    """Answers that *client* has been asked for: without it none would ever come."""

    client: AdminClient
    answers: Sequence[Future[Any]]

    @property
    def is_done(self) -> bool:
        return all(answer.done() for answer in self.answers)

    @property
    def has_timed_out(self) -> bool:
        ended = [answer.exception() for answer in self.answers if answer.done()]
        return any(
            isinstance(each, KafkaException) and each.args[0].code() == KafkaError._TIMED_OUT  # noqa: SLF001
            for each in ended
        )


class TopicIds:
    """Asks the cluster for ids of topics. Nothing connects before the first question."""

    def __init__(self, kafka: Mapping[str, Any]) -> None:
        """*kafka* is the `kafka:` block of topics.yaml."""
        self._kafka = plain_settings(kafka)
        self._admin: AdminClient | None = None
        self._asked: list[_Question] = []

    def ask(self, topics: Collection[str], seconds: float) -> dict[str, Future[Any]]:
        """Ask for the ids without waiting: by topic what becomes an answer for `answer_of`, after *seconds* at most."""
        if not topics:
            return {}
        if any(question.client is self._admin and question.has_timed_out for question in self._asked):
            # After an outage a client may have no connection left and make none.
            retire_client(self._admin)
            self._admin = None
        if self._admin is None:
            self._admin = make_client(AdminClient, self._kafka)
        wanted = TopicCollection(sorted(topics))
        answers = dict(self._admin.describe_topics(wanted, request_timeout=seconds))
        still_open = [question for question in self._asked if not question.is_done]
        self._asked = [*still_open, _Question(self._admin, [*answers.values()])]
        return answers

    def fetch(self, topics: Collection[str], seconds: float) -> dict[str, str]:
        """The ids, 22 characters each, by topic; without the topics of which none was to be had within *seconds*."""
        answers = {topic: answer_of(asked) for topic, asked in self.ask(topics, seconds).items()}
        return {topic: answer.topic_id for topic, answer in answers.items() if answer.topic_id}


def answer_of(asked: Future[Any]) -> TopicIdAnswer:
    """The answer to one question; waits for it."""
    try:
        topic_id = str(asked.result().topic_id)
    except KafkaException as exc:
        error: KafkaError = exc.args[0]
        is_gone = error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        return TopicIdAnswer("", error.str(), error.code() not in _LASTING, is_gone)
    return TopicIdAnswer("", "the cluster gives topics no ids") if topic_id == _NO_ID else TopicIdAnswer(topic_id)


def id_of(asked: Future[Any]) -> str:
    """The id in the answer to one question, "" if none is to be had, now or later.

    Raises:
        KafkaException: there is none yet.
    """
    answer = answer_of(asked)
    if answer.ask_again:
        asked.result()
    return answer.topic_id
