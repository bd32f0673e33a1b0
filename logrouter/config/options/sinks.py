"""Options of sinks: where events go besides Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logrouter.config.options.endpoint import HOST, PORT
from logrouter.config.options.kafka import SecretReference
from logrouter.config.options.syslog_url import FACILITIES, GUARD_SCHEMES, SYSLOG_URL
from logrouter.config.options.target_url import TargetUrl
from logrouter.config.options.user_name import UserName
from logrouter.config.yaml.kinds import (
    TOPIC,
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
from logrouter.config.yaml.one_of import OneOf

if TYPE_CHECKING:
    from logrouter.config.yaml.secrets import Secret

_MILLISECONDS = Integer(1, 3_600_000)
_FILE = Text(called="a file", max_length=500)
_GROUP = Text(r"[A-Za-z0-9._-]{1,200}", "a group name (letters, digits, . _ -)", 200, may_be_empty=True)
NETWORK = Text(r"[0-9A-Fa-f.:]{2,45}(?:/\d{1,3})?", "a network like 10.0.0.0/8 or 2001:db8::/32", 50)
_INDEX = Text(r"[a-z0-9][a-z0-9._-]{0,99}", "the name of an index (small letters, digits, . _ -; at most 100)", 100)
_HEADER = Text(r"[A-Za-z0-9-]{1,64}", "the name of a header", 64)
_PROFILE = Text(r"[A-Za-z0-9._/@-]{1,100}", "the name of a section", 100)
_PLAIN = Text(r"[\x20-\x7e]*", "printable ASCII text", 500, may_be_empty=True)
_USER = UserName(r"[\x20-\x39\x3b-\x7e]+", "printable ASCII text without a colon", 200)
_IN_HEADER = SecretReference(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", "printable ASCII text in one line")
_SYSLOG_HOST = Text(r"[!-~]{1,255}", "printable ASCII text without spaces (at most 255 characters)", 255)
_APP_NAME = Text(r"[!-~]{1,48}", "printable ASCII text without spaces (at most 48 characters)", 48, may_be_empty=True)
_PASSWORD = SecretReference(r"[^\x00-\x1f\x7f]+", "text in one line")


@options
class SinkBatchOptions:
    """How many events go into one request: whichever bound is reached first ends the batch."""

    max_records: int = opt(Integer(1, 100_000), "Maximum number of events.", default=1_000)
    max_bytes: int = opt(
        Integer(1_024, 100_000_000), "Bytes of the events as they lie in the topic.", default=4 * 2**20
    )
    max_wait_ms: int = opt(_MILLISECONDS, "How long a batch may wait to fill up.", default=1_000)


@options
class SinkRetryOptions:
    """What happens while the target does not take events. Partitions are paused meanwhile, and nothing is lost."""

    first_pause_ms: int = opt(
        _MILLISECONDS, "The pause after the first failure. It doubles with each one.", default=500
    )
    longest_pause_ms: int = opt(
        _MILLISECONDS, "The longest pause, unless the target asks for a longer one (`Retry-After`).", default=60_000
    )
    give_up_after_seconds: int | None = opt(
        Integer(1, 30 * 86_400),
        "An event that could not be sent for so long becomes a dead letter (`deliver`, `refused`), and delivery goes "
        "on behind it. Without this option it is tried for as long as it takes.",
        default=None,
    )


@options
class SinkWaitingOptions:
    """How much may be read and not yet done, in one process. Beyond either bound nothing is read."""

    max_records: int = opt(Integer(1, 10_000_000), "Events.", default=20_000)
    max_bytes: int = opt(Integer(1_024, 2**40), "Bytes of them.", default=32 * 2**20)


@options
class SinkTlsOptions:
    """TLS 1.2 or 1.3 with the target, by https or syslog+tls. PEM files; renewed ones come into force by themselves."""

    ca: str = opt(
        _FILE, "Who must have signed the target's certificate; without it, whoever this machine trusts.", default=""
    )
    certificate: str = opt(_FILE, "Our own certificate and its chain, for targets that ask for one.", default="")
    key: str = opt(_FILE, "Its private key, without a pass phrase.", default="")


@options
class TargetGuardOptions:
    """Which addresses may be connected to. With this section, even an empty one, only public ones may.

    For targets whose address somebody else than the operator can change.
    """

    networks: tuple[str, ...] = opt(
        ListOf(NETWORK, max_items=100, unique=True),
        "Networks that are allowed although they are private, loopback or reserved.",
        default=(),
    )
    schemes: tuple[str, ...] = opt(
        ListOf(Choice(("https", "http", *GUARD_SCHEMES)), min_items=1, unique=True),
        "Schemes that may be used.",
        default=("https",),
    )
    ports: tuple[int, ...] = opt(
        ListOf(Integer(1, 65_535), min_items=1, max_items=100, unique=True), "Ports that may be used.", default=(443,)
    )


@options
class SinkMetricsOptions:
    """Where the process of a sink serves `/metrics`, `/livez` and `/readyz`."""

    host: str = opt(HOST, "Address to listen on.", default="127.0.0.1")
    port: int = opt(PORT, "Port to listen on; 0 picks a free one.", default=9101)


@options
class SinkOptions:
    """What all sinks have, besides their `type`, which is required and decides about further options."""

    topics: tuple[str, ...] = opt(
        ListOf(TOPIC, min_items=1, max_items=100, shorthand=True, unique=True),
        "The topics of events that are delivered: those that routes write to.",
        key="from",
    )
    begin: str = opt(
        Choice(("earliest", "latest")),
        "Where to begin in a partition for which the group has no committed offset.",
        default="earliest",
    )
    group: str = opt(_GROUP, "Consumer group; empty means `logrouter-sink-` and the name.", default="")
    url: str = opt(
        TargetUrl(), "Where the target is. Of one from the environment (`${NAME}`) the path is shown nowhere."
    )
    timeout_seconds: float = opt(
        Number(0.1, 600), "From the first byte of a request to the last of its answer.", default=30.0
    )
    connections: int = opt(Integer(1, 40), "Requests that are on their way at a time, at most.", default=8)
    events_per_second: float | None = opt(
        Number(0.01, 1e9),
        "Send no faster than this, for each process; a request has what may be sent in a second at most. What is not "
        "sent yet waits in Kafka.",
        default=None,
    )
    compression: str = opt(Choice(("gzip", "none")), "How bodies are compressed.", default="gzip")
    batch: SinkBatchOptions = opt(Section(SinkBatchOptions), "Bounds of one request.", default=SinkBatchOptions())
    retry: SinkRetryOptions = opt(Section(SinkRetryOptions), "Trying again.", default=SinkRetryOptions())
    waiting: SinkWaitingOptions = opt(Section(SinkWaitingOptions), "What may wait.", default=SinkWaitingOptions())
    tls: SinkTlsOptions = opt(Section(SinkTlsOptions), "TLS.", default=SinkTlsOptions())
    guard: TargetGuardOptions | None = opt(
        Section(TargetGuardOptions), "Which addresses may be connected to; without this section any.", default=None
    )
    metrics: SinkMetricsOptions = opt(
        Section(SinkMetricsOptions), "Where metrics are served.", default=SinkMetricsOptions()
    )


@options
class BasicAuthOptions:
    """A user with a password, in the header `Authorization`."""

    user: str = opt(_USER, "The user.")
    password: Secret = opt(_PASSWORD, "The password, only as a `${NAME}` reference.")


@options
class AwsAuthOptions:
    """Signatures of AWS (Signature Version 4), for Amazon OpenSearch Service."""

    region: str = opt(Text(r"[a-z0-9-]{1,40}", "a region like eu-west-1", 40), "The region.")
    service: str = opt(Choice(("es", "aoss")), "`es` for domains, `aoss` for collections.", default="es")
    access_key_id: Secret | None = opt(_IN_HEADER, "Only as a `${NAME}` reference.", default=None)
    secret_access_key: Secret | None = opt(_IN_HEADER, "Only as a `${NAME}` reference.", default=None)
    session_token: Secret | None = opt(_IN_HEADER, "Of temporary credentials.", default=None)
    credentials_file: str = opt(
        _FILE,
        "In the place of these three a file as AWS's own tools write it. It is read again whenever it changes, so "
        "that temporary credentials are renewed while the process runs.",
        default="",
    )
    profile: str = opt(_PROFILE, "Which section of that file.", default="default")


@options
class ClientRateOptions:
    """Events of one client that are sent at most; what is above is not sent, and counted as `throttled`."""

    events_per_second: float = opt(Number(0.01, 1e6), "On average.")
    burst: int = opt(Integer(1, 1_000_000), "At once.", default=100)


@options
class EventgateOptions(SinkOptions):
    """Events to an eventgate: an array per request, guaranteed, as `api-gateway/request/1.0.0`."""

    stream: str = opt(
        TOPIC,
        "`meta.stream` of what is made of canonical events. Events that have the schema already keep their own.",
        default="api-gateway.request",
    )
    per_client: ClientRateOptions | None = opt(
        Section(ClientRateOptions),
        "Throttling per client, by the times at which its events came to their topic; each partition counts for "
        "itself. Events without a client are not throttled.",
        default=None,
    )
    blocked_clients: tuple[str, ...] = opt(
        ListOf(Text(max_length=256), max_items=1000, unique=True),
        "Client ids, or globs in which `*` is any text, whose events are not sent; they are counted as `blocked`. `-` "
        "stands for events without a client.",
        default=(),
    )


@options
class IndexOptions:
    """Which index an event goes to: its name, and the time it is about."""

    name: str = opt(_INDEX, "The name; with rotation a date follows behind a hyphen.", default="api-gateway-request")
    rotation: str = opt(
        Choice(("none", "hour", "day", "week", "week_us", "month")),
        "When a new index begins, in UTC. `week` is that of ISO 8601 (`-2026-w01`); `week_us` begins on Sundays, and "
        "the first holds the year's first Saturday.",
        default="day",
    )
    by: str = opt(
        Choice(("event", "arrival")),
        "Which time counts: when the request began, or when the event came to its topic.",
        default="event",
    )
    max_past_days: int = opt(
        Integer(0, 36_500),
        "Older events, by arrival, count as if they were so old: one wrong clock makes no thousand indices.",
        default=30,
    )
    max_future_hours: int = opt(Integer(0, 8_760), "The same for times that are still to come.", default=24)


@options
class OpensearchOptions(SinkOptions):
    """Events to OpenSearch or Elasticsearch: bulk requests that create documents by the event's id."""

    index: IndexOptions | None = opt(
        Section(IndexOptions, shorthand="name"), "Indices; without it as by default.", default=None
    )
    data_stream: str = opt(
        Text(_INDEX.pattern, "the name of a data stream", 100, may_be_empty=True),
        "A data stream in the place of indices; for `document: ecs` alone, as the others have no `@timestamp`.",
        default="",
    )
    document: str = opt(
        Choice(("ecs", "firehose")),
        "The form of documents: Elastic Common Schema, or `{id, timestamp, message}` with the keys of API Gateway's "
        "own log, as Firehose writes them.",
        default="ecs",
    )
    template: bool = opt(
        Boolean(),
        "Put an index template for the documents there before the first of them, unless one is there. It is what makes "
        "a status a keyword, and an address an IP.",
        default=True,
    )
    basic_auth: BasicAuthOptions | None = opt(Section(BasicAuthOptions), "User and password.", default=None)
    api_key: Secret | None = opt(_IN_HEADER, "An API key, only as a `${NAME}` reference.", default=None)
    aws: AwsAuthOptions | None = opt(Section(AwsAuthOptions), "Signatures of AWS.", default=None)


@options
class WebhookOptions(SinkOptions):
    """Events to any HTTP endpoint, signed as Standard Webhooks says."""

    body: str = opt(
        Choice(("event", "array", "lines")),
        "One event in each request, whatever `batch` says; an array of them; or lines of JSON.",
        default="event",
    )
    compression: str = opt(
        Choice(("gzip", "none")),
        "How bodies are compressed. Signatures cover the body before it is; many receivers take none that is.",
        default="none",
    )
    signing_keys: tuple[Secret, ...] = opt(
        ListOf(SecretReference(r"[\s\S]+", "a key"), max_items=2, shorthand=True),
        "Keys of signatures (`whsec_…`), only as `${NAME}` references. Two while one is replaced: each request is "
        "signed with both. Without any, requests are not signed.",
        default=(),
    )
    authorization: Secret | None = opt(
        _IN_HEADER, "The header `Authorization`, only as a `${NAME}` reference.", default=None
    )
    headers: dict[str, str] | None = opt(
        MappingOf(_PLAIN, key=_HEADER),
        "Further headers of each request, without secrets. Not those that say what is sent, or that are signed.",
        default=None,
    )
    secret_headers: dict[str, Secret] | None = opt(
        MappingOf(_IN_HEADER, key=_HEADER),
        "Further headers that do, such as `x-api-key`; each only as a `${NAME}` reference.",
        default=None,
    )


@options
class SplunkOptions(SinkOptions):
    """Events to Splunk's HTTP Event Collector."""

    token: Secret = opt(_IN_HEADER, "The collector's token, only as a `${NAME}` reference.")
    acknowledge: bool = opt(
        Boolean(),
        "Events are done when an indexer has acknowledged them; the token must have indexer acknowledgement.",
        default=False,
    )
    acknowledge_seconds: float = opt(
        Number(1, 3_600), "Events that are not acknowledged for so long are sent again.", default=120.0
    )
    index: str = opt(_PLAIN, "Splunk's index; empty means the token's.", default="")
    source: str = opt(_PLAIN, "Splunk's `source`.", default="logrouter")
    sourcetype: str = opt(_PLAIN, "Splunk's `sourcetype`.", default="logrouter:request")


@options
class SyslogOptions(SinkOptions):
    """Events to a receiver of syslog, each as one message of RFC 5424."""

    url: str = opt(
        SYSLOG_URL,
        "Where the receiver is: `syslog+tls://`, `syslog+tcp://` (or `syslog://`) or `syslog+udp://`, host and port. "
        "Without a port 6514 for TLS, else 514.",
    )
    timeout_seconds: float = opt(
        Number(0.1, 600),
        "How long the receiver's kernel may take to acknowledge a batch; it goes again after that.",
        default=30.0,
    )
    connections: int = opt(
        Integer(1, 40),
        "Connections, each with one batch on its way. With more than one, messages of a partition may overtake one "
        "another. UDP has one socket.",
        default=1,
    )
    compression: str = opt(Choice(("none",)), "Syslog has none.", default="none")
    framing: str = opt(
        Choice(("octet-counting", "newline")),
        "How messages lie in a stream: each behind its length, or each with a line feed at its end. UDP has a datagram "
        "for each.",
        default="octet-counting",
    )
    max_message_bytes: int | None = opt(
        Integer(1_024, 1_000_000),
        "Longer messages are cut, at the end of the event. Without this option 99990, and 1024 for UDP.",
        default=None,
    )
    facility: str = opt(Choice(FACILITIES), "The facility of each message.", default="user")
    host: str = opt(_SYSLOG_HOST, "`HOSTNAME` of each message.", default="logrouter")
    app_name: str = opt(_APP_NAME, "`APP-NAME` of each message; empty means the event's `api`.", default="")
    enterprise_number: int = opt(
        Integer(1, 2**32 - 1),
        "The private enterprise number in the name of the structured data that holds an event's id. That of your "
        "organisation, if it has one from IANA; 32473 is for examples.",
        default=32_473,
    )


SINK_TYPES: dict[str, type[Any]] = {
    "eventgate": EventgateOptions,
    "opensearch": OpensearchOptions,
    "webhook": WebhookOptions,
    "splunk": SplunkOptions,
    "syslog": SyslogOptions,
}
"""The options of each `type`."""

SINK_NAME = Text(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", "a name (letters, digits, _ -; at most 40)", 40)
SINK = OneOf("type", SINK_TYPES, SinkOptions, "What kind of target it is.", partial=True)
