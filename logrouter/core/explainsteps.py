"""The steps of an explanation, and the watchers that note them while the pipeline runs. See `core.explain`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

from logrouter.core.enrich import compile_api, compile_client_id
from logrouter.core.redact import REDACTED, redact_shown
from logrouter.core.timestamps import rfc3339
from logrouter.model import ANONYMOUS, Accepted, Ignored, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from logrouter.core.enrich import ApiRule
    from logrouter.core.routing import Route, RouteTable, Source
    from logrouter.core.validate import Validator
    from logrouter.model import Envelope, Outcome, Parsed, RawRecord

MAX_TEXT: Final = 400
MAX_MEMBERS: Final = 60
MAX_DEPTH: Final = 6


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at: *says* is a line, *details* holds plain data. *passed* None means neither."""

    stage: str
    says: str
    passed: bool | None = True
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The step as plain data."""
        return {"stage": self.stage, "passed": self.passed, "says": self.says, **self.details}


def shown(value: Any, name: str = "", depth: int = 0) -> Any:
    """*value* as it may be shown: secrets out by the names they stand under and by their looks; everything bounded."""
    if isinstance(value, str):
        return redact_shown(name, value, MAX_TEXT)
    if value is None or redact_shown(name, ""):  # nothing of an empty text is left to be redacted but for its name
        return value if value is None else REDACTED
    if isinstance(value, dict | list) and depth == MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        members = [(redact_shown("", str(key), 100), item) for key, item in list(value.items())[:MAX_MEMBERS]]
        more = {"…": f"{len(value) - MAX_MEMBERS} more"} if len(value) > MAX_MEMBERS else {}
        return {key: shown(item, key, depth + 1) for key, item in members} | more
    if isinstance(value, list):
        return [shown(item, name, depth + 1) for item in value[:MAX_MEMBERS]]
    return value


def record_step(record: RawRecord, source: str | None) -> Step:
    """Where the record is, and which source it belongs to."""
    details = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "time": rfc3339(record.timestamp_ms) if record.timestamp_ms > 0 else None,
        "bytes": None if record.value is None else len(record.value),
        "source": source,
    }
    size = "no value (a tombstone)" if record.value is None else f"{len(record.value)} bytes"
    return Step("record", f"{record.topic}:{record.partition}:{record.offset}, {size}", details=details)


def ruled_out(table: RouteTable, source: Source, topic: str) -> Iterator[Step]:
    """The routes of the source that can't hold for any record of the topic."""
    left = {route.name for route in source.routes}
    for one in table.sources:
        for route in one.routes if one.name == source.name else ():
            if route.name not in left:
                why = [f"no record of topic {topic} can satisfy: {route.condition.describe()}"]
                yield Step("route", f"{route.name} does not match", passed=False, details=_tried(route, why))


def _tried(route: Route, why: list[str]) -> dict[str, Any]:
    return {"route": route.name, "why": why}


class Watch:
    """A source whose functions tell *steps* what they were asked and what they said. Good for one record."""

    def __init__(self, source: Source, record: RawRecord, steps: list[Step]) -> None:
        self._source = source
        self._record = record
        self._steps = steps

    def source(self) -> Source:
        """The watched source; it does what the given one does."""
        source = self._source
        routes = tuple(map(self._route, source.routes))
        may_match = None if source.may_match is None else self._filter(source.may_match)
        return replace(source, routes=routes, decode=self._decode(source), may_match=may_match)

    def _note(self, stage: str, says: str, *, passed: bool | None = True, **details: Any) -> None:
        self._steps.append(Step(stage, says, passed, details))

    def _filter(self, may_match: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        def watched(value: bytes) -> bool:
            passed = may_match(value)
            tokens = sorted({token.decode() for r in self._source.routes for token in r.condition.tokens() or ()})
            holds = "one" if passed else "none"
            self._note("prefilter", f"the bytes hold {holds} of {', '.join(tokens)}", passed=passed, tokens=tokens)
            return passed

        return watched

    def _decode(self, source: Source) -> Callable[[bytes], Envelope | Rejected]:
        def watched(value: bytes) -> Envelope | Rejected:
            found = source.decode(value)
            if isinstance(found, Rejected):
                self._note("envelope", f"{found.reason}: {found.detail}", passed=False)
                return found
            fields = {
                "shape": found.shape,
                "program": shown(found.program),
                "host": shown(found.host),
                "time": shown(found.time),
                "text": shown(found.text),
                "flags": list(found.flags),
                "fields": shown({name: item for name, item in found.fields.items() if item != found.text}),
            }
            self._note("envelope", f"shape {found.shape}", **fields)
            return found

        return watched

    def _route(self, route: Route) -> Route:
        return replace(
            route,
            select=self._select(route),
            parse=self._parse(route),
            client_id=self._client_id(route),
            api=self._api(route),
            client_ip=self._client_ip(route),
            weight=self._weight(route),
            validator=cast("Validator", _WatchedValidator(route.validator, self._note)),
        )

    def _select(self, route: Route) -> Callable[[Envelope], bool]:
        def watched(envelope: Envelope) -> bool:
            holds = route.select(envelope)
            why = [] if holds else route.condition.explain(envelope)
            verb = "matches" if holds else "does not match"
            self._note("route", f"{route.name} {verb}", passed=holds, **_tried(route, why))
            return holds

        return watched

    def _parse(self, route: Route) -> Callable[[Envelope], Parsed | Ignored | Rejected]:
        def watched(envelope: Envelope) -> Parsed | Ignored | Rejected:
            found = route.parse(envelope)
            if isinstance(found, Ignored):
                says = f"{route.format}: {found.reason}"
                self._note("parse", says, passed=False, route=route.name)
            elif isinstance(found, Rejected):
                says = f"{route.format}: {found.reason}, {found.detail}"
                self._note("parse", says, passed=False, route=route.name, pointer=found.pointer)
            else:
                event = shown(_public(found.event, route.headers))
                flags = list(found.flags)
                says = f"a request, read as {route.format}"
                self._note("parse", says, route=route.name, event=event, time=shown(found.time), flags=flags)
            return found

        return watched

    def _client_id(self, route: Route) -> Callable[[Parsed], tuple[str, str | None] | None]:
        def watched(parsed: Parsed) -> tuple[str, str | None] | None:
            tried = []
            for source in route.client_id_sources:
                one = compile_client_id([source], route.client_ip)(replace(parsed))
                tried.append({"from": source, "found": one[0] if one else None})
                if one:
                    break
            found = route.client_id(parsed)
            where = f", from {tried[-1]['from']}" if found and tried else ""
            says = f"client id {found[0]}{where}" if found else "no client id"
            self._note("enrich", says, passed=bool(found) or None, client_id=found and found[0], tried=tried)
            return found

        return watched

    def _api(self, route: Route) -> Callable[[Parsed], tuple[str, str | None] | None]:
        def watched(parsed: Parsed) -> tuple[str, str | None] | None:
            tried = []
            for rule in route.api_rules:
                one = compile_api([rule])(replace(parsed))
                tried.append({"from": _rule(rule), "found": one[0] if one else None})
                if one:
                    break
            found = route.api(parsed)
            where = f", from {tried[-1]['from']}" if found and tried else ""
            says = f"api {found[0]}{where}" if found else "no api"
            self._note("enrich", says, passed=bool(found) or None, api=found and found[0], tried=tried)
            return found

        return watched

    def _client_ip(self, route: Route) -> Callable[[str], str | None]:
        def watched(chain: str) -> str | None:
            kept = route.client_ip(chain)
            count = chain.count(",") + 1
            says = f"client ip {kept}" if kept else "no client ip: the address is none"
            self._note("enrich", f"{says}, of {count} in the chain", passed=bool(kept) or None, client_ip=kept)
            return kept

        return watched

    def _weight(self, route: Route) -> Callable[[int | None], float]:
        def watched(status: int | None) -> float:
            weight = route.weight(status)
            self._note("enrich", f"stands for {weight:g} requests", weight=weight)
            return weight

        return watched


def _public(event: dict[str, Any], headers: frozenset[str]) -> dict[str, Any]:
    """A parsed request without what the route removes.

    That is the client's address, of which is told later what the policy keeps, and headers, whose names stay.
    """
    http = event.get("http")
    if not isinstance(http, dict):
        return event
    kept = {name: value for name, value in http.items() if name != "client_ip"}
    if isinstance(given := http.get("request_headers"), dict):
        kept["request_headers"] = {name: value if name in headers else "(removed)" for name, value in given.items()}
    return {**event, "http": kept}


def _rule(rule: ApiRule) -> str:
    """A rule in words."""
    kinds = (("field", rule.field), ("path prefix", rule.prefix), ("path glob", rule.glob), ("path regex", rule.regex))
    return next((f"{kind} {text}" for kind, text in kinds if text is not None), "")


class _WatchedValidator:
    """A validator that tells what it decides; everything else is the given one's."""

    def __init__(self, validator: Validator, note: Callable[..., None]) -> None:
        self._validator = validator
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._validator, name)

    def is_valid(self, event: Any) -> bool:
        valid = self._validator.is_valid(event)
        flags = event.get("flags", [])
        more = f", flagged {', '.join(flags)}" if flags else ""
        if valid:
            self._note("validate", f"satisfies {self._validator.uri or 'the schema'}{more}", flags=flags)
        return valid

    def explain(self, event: Mapping[str, Any]) -> tuple[str, str]:
        pointer, message = self._validator.explain(event)
        says = f"{pointer or 'the event'} {message}"
        self._note("validate", says, passed=False, pointer=pointer, message=message, schema=self._validator.uri)
        return pointer, message


def outputs_of(record: RawRecord, outcome: Outcome, event_id: str, dead_letter_topic: str) -> Iterator[Step]:
    """What is written because of one outcome."""
    if isinstance(outcome, Ignored):
        yield Step("outcome", f"ignored: {outcome.reason}", passed=None)
    elif isinstance(outcome, Rejected):
        key = f"{record.topic}:{record.partition}:{record.offset}"
        details: dict[str, Any] = {"topic": dead_letter_topic, "key": key, "id": event_id}
        where = f", a dead letter for {dead_letter_topic} with key {key}" if dead_letter_topic else ""
        yield Step("outcome", f"rejected at {outcome.stage}: {outcome.reason}{where}", passed=False, details=details)
    else:
        key = outcome.key.decode("utf-8", "replace") if outcome.key is not None else "no key"
        identity = outcome.event.get("meta", {}).get("id")
        details = {"topic": outcome.topic, "key": outcome.key and key, "id": identity, "bytes": len(outcome.value)}
        says = f"{len(outcome.value)} bytes to {outcome.topic}, key {key}, event id {identity}"
        yield Step("output", says, details=details)
        cells = list(cells_of(outcome))
        says = ", ".join(f"{cell['table']} row {cell['row']}" for cell in cells) or "no tables count it"
        yield Step("tables", says, passed=bool(cells) or None, details={"cells": cells})


def cells_of(accepted: Accepted) -> Iterator[dict[str, Any]]:
    """What the event adds to the tables: one cell for its client and one for its API, in the minute of its time."""
    event = accepted.event
    api = event.get("api", ANONYMOUS)
    sums = {
        "minute": rfc3339(accepted.time_ms // 60_000 * 60_000),
        "count": 1,
        "weighted": event["weight"],
        "status": event.get("http", {}).get("status_code"),
        "outcome": event.get("outcome"),
        "latency_ms": event.get("total_time_ms"),
        "bytes_received": event.get("bytes_received", 0),
        "bytes_sent": event.get("bytes_sent", 0),
    }
    if "clients" in accepted.tables:
        yield {"table": "clients", "row": event.get("client_id", ANONYMOUS), "api": api, **sums}
    if "apis" in accepted.tables:
        yield {"table": "apis", "row": api, **sums}
