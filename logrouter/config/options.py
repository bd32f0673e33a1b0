"""Every option of topics.yaml, declared once: parsing, defaults, JSON Schema and docs/topics-yaml.md come from here.

Options are nouns with their units. What a declaration can't say (names that must exist, loops) is in `build`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logrouter.config.changes import Constant, InOrder, Steps
from logrouter.config.kafka import Hidden, KafkaKind
from logrouter.config.kinds import NAME, TOPIC, Choice, Flag, Free, Integer, Keyed, Many, Number, Section, Text, options
from logrouter.config.kinds import option as opt
from logrouter.config.match import Match, Matching, RequestConditions
from logrouter.config.outputs import FIELD, TEMPLATE
from logrouter.config.topics import TopicOrExpression
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats import FORMATS
from logrouter.core.routing import OnInvalid

if TYPE_CHECKING:
    from logrouter.config.secrets import Secret
    from logrouter.core.conditions import Condition

FIELD_NAME = Text(FIELD, "a field of the event, like http.path", 200)
_HOST = Text(r"[A-Za-z0-9._:\[\]-]+", "a host name or address", 255)
_PORT = Integer(0, 65_535)
_MILLISECONDS = Integer(1, 3_600_000)
_GROUP = Text(r"[A-Za-z0-9._-]{1,200}", "a group name (letters, digits, . _ -)", 200)
_FIELD = Text(r"((header|field):)?[A-Za-z0-9_$@.-]{1,100}", "a field or header of the line", 110)
_WEIGHT = Number(1, 1_000_000)
_PATH = Text(r"/[^?#\s]*", "a path that begins with /", 500, may_be_empty=True)
_TEMPLATE = Text(r"[A-Za-z0-9 ._{}-]*", "a name", 128, may_be_empty=True)


@options
class Batch:
    """How much goes into one Kafka transaction: whichever bound is reached first ends the batch."""

    max_records: int = opt(Integer(1, 1_000_000), "Records at most.", default=20_000)
    max_wait_ms: int = opt(_MILLISECONDS, "How long a batch may wait to fill up.", default=250)


@options
class Metrics:
    """Where the route lane serves `/metrics`, `/livez` and `/readyz`."""

    host: str = opt(_HOST, "Address to listen on.", default="127.0.0.1")
    port: int = opt(_PORT, "Port to listen on; 0 picks a free one.", default=9100)


@options
class RouteLane:
    """The processes that read the sources and write clean events (`logrouter route`)."""

    group: str = opt(_GROUP, "Consumer group, and the prefix of every `transactional.id`.", default="logrouter")
    instance: str = opt(
        Text(r"[A-Za-z0-9._-]{1,64}", "a name (letters, digits, . _ -; at most 64), or empty", 64, may_be_empty=True),
        "Name of this process within the group. Must be its own and stay the same over restarts (a StatefulSet's pod "
        "name, say): it makes the `transactional.id`, by which a restarted process ends its predecessor's transaction. "
        "Empty means the host's name.",
        default="",
    )
    batch: Batch = opt(Section(Batch), "Bounds of one transaction.", default=Batch())
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
        Flag(),
        "Use *instance* as `group.instance.id`: a restart within the session timeout moves no partitions.",
        default=False,
    )
    metrics: Metrics = opt(Section(Metrics), "Where metrics are served.", default=Metrics())


@options
class DeadLetter:
    """Where rejected records go, each with its stage, reason, JSON pointer and source coordinates."""

    topic: str = opt(TOPIC, "Topic name.", default="logrouter.dead-letter")
    max_raw_bytes: int = opt(
        Integer(0, 500_000), "How many bytes of the rejected record are kept, after redaction.", default=65_536
    )


@options
class Rollup:
    """Partial sums on their way from the route lane to the tables."""

    topic: str = opt(TOPIC, "Topic name.", default="logrouter.rollup")
    partitions: int = opt(
        Integer(1, 1_000),
        "Partitions of this topic and of the tables, so the most workers that can share them. Can't be changed later "
        "without starting the tables anew.",
        default=8,
    )


@options
class Outputs:
    """Topics that logrouter itself writes, and how `logrouter topics` creates them. A route names its own with `to`."""

    dead_letter: DeadLetter = opt(Section(DeadLetter), "Rejected records.", default=DeadLetter())
    rollup: Rollup = opt(Section(Rollup), "Partial sums.", default=Rollup())
    partitions: int = opt(Integer(1, 10_000), "Partitions of a new output topic.", default=6)
    replication_factor: int = opt(
        Integer(-1, 100), "Copies of each partition of a new topic; -1 leaves it to the broker.", default=-1
    )
    retention_ms: int = opt(
        Integer(-1, 10**15), "How long a new topic keeps its records; -1 is for ever.", default=7 * 24 * 3_600_000
    )


@options
class Http:
    """Where a tables worker serves the table view."""

    host: str = opt(_HOST, "Address to listen on.", default="127.0.0.1")
    port: int = opt(_PORT, "Port to listen on; 0 picks a free one.", default=6066)
    advertise: str = opt(
        Text(r"https?://[A-Za-z0-9._:\[\]-]+", "a base URL like http://host:8080", 255, may_be_empty=True),
        "Base URL by which the other workers reach this one; empty means `http://host:port` of the above.",
        default="",
    )


@options
class Retention:
    """How long each resolution of the tables is kept. The lifetime row of a client stays for ever."""

    minute_hours: int = opt(Integer(1, 24 * 31), "Hours that minute rows are kept.", default=24)
    hour_days: int = opt(Integer(1, 366), "Days that hour rows are kept.", default=35)
    day_days: int = opt(Integer(1, 3_660), "Days that day rows are kept.", default=400)


@options
class TablesLane:
    """The processes that keep the per-client tables and answer for them (`logrouter tables`)."""

    group: str = opt(
        _GROUP, "Faust application id: consumer group and prefix of changelogs.", default="logrouter-tables"
    )
    data_dir: str = opt(Text(called="a directory"), "Where RocksDB keeps this worker's tables.", default=".data/tables")
    http: Http = opt(Section(Http), "The table view.", default=Http())
    standby_replicas: int = opt(
        Integer(0, 10), "Workers besides the owner that keep a warm copy of each table partition.", default=1
    )
    retention: Retention = opt(Section(Retention), "How long rows are kept.", default=Retention())
    session_timeout_ms: int = opt(
        _MILLISECONDS, "After this long without a heartbeat a worker has left the group.", default=10_000
    )
    flush_interval_ms: int = opt(
        _MILLISECONDS, "How long partial sums are gathered in memory before rows are written.", default=200
    )


@options
class SourceOptions:
    """One kind of input."""

    topics: tuple[str, ...] = opt(
        Many(TopicOrExpression(), least=1, bare=True, unique=True),
        "Topic names, or regular expressions that begin with `^` and must match the whole name. Exact names go before "
        "expressions, earlier sources before later ones. Expressions never select our own topics, Faust's, or names "
        "that begin with `_`.",
    )
    envelope: str = opt(Choice(tuple(ENVELOPES)), "How the transport wraps a line.")
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
    prefilter: bool = opt(
        Flag(),
        "Skip records that can't match any route without decoding them. Off, every record is decoded; nothing changes "
        "but the speed.",
        default=True,
    )


@options
class PathRule:
    """One rule that names an API by the request's path. Just one of *prefix* and *glob* is given."""

    prefix: str = opt(_PATH, "The path begins so, up to the end of a segment: `/core/v1`.", default="")
    glob: str = opt(
        _PATH,
        "`*` is any part of a segment, `**` of any segments, `{api}` a segment by name: `/{api}/v*/**`.",
        default="",
    )
    name: str = opt(_TEMPLATE, "The API's name; `{api}` puts in what the glob found; empty means that.", default="")
    version: str = opt(_TEMPLATE, "The API's version, likewise.", default="")


@options
class Api:
    """Where the API's name comes from."""

    sources: tuple[str, ...] = opt(
        Many(_FIELD, most=20, bare=True, unique=True),
        "Fields or headers of the line, in order: the first that is there is the name.",
        default=("route",),
        key="from",
    )
    paths: tuple[PathRule, ...] = opt(
        Many(Section(PathRule)), "If no field gives a name: rules on the path, the first that fits.", default=()
    )


@options
class ClientId:
    """Where the client id comes from."""

    sources: tuple[str, ...] = opt(
        Many(_FIELD, least=1, most=20, bare=True, unique=True),
        "Fields or headers of the line, in order: the first that is there is the client id. A name with a dash is a "
        "request header; `header:` and `field:` before a name say which it is.",
        key="from",
    )


@options
class UseLookup:
    """A lookup file that a route's events are completed from."""

    name: str = opt(NAME, "Its name in `lookups`.")
    by: str = opt(
        Text(FIELD, "a field of the event", 200, may_be_empty=True),
        "Field of the event whose value is the key; empty means the field that is called like the file's key.",
        default="",
    )
    into: str = opt(
        Text(r"[a-z][a-z0-9_]{0,63}", "a name (small letters, digits, _)", 64),
        "Field that the row becomes. The schema must allow it; the one that comes with logrouter knows `client`.",
        default="client",
    )


@options
class Enrich:
    """What is looked up for each request."""

    api: Api = opt(Section(Api, bare="sources"), "The API dimension.", default=Api())
    client_id: ClientId = opt(
        Section(ClientId, bare="sources"), "The client dimension.", default=ClientId(sources=("client_id",))
    )
    lookup: tuple[UseLookup, ...] = opt(
        Many(Section(UseLookup, bare="name"), most=10, bare=True),
        "Lookup files (section `lookups`) whose rows become part of the events.",
        default=(),
    )
    geoip: bool = opt(
        Flag(),
        "Put country and network number of the client's address under `geo`, whatever *client_ip* makes of the "
        "address itself. Needs the section `geoip`.",
        default=False,
    )
    user_agent: bool = opt(
        Flag(),
        "Put the family of the user agent (`Firefox`, `curl`, `other`) into `user_agent_family`, whether or not the "
        "header may be published. Needs `pip install 'logrouter[useragent]'`.",
        default=False,
    )


@options
class ClientIp:
    """What becomes of the client's address."""

    policy: str = opt(
        Choice(("keep", "truncate", "hash")),
        "`keep` it, `truncate` to /24 or /48, or `hash` it with *privacy.hash_key*.",
        default="truncate",
    )
    trusted_hops: int = opt(
        Integer(1, 20),
        "How many proxies of our own append to `X-Forwarded-For`: the address so many places from the right counts, 1 "
        "being the last, because what stands left of it is only the client's claim.",
        default=1,
    )


@options
class Weight:
    """How many requests one logged line stands for: 1 over the sampling rate, 100 where 1 % is logged."""

    default: float = opt(_WEIGHT, "For lines of every status that *by_status* does not name.", default=1.0)
    by_status: dict[str, float] | None = opt(
        Keyed(_WEIGHT, key=Text(r"[0-5]xx|0|[1-5][0-9][0-9]", "a status like 429, or a class like 5xx")),
        "By status or class (`429`, `5xx`; a status goes before its class), where a gateway logs, say, every 5xx.",
        default=None,
    )


@options
class Sample:
    """A share of the requests, the same ones on every replay; the others are `ignored` as `sampled`."""

    rate: float = opt(
        Number(0.000001, 1),
        "Share that is kept, 0.1 for a tenth. Weights grow by 1 over it, so that sums stay right. A smaller share is "
        "part of every larger one. Lines that can't be read are not sampled.",
    )


@options
class RateLimit:
    """A bound on events per second, for each partition of the source; those beyond are `ignored` as `rate_limited`.

    Time is that of the records, and every partition is bounded on its own: what is dropped depends neither on the
    speed of reading nor on the number of processes, and a replay drops the same, once the bucket has been full or
    empty. Tables don't count what is dropped.
    """

    events_per_second: float = opt(Number(0.001, 1_000_000), "Events per second of record time, on average.")
    burst: int = opt(
        Integer(0, 1_000_000), "Events that may come at once; 0 means those of one second, one at least.", default=0
    )


@options
class Fields:
    """Changes to the event before it is validated, as steps in the order in which they are written.

    Fields are named by path, like `http.client_ip`. What every event has (`$schema`, `meta.id`, `meta.dt`,
    `meta.stream`, the record's place in `source`, `weight`) can't be changed, and steps that the schema or a table of
    the route can't live with are errors. Tables count what is left.
    """

    keep: tuple[str, ...] = opt(
        Many(FIELD_NAME, least=1, unique=True),
        "Only these fields, what is below them, what every event has, and `flags`.",
        default=(),
    )
    drop: tuple[str, ...] = opt(Many(FIELD_NAME, least=1, unique=True), "Without these fields.", default=())
    rename: dict[str, str] | None = opt(
        Keyed(FIELD_NAME, key=FIELD_NAME, least=1), "Fields under new names: `{old: new}`.", default=None
    )
    redact: tuple[str, ...] = opt(
        Many(FIELD_NAME, least=1, unique=True),
        "Texts at and below these fields become `REDACTED`; numbers and booleans there are removed.",
        default=(),
    )
    assign: dict[str, Any] | None = opt(
        Keyed(Constant(), key=FIELD_NAME, least=1),
        "Fields with a constant value, whatever stood there.",
        default=None,
        key="set",
    )


@options
class RouteOptions:
    """What is taken from a source, and what becomes of it.

    The first route that matches a record has it, unless its source says `routing: all-matches`.
    """

    name: str = opt(NAME, "Name of the route, in metrics and dead letters.")
    sources: tuple[str, ...] = opt(
        Many(NAME, least=1, bare=True, unique=True), "The source or sources that it takes from.", key="from"
    )
    match: Matching | None = opt(
        Match(), "Conditions that all must hold (see *Conditions*); none means every record.", default=None
    )
    request: Condition | None = opt(
        RequestConditions(),
        "Conditions on the request itself, asked after it is parsed and before it is validated. Where they fail, the "
        "next route may have the record; if none wants it, it is ignored (`unwanted`).",
        default=None,
    )
    format: str = opt(Choice(tuple(FORMATS)), "How a request line is written.")
    enrich: Enrich = opt(Section(Enrich), "API and client id.", default=Enrich())
    request_headers: tuple[str, ...] = opt(
        Many(Text(r"[A-Za-z0-9-]{1,100}", "a header name"), most=100, unique=True),
        "Request headers that may be published; all others are removed.",
        default=("user-agent",),
    )
    client_ip: ClientIp = opt(Section(ClientIp, bare="policy"), "The client's address.", default=ClientIp())
    query: str = opt(
        Choice(("drop", "keep")),
        "Query strings of request URIs: `drop` them, or `keep` them with tokens redacted.",
        default="drop",
    )
    weight: Weight = opt(Section(Weight, bare="default"), "Sampling weight of a line.", default=Weight())
    schema: str = opt(
        Text(r"[A-Za-z0-9._/-]+", "a schema name or file", 500),
        "JSON Schema that every event must satisfy: a file relative to this one, or one that comes with logrouter.",
        default="api_request/1.0.0",
    )
    on_invalid: str = opt(
        Choice(tuple(each.value for each in OnInvalid)),
        "What becomes of an event that does not satisfy the schema: a `dead-letter`, nothing (`drop`: it is `ignored` "
        "as `invalid`), or an event all the same (`pass`: it has the flag `invalid`, and tables don't count it).",
        default=OnInvalid.DEAD_LETTER.value,
    )
    sample: Sample | None = opt(Section(Sample, bare="rate"), "Keep a share of the requests.", default=None)
    rate_limit: RateLimit | None = opt(
        Section(RateLimit, bare="events_per_second"), "Bound the events per second.", default=None
    )
    fields: Steps | None = opt(InOrder(Fields), "Change fields of the event.", default=None)
    key: str = opt(
        Text(
            rf"client_id|api|none|coordinates|field:{FIELD}",
            "`client_id`, `api`, `none`, `coordinates` (of the record), or `field:` and a field of the event",
            200,
        ),
        "Kafka key of the events, taken from the event as it is published; events without it have no key.",
        default="client_id",
    )
    to: tuple[str, ...] = opt(
        Many(TEMPLATE, least=1, most=16, bare=True, unique=True),
        "Topic that events go to. Of several, each gets the same event, with the same id; it counts once. "
        "`requests.{api}` stands for a topic by a field of the event (before *fields*), out of those that *topics* "
        "lists.",
    )
    topics: dict[str, tuple[str, ...]] | None = opt(
        Keyed(
            Many(Text(r"[A-Za-z0-9._-]{1,249}", "part of a topic name", 249), least=1, bare=True, unique=True),
            key=Text(FIELD, "a field of the event, or `otherwise`", 200),
        ),
        "For each field in braces in *to* the values that have a topic of their own, and as `otherwise` the topic for "
        "all others: `{api: [core, search], otherwise: requests.other}`. `logrouter topics` makes them all.",
        default=None,
    )
    stream: str = opt(
        Text(called="text, or empty", may_be_empty=True, max_length=249),
        "`meta.stream` of the events; empty means the name of the topic, the first one of several.",
        default="",
    )
    tables: tuple[str, ...] = opt(
        Many(Choice(("clients", "apis")), unique=True), "Tables that count the events.", default=("clients", "apis")
    )


@options
class Privacy:
    """Keys for pseudonyms."""

    hash_key: Secret | None = opt(
        Hidden(),
        "Key of the address hash, only as a `${NAME}` reference. Needed where a route says `client_ip: hash`.",
        default=None,
    )


@options
class Canary:
    """Bounds that an edited file must keep for a while; each worker judges by its own records.

    When one is crossed, the table before comes back by itself, and the file is not taken again until it changes. At
    least one `max_` must be given.
    """

    window_seconds: int = opt(Integer(1, 86_400), "How long a table is watched after it came into force.", default=60)
    min_records: int = opt(
        Integer(1, 1_000_000_000), "A ratio is judged only when it is made of so many records.", default=1_000
    )
    max_rejected_ratio: float | None = opt(
        Number(0, 1), "How much of what is accepted or rejected may be rejected.", default=None
    )
    max_unmatched_ratio: float | None = opt(
        Number(0, 1), "How much of all that is read may be taken by no route.", default=None
    )
    max_lag_growth_records: int | None = opt(
        Integer(0, 10**12),
        "By how many records the worker's lag may grow, over the partitions that it keeps.",
        default=None,
    )


@options
class Admin:
    """Requests that change something: `POST /v1/admin/reload` on the port of `route_lane.metrics`."""

    token: Secret | None = opt(
        Hidden(),
        "What `Authorization: Bearer …` must say, only as a `${NAME}` reference. Without it nothing can be asked.",
        default=None,
    )


@options
class LookupFile:
    """Rows by key from a file: what else is known about a client, say. Read again with every change of either file."""

    file: str = opt(
        Text(r"[^\x00]+\.([cC][sS][vV]|[jJ][sS][oO][nN])", "a .csv or .json file", 500),
        "The file, relative to this one: CSV in UTF-8 whose first line names the columns, or JSON, an object of "
        "objects by key or a list of objects. At most 32 MiB and 500000 rows.",
    )
    key: str = opt(Text(called="a column or field of the file", max_length=200), "Column that holds the key.")
    fields: tuple[str, ...] = opt(
        Many(Text(r"[a-z][a-z0-9_]{0,63}", "a name (small letters, digits, _)", 64), least=1, most=32, unique=True),
        "Columns that become part of events: texts of at most 1024 characters. Empty ones and `-` are left out.",
    )


@options
class GeoIp:
    """MMDB files that tell country and network of an address. Needs `pip install 'logrouter[geoip]'`."""

    files: tuple[str, ...] = opt(
        Many(Text(called="a .mmdb file", max_length=500), least=1, most=4, bare=True, unique=True),
        "The files, relative to this one, such as GeoLite2-Country.mmdb and GeoLite2-ASN.mmdb. From each address only "
        "the country's code and the network's number are read; the first file that knows them counts.",
    )


@options
class Expect:
    """What a test expects; what is not given is not compared."""

    outcome: str = opt(Choice(("accepted", "ignored", "rejected")), "How the record ends.", default="")
    route: str = opt(
        Text(called="a route's name, or `_unmatched`", may_be_empty=True), "Which route had it.", default=""
    )
    stage: str = opt(Choice(("decode", "parse", "enrich", "validate")), "Where it was rejected.", default="")
    reason: str = opt(Text(called="a reason", may_be_empty=True), "Why it was ignored or rejected.", default="")
    event: Any = opt(Free("any part of the event"), "A part of the event.", default=None)


@options
class Case:
    """A line and what must become of it: `logrouter test` runs these."""

    line: str = opt(Text(called="a line as it is in the topic", max_length=200_000), "The record's value.")
    source: str = opt(
        Text(called="a source's name", may_be_empty=True), "Its source; empty means the first one.", default=""
    )
    expect: Expect = opt(Section(Expect), "What is expected.")


@options
class File:
    """A topics.yaml: where to read, what to pick out, where to write it, and how the two lanes run."""

    version: int = opt(Choice((1,)), "Version of this format.")
    kafka: dict[str, str | Secret] | None = opt(
        KafkaKind(),
        "The cluster: any librdkafka setting under its own name, such as `bootstrap.servers` or `sasl.password`.",
        default=None,
    )
    route_lane: RouteLane = opt(Section(RouteLane), "The lane that routes.", default=RouteLane())
    tables_lane: TablesLane = opt(Section(TablesLane), "The lane that counts.", default=TablesLane())
    outputs: Outputs = opt(Section(Outputs), "Topics of our own.", default=Outputs())
    privacy: Privacy = opt(Section(Privacy), "Keys for pseudonyms.", default=Privacy())
    canary: Canary | None = opt(Section(Canary), "Bounds for a table after an edit.", default=None)
    admin: Admin = opt(Section(Admin), "Requests that change something.", default=Admin())
    lookups: dict[str, LookupFile] | None = opt(
        Keyed(Section(LookupFile), partial=True), "Lookup files by name.", default=None
    )
    geoip: GeoIp | None = opt(Section(GeoIp, bare="files"), "Address databases.", default=None)
    sources: dict[str, SourceOptions] = opt(Keyed(Section(SourceOptions), least=1, partial=True), "Inputs by name.")
    routes: tuple[RouteOptions, ...] = opt(
        Many(Section(RouteOptions), least=1, partial=True), "What is picked out, in order."
    )
    tests: tuple[Case, ...] = opt(Many(Section(Case), partial=True), "Lines and what must become of them.", default=())
