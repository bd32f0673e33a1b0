"""Tracers around the functions of a source and its routes: they do what those do, and note what they returned.

`core.dryrun.explain` runs the pipeline on a traced source. The notes are steps of an explanation and hold no secrets.
"""

from __future__ import annotations

from copy import copy, deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from logrouter.core.dryrun.event_diff import diff_events
from logrouter.core.dryrun.steps import ExplainStep, show_record, show_redacted
from logrouter.core.enrich import compile_api, compile_client_id
from logrouter.core.redact import REDACTED, redact_text
from logrouter.core.request_fields import Request
from logrouter.model import UNMATCHED, Envelope, Ignored, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logrouter.core.enrich import ApiRule
    from logrouter.core.match.conditions import Condition
    from logrouter.core.redact.disclosure import Disclosure
    from logrouter.core.routing import OptionalSteps, Route, Source
    from logrouter.core.validate import Validator
    from logrouter.model import Decoded, Parsed

    Note = Callable[..., None]
    Enrich = Callable[[dict[str, Any]], None]


def trace_source(source: Source, steps: list[ExplainStep]) -> Source:
    """The source with every function adding a step to *steps* when it is called. Good for one record.

    Where the record packs several lines, every step from the envelope on has the place of its line as `line`.
    """
    lines = _Lines()

    def note(stage: str, says: str, *, passed: bool | None = True, **details: Any) -> None:
        steps.append(
            ExplainStep(stage, says, passed, details if lines.current is None else {"line": lines.current, **details})
        )

    return replace(
        source,
        routes=tuple(_RouteTrace(route, note, lines).route() for route in source.routes),
        decode=_trace_decode(source, note, lines),
        may_match=None if source.may_match is None else _trace_filter(source, source.may_match, note),
    )


class _Lines:
    """Which of several lines is looked at: the pipeline takes one after the other, and begins with its routes."""

    def __init__(self) -> None:
        self.current: int | None = None
        self._places: dict[int, int] = {}
        self._kept: Decoded | None = None  # so that no other envelope gets the identity of one of these

    def begin(self, found: Decoded) -> Iterator[Envelope | Ignored | Rejected]:
        """Every line of a record in turn, as the current one."""
        if isinstance(found, Envelope | Ignored | Rejected):
            yield found
            return
        self._kept = found
        self._places = {id(line): place for place, line in enumerate(found)}
        for place, line in enumerate(found):
            self.current = place
            yield line

    def at(self, envelope: Envelope) -> None:
        """The pipeline has come to this line."""
        self.current = self._places.get(id(envelope))


def _trace_filter(source: Source, may_match: Callable[[bytes], bool], note: Note) -> Callable[[bytes], bool]:
    def traced(value: bytes) -> bool:
        passed = may_match(value)
        tokens = sorted({token.decode() for route in source.routes for token in route.condition.tokens() or ()})
        holds = "one" if passed else "none"
        note("prefilter", f"the bytes hold {holds} of {', '.join(tokens)}", passed=passed, tokens=tokens)
        return passed

    return traced


def _trace_decode(source: Source, note: Note, lines: _Lines) -> Callable[[bytes], Decoded]:
    def traced(value: bytes) -> Decoded:
        found = source.decode(value)
        disclosure = source.disclosure_of(UNMATCHED)
        for each in lines.begin(found):
            _note_envelope(each, note, disclosure)
        return found

    return traced


def _note_envelope(found: Envelope | Ignored | Rejected, note: Note, disclosure: Disclosure) -> None:
    if isinstance(found, Rejected):
        note("envelope", f"{found.reason}: {disclosure.text(found.detail)}", passed=False)
    elif isinstance(found, Ignored):
        note("envelope", str(found.reason), passed=False)
    else:
        note(
            "envelope",
            f"shape {found.shape}",
            shape=found.shape,
            program=show_redacted(found.program, disclosure=disclosure),
            host=show_redacted(found.host, disclosure=disclosure),
            time=show_redacted(found.time),
            text=show_redacted(found.text, disclosure=disclosure),
            flags=list(found.flags),
            fields=show_record({name: item for name, item in found.fields.items() if item != found.text}, disclosure),
        )


class _RouteTrace:
    """One route's functions, traced."""

    def __init__(self, route: Route, note: Note, lines: _Lines) -> None:
        self._route = route
        self._note = note
        self._lines = lines

    def route(self) -> Route:
        """The traced route."""
        route = self._route
        return replace(
            route,
            select=self.select,
            parse=self.parse,
            client_id=self.client_id,
            api=self.api,
            client_ip=self.client_ip,
            weight=self.weight,
            validator=cast("Validator", _ValidatorTrace(route.validator, self._note)),
            request=route.request and cast("Condition", _RequestTrace(route, route.request, self._note)),
            extras=route.extras and _trace_extras(route.extras, self._note),
        )

    def select(self, envelope: Envelope) -> bool:
        route = self._route
        self._lines.at(envelope)
        holds = route.select(envelope)
        why = [] if holds else [route.disclosure.text(line) for line in route.condition.explain(envelope)]
        verb = "matches" if holds else "does not match"
        self._note("route", f"{route.name} {verb}", passed=holds, route=route.name, why=why)
        return holds

    def parse(self, envelope: Envelope) -> Parsed | Ignored | Rejected:
        route = self._route
        found = route.parse(envelope)
        if isinstance(found, Ignored):
            says = ", ".join(filter(None, (f"{route.format}: {found.reason}", found.detail)))
            self._note("parse", says, passed=False, route=route.name)
        elif isinstance(found, Rejected):
            says = f"{route.format}: {found.reason}, {route.disclosure.text(found.detail)}"
            pointer = route.disclosure.text(found.pointer)
            self._note("parse", says, passed=False, route=route.name, pointer=pointer)
        else:
            event = show_redacted(_public_part(found.event, route.headers), disclosure=route.disclosure)
            says = ", ".join(filter(None, (f"a request, read as {found.format or route.format}", found.detail)))
            flags = list(found.flags)
            self._note("parse", says, route=route.name, event=event, time=show_redacted(found.time), flags=flags)
        return found

    def client_id(self, parsed: Parsed) -> tuple[str, str | None] | None:
        route, tried = self._route, []
        hashed = route.client_id_hashed
        for source in route.client_id_sources:
            one = compile_client_id([source], route.client_ip, route.client_id_typed_from, hashed=hashed)(copy(parsed))
            tried.append({"from": source, "found": REDACTED if one and hashed else self._shown(one)})
            if one:
                break
        found = self._route.client_id(parsed)
        self._found("client id", "client_id", found, tried)
        return found

    def api(self, parsed: Parsed) -> tuple[str, str | None] | None:
        tried = []
        for rule in self._route.api_rules:
            one = compile_api([rule], self._route.client_ip)(copy(parsed))
            tried.append({"from": _describe_rule(rule), "found": self._shown(one)})
            if one:
                break
        found = self._route.api(parsed)
        told = parsed.event.get("api") if not any(each["found"] for each in tried) else None
        if told is not None:
            self._note(
                "enrich",
                f"api {show_redacted(told)}, as {self._route.format} reads it",
                tried=tried,
                api=show_redacted(told),
            )
        else:
            self._found("api", "api", found, tried)
        return found

    def _found(self, called: str, name: str, found: tuple[str, str | None] | None, tried: list[dict[str, Any]]) -> None:
        where = f", from {tried[-1]['from']}" if found and tried else ""
        shown = self._shown(found)
        says = f"{called} {shown}{where}" if found else f"no {called}"
        self._note("enrich", says, passed=bool(found) or None, tried=tried, **{name: shown})

    def _shown(self, found: tuple[str, str | None] | None) -> str | None:
        """A name as it is published, but for what is never shown."""
        return None if found is None else redact_text(found[0])

    def client_ip(self, chain: str) -> str | None:
        kept = self._route.client_ip(chain)
        says = f"client ip {kept}" if kept else "no client ip: the address is none"
        count = chain.count(",") + 1
        self._note("enrich", f"{says}, of {count} in the chain", passed=bool(kept) or None, client_ip=kept)
        return kept

    def weight(self, status: int | None) -> float:
        weight = self._route.weight(status)
        self._note("enrich", f"stands for {weight:g} request{'s' if weight != 1 else ''}", weight=weight)
        return weight


def _public_part(event: dict[str, Any], headers: frozenset[str]) -> dict[str, Any]:
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


def _describe_rule(rule: ApiRule) -> str:
    """A rule in words."""
    kinds = (("field", rule.field), ("path prefix", rule.prefix), ("path glob", rule.glob), ("path regex", rule.regex))
    return next((f"{kind} {text}" for kind, text in kinds if text is not None), "")


class _RequestTrace:
    """A route's `request:` condition that tells why it does not hold; everything else is the given one's."""

    def __init__(self, route: Route, condition: Condition, note: Note) -> None:
        self._route = route
        self._condition = condition
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._condition, name)

    def test(self, subject: Request) -> bool:
        # Of the route itself: what its conditions look up is no step of the way.
        request = Request(subject.parsed, self._route)
        holds = self._condition.test(request)
        why = [] if holds else [self._masked(line, request) for line in self._condition.explain(request)]
        verb = "wants" if holds else "does not want"
        self._note("request", f"{self._route.name} {verb} this request", passed=holds, route=self._route.name, why=why)
        return holds

    def _masked(self, line: str, request: Request) -> str:
        """The line with what the policy keeps of the client's address in place of the address."""
        http = request.parsed.event.get("http")
        chain = http.get("client_ip") if isinstance(http, dict) else None
        address = self._route.address(chain) if isinstance(chain, str) and self._route.address is not None else None
        if address is not None and chain is not None:
            line = line.replace(address, self._route.client_ip(chain) or "…")
        # What stands in the condition itself is no client's address.
        return replace(self._route.disclosure, address=None).text(line)


class _ValidatorTrace:
    """A validator that tells what it decides; everything else is the given one's."""

    def __init__(self, validator: Validator, note: Note) -> None:
        self._validator = validator
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._validator, name)

    def is_valid(self, event: Any) -> bool:
        valid = self._validator.is_valid(event)
        schema, flags = self._validator.uri, event.get("flags", [])
        if valid:
            more = f", flagged {', '.join(flags)}" if flags else ""
            self._note("validate", f"satisfies {schema or 'the schema'}{more}", flags=flags)
        else:
            pointer, message = self._validator.explain(event)
            says = f"{pointer or 'the event'} {message}"
            self._note("validate", says, passed=False, pointer=pointer, message=message, schema=schema)
        return valid


def _trace_extras(extras: OptionalSteps, note: Note) -> OptionalSteps:
    """What a route does beyond the usual, traced."""
    return replace(
        extras,
        sample=extras.sample and _trace_decision(extras.sample, "sample", "in the sample", "not in the sample", note),
        limit=extras.limit
        and _trace_decision(extras.limit, "limit", "within the rate limit", "over the rate limit", note),
        before=tuple(_trace_change(each, "enrich", "adds", note) for each in extras.before),
        after=tuple(_trace_change(each, "enrich", "adds", note) for each in extras.after),
        change=extras.change and _trace_change(extras.change, "transform", "changes", note),
    )


def _trace_decision(decide: Callable[..., bool], stage: str, yes: str, no: str, note: Note) -> Callable[..., bool]:
    def traced(*arguments: Any) -> bool:
        passed = decide(*arguments)
        note(stage, yes if passed else no, passed=passed)
        return passed

    return traced


def _trace_change(change: Enrich, stage: str, verb: str, note: Note) -> Enrich:
    """Tells the members that are different afterwards: what they are now, and not what was there and may be hidden."""

    def traced(event: dict[str, Any]) -> None:
        before = deepcopy(event)
        change(event)
        found = {one.at: show_redacted(one.new, one.at.replace("/", ".")) for one in diff_events(before, event)}
        note(stage, f"{verb} {', '.join(found) or 'nothing'}", passed=bool(found) or None, now=found)

    return traced
