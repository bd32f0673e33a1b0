"""The transactional producer: each kind of Kafka error ends in its one way, and nothing is lost on any of them."""

import gc
import threading
import weakref

import pytest
from confluent_kafka import KafkaError, KafkaException

from logrouter.kafka import transaction
from logrouter.kafka.errors import (
    FatalError,
    RecordTooLargeError,
    StoppedError,
    StuckError,
    TransactionAbortedError,
    UnknownOutcomeError,
)
from logrouter.kafka.transaction import BatchSize, TransactionalProducer
from tests.conftest import HANG_SECONDS

RETRIABLE = KafkaError(KafkaError._TIMED_OUT, "later", retriable=True)
ABORTABLE = KafkaError(KafkaError.ILLEGAL_GENERATION, "rebalanced", txn_requires_abort=True)
FENCED = KafkaError(KafkaError._FENCED, "newer epoch", fatal=True)
NONE_OPEN = KafkaError(KafkaError.INVALID_TXN_STATE, "no transaction is open", fatal=True)


class ScriptedProducer:
    """Stands in for librdkafka: each call answers from its script, then succeeds. Keeps what was called."""

    def __init__(self, **script):
        self.script = script
        self.calls = []

    def _answer(self, name):
        self.calls.append(name)
        errors = self.script.get(name) or []
        if errors:
            error = errors.pop(0)
            raise error if isinstance(error, BufferError) else KafkaException(error)

    def init_transactions(self, _timeout):
        self._answer("init")

    def begin_transaction(self):
        self._answer("begin")

    def produce(self, *_args, **_kwargs):
        self._answer("produce")

    def poll(self, _timeout):
        self._answer("poll")

    def send_offsets_to_transaction(self, *_args):
        self._answer("offsets")

    def commit_transaction(self, _timeout):
        self._answer("commit")

    def abort_transaction(self, _timeout):
        self._answer("abort")


def run_one(give_up=lambda: False, timeout_seconds=60.0, **script):
    """One transaction with one record through a scripted producer; the calls made, and the error it ended with."""
    scripted = ScriptedProducer(**script)
    producer = TransactionalProducer(
        lambda: scripted,
        timeout_seconds=timeout_seconds,
        give_up=give_up,
        waiting=lambda _error: None,
        retry_seconds=0,
    )
    error = None
    try:
        producer.initialise()
        producer.begin()
        producer.produce("t", b"v", None, [])
        producer.commit_later([], None)
        producer.await_commit()
    except Exception as exc:  # noqa: BLE001 - the error is what is tested
        error = exc
    finally:
        producer.close()
    return scripted.calls, error


def test_a_transaction_of_no_group_sends_no_offsets():
    """Such as one that changes the registration of a drain."""
    scripted = ScriptedProducer()
    producer = TransactionalProducer(
        lambda: scripted, timeout_seconds=60, give_up=lambda: False, waiting=lambda _error: None
    )
    producer.initialise()
    producer.begin()
    producer.produce("t", b"v", None, [])
    producer.commit_later()
    producer.await_commit()
    producer.close()

    assert scripted.calls == ["init", "begin", "produce", "commit"]


@pytest.mark.parametrize(
    ("script", "calls", "error"),
    [
        ({}, "init begin produce offsets commit", None),
        ({"init": [RETRIABLE, RETRIABLE]}, "init init init begin produce offsets commit", None),
        ({"commit": [RETRIABLE]}, "init begin produce offsets commit commit", None),
        ({"produce": [BufferError()]}, "init begin produce poll produce offsets commit", None),
        ({"produce": [BufferError()], "poll": [FENCED]}, "init begin produce poll", FatalError),
        ({"offsets": [ABORTABLE]}, "init begin produce offsets abort init", TransactionAbortedError),
        ({"commit": [ABORTABLE]}, "init begin produce offsets commit abort init", TransactionAbortedError),
        ({"produce": [ABORTABLE]}, "init begin produce abort init", TransactionAbortedError),
        (
            {"commit": [ABORTABLE], "abort": [RETRIABLE]},
            "init begin produce offsets commit abort abort init",
            TransactionAbortedError,
        ),
        ({"commit": [FENCED]}, "init begin produce offsets commit", FatalError),
        ({"commit": [ABORTABLE], "abort": [FENCED]}, "init begin produce offsets commit abort", FatalError),
        ({"begin": [FENCED]}, "init begin", FatalError),
        # The coordinator died before it had heard of the transaction.
        (
            {"offsets": [ABORTABLE], "abort": [NONE_OPEN]},
            "init begin produce offsets abort init",
            TransactionAbortedError,
        ),
        ({"produce": [ABORTABLE], "abort": [NONE_OPEN]}, "init begin produce abort init", TransactionAbortedError),
        # Or it has committed it, and we have not heard of that: only a new process knows how to go on.
        ({"commit": [ABORTABLE], "abort": [NONE_OPEN]}, "init begin produce offsets commit abort", FatalError),
    ],
)
def test_error_ends_in_its_one_way(script, calls, error):
    """Retriable calls are repeated, abortable transactions aborted, fatal errors raised."""
    made, raised = run_one(**{name: list(errors) for name, errors in script.items()})

    assert (calls.split(), error) == (made, type(raised) if raised else None)


def test_fenced_says_what_to_do():
    """A fenced process tells the operator which mistake leads there."""
    _, error = run_one(commit=[FENCED])

    assert error.fenced
    assert "--instance" in str(error).partition("newer epoch")[0], "before details, which may be long"


@pytest.mark.parametrize("said", [KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.INVALID_TXN_STATE])
def test_fenced_by_an_outage_goes_on_with_a_new_client(said):
    """A transaction older than its timeout was ended by the coordinator, not by a rival: start anew, and rewind."""
    calls, error = run_one(timeout_seconds=0.0, commit=[KafkaError(said, "ended", fatal=True)])

    assert calls == ["init", "begin", "produce", "offsets", "commit", "init"]
    assert isinstance(error, TransactionAbortedError)


@pytest.mark.parametrize(
    ("errors", "seconds", "calls", "raised"),
    [
        ([RETRIABLE], 60.0, "init begin abort abort init", None),
        ([NONE_OPEN], 60.0, "init begin abort init", None),
        ([FENCED], 0.0, "init begin abort init", None),
        ([FENCED], 60.0, "init begin abort", FatalError),
    ],
)
def test_abort_is_done_or_ends_the_lane(errors, seconds, calls, raised):
    """Nothing of librdkafka's gets out: whether or not it could be aborted, a new client goes on."""
    scripted = ScriptedProducer(abort=list(errors))
    producer = TransactionalProducer(
        lambda: scripted, timeout_seconds=seconds, give_up=lambda: False, waiting=lambda _error: None, retry_seconds=0
    )
    error = None
    try:
        producer.initialise()
        producer.begin()
        producer.abort()
    except Exception as exc:  # noqa: BLE001 - the error is what is tested
        error = exc
    finally:
        producer.close()

    assert (scripted.calls, type(error) if error else None) == (calls.split(), raised)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({"offsets": [FENCED]}, TransactionAbortedError),
        ({"offsets": [ABORTABLE], "abort": [FENCED]}, TransactionAbortedError),
        ({"commit": [ABORTABLE]}, TransactionAbortedError),
        ({"commit": [FENCED]}, UnknownOutcomeError),
        ({"commit": [ABORTABLE], "abort": [NONE_OPEN]}, UnknownOutcomeError),
        ({"commit": [ABORTABLE], "abort": [FENCED]}, UnknownOutcomeError),
    ],
)
def test_outcome_is_unknown_only_if_a_commit_was_asked_for_and_no_abort_is_confirmed(script, expected):
    """The transaction's time is over, so that a new client takes the place of one that was fenced."""
    _, error = run_one(timeout_seconds=0.0, **{name: list(errors) for name, errors in script.items()})

    assert type(error) is expected


def test_client_whose_transaction_was_aborted_is_not_used_again():
    """It gives the numbers of dropped records to the next ones, which a broker would take for repetitions."""
    clients: list[ScriptedProducer] = []

    def make() -> ScriptedProducer:
        clients.append(ScriptedProducer())
        return clients[-1]

    producer = TransactionalProducer(
        make, timeout_seconds=60.0, give_up=lambda: False, waiting=lambda _error: None, retry_seconds=0
    )
    producer.initialise()
    producer.begin()
    producer.produce("t", b"v", None, [])
    producer.abort()
    producer.begin()
    producer.produce("t", b"v", None, [])
    producer.close()

    assert [client.calls for client in clients] == [["init", "begin", "produce", "abort"], ["init", "begin", "produce"]]


class NativeProducer:
    """Stands in for librdkafka where it counts what holds a client: its calls have no frame that would."""

    def _succeed(*_args):
        pass

    def _fail(*_args):
        raise KafkaException(ABORTABLE)

    init_transactions = begin_transaction = abort_transaction = send_offsets_to_transaction = staticmethod(_succeed)
    commit_transaction = staticmethod(_fail)


@pytest.fixture
def _no_collector():
    """The route lane has Python look for cycles hardly ever."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
def test_client_that_was_replaced_goes_at_once():
    """It has threads and connections, and aborts may be many: a deleted topic, a lost permission."""
    made = []

    def make():
        client = NativeProducer()
        made.append(weakref.ref(client))
        return client

    producer = TransactionalProducer(
        make, timeout_seconds=60.0, give_up=lambda: False, waiting=lambda _error: None, retry_seconds=0
    )
    producer.initialise()
    for _ in range(2):
        producer.begin()
        producer.commit_later([], None)
        with pytest.raises(TransactionAbortedError):
            producer.await_commit()
    producer.close()

    assert [client() is not None for client in made] == [False, False, True]


def test_client_that_does_not_find_the_cluster_again_is_replaced(monkeypatch):
    """It may have no connection left after an outage and make none: long after the transaction's time a new one does.

    By then the cluster has ended the transaction; one that may still be alive is never given up so.
    """
    monkeypatch.setattr(transaction, "_STUCK_SECONDS", 1.0)
    never = [RETRIABLE] * 1_000_000
    calls, error = run_one(timeout_seconds=0.0, offsets=never, abort=never)

    assert isinstance(error, TransactionAbortedError)
    assert (calls[-2:], calls.count("init"), calls.count("commit")) == (["abort", "init"], 2, 0)


class HangingProducer(ScriptedProducer):
    """Stands in for librdkafka when a call does not come back before it is *released*.

    Within `commit_with` the time that a call may take is over as soon as it hangs, and not before.
    """

    def __init__(self, hangs_in, released, **script):
        super().__init__(**script)
        self.hangs_in = hangs_in
        self.released = released
        self.thread = None

    def _answer(self, name):
        if name == self.hangs_in:
            self.thread = threading.current_thread()
            transaction._STUCK_SECONDS = 0.0
            self.released.wait(HANG_SECONDS)
        super()._answer(name)


def commit_with(clients, times, monkeypatch, waiting=lambda _error: None):
    """That many transactions, each with a client of *clients* until it hangs; how each ended, None for well."""
    monkeypatch.setattr(transaction, "_POLL_SECONDS", 0.01)
    left = iter(clients)
    producer = TransactionalProducer(lambda: next(left), timeout_seconds=60.0, give_up=lambda: False, waiting=waiting)
    producer.initialise()
    for _ in range(times):
        monkeypatch.setattr(transaction, "_STUCK_SECONDS", HANG_SECONDS)
        producer.begin()
        producer.commit_later([], None)
        try:
            producer.await_commit()
        except Exception as exc:  # noqa: BLE001 - the error is what is tested
            yield type(exc)
        else:
            yield None
    producer.close()


@pytest.mark.parametrize(
    ("hangs_in", "calls", "ended"),
    [
        ("offsets", "init begin offsets", TransactionAbortedError),
        ("commit", "init begin offsets commit", UnknownOutcomeError),
    ],
)
def test_a_commit_that_does_not_come_back_is_left_and_a_new_client_goes_on(monkeypatch, hangs_in, calls, ended):
    """The new client ends the transaction. If the thread that hung comes back after that, it asks for nothing more."""
    released = threading.Event()
    hanging, fresh = HangingProducer(hangs_in, released), ScriptedProducer()
    ends = commit_with([hanging, fresh], 2, monkeypatch)

    assert next(ends) is ended
    assert [*ends] == [None]
    assert fresh.calls == ["init", "begin", "offsets", "commit"]
    released.set()
    hanging.thread.join(HANG_SECONDS)
    assert not hanging.thread.is_alive()
    assert hanging.calls == calls.split()


def test_what_a_client_that_hung_says_of_the_cluster_is_not_listened_to(monkeypatch):
    """A new one has been answered since: the cluster is not away."""
    released, heard = threading.Event(), []
    hanging = HangingProducer("commit", released, commit=[RETRIABLE])
    ends = commit_with([hanging, ScriptedProducer()], 1, monkeypatch, waiting=heard.append)

    assert [*ends] == [UnknownOutcomeError]
    released.set()
    hanging.thread.join(HANG_SECONDS)
    assert not hanging.thread.is_alive()
    assert heard == []


def test_a_process_leaves_only_so_many_clients_that_hang(monkeypatch):
    """Each keeps its threads and connections: at last the process has to be replaced."""
    released = threading.Event()
    clients = [HangingProducer("commit", released) for _ in range(10)]
    monkeypatch.setattr(transaction, "_MOST_HUNG", 3)

    ends = [*commit_with(clients, 4, monkeypatch)]
    released.set()

    assert ends == [*[UnknownOutcomeError] * 3, StuckError]


def test_waiting_for_the_cluster_ends_when_told_to_give_up():
    """SIGTERM while the cluster is away does not hang: waiting ends with StoppedError."""
    _, error = run_one(give_up=lambda: True, commit=[RETRIABLE] * 3)

    assert isinstance(error, StoppedError)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("ProduceRequest for a.b-c [3] with 2 message(s) failed: Broker: Message size too large (broker 1)", "a.b-c"),
        ("something else", ""),
    ],
)
def test_a_batch_that_is_too_large_names_its_topic(text, topic):
    """By what librdkafka says: whose limit it was is not told otherwise."""
    refused = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, text, txn_requires_abort=True)

    calls, ended = run_one(commit=[refused])

    assert calls[-2:] == ["abort", "init"]
    assert isinstance(ended, RecordTooLargeError)
    assert ended.topic == topic


@pytest.mark.parametrize(
    ("bound", "configured", "used"),
    [(None, 1 << 20, 1 << 20), (5_000, 1 << 20, 5_000), (5_000, "3000", 3_000), (5_000, None, 5_000)],
)
def test_batches_are_no_larger_than_bound_and_configured(bound, configured, used):
    """The operator's own setting may be smaller still."""
    size = BatchSize()
    size.bytes = bound

    assert size.bound({} if configured is None else {"batch.size": configured})["batch.size"] == used


def test_a_client_that_says_between_transactions_that_it_is_fenced_ends_the_process():
    """It is told wherever librdkafka is asked next: in a call for callbacks, if nothing else is to do."""
    client = ScriptedProducer()
    producer = TransactionalProducer(
        lambda: client, timeout_seconds=60.0, give_up=lambda: False, waiting=lambda _error: None, retry_seconds=0
    )
    producer.initialise()
    client.script = {"poll": [FENCED]}

    with pytest.raises(FatalError, match="another process runs under the same instance name") as caught:
        producer.poll()
    assert caught.value.fenced
