"""Options of log drains: targets that users register, for the lines of an app or a site, or for clean events."""

from __future__ import annotations

from logrouter.config.options.endpoint import HOST, PORT
from logrouter.config.options.sinks import NETWORK
from logrouter.config.options.syslog_url import GUARD_SCHEMES
from logrouter.config.yaml.kinds import NAME, TOPIC, Boolean, Choice, Integer, ListOf, Number, Section, Text, options
from logrouter.config.yaml.kinds import option as opt
from logrouter.config.yaml.names import GROUP

_SCHEMES = ("https", "http", *GUARD_SCHEMES)
_DOMAIN = Text(
    r"[a-z0-9](?:[a-z0-9-]{0,62}\.)+[a-z0-9-]{1,63}", "a domain in small letters, like apps.example.org", 253
)
_APP = Text(
    r"[a-z0-9][a-z0-9_.-]{0,62}/[a-z0-9][a-z0-9_.-]{0,62}", "an app and its space in small letters, like shop/prod", 130
)


@options
class DrainTopicsOptions:
    """Topics that drains need besides those that they read; `logrouter topics` makes them if there are drains."""

    registrations: str = opt(TOPIC, "Which drains there are. One partition, compacted.", default="logrouter.drains")
    retry: str = opt(
        TOPIC, "Lines of drains that are down, until they are delivered or too old.", default="logrouter.drains.retry"
    )
    status: str = opt(TOPIC, "How far each drain has come. Compacted.", default="logrouter.drains.status")
    partitions: int = opt(
        Integer(1, 1_000),
        "Partitions of *retry* and *status*, so the most processes that can share the drains that are down. Can't be "
        "changed later without losing what waits.",
        default=8,
    )
    retention_ms: int = opt(
        Integer(3_600_000, 10**15),
        "How long lines wait for a drain that is down. What is older is lost, counted, and told to the drain.",
        default=7 * 24 * 3_600_000,
    )


@options
class DrainHttpOptions:
    """Where a process serves the API of drains, `/metrics`, `/livez` and `/readyz`."""

    host: str = opt(HOST, "Address to listen on.", default="127.0.0.1")
    port: int = opt(PORT, "Port to listen on; 0 picks a free one.", default=5000)


@options
class DrainGuardOptions:
    """Which targets users may name. Only public addresses, whatever names resolve to when they are connected to."""

    networks: tuple[str, ...] = opt(
        ListOf(NETWORK, max_items=100, unique=True),
        "Networks that are allowed although they are private, loopback or reserved.",
        default=(),
    )
    schemes: tuple[str, ...] = opt(
        ListOf(Choice(_SCHEMES), min_items=1, unique=True),
        "Schemes of URLs that may be registered; `syslog` is `syslog+tcp`. Leave out `http`, `syslog+tcp` and "
        "`syslog+udp` if lines must not cross the network in the clear.",
        default=_SCHEMES,
    )
    ports: tuple[int, ...] = opt(
        ListOf(Integer(1, 65_535), max_items=100, unique=True), "Ports that may be used; empty means any.", default=()
    )


@options
class DrainWaitingOptions:
    """Lines that may wait in the memory of one process. What is above goes to the retry topic, and nothing is lost."""

    max_lines: int = opt(Integer(1, 1_000_000), "Lines of one drain.", default=1_000)
    max_bytes: int = opt(Integer(1_024, 2**40), "Bytes of them.", default=2**20)
    max_total_bytes: int = opt(Integer(65_536, 2**40), "Bytes of the lines of all drains.", default=128 * 2**20)


@options
class DrainRedactionOptions:
    """What is hidden in lines that no route takes; those that one takes go by its `query` and `client_ip`.

    Secrets are masked, and so is what `redact` names.
    """

    queries: str = opt(Choice(("drop", "keep")), "Query strings of URLs.", default="drop")
    addresses: str = opt(
        Choice(("truncate", "hash", "keep")),
        "Addresses: to /24 and /48, as keyed hashes (`privacy.hash_key`), or whole.",
        default="truncate",
    )
    raw_for: tuple[str, ...] = opt(
        ListOf(_APP, max_items=1_000, shorthand=True, unique=True),
        "Apps that get their own lines as they were written, with whatever secrets they print.",
        default=(),
    )


@options
class DrainsOptions:
    """Log drains: users say by an API where lines of their apps and sites, or events, go as well.

    Which drains there are lies in Kafka, and who may say so in `access`. Without this section there are none. Being
    built: the topics are made and the options checked, and nothing delivers by them yet.
    """

    sources: tuple[str, ...] = opt(
        ListOf(NAME, max_items=1_000, shorthand=True, unique=True),
        "The sources of lines, for drains of apps and sites: what apps print, lines of routers, output of builds.",
        default=(),
        key="from",
    )
    events: tuple[str, ...] | None = opt(
        ListOf(TOPIC, max_items=1_000, shorthand=True, unique=True),
        "The topics of events, for drains of APIs and clients; without this option all that routes write to.",
        default=None,
    )
    begin: str = opt(
        Choice(("earliest", "latest")),
        "Where to begin in a partition for which the group has no committed offset.",
        default="earliest",
    )
    app_domains: tuple[str, ...] = opt(
        ListOf(_DOMAIN, max_items=100, shorthand=True, unique=True),
        "Domains below which the first label of a host name is an app and its space: `shop-prod.apps.example.org`. "
        "Any client can send any host name, so that only `hostname`, as some platforms' routers call it, names an "
        "app without this option.",
        default=(),
    )
    group: str = opt(GROUP, "Consumer group, and the prefix of every `transactional.id`.", default="logrouter-drains")
    topics: DrainTopicsOptions = opt(Section(DrainTopicsOptions), "Topics of their own.", default=DrainTopicsOptions())
    http: DrainHttpOptions = opt(Section(DrainHttpOptions), "The API.", default=DrainHttpOptions())
    guard: DrainGuardOptions = opt(
        Section(DrainGuardOptions), "Which targets may be named.", default=DrainGuardOptions()
    )
    per_owner_limit: int = opt(Integer(1, 10_000), "Drains of one app, site, API or client.", default=100)
    connections_per_host: int = opt(
        Integer(1, 1_000), "Connections to one host and port, of all drains together, in each process.", default=40
    )
    patience_seconds: float = opt(
        Number(0.1, 600),
        "How long a line may wait for its drain before it goes to the retry topic. So long a source's offset may lag "
        "behind.",
        default=10.0,
    )
    waiting: DrainWaitingOptions = opt(
        Section(DrainWaitingOptions), "What may wait in memory.", default=DrainWaitingOptions()
    )
    disable_after_failures: int = opt(
        Integer(1, 1_000_000_000),
        "A drain that has failed so often in a row is disabled until its owner enables it again. One that answers 410 "
        "is at once.",
        default=10_000,
    )
    challenge: bool = opt(
        Boolean(),
        "A new HTTP target must answer a challenge before it gets a line, whether the registration asks so or not.",
        default=False,
    )
    redaction: DrainRedactionOptions = opt(
        Section(DrainRedactionOptions), "What is hidden.", default=DrainRedactionOptions()
    )
