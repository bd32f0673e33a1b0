"""Options of the topics that logrouter itself writes."""

from __future__ import annotations

from logrouter.config.yaml.kinds import TOPIC, Integer, Section, options
from logrouter.config.yaml.kinds import option as opt


@options
class DeadLetterOptions:
    """Where rejected records go, each with its stage, reason, JSON pointer and source coordinates."""

    topic: str = opt(TOPIC, "Topic name.", default="logrouter.dead-letter")
    max_raw_bytes: int = opt(
        Integer(0, 500_000), "How many bytes of the rejected record are kept, after redaction.", default=65_536
    )


@options
class RollupOptions:
    """Partial sums on their way from the route lane to the tables."""

    topic: str = opt(TOPIC, "Topic name.", default="logrouter.rollup")
    partitions: int = opt(
        Integer(1, 1_000),
        "Partitions of this topic and of the tables, so the most workers that can share them. Can't be changed later "
        "without starting the tables anew.",
        default=8,
    )
    retention_ms: int = opt(
        Integer(3_600_000, 10**15),
        "How long a new topic keeps its records, whatever their size. The tables must have folded them by then: what a "
        "tables lane that was away for longer has not seen is in no table, and answers about that time are partial for "
        "good.",
        default=7 * 24 * 3_600_000,
    )


@options
class PairingOptions:
    """Where lines wait for the other one of their request, if a route says `pair`.

    There are two topics: this one, and its changelog, which has the same name with `.state` behind it. If no route
    pairs any more, lines that still wait are finished as long as this section stands in the file.
    """

    topic: str = opt(TOPIC, "Topic name.", default="logrouter.pairing")
    partitions: int = opt(
        Integer(1, 1_000),
        "Partitions of both topics, so the most processes that can share them. Can't be changed while lines wait.",
        default=8,
    )
    max_lines: int = opt(
        Integer(1, 10_000_000),
        "Lines that may wait in one partition. Beyond that the oldest has to go: a closing line as an event with the "
        "flags `unpaired` and `evicted`, an opening one without a trace but in the metrics.",
        default=50_000,
    )
    max_bytes: int = opt(
        Integer(1_048_576, 2**40), "Bytes that they may take in memory, for each partition.", default=32 * 2**20
    )


@options
class LedgerOptions:
    """Where the lanes note the first id of every source topic, by which they know one that was made anew.

    Processes and groups that read the same topics must share it: their events have the same ids then.
    """

    topic: str = opt(TOPIC, "Topic name. It has one partition and keeps its records.", default="logrouter.ledger")


@options
class OutputsOptions:
    """Topics that logrouter itself writes, and how `logrouter topics` creates them. A route names its own with `to`."""

    dead_letter: DeadLetterOptions = opt(Section(DeadLetterOptions), "Rejected records.", default=DeadLetterOptions())
    rollup: RollupOptions = opt(Section(RollupOptions), "Partial sums.", default=RollupOptions())
    pairing: PairingOptions | None = opt(
        Section(PairingOptions), "Lines that wait for the other one of their request.", default=None
    )
    ledger: LedgerOptions = opt(Section(LedgerOptions), "Ids of source topics.", default=LedgerOptions())
    partitions: int = opt(Integer(1, 10_000), "Partitions of a new output topic.", default=6)
    replication_factor: int = opt(
        Integer(-1, 100), "Copies of each partition of a new topic; -1 leaves it to the broker.", default=-1
    )
    retention_ms: int = opt(
        Integer(-1, 10**15),
        "How long a new topic keeps its records, that of rollup records excepted; -1 is for ever.",
        default=7 * 24 * 3_600_000,
    )
