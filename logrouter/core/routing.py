"""The route table: one immutable value that says what becomes of a record, compiled from topics.yaml.

    table = RouteTable(...)                 # built once per generation by `logrouter.config`
    source = table.source_of("k8s-main")    # once per topic; the lane keeps the answer
    for route in source.routes: ...         # first match wins

A reload builds another table and swaps one reference between batches, so nothing here ever changes after it is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from logrouter.core.match.prefilter import compile_prefilter
from logrouter.core.redact.disclosure import STRICT, Disclosure, strictest
from logrouter.model import Decoded, Envelope, Parsed, Parser, RawRecord

if TYPE_CHECKING:
    from logrouter.core.enrich import ApiRule
    from logrouter.core.join.partial_lines import PartialLineLimits
    from logrouter.core.match.conditions import Condition
    from logrouter.core.validate import Validator

Decoder = Callable[[bytes], Decoded]
ClientIdOf = Callable[[Parsed], tuple[str, str | None] | None]
ApiOf = Callable[[Parsed], tuple[str, str | None] | None]
ClientIpOf = Callable[[str], str | None]
WeightOf = Callable[[int | None], float]
KeyOf = Callable[[dict[str, Any], RawRecord], bytes | None]


class OnInvalid(StrEnum):
    """What happens to an event that the schema refuses."""

    DEAD_LETTER = "dead-letter"
    DROP = "drop"
    PASS = "pass"  # noqa: S105 - no password


KAFKA_INTERNAL: Final = re.compile("_.*")
"""Kafka's own topics begin so (`__consumer_offsets`, `__transaction_state`), and other tools follow suit."""


DEFAULT_RECORD_BYTES: Final = 999_000
"""Just below what a producer sends and a broker takes with default settings, framing of a record counted."""


@dataclass(frozen=True, slots=True)
class OptionalSteps:
    """What a route does beyond the usual. Most routes have none of it, and their requests take the straight path.

    In the order of their calls: *sample* (by the record's id) and *limit* (by record and time) decide whether the
    request goes on. *before* changes the event as parsed, while address and headers are still whole; *after* changes it
    when it is filled. *topics* returns the topics of the event, and with *follow* `meta.stream` is the first of them.
    *change* makes the route's changes of fields. *key* reads the Kafka key from the result. *on_invalid* says what
    happens to an event that the schema refuses.
    """

    key: KeyOf
    sample: Callable[[str], bool] | None = None
    limit: Callable[[RawRecord, int, int], bool] | None = None
    before: tuple[Callable[[dict[str, Any]], None], ...] = ()
    after: tuple[Callable[[dict[str, Any]], None], ...] = ()
    topics: Callable[[dict[str, Any]], tuple[str, ...]] | None = None
    follow: bool = False
    change: Callable[[dict[str, Any]], None] | None = None
    on_invalid: OnInvalid = OnInvalid.DEAD_LETTER


@dataclass(frozen=True, slots=True)
class Route:
    """One route of topics.yaml: what happens to the records that it selects. Every function is compiled, none does I/O.

    *select* is the test of *condition*. *parse* reads a line of *format*; with *request_only* a line that is not a
    request is ignored and not rejected. *request* is the condition on the parsed request (a
    `core.request_fields.Request`), for which *address* finds the client's address before any policy. *client_id*
    returns (id, type) and *api* (name, version), or None; *client_id_sources* and *api_rules* are what they were
    compiled from, for `core.dryrun.explain`. *headers* are the lower-case names of request headers that may be
    published, *address_headers* those of them that are made for addresses. *query* is "drop" or "keep", *client_ip*
    applies the policy on addresses. *weight* says how many requests a line with this status stands for.

    *to* is the output topic, *stream* the `meta.stream` of the events, *topics* every topic that they may go to, *to*
    first, and *tables* the tables that count them. *schema_uri* and *validator* are those of the schema. *extras* is
    None for most routes. *pair_ms* is how many milliseconds one of a request's two lines waits for the other, None for
    no pairing. *disclosure* says what dead letters show of its lines;
    *client_id_hashed* that an id itself is not to be shown.
    """

    name: str
    condition: Condition
    select: Callable[[Envelope], bool]
    request_only: bool
    parse: Parser
    format: str
    client_id: ClientIdOf
    api: ApiOf
    headers: frozenset[str]
    client_ip: ClientIpOf
    weight: WeightOf
    query: str
    schema_uri: str
    validator: Validator
    to: str
    stream: str
    tables: tuple[str, ...]
    request: Condition | None = None
    address: ClientIpOf | None = None
    address_headers: frozenset[str] = frozenset()
    client_id_sources: tuple[str, ...] = ()
    client_id_hashed: bool = False
    client_id_typed_from: tuple[str, ...] = ()
    api_rules: tuple[ApiRule, ...] = ()
    topics: tuple[str, ...] = ()
    extras: OptionalSteps | None = None
    pair_ms: int | None = None
    disclosure: Disclosure = STRICT
    max_record_bytes: int = DEFAULT_RECORD_BYTES
    """What an event's key and value may take together: by the smallest limit of its topics, and the client's."""
    sure_bytes: int = DEFAULT_RECORD_BYTES // 2
    """A value of so many bytes fits whatever its key is, since the key is part of the value."""


class NamePattern(Protocol):
    """A regular expression for whole names, of any engine."""

    @property
    def pattern(self) -> str:
        """Its text."""

    def fullmatch(self, name: str, /) -> object:
        """A match, if the expression matches the whole name, else None."""


def _limit_route(route: Route, most: Callable[[str], int]) -> Route:
    size = max(min(most(topic) for topic in (route.to, *route.topics)), 0)
    return replace(route, max_record_bytes=size, sure_bytes=size // 2)


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of input: its topics, how its envelopes are decoded, and its routes in order.

    *topics* and *patterns* are the exact names and the expressions that select topics. *decode* reads a record of
    *max_bytes* at most. With *all_matches* every route that matches takes a line, else the first one only. *joining* is
    set if cut lines are put together; the pre-filter then looks at whole lines only, as a piece may lack what the line
    has. With *begins_latest*, partitions without a committed offset are read from their end on.

    *may_match* is the pre-filter on raw bytes: False means that no route can match, and the record is
    `ignored(unmatched)` without being decoded. It is None if there is nothing to search for, or *prefilter* is off.
    *might_be_ours* is the same test even if *prefilter* is off; it decides whether a record that cannot be decoded
    becomes a dead letter. *searchable* says that fields of the envelope stand in the record's bytes; without that there
    is no pre-filter.

    Only a source made by `for_topic` may be given records: before that, conditions on the topic are not decided.
    """

    name: str
    topics: frozenset[str]
    patterns: tuple[NamePattern, ...]
    decode: Decoder
    routes: tuple[Route, ...]
    max_bytes: int
    prefilter: bool = True
    all_matches: bool = False
    searchable: bool = True
    joining: PartialLineLimits | None = None
    begins_latest: bool = False
    may_match: Callable[[bytes], bool] | None = None
    might_be_ours: Callable[[bytes], bool] | None = None

    def disclosure_of(self, route_name: str) -> Disclosure:
        """What dead letters show of a line of this route; of one that no route has, what all of them would show."""
        found = next((route.disclosure for route in self.routes if route.name == route_name), None)
        return strictest(route.disclosure for route in self.routes) if found is None else found

    def for_topic(self, topic: str) -> Source:
        """This source for the records of one topic.

        Conditions on the topic are decided, and routes that fail them are left out.
        """
        routes = []
        for route in self.routes:
            condition = route.condition.for_topic(topic)
            if not condition.never:
                routes.append(replace(route, condition=condition, select=condition.test))
        test = compile_prefilter(route.condition for route in routes) if self.searchable else None
        may_match = test if self.prefilter else None
        return replace(self, routes=tuple(routes), may_match=may_match, might_be_ours=test)


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All sources and routes of a topics.yaml.

    *generation* is a hash of the file. *own_topics* are the outputs of this deployment and *internal* matches the names
    of topics that Kafka and Faust keep for themselves: no source reads from either, so that an output cannot become an
    input.
    """

    generation: str
    sources: tuple[Source, ...]
    own_topics: frozenset[str] = frozenset()
    internal: re.Pattern[str] = KAFKA_INTERNAL

    def is_own(self, topic: str) -> bool:
        """Whether the topic is written by us or internal to Kafka or Faust."""
        return topic in self.own_topics or self.internal.fullmatch(topic) is not None

    def source_of(self, topic: str) -> Source | None:
        """The source that reads from the topic, compiled for it; None if there is none.

        Exact names take precedence over patterns. Compiling takes time: keep the result.
        """
        if self.is_own(topic):
            return None
        for source in self.sources:
            if topic in source.topics:
                return source.for_topic(topic)
        for source in self.sources:
            if any(pattern.fullmatch(topic) for pattern in source.patterns):
                return source.for_topic(topic)
        return None

    def source_named(self, name: str, topic: str = "") -> Source | None:
        """The source of this name, compiled for records of *topic*, or of no topic at all; None if there is none."""
        return next((source.for_topic(topic) for source in self.sources if source.name == name), None)

    def event_topics(self) -> list[str]:
        """Every topic that events may go to."""
        routes = [route for source in self.sources for route in source.routes]
        return sorted({topic for route in routes for topic in (route.to, *route.topics)})

    def limited(self, most: Callable[[str], int]) -> RouteTable:
        """This table with events no larger than *most* says of each topic: bytes of key and value together."""
        return replace(
            self,
            sources=tuple(
                replace(source, routes=tuple(_limit_route(route, most) for route in source.routes))
                for source in self.sources
            ),
        )

    def routes(self) -> dict[str, Route]:
        """The routes by name, with conditions on the topic not decided."""
        return {route.name: route for source in self.sources for route in source.routes}

    def subscription(self) -> list[str]:
        """The topics to subscribe to: exact names, and expressions that begin with "^", as librdkafka wants them.

        The expressions may match topics of this deployment, too: for those `source_of` returns None.
        """
        names = {name for source in self.sources for name in source.topics}
        return sorted(names) + [pattern.pattern for source in self.sources for pattern in source.patterns]
