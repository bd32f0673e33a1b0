"""Every metric of both lanes, in the registry that `/metrics` serves.

Label values come from bounded sets only: route and source names from topics.yaml, `Stage` and `Reason`, topics and
partitions. Never a path or an exception's text; a client id only in `TOP_CLIENTS`, whose number is bounded.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from collections.abc import Iterator

REGISTRY: Final = CollectorRegistry()
"""A registry of our own: what a library registers by itself is not in our scrape."""
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_BATCH_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_QUERY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

# Route lane
RECORDS_READ = Counter("logrouter_records_read", "Kafka records read, by source.", ["source"], registry=REGISTRY)
BYTES_READ = Counter("logrouter_read_bytes", "Bytes of record values read, by source.", ["source"], registry=REGISTRY)
EVENTS = Counter(
    "logrouter_events",
    "First outcome of every record: accepted, held, ignored or rejected, by route and reason. They add up to what was "
    "read. What became of those held is in `logrouter_pairing_results`.",
    ["route", "outcome", "stage", "reason"],
    registry=REGISTRY,
)
EVENT_COPIES = Counter(
    "logrouter_event_copies",
    "Further outcomes of records that several routes had, or that pack lines. The first is in `logrouter_events`.",
    ["route", "outcome", "stage", "reason"],
    registry=REGISTRY,
)
RECORDS_PRODUCED = Counter(
    "logrouter_records_produced",
    "Records committed, by output: events, dead_letter, rollup, pairing.",
    ["output"],
    registry=REGISTRY,
)
BYTES_PRODUCED = Counter(
    "logrouter_produced_bytes", "Bytes of record values committed, by output.", ["output"], registry=REGISTRY
)
BATCH_SECONDS = Histogram(
    "logrouter_batch_seconds",
    "Time to decode, route, parse, enrich and validate one batch.",
    buckets=_BATCH_BUCKETS,
    registry=REGISTRY,
)
TRANSACTION_SECONDS = Histogram(
    "logrouter_transaction_seconds",
    "Time from beginning a Kafka transaction until it is committed.",
    buckets=_BATCH_BUCKETS,
    registry=REGISTRY,
)
TRANSACTIONS = Counter(
    "logrouter_transactions", "Kafka transactions, by result: committed or aborted.", ["result"], registry=REGISTRY
)
RECORDS_LOST = Counter(
    "logrouter_records_lost",
    "Offsets of a topic that were deleted before they were read, or passed over as damaged, with a dead letter for "
    "each range of them (`read`, `records_lost`); 1 for a range of unknown length, where the topic was made anew.",
    ["topic"],
    registry=REGISTRY,
)
CONSUMER_LAG = Gauge(
    "logrouter_consumer_lag_records",
    "Records between the committed position and the end of the partition, for assigned partitions.",
    ["topic", "partition"],
    registry=REGISTRY,
)
ASSIGNED_PARTITIONS = Gauge(
    "logrouter_assigned_partitions", "Source partitions this process owns now.", registry=REGISTRY
)
REBALANCES = Counter("logrouter_rebalances", "Rebalances seen by the route lane.", registry=REGISTRY)
INTERNAL_ERRORS = Counter(
    "logrouter_internal_errors",
    "Programming errors caught by a lane: always worth a bug report.",
    ["lane"],
    registry=REGISTRY,
)
BROKER_UP = Gauge("logrouter_broker_up", "1 while the Kafka cluster answers, else 0.", registry=REGISTRY)
CONFIG_INFO = Gauge(
    "logrouter_config_info", "1 for the configuration generation in force.", ["generation"], registry=REGISTRY
)
CONFIG_VALID = Gauge(
    "logrouter_config_valid",
    "1 while topics.yaml as it is now is what routes, 0 while it is refused or rolled back.",
    registry=REGISTRY,
)
CONFIG_LAST_RELOAD = Gauge(
    "logrouter_config_last_reload_timestamp_seconds",
    "When the generation in force came into force.",
    registry=REGISTRY,
)
CONFIG_RELOADS = Counter(
    "logrouter_config_reloads",
    "Changes of topics.yaml, by result: applied, unchanged (when asked for), invalid, refused, rolled_back.",
    ["result"],
    registry=REGISTRY,
)
UNREADABLE_BATCHES = Counter(
    "logrouter_unreadable_batches",
    "Batches of records, as producers send them, whose bytes are damaged: the partition stands still before each.",
    ["topic", "partition"],
    registry=REGISTRY,
)
PARTITION_UNREADABLE = Gauge(
    "logrouter_partition_unreadable",
    "1 while a partition of this process stands still before a damaged batch of records; other partitions have none.",
    ["topic", "partition"],
    registry=REGISTRY,
)
LEDGER_INVALID = Counter(
    "logrouter_ledger_invalid",
    "Records in the ledger of sources that are none of ours. They were skipped.",
    registry=REGISTRY,
)
PAIRING_RESULTS = Counter(
    "logrouter_pairing_results",
    "How held lines left: paired, unpaired, never_completed, late and evicted are one event each; rejected, no_route "
    "and too_large one dead letter; duplicate, forgotten (an opening line that had to make room) and dropped nothing.",
    ["route", "result"],
    registry=REGISTRY,
)
PAIRING_PENDING = Gauge(
    "logrouter_pairing_pending_lines",
    "Lines that wait for the other one of their request, by pairing partition of this process.",
    ["partition"],
    registry=REGISTRY,
)
CANARY_ACTIVE = Gauge(
    "logrouter_canary_active", "1 while a new generation is watched and may be rolled back.", registry=REGISTRY
)
ROUTE_PORT_REFUSED = Counter(
    "logrouter_route_port_refused",
    "What the route process's own port refused, by reason: connections (too many), address (too many from one), "
    "deadline (a request that did not arrive in time), size (too large, or of unknown length).",
    ["reason"],
    registry=REGISTRY,
)

# Tables lane
ROLLUP_RECORDS_FOLDED = Counter(
    "logrouter_rollup_records_folded", "Rollup records folded into tables.", registry=REGISTRY
)
PARTIAL_SUMS_FOLDED = Counter(
    "logrouter_partial_sums_folded", "Partial sums folded: one per subject and rollup record.", registry=REGISTRY
)
PARTIAL_SUMS_REPLAYED = Counter(
    "logrouter_partial_sums_replayed",
    "Partial sums read again after a restart and not counted twice.",
    registry=REGISTRY,
)
ROLLUP_RECORDS_INVALID = Counter(
    "logrouter_rollup_records_invalid", "Rollup records that could not be decoded.", registry=REGISTRY
)
ROLLUP_RECORDS_LOST = Counter(
    "logrouter_rollup_records_lost",
    "Offsets of the rollup topic that were deleted before they were folded: records, and ends of transactions.",
    registry=REGISTRY,
)
TABLE_HOLES = Gauge(
    "logrouter_table_holes",
    "Stretches of rollup records that were deleted before they were folded, in the partitions of this worker, ever. "
    "Answers about that time are partial.",
    registry=REGISTRY,
)
LATE_EVENTS = Counter(
    "logrouter_late_events",
    "Events older than a tier keeps; counted in the lifetime row only.",
    ["tier"],
    registry=REGISTRY,
)
ROWS_WRITTEN = Counter("logrouter_table_rows_written", "Table rows written, by tier.", ["tier"], registry=REGISTRY)
ROWS_EXPIRED = Counter(
    "logrouter_table_rows_expired", "Table rows removed by retention, by tier.", ["tier"], registry=REGISTRY
)
TABLE_ROWS = Gauge(
    "logrouter_table_rows", "Table rows held by this worker's active partitions (estimate).", registry=REGISTRY
)
CHANGELOG_BYTES = Counter("logrouter_changelog_bytes", "Bytes of rows sent to the changelog.", registry=REGISTRY)
FOLD_SECONDS = Histogram(
    "logrouter_fold_seconds", "Time to fold one micro-batch.", buckets=_BATCH_BUCKETS, registry=REGISTRY
)
FLUSH_SECONDS = Histogram(
    "logrouter_flush_seconds",
    "Time to write changed rows to store and changelog.",
    buckets=_BATCH_BUCKETS,
    registry=REGISTRY,
)
ROLLUP_LAG = Gauge(
    "logrouter_rollup_lag_records", "Rollup records not folded yet, by partition.", ["partition"], registry=REGISTRY
)
TABLES_READY = Gauge(
    "logrouter_tables_ready", "1 while tables are recovered and answer queries, else 0.", registry=REGISTRY
)


class _TopClients:
    """A gauge per client for those with most requests, and ``other`` for the rest; nothing unless it is switched on.

    A client that becomes one of the largest leaves ``other``, whose value falls: so these are gauges, not counters.
    *counts* is replaced as a whole, so the series of a scrape always add up to all requests of the clients.
    """

    name: Final = "logrouter_client_requests"

    def __init__(self, registry: CollectorRegistry) -> None:
        self.counts: tuple[tuple[str, int], ...] = ()
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called at each scrape."""
        family = GaugeMetricFamily(
            self.name,
            "Requests ever counted of the largest clients in the partitions of this worker, and of all others as "
            "`other`. Off unless tables_lane.metrics.top_clients is set.",
            labels=["client_id"],
        )
        for client, count in self.counts:
            family.add_metric([client], count)
        yield family


TOP_CLIENTS = _TopClients(REGISTRY)
"""`tables.top_clients` sets its *counts*, all at once."""

# Table view
QUERY_SECONDS = Histogram(
    "logrouter_query_seconds",
    "Time to answer a request to the table view or the drains API, by endpoint and status code.",
    ["endpoint", "code"],
    buckets=_QUERY_BUCKETS,
    registry=REGISTRY,
)
QUERY_ROWS = Counter(
    "logrouter_query_rows_read",
    "Table rows that this worker read for questions, by endpoint (`part_...`: for another worker).",
    ["endpoint"],
    registry=REGISTRY,
)
ACCESS_REFUSED = Counter(
    "logrouter_access_refused",
    "Requests that were not let in, by reason: no_token, invalid_token, expired_token, early_token, no_keys, scope, "
    "hop, host, content_type, caller_rate, caller_rows, address_rate.",
    ["reason"],
    registry=REGISTRY,
)
ACCESS_VALID = Gauge(
    "logrouter_access_files_valid",
    "1 while the files of tokens, keys and certificates are in force as they are now, 0 while one is refused.",
    registry=REGISTRY,
)


# Sinks
SINK_EVENTS = Counter(
    "logrouter_sink_events",
    "Events that a sink is done with, by what became of them: delivered, refused (a dead letter each), blocked, "
    "throttled, tombstone.",
    ["sink", "result"],
    registry=REGISTRY,
)
SINK_REQUESTS = Counter(
    "logrouter_sink_requests",
    "Requests to a sink's target, by outcome: ok, or what is wrong with the target (connect, tls, timeout, broken, "
    "nonsense, overloaded, unavailable, denied, guarded).",
    ["sink", "outcome"],
    registry=REGISTRY,
)
SINK_RETRIES = Counter(
    "logrouter_sink_retries", "Events that were in a request and have to be sent again.", ["sink"], registry=REGISTRY
)
SINK_REQUEST_SECONDS = Histogram(
    "logrouter_sink_request_seconds",
    "Time from a request to its answer.",
    ["sink"],
    buckets=_BATCH_BUCKETS,
    registry=REGISTRY,
)
SINK_REQUEST_LIMIT = Gauge(
    "logrouter_sink_request_limit", "How many requests may be on their way at a time now.", ["sink"], registry=REGISTRY
)
SINK_UP = Gauge(
    "logrouter_sink_up", "1 while the target takes events, 0 while it does not.", ["sink"], registry=REGISTRY
)
SINK_WAITING_RECORDS = Gauge(
    "logrouter_sink_waiting_records", "Events that were read and are not done yet.", ["sink"], registry=REGISTRY
)
SINK_WAITING_BYTES = Gauge(
    "logrouter_sink_waiting_bytes",
    "Bytes of the events that were read and are not done yet.",
    ["sink"],
    registry=REGISTRY,
)
SINK_PAUSED = Gauge(
    "logrouter_sink_paused",
    "1 while nothing is read because as much as allowed waits already.",
    ["sink"],
    registry=REGISTRY,
)


def drop_consumer_lag(topic: str, partition: int) -> None:
    """Remove the lag of a partition that this process no longer owns: a stale value would raise alarms for ever."""
    with contextlib.suppress(KeyError):
        CONSUMER_LAG.remove(topic, str(partition))


def drop_partition_unreadable(topic: str, partition: int) -> None:
    """A partition is read again, or this process no longer owns it."""
    with contextlib.suppress(KeyError):
        PARTITION_UNREADABLE.remove(topic, str(partition))


def drop_pairing_pending(partition: int) -> None:
    """Remove the series of a pairing partition that this process no longer owns."""
    with contextlib.suppress(KeyError):
        PAIRING_PENDING.remove(str(partition))


def drop_config_info(generation: str) -> None:
    """Remove the series of a configuration generation that is no longer active."""
    with contextlib.suppress(KeyError):
        CONFIG_INFO.remove(generation)
