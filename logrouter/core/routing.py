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
    """What becomes of an event that does not satisfy its schema."""

    DEAD_LETTER = "dead-letter"
    DROP = "drop"
    PASS = "pass"  # noqa: S105 - no password


KAFKA_INTERNAL: Final = re.compile("_.*")
"""Kafka's own topics begin so (`__consumer_offsets`, `__transaction_state`), and other tools follow suit."""


@dataclass(frozen=True, slots=True)
class OptionalSteps:
    """What a route does besides: a route that does nothing of it has none, and its requests take the straight path.

    In the order they are asked: *sample* by the record's id and *limit* by record and time decide whether the request
    goes on; *before* changes it as parsed, while address and headers are still whole; *after* changes the event;
    *topics* says where an event goes, and `meta.stream` follows it if *follow*; *change* is what topics.yaml wants done
    to fields; *key* reads the Kafka key from what is left. An event that the schema refuses becomes a dead letter, is
    dropped, or passes with a flag, as *on_invalid* says.
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
    """What happens to the records that *select* holds for: every function is compiled, none does I/O.

    *client_id* and *api* give the id and its type, the name and its version, or None for neither.
    *request_only* says that lines that are no request are ignored and not rejected; *headers* is the lower-case
    allow-list of request headers; *to* is the output topic and *stream* the `meta.stream` of its events; *tables* names
    the tables that its events are counted in; *query* is "drop" or "keep". *request* is what a parsed request must
    satisfy (its subject is a `requestfields.Request`), *address* the client's address before any policy, for it.
    *client_id_sources* and *api_rules* are what *client_id* and *api* were compiled from, for `core.explain`.
    *topics* are all that its events may go to, *to* first; *extras* is None for most routes. *pair_ms* is how long one
    of a request's two lines waits for the other, None where they are not paired.
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
    client_id_sources: tuple[str, ...] = ()
    api_rules: tuple[ApiRule, ...] = ()
    topics: tuple[str, ...] = ()
    extras: OptionalSteps | None = None
    pair_ms: int | None = None


class NamePattern(Protocol):
    """An expression on names, closed at both ends."""

    @property
    def pattern(self) -> str:
        """Its text."""

    def fullmatch(self, name: str, /) -> object:
        """Something true if it matches all of the name."""


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of input: which topics, how their envelopes are decoded, and the routes that take from it, in order.

    *may_match* is the pre-filter on raw bytes: False means that no route can match, so the record is
    `ignored(unmatched)` without being decoded. None means that there is nothing to filter by, or that *prefilter* is
    off. *might_be_ours* is the same test, there even if *prefilter* is off: it tells whether a record that can't be
    decoded is worth a dead letter. *topics* and *patterns* are the exact names and the expressions that select topics.
    *searchable* says that the envelope's fields stand in the record's bytes; where they don't, nothing is told before
    decoding. With *all_matches* every route that matches gets the record, else the first one only.
    *joining* is there if cut lines are put together. Then the pre-filter is asked about whole lines only, as a piece
    may lack what the line has.
    Only a source made by `for_topic` is ready for records: before that, conditions on the topic are undecided.
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
    may_match: Callable[[bytes], bool] | None = None
    might_be_ours: Callable[[bytes], bool] | None = None

    def for_topic(self, topic: str) -> Source:
        """This source as seen by one topic: conditions on the topic are decided, routes it rules out are gone."""
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
    """Everything a route lane needs to know, as one value. *generation* is a hash of the file it was built from.

    *own_topics* are the outputs of this deployment and *internal* matches the names of topics that Kafka and Faust keep
    for themselves: no source ever takes from them, so that an output can't become an input.
    """

    generation: str
    sources: tuple[Source, ...]
    own_topics: frozenset[str] = frozenset()
    internal: re.Pattern[str] = KAFKA_INTERNAL

    def is_own(self, topic: str) -> bool:
        """Whether the topic is written by us or internal to Kafka or Faust."""
        return topic in self.own_topics or self.internal.fullmatch(topic) is not None

    def source_of(self, topic: str) -> Source | None:
        """The source that takes from the topic, compiled for it: exact names go before patterns. Keep the answer."""
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
        """The source of this name, compiled for records that come from *topic*, or from no topic at all."""
        return next((source.for_topic(topic) for source in self.sources if source.name == name), None)

    def event_topics(self) -> list[str]:
        """Every topic that events may go to."""
        routes = [route for source in self.sources for route in source.routes]
        return sorted({topic for route in routes for topic in (route.to, *route.topics)})

    def routes(self) -> dict[str, Route]:
        """The routes by name, for no topic in particular."""
        return {route.name: route for source in self.sources for route in source.routes}

    def subscription(self) -> list[str]:
        """What to subscribe to: exact names, and expressions that begin with "^" as librdkafka wants them.

        The expressions may bring topics of our own along: for those `source_of` has no source.
        """
        names = {name for source in self.sources for name in source.topics}
        return sorted(names) + [pattern.pattern for source in self.sources for pattern in source.patterns]
