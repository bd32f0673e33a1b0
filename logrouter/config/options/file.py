"""Every option of topics.yaml, declared once: parsing, defaults, JSON Schema and docs/topics-yaml.md come from here.

Options are nouns with their units. What a declaration can't express (names that must exist, loops) is in
`config.compile.build`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logrouter.config.options.access import AccessOptions
from logrouter.config.options.cases import CaseOptions
from logrouter.config.options.drains import DrainsOptions
from logrouter.config.options.endpoint import HOST, PORT, HttpOptions
from logrouter.config.options.kafka import KafkaKind, SecretReference
from logrouter.config.options.outputs import OutputsOptions
from logrouter.config.options.privacy import PrivacyOptions, RedactOptions
from logrouter.config.options.route import RouteOptions
from logrouter.config.options.sinks import SINK, SINK_NAME
from logrouter.config.options.topics import TopicOrExpression
from logrouter.config.yaml.kinds import (
    Boolean,
    Choice,
    Integer,
    ListOf,
    MappingOf,
    Number,
    Section,
    Text,
    options,
)
from logrouter.config.yaml.kinds import option as opt
from logrouter.config.yaml.names import GROUP
from logrouter.core.envelopes import ENVELOPES

if TYPE_CHECKING:
    from logrouter.config.yaml.secrets import Secret

_MILLISECONDS = Integer(1, 3_600_000)
_MERGE_LOG_KEY = Text(r"[A-Za-z0-9_$@./-]{1,100}", "the name of a key", 100)


@options
class BatchOptions:
    """How much goes into one Kafka transaction: whichever bound is reached first ends the batch."""

    max_records: int = opt(Integer(1, 1_000_000), "Maximum number of records.", default=20_000)
    max_wait_ms: int = opt(_MILLISECONDS, "How long a batch may wait to fill up.", default=250)


@options
class MetricsOptions:
    """Where the route lane serves `/metrics`, `/livez` and `/readyz`."""

    host: str = opt(HOST, "Address to listen on.", default="127.0.0.1")
    port: int = opt(PORT, "Port to listen on; 0 picks a free one.", default=9100)


@options
class RouteLaneOptions:
    """The processes that read the sources and write clean events (`logrouter route`)."""

    group: str = opt(GROUP, "Consumer group, and the prefix of every `transactional.id`.", default="logrouter")
    instance: str = opt(
        Text(r"[A-Za-z0-9._-]{1,64}", "a name (letters, digits, . _ -; at most 64), or empty", 64, may_be_empty=True),
        "Name of this process within the group. Must be its own and stay the same over restarts (a StatefulSet's pod "
        "name, say): it makes the `transactional.id`, by which a restarted process ends its predecessor's transaction. "
        "Empty means the host's name.",
        default="",
    )
    batch: BatchOptions = opt(Section(BatchOptions), "Bounds of one transaction.", default=BatchOptions())
    transaction_timeout_ms: int = opt(
        _MILLISECONDS,
        "After this long the broker aborts the transaction of a process that died. Until then readers of committed "
        "records wait, so keep it short.",
        default=10_000,
    )
    session_timeout_ms: int = opt(
        _MILLISECONDS, "After this long without a heartbeat a process has left the group.", default=10_000
    )
    static_membership: bool = opt(
        Boolean(),
        "Be a static member of the group, by *instance* and what is read: quick restarts move no partitions.",
        default=False,
    )
    on_unreadable: str = opt(
        Choice(("stop", "skip")),
        "What becomes of a partition at a batch of records whose bytes are damaged. `stop`: it stands still before the "
        "batch, and all others go on. `skip`: the batch is lost, and a dead letter (`read`, `records_lost`) says so. "
        "Either way the log says where (`source_unreadable`). A running process follows this option.",
        default="stop",
    )
    metrics: MetricsOptions = opt(Section(MetricsOptions), "Where metrics are served.", default=MetricsOptions())


@options
class RetentionOptions:
    """How long each resolution of the tables is kept. The lifetime row of a client stays for ever."""

    minute_hours: int = opt(Integer(1, 24 * 31), "Hours that minute rows are kept.", default=24)
    hour_days: int = opt(Integer(1, 366), "Days that hour rows are kept.", default=35)
    day_days: int = opt(Integer(1, 3_660), "Days that day rows are kept.", default=400)


@options
class TablesMetricsOptions:
    """What a tables worker serves at /metrics beyond the metrics that are always there."""

    top_clients: int = opt(
        Integer(0, 1_000),
        "How many clients have a series of their own in `logrouter_client_requests`: those with most requests. The "
        'others are added up as `client_id="other"`. Whoever can read metrics then sees these client ids. 0: none.',
        default=0,
    )


@options
class TablesLaneOptions:
    """The processes that keep the per-client tables and answer for them (`logrouter tables`)."""

    group: str = opt(
        GROUP, "Faust application id: consumer group and prefix of changelogs.", default="logrouter-tables"
    )
    data_dir: str = opt(Text(called="a directory"), "Where RocksDB keeps this worker's tables.", default=".data/tables")
    http: HttpOptions = opt(Section(HttpOptions), "The table view.", default=HttpOptions())
    standby_replicas: int = opt(
        Integer(0, 10), "Workers besides the owner that keep a warm copy of each table partition.", default=1
    )
    retention: RetentionOptions = opt(Section(RetentionOptions), "How long rows are kept.", default=RetentionOptions())
    session_timeout_ms: int = opt(
        _MILLISECONDS, "After this long without a heartbeat a worker has left the group.", default=10_000
    )
    flush_interval_ms: int = opt(
        _MILLISECONDS, "How long partial sums are gathered in memory before rows are written.", default=200
    )
    metrics: TablesMetricsOptions = opt(
        Section(TablesMetricsOptions), "Further metrics.", default=TablesMetricsOptions()
    )


@options
class JoinPartialOptions:
    """Lines that the container runtime has cut are put together again, if all fragments are in one partition."""

    max_bytes: int = opt(
        Integer(1_024, 8_388_608),
        "Longer lines are given up, and each fragment is a dead letter (`decode`, `partial`).",
        default=262_144,
    )
    max_wait_seconds: int = opt(Integer(1, 3_600), "So are lines whose end does not come within this time.", default=30)


@options
class SourceOptions:
    """One kind of input."""

    topics: tuple[str, ...] = opt(
        ListOf(TopicOrExpression(), min_items=1, shorthand=True, unique=True),
        "Topic names, or regular expressions that begin with `^` and must match the whole name. Exact names go before "
        "expressions, earlier sources before later ones. Expressions never select our own topics, Faust's, or names "
        "that begin with `_`.",
    )
    begin: str = opt(
        Choice(("earliest", "latest")),
        "Where to begin in a partition for which the group has no committed offset: with all that is there, or with "
        "what comes from now on. `latest` also skips what a partition that was added to a topic holds by the time the "
        "group notices it. It says nothing about partitions with a committed offset. Kafka forgets the offsets of a "
        "group that has no members for longer than the broker's `offsets.retention.minutes`.",
        default="earliest",
        key="from",
    )
    envelope: str = opt(Choice(tuple(ENVELOPES)), "How the transport wraps a line.")
    merge_log_key: str = opt(
        _MERGE_LOG_KEY,
        "The key of a record under which the shipper puts the object that it has made of a line, as Fluent Bit's "
        "`Merge_Log_Key`; for the envelopes `json` and `kubernetes`. Usual names such as `log_processed` are found "
        "without it.",
        default="",
    )
    max_record_bytes: int = opt(
        Integer(1_024, 100_000_000), "Larger records are rejected unread (`decode`, `too_large`).", default=1_048_576
    )
    routing: str = opt(
        Choice(("first-match", "all-matches")),
        "Who gets a record that several routes match: the first of them in the order of the file, or all. With "
        "`all-matches` each makes an event of its own, with its own id, and a table counts the request once, for the "
        "first route that accepts it and names the table. Metrics count the record by its first route, and by the "
        "others as copies.",
        default="first-match",
    )
    join_partial: JoinPartialOptions | None = opt(
        Section(JoinPartialOptions),
        "Put lines together again that the container runtime has cut. Producers must send all lines of a container to "
        "one partition. Every record is decoded then, whatever *prefilter* says. Without this section fragments are "
        "rejected (`decode`, `partial`).",
        default=None,
    )
    prefilter: bool = opt(
        Boolean(),
        "Skip records that can't match any route without decoding them. Off, every record is decoded; nothing changes "
        "but the speed.",
        default=True,
    )


@options
class TrialOptions:
    """Bounds that an edited file must keep for a while; each worker compares its own records with them.

    When one is exceeded, the worker returns to the former configuration by itself, and does not take the edited file
    again until it changes. At least one `max_` must be given.
    """

    window_seconds: int = opt(
        Integer(1, 86_400), "How long an edited file is watched after it became active.", default=60
    )
    min_records: int = opt(
        Integer(1, 1_000_000_000), "A ratio is compared only when it is of at least this many records.", default=1_000
    )
    max_rejected_ratio: float | None = opt(
        Number(0, 1), "Highest share of rejected records among those accepted or rejected.", default=None
    )
    max_unmatched_ratio: float | None = opt(
        Number(0, 1), "Highest share of records that no route takes, among all that are read.", default=None
    )
    max_lag_growth_records: int | None = opt(
        Integer(0, 10**12),
        "By how many records the worker's lag may grow, summed over the partitions that it keeps.",
        default=None,
    )


@options
class AdminOptions:
    """Requests that change something: `POST /v1/admin/reload` on the port of `route_lane.metrics`."""

    token: Secret | None = opt(
        SecretReference(),
        "What `Authorization: Bearer …` must say, only as a `${NAME}` reference. Without it nothing can be asked.",
        default=None,
    )


@options
class LookupFileOptions:
    """Rows by key from a file, such as facts about clients. Read again with every change of either file."""

    file: str = opt(
        Text(r"[^\x00]+\.([cC][sS][vV]|[jJ][sS][oO][nN])", "a .csv or .json file", 500),
        "The file, relative to this one: CSV in UTF-8 whose first line names the columns, or JSON, an object of "
        "objects by key or a list of objects. At most 32 MiB and 500000 rows.",
    )
    key: str = opt(Text(called="a column or field of the file", max_length=200), "Column that holds the key.")
    fields: tuple[str, ...] = opt(
        ListOf(
            Text(r"[a-z][a-z0-9_]{0,63}", "a name (small letters, digits, _)", 64),
            min_items=1,
            max_items=32,
            unique=True,
        ),
        "Columns that become part of events: texts of at most 1024 characters. Empty ones and `-` are left out.",
    )


@options
class GeoIpOptions:
    """MMDB files with country and network of addresses. Needs `pip install '.[geoip]'` in a checkout."""

    files: tuple[str, ...] = opt(
        ListOf(Text(called="a .mmdb file", max_length=500), min_items=1, max_items=4, shorthand=True, unique=True),
        "The files, relative to this one, such as GeoLite2-Country.mmdb and GeoLite2-ASN.mmdb. From each address only "
        "the country's code and the network's number are read; the first file that knows them counts.",
    )


@options
class FileOptions:
    """A topics.yaml: where to read, what to pick out, where to write it, and how the two lanes run."""

    version: int = opt(Choice((1,)), "Version of this format.")
    kafka: dict[str, str | Secret] | None = opt(
        KafkaKind(),
        "The cluster: settings of librdkafka under their own names, such as `bootstrap.servers` or `sasl.password`; "
        "those that are data, in the table at the end.",
        default=None,
    )
    route_lane: RouteLaneOptions = opt(Section(RouteLaneOptions), "The lane that routes.", default=RouteLaneOptions())
    tables_lane: TablesLaneOptions = opt(
        Section(TablesLaneOptions), "The lane that counts.", default=TablesLaneOptions()
    )
    outputs: OutputsOptions = opt(Section(OutputsOptions), "Topics that logrouter writes.", default=OutputsOptions())
    privacy: PrivacyOptions = opt(Section(PrivacyOptions), "Keys for pseudonyms.", default=PrivacyOptions())
    redact: RedactOptions = opt(Section(RedactOptions), "Further texts that are hidden.", default=RedactOptions())
    canary: TrialOptions | None = opt(Section(TrialOptions), "Bounds that an edited file must keep.", default=None)
    admin: AdminOptions = opt(Section(AdminOptions), "Requests that change something.", default=AdminOptions())
    access: AccessOptions = opt(
        Section(AccessOptions), "Who may read the table view. Without this section nobody may.", default=AccessOptions()
    )
    lookups: dict[str, LookupFileOptions] | None = opt(
        MappingOf(Section(LookupFileOptions), partial=True), "Lookup files by name.", default=None
    )
    geoip: GeoIpOptions | None = opt(Section(GeoIpOptions, shorthand="files"), "Address databases.", default=None)
    sources: dict[str, SourceOptions] = opt(
        MappingOf(Section(SourceOptions), min_items=1, partial=True), "Inputs by name."
    )
    routes: tuple[RouteOptions, ...] = opt(
        ListOf(Section(RouteOptions), min_items=1, partial=True),
        "Which records are taken, and what becomes of them, in order.",
    )
    sinks: dict[str, Any] | None = opt(
        MappingOf(SINK, key=SINK_NAME, partial=True), "Where events go besides Kafka, by name.", default=None
    )
    drains: DrainsOptions | None = opt(
        Section(DrainsOptions), "Where users' lines go as well, as they say by an API.", default=None
    )
    tests: tuple[CaseOptions, ...] = opt(
        ListOf(Section(CaseOptions), partial=True), "Lines, and what each must become.", default=()
    )
