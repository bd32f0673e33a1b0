"""Errors of Kafka clients: what is fatal, what is fenced, what may be retried."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from confluent_kafka import KafkaError

from logrouter.config.options.kafka import REFUSED_CREDENTIALS
from logrouter.config.yaml.secrets import FromEnv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import KafkaException

    from logrouter.kafka.records import Message


AWAY: Final = frozenset(
    {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._TIMED_OUT}  # noqa: SLF001
)
"""What librdkafka reports while it reconnects by itself: a state, not a flood of errors."""


class ClientError(Exception):
    """A client that cannot be made, or that the cluster does not answer. The text is one line for the operator."""


_PRODUCE_REQUEST: Final = re.compile(r"ProduceRequest for (\S+) \[")
_REFUSED: Final = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})  # noqa: SLF001
_TLS_FAILED: Final = KafkaError._SSL  # noqa: SLF001
_TLS: Final = "check security.protocol and ssl.* in the kafka: block of topics.yaml"


def is_refusal(error: KafkaError) -> bool:
    """Whether the cluster refuses to talk to us, which librdkafka tries again and only an operator ends."""
    return error.code() in _REFUSED or error.code() == _TLS_FAILED


def describe_refusal(error: KafkaError) -> str:
    """What is refused, and what to look at: one line for an error of which `is_refusal` is true."""
    if error.code() == _TLS_FAILED:
        return f"no TLS connection to the Kafka cluster: {_TLS}"
    return REFUSED_CREDENTIALS


class Refusals:
    """An `error_cb` for clients that ask something once: keeps the last refusal, which a failed call does not tell.

    librdkafka tries again behind the call, which ends as one without an answer.
    """

    def __init__(self) -> None:
        self.last: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """Called while the client is polled."""
        if is_refusal(error):
            self.last = error


def no_answer_error(kafka: Mapping[str, Any], exc: KafkaException, refusal: KafkaError | None = None) -> ClientError:
    """What to raise when no broker answers. The text says which servers were asked, and where these are configured.

    *refusal* is what the cluster has said against us, if anything: then it is not away.
    """
    servers = kafka.get("bootstrap.servers", "")
    named = "" if not servers or isinstance(servers, FromEnv) else f" at {servers}"
    if refusal is not None:
        return ClientError(f"{describe_refusal(refusal)} (asked{named or ' its servers'}: {refusal.str()})")
    where = "kafka: bootstrap.servers of topics.yaml names it, or --bootstrap"
    return ClientError(f"the Kafka cluster{named} does not answer: {exc.args[0].str()} ({where})")


_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001 - librdkafka's own error codes start with an underscore
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
    }
)


_ENDED_BY_CLUSTER: Final = _FENCED | {KafkaError.INVALID_TXN_STATE, KafkaError.INVALID_PRODUCER_ID_MAPPING}
"""What a client hears of a transaction that the cluster has ended because its time was over."""


class FatalError(Exception):
    """The client cannot go on. The text is for the operator; *fenced* says that another process has taken its name."""

    def __init__(self, text: str, *, fenced: bool) -> None:
        super().__init__(text)
        self.fenced = fenced


class StuckError(FatalError):
    """A thread hangs inside librdkafka: only the end of the whole process gets rid of it."""


class TransactionAbortedError(Exception):
    """The open transaction was aborted: nothing of it is visible, the caller rewinds and goes on."""


AFTER_ANOTHER_ERROR: Final = "_STATE"
"""What librdkafka calls an abort for an error that it has told before, or will not tell: no cause of its own."""


class UnknownOutcomeError(TransactionAbortedError):
    """The same, unless a commit that was asked for has come through: the client was replaced, and no answer came."""


class RecordTooLargeError(TransactionAbortedError):
    """It was aborted as the broker takes no batch of that size; *topic* is the one that refused it, "" if not known."""

    def __init__(self, error: KafkaError) -> None:
        found = _PRODUCE_REQUEST.match(error.str())
        self.topic = found[1] if found is not None else ""
        super().__init__(f"{error.name()}: {self.topic or error.str()}")


class StoppedError(Exception):
    """Asked to stop while waiting for the cluster."""


def is_fatal(error: KafkaError) -> bool:
    """Whether the client can't go on. What a consumer hands out like a record has the code alone, not the flag."""
    return error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001


def _cause(error: KafkaError) -> int:
    """The code behind one that only says "fatal": librdkafka quotes its own words for it."""
    if error.code() != KafkaError._FATAL:  # noqa: SLF001
        return error.code()
    return next((code for code in sorted(_FENCED) if KafkaError(code).str() in error.str()), error.code())


def fatal_error(error: KafkaError) -> FatalError:
    """What to raise for a fatal error of librdkafka."""
    cause, todo = _cause(error), ""
    if cause in _FENCED:
        todo = (
            "another process runs under the same instance name (give each its own --instance), or this one slept too "
            "long: "
        )
    elif cause == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        todo = (
            "grant Write and Describe for transactional ids that begin with the consumer group's name "
            "(route_lane.group, or that of the sink) and a hyphen: "
        )
    # First what to do: details name every partition, and long values of the log are cut.
    return FatalError(f"{error.name()}: {todo}{error.str()}", fenced=cause in _FENCED)


_GONE: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.INCONSISTENT_TOPIC_ID,
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)
_NO_RIGHT: Final = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})


_UNREADABLE: Final = frozenset(
    {
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001
        KafkaError._BAD_MSG,  # noqa: SLF001
        KafkaError._NOT_IMPLEMENTED,  # noqa: SLF001 - a version of messages, or a codec, that is not known
    }
)


OF_NO_GROUP: Final = frozenset({KafkaError.GROUP_AUTHORIZATION_FAILED})
"""Errors that concern no reader outside any group: librdkafka looks for a coordinator all the same."""


class ReadError(NamedTuple):
    """Why a topic cannot be read. *code* and *name* are librdkafka's; *is_unknown*: there is no such topic.

    *partition* and *offset* say where; they are -1 if it is the whole topic. Of a batch that can't be read the offset
    is that of its first record.
    """

    topic: str
    code: int
    name: str
    text: str
    is_unknown: bool
    partition: int = -1
    offset: int = -1

    @property
    def is_unreadable(self) -> bool:
        """Whether a batch of records came and can't be read: its bytes are damaged. It comes again and again."""
        return self.code in _UNREADABLE and self.offset >= 0

    @property
    def is_refused(self) -> bool:
        """Whether we lack a right, which only an operator can give."""
        return self.code in _NO_RIGHT

    @property
    def may_be_recreated(self) -> bool:
        """Whether the topic may have been deleted, and made anew."""
        return self.code in _GONE


class OffsetError(NamedTuple):
    """A partition is read no further: at *offset*, None if there was none yet.

    *truncated*: the records before it were replaced by others.
    """

    offset: int | None
    truncated: bool


_LOG_TRUNCATION: Final = KafkaError._LOG_TRUNCATION  # noqa: SLF001 - librdkafka's own error codes start so


def offset_error(message: Message) -> OffsetError | None:
    """Why librdkafka has stopped at an offset, if *message* is such an error.

    Only `GroupConsumer.restart` gets the partition going again.
    """
    error: KafkaError = message.error()
    if error.code() not in (KafkaError._AUTO_OFFSET_RESET, _LOG_TRUNCATION):  # noqa: SLF001
        return None
    offset: int | None = message.offset()  # librdkafka's binding gives None where there is none
    truncated = error.code() == _LOG_TRUNCATION or "truncat" in error.str().lower()
    return OffsetError(offset if offset is not None and offset >= 0 else None, truncated)


def read_error(message: Message) -> ReadError:
    """The error that came in place of a record; `message.error()` is not None.

    Raises:
        FatalError: the client cannot go on.
    """
    error: KafkaError = message.error()
    if is_fatal(error):
        raise fatal_error(error)
    unknown = error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    offset: int | None = message.offset()
    partition = message.partition()
    text = error.str()
    return ReadError(
        message.topic() or "", error.code(), error.name(), text, unknown, partition, -1 if offset is None else offset
    )
