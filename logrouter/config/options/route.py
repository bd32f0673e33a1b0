"""The options of a route: which records it takes, and what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logrouter.config.options.field_changes import ConstantValue, OrderedSteps, Steps
from logrouter.config.options.formats import FormatOptions
from logrouter.config.options.match import Match, Matching, RequestConditions
from logrouter.config.options.path_templates import PathTemplatesOptions
from logrouter.config.yaml.kinds import (
    NAME,
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
from logrouter.config.yaml.names import FIELD, TEMPLATE
from logrouter.core.names import TYPED_FROM
from logrouter.core.routing import OnInvalid

if TYPE_CHECKING:
    from logrouter.core.match.conditions import Condition

FIELD_NAME = Text(FIELD, "a field of the event, like http.path", 200)
_FIELD = Text(
    r"((header|field):)?[A-Za-z0-9_$@.-]{1,100}|envelope:[A-Za-z0-9_$@./-]{1,100}|oauth:[A-Za-z0-9_.:/-]{1,100}",
    "a field or header of the line",
    110,
)
_WEIGHT = Number(1, 1_000_000)
_PATH = Text(r"/[^?#\s]*", "a path that begins with /", 500, may_be_empty=True)
_TEMPLATE = Text(r"[A-Za-z0-9 ._{}-]*", "a name", 128, may_be_empty=True)


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
class ApiOptions:
    """Where the API's name comes from."""

    sources: tuple[str, ...] = opt(
        ListOf(_FIELD, max_items=20, shorthand=True, unique=True),
        "Fields or headers of the line, or `envelope:` and a field that `match` knows, in order: the first that is "
        "there is the name.",
        default=("route",),
        key="from",
    )
    paths: tuple[PathRule, ...] = opt(
        ListOf(Section(PathRule)), "If no field gives a name: rules on the path, the first that fits.", default=()
    )


@options
class ClientIdOptions:
    """Where the client id comes from."""

    sources: tuple[str, ...] = opt(
        ListOf(_FIELD, min_items=1, max_items=20, shorthand=True, unique=True),
        "Fields or headers of the line, in order: the first that is there is the client id. A name with a dash is a "
        "request header; `header:` and `field:` before a name say which it is. `envelope:` before a name reads a field "
        "that `match` knows, such as `envelope:app`. `oauth:consumer_key` is the consumer key of a request that is "
        "signed by OAuth 1.0a, and `oauth:` before any other name that claim of the JSON web token in `Authorization`, "
        "such as `oauth:client_id`; neither reads a request that was refused with 401, or by MediaWiki for its OAuth "
        "header.",
        key="from",
    )
    typed_from: tuple[str, ...] = opt(
        ListOf(_FIELD, max_items=20, shorthand=True, unique=True),
        "Which of them may give ids that say their kind, like `jwt-sub:1234`: those that the gateway writes itself. Of "
        "others such an id is written `jwt-sub%3A1234`, has no type and the flag `suspect`, as whoever sends a header "
        "could pass for somebody else.",
        default=TYPED_FROM,
    )
    hashed: bool = opt(
        Boolean(),
        "Publish a hash in place of the id, 32 hexadecimal digits keyed by *privacy.hash_key*: for ids that are "
        "secrets themselves, such as keys of APIs. Only so do sources find headers and fields that are dropped because "
        "of their names, such as `x-api-key`. Whoever has the key can tell which id a hash is of.",
        default=False,
    )


@options
class UseLookupOptions:
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
class EnrichOptions:
    """What is looked up for each request."""

    api: ApiOptions = opt(Section(ApiOptions, shorthand="sources"), "The API dimension.", default=ApiOptions())
    client_id: ClientIdOptions = opt(
        Section(ClientIdOptions, shorthand="sources"),
        "The client dimension.",
        default=ClientIdOptions(sources=("client_id",)),
    )
    tenant: tuple[str, ...] = opt(
        ListOf(_FIELD, max_items=20, shorthand=True, unique=True),
        "Whose traffic it is where one platform serves many: sources as for the API, such as `envelope:namespace`. "
        "What the format reads stays where none of them is there.",
        default=(),
    )
    templates: tuple[PathTemplatesOptions, ...] = opt(
        ListOf(Section(PathTemplatesOptions, shorthand="paths"), max_items=100, shorthand=True),
        "Path templates, by which URLs are counted: `/items/{id}`, or an OpenAPI file.",
        default=(),
    )
    lookup: tuple[UseLookupOptions, ...] = opt(
        ListOf(Section(UseLookupOptions, shorthand="name"), max_items=10, shorthand=True),
        "Lookup files (section `lookups`) whose rows become part of the events.",
        default=(),
    )
    geoip: bool = opt(
        Boolean(),
        "Put country and network number of the client's address under `geo`, whatever *client_ip* makes of the "
        "address itself. Needs the section `geoip`.",
        default=False,
    )
    user_agent: bool = opt(
        Boolean(),
        "Put the family of the user agent (`Firefox`, `curl`, `other`) into `user_agent_family`, whether or not the "
        "header may be published. Needs `pip install '.[useragent]'` in a checkout.",
        default=False,
    )


@options
class ClientIpOptions:
    """What becomes of the client's address."""

    policy: str = opt(
        Choice(("keep", "truncate", "hash")),
        "`keep` it, `truncate` to /24 or /48, or `hash` it with *privacy.hash_key*.",
        default="truncate",
    )
    trusted_hops: int = opt(
        Integer(1, 20),
        "How many of our own proxies append to `X-Forwarded-For`. The client's address is that many places from the "
        "right, 1 being the last; what stands left of it is only the client's claim.",
        default=1,
    )


@options
class WeightOptions:
    """How many requests one logged line stands for: 1 over the sampling rate, 100 where 1 % is logged."""

    default: float = opt(_WEIGHT, "For lines of every status that *by_status* does not name.", default=1.0)
    by_status: dict[str, float] | None = opt(
        MappingOf(_WEIGHT, key=Text(r"[0-5]xx|0|[1-5][0-9][0-9]", "a status like 429, or a class like 5xx")),
        "By status or class (`429`, `5xx`; a status goes before its class), where a gateway logs, say, every 5xx.",
        default=None,
    )


@options
class SampleOptions:
    """A share of the requests, the same ones on every replay; the others are `ignored` as `sampled`."""

    rate: float = opt(
        Number(0.000001, 1),
        "Share that is kept, 0.1 for a tenth. Weights grow by 1 over it, so that sums stay right. A smaller share is "
        "part of every larger one. Lines that can't be read are not sampled.",
    )


@options
class RateLimitOptions:
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
class PairOptions:
    """Two lines of one request become one event: with its latency, and with what only the first line has.

    A line waits for the other one, whichever comes first. An opening line that stays alone becomes an event with the
    flag `never_completed`, a closing one an event without latency and with the flag `unpaired`.
    """

    window_seconds: int = opt(
        Integer(1, 86_400),
        "How long a line waits. Longer than any request takes, and than one partition may be read behind another.",
        default=600,
    )


@options
class FieldsOptions:
    """Changes to the event before it is validated, as steps in the order in which they are written.

    Fields are named by path, like `http.client_ip`. What every event has (`$schema`, `meta.id`, `meta.dt`,
    `meta.stream`, the record's place in `source`, `weight`) can't be changed, and steps that the schema or a table of
    the route can't live with are errors. Tables count what is left.
    """

    keep: tuple[str, ...] = opt(
        ListOf(FIELD_NAME, min_items=1, unique=True),
        "Only these fields, what is below them, what every event has, and `flags`.",
        default=(),
    )
    drop: tuple[str, ...] = opt(ListOf(FIELD_NAME, min_items=1, unique=True), "Without these fields.", default=())
    rename: dict[str, str] | None = opt(
        MappingOf(FIELD_NAME, key=FIELD_NAME, min_items=1), "Fields under new names: `{old: new}`.", default=None
    )
    redact: tuple[str, ...] = opt(
        ListOf(FIELD_NAME, min_items=1, unique=True),
        "Texts at and below these fields become `REDACTED`; numbers and booleans there are removed.",
        default=(),
    )
    assign: dict[str, Any] | None = opt(
        MappingOf(ConstantValue(), key=FIELD_NAME, min_items=1),
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
        ListOf(NAME, min_items=1, shorthand=True, unique=True), "The source or sources that it takes from.", key="from"
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
    format: FormatOptions = opt(
        Section(FormatOptions, shorthand="name"), "How a request line is written: a name, or a name with options."
    )
    enrich: EnrichOptions = opt(Section(EnrichOptions), "API and client id.", default=EnrichOptions())
    request_headers: tuple[str, ...] = opt(
        ListOf(Text(r"[A-Za-z0-9-]{1,100}", "a header name"), max_items=100, unique=True),
        "Request headers that may be published; all others are removed. One whose name says that it is a secret "
        "(`authorization`, `cookie`, `x-api-key`) never is, whatever this list says. Addresses in headers that are "
        "made for them (`x-forwarded-for`, `forwarded`, `x-real-ip`, …) are treated as *client_ip* says.",
        default=("user-agent",),
    )
    client_ip: ClientIpOptions = opt(
        Section(ClientIpOptions, shorthand="policy"), "The client's address.", default=ClientIpOptions()
    )
    user: str | None = opt(
        Choice(("drop", "keep", "hash")),
        "The user on whose behalf a client called, where lines of the format name one: `drop` the name, `keep` it as "
        "`user`, or `hash` it with *privacy.hash_key*, as *client_ip* does. Unless it is kept, dead letters and "
        "`logrouter explain` hide such names, too. If the option is not there, names are dropped, except that of a key "
        "which `format: json` maps to `user`: that is kept.",
        default=None,
    )
    query: str = opt(
        Choice(("drop", "keep")),
        "Query strings of request URIs: `drop` them, or `keep` them with tokens redacted.",
        default="drop",
    )
    backend_uri: str = opt(
        Choice(("drop", "keep")),
        "URLs of requests to backends, where lines of the format have them: `drop` them, as they name hosts that are "
        "nobody's business, or `keep` them in the field `backend`, with host and method, without user information, and "
        "with their query only as far as *query* keeps it.",
        default="drop",
    )
    weight: WeightOptions = opt(
        Section(WeightOptions, shorthand="default"), "Sampling weight of a line.", default=WeightOptions()
    )
    schema: str = opt(
        Text(r"[A-Za-z0-9._/-]+", "a schema name or file", 500),
        "JSON Schema that every event must satisfy: a file relative to this one, or one that comes with logrouter.",
        default="api_request/1.1.0",
    )
    on_invalid: str = opt(
        Choice(tuple(each.value for each in OnInvalid)),
        "What becomes of an event that does not satisfy the schema: a `dead-letter`, nothing (`drop`: it is `ignored` "
        "as `invalid`), or an event all the same (`pass`: it has the flag `invalid`, and tables don't count it).",
        default=OnInvalid.DEAD_LETTER.value,
    )
    sample: SampleOptions | None = opt(
        Section(SampleOptions, shorthand="rate"), "Keep a share of the requests.", default=None
    )
    rate_limit: RateLimitOptions | None = opt(
        Section(RateLimitOptions, shorthand="events_per_second"), "Bound the events per second.", default=None
    )
    pair: PairOptions | None = opt(
        Section(PairOptions, shorthand="window_seconds"),
        "Put the two lines together that the gateway writes about a request. Only for formats that know such lines; "
        "not together with *rate_limit*.",
        default=None,
    )
    fields: Steps | None = opt(OrderedSteps(FieldsOptions), "Change fields of the event.", default=None)
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
        ListOf(TEMPLATE, min_items=1, max_items=16, shorthand=True, unique=True),
        "Topic that events go to. Of several, each gets the same event, with the same id; it counts once. "
        "`requests.{api}` stands for a topic by a field of the event (before *fields*), out of those that *topics* "
        "lists.",
    )
    topics: dict[str, tuple[str, ...]] | None = opt(
        MappingOf(
            ListOf(
                Text(r"[A-Za-z0-9._-]{1,249}", "part of a topic name", 249), min_items=1, shorthand=True, unique=True
            ),
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
        ListOf(Choice(("clients", "apis", "urls")), unique=True),
        "Tables that count the events. `urls` adds the most frequent URLs and the newest failed requests to the two "
        "others; without it no path is kept in any table.",
        default=("clients", "apis", "urls"),
    )
