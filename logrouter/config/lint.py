"""Warnings about a topics.yaml that is valid and will hardly do what was meant.

Lints note warnings and raise nothing. They warn only where they are sure: what `core.match.implication` can't decide is
not mentioned. Conditions that a field can't satisfy are noted while they are read, in `config.options.operators`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.access_lint import warn_access
from logrouter.config.eventgate_lint import warn_eventgate
from logrouter.config.kafka_lint import warn_kafka
from logrouter.config.options.match import LOOKS_LIKE, read_mapping
from logrouter.config.options.match_fields import ENVELOPE
from logrouter.config.options.topics import anchor_expression, split_topics
from logrouter.config.privacy_lint import warn_privacy
from logrouter.config.settings import default_path, examine, read_config
from logrouter.config.sinks_lint import warn_sinks
from logrouter.config.yaml.problems import Problem, Problems, in_file_order, join_path
from logrouter.core.match.conditions import ALWAYS, AllOf, AnyOf, Field, Not, all_of
from logrouter.core.match.implication import excludes, implies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from logrouter.config.options.cases import CaseOptions
    from logrouter.config.options.file import FileOptions, SourceOptions
    from logrouter.config.options.route import RouteOptions
    from logrouter.config.settings import Settings
    from logrouter.core.match.conditions import Condition
    from logrouter.core.routing import RouteTable

MAX_COMPARED: Final = 300
"""Parts of one condition that are compared with each other: of a file of thousands `check` would take hours."""

MAX_COMPARISONS: Final = 30_000_000
"""Pairs of conditions of different routes that are compared at most: some ten seconds. Beyond that none is."""

SHORTEST_RETENTION_MS: Final = 3 * 24 * 3_600_000
"""The shortest retention of rollup records that is not warned of."""

ANY_TOPIC: Final = None
"""A topic that an expression selects: conditions on the topic stay undecided."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What `logrouter check` reports: errors and warnings in file order, the file's text, its settings if usable."""

    file: str
    text: str
    problems: list[Problem]
    settings: Settings | None


def check(
    path: Path | None, env: Mapping[str, str], *, refusal: Callable[[Mapping[str, Any]], str | None] | None = None
) -> Findings:
    """All errors and warnings about the file at *path*, or about the default one.

    *refusal* returns what the Kafka client says against settings, or None: only the client knows them all.

    Raises:
        ConfigError: the file can't be read.
    """
    file = path or default_path()
    data = read_config(file)
    examined = examine(data, env, name=str(file), folder=file.parent)
    if examined.settings is not None and examined.file is not None:
        _lint(examined.file, examined.settings.table, examined.value, examined.problems)
    settings = examined.settings if not examined.problems.errors else None
    if settings is not None and refusal is not None and (why := refusal(settings.kafka)) is not None:
        # It names settings by names of its own: what it says of one alone tells which is meant.
        name = next((key for key, value in settings.kafka.items() if refusal({key: value}) == why), "")
        examined.problems.add(join_path("kafka", name) if name else "kafka", why, at_key=True)
        settings = None
    problems = in_file_order([*examined.problems.errors, *examined.problems.warnings])
    return Findings(str(file), data.decode("utf-8", "replace"), problems, settings)


def _lint(file: FileOptions, table: RouteTable, document: Any, problems: Problems) -> None:
    """Every lint on a file without errors."""
    _contradictions(file.routes, problems)
    if _comparisons(file) <= MAX_COMPARISONS:
        _unreachable(file, problems)
        _shadowed(file, document["routes"], problems)
    _unused(file, problems)
    _short_windows(file, problems)
    _loops(file.sources, table, problems)
    _duplicate_tests(file, problems)
    warn_access(file, document, problems)
    warn_kafka(file.kafka or {}, problems)
    _short_retention(file, problems)
    warn_privacy(file, problems)
    warn_sinks(file, problems)
    warn_eventgate(file, table, problems)


def _condition(route: RouteOptions) -> Condition:
    return route.match.condition if route.match is not None else ALWAYS


def _contradictions(routes: Sequence[RouteOptions], problems: Problems) -> None:
    """Conditions of which two parts never hold together."""
    for index, route in enumerate(routes):
        blocks = (("match", _condition(route)), ("request", route.request))
        for name, condition in blocks:
            for one, other in _clashes(condition) if condition is not None else ():
                problems.warn(
                    f"routes[{index}].{name}", f"never holds together: {one.describe()}, and {other.describe()}"
                )


def _clashes(condition: Condition) -> Iterator[tuple[Condition, Condition]]:
    if isinstance(condition, Not):
        yield from _clashes(condition.part)
    if not isinstance(condition, AllOf | AnyOf):
        return
    if isinstance(condition, AllOf) and len(condition.parts) <= MAX_COMPARED:
        for index, one in enumerate(condition.parts):
            yield from ((one, other) for other in condition.parts[index + 1 :] if excludes(one, other))
    for part in condition.parts:
        yield from _clashes(part)


def _topics(source: SourceOptions) -> list[str | None]:
    """The topics that a source names, and `ANY_TOPIC` if it has expressions."""
    names, patterns = split_topics(source.topics)
    return [*sorted(names), *([ANY_TOPIC] if patterns else [])]


def _seen(condition: Condition, topic: str | None) -> Condition:
    return condition if topic is ANY_TOPIC else condition.for_topic(topic)


def _comparisons(file: FileOptions) -> int:
    """How many pairs of conditions there are among routes that take from the same topic, at most."""
    sizes = dict.fromkeys(file.sources, 0)
    for route in file.routes:
        for name in route.sources:
            sizes[name] += _size(_condition(route)) + (0 if route.request is None else _size(route.request))
    return sum(len(_topics(file.sources[name])) * size**2 for name, size in sizes.items())


def _size(condition: Condition) -> int:
    """How many conditions one is made of; each network of a list is compared with others."""
    match condition:
        case AllOf() | AnyOf():
            return 1 + sum(map(_size, condition.parts))
        case Not():
            return 1 + _size(condition.part)
        case Field(operator="cidr"):
            return len(condition.operand)
    return 1


def _unreachable(file: FileOptions, problems: Problems) -> None:
    """Routes that no record gets to, because of their topics or because earlier routes take all of it."""
    for index, route in enumerate(file.routes):
        taken: dict[str, str | None] = {}
        for name in route.sources:
            taken[name] = _taker(file, index, name, _condition(route))
        reasons = [reason for reason in taken.values() if reason is not None]
        if len(reasons) == len(taken):
            problems.warn(f"routes[{index}]", f"{route.name} is never reached: {reasons[0]}")
        else:
            for name, reason in taken.items():
                if reason is not None:
                    problems.warn(f"routes[{index}].from", f"{route.name} gets nothing from {name}: {reason}")


def _taker(file: FileOptions, index: int, source_name: str, condition: Condition) -> str | None:
    """Why the route gets nothing from the source that *condition* holds for; None if it may get something."""
    source = file.sources[source_name]
    views = [(topic, seen) for topic in _topics(source) if not (seen := _seen(condition, topic)).never]
    if not views:
        return f"its conditions hold for no topic of {source_name}"
    if source.routing != "first-match":
        return None
    takers = set()
    for topic, seen in views:
        before = [n for n in range(index) if source_name in file.routes[n].sources]
        taker = next((n for n in before if _takes_all(file.routes[n], file.routes[index], seen, topic)), None)
        if taker is None:
            return None
        takers.add(taker)
    names = " and ".join(f"routes[{n}] ({file.routes[n].name})" for n in sorted(takers))
    return f"{names} before it {'takes' if len(takers) == 1 else 'take'} everything that it matches"


def _takes_all(earlier: RouteOptions, later: RouteOptions, seen: Condition, topic: str | None) -> bool:
    """Whether whatever *later* could have (as *seen* from the topic) is *earlier*'s already."""
    if not implies(seen, _seen(_condition(earlier), topic)):
        return False
    same_format = earlier.format == later.format
    if _request_only(earlier) and not (_request_only(later) and same_format):
        return False
    if earlier.request is None:
        return True
    # What a request's API and client are depends on the route that looks.
    same_view = same_format and (earlier.enrich, earlier.client_ip) == (later.enrich, later.client_ip)
    return later.request is not None and same_view and implies(later.request, earlier.request)


def _request_only(route: RouteOptions) -> bool:
    return route.match is not None and route.match.request_only


def _shadowed(file: FileOptions, routes: Any, problems: Problems) -> None:
    """Alternatives of an `any` that another alternative includes, or that an earlier route leaves nothing of."""
    for index, route in enumerate(routes):
        match = route.get("match")
        if not isinstance(match, dict) or "any" not in match:
            continue
        if len(match["any"]) > MAX_COMPARED:
            continue
        others = {key: item for key, item in match.items() if key not in ("any", LOOKS_LIKE)}
        rest = _reread(others) if others else ALWAYS
        made = [_reread(item) for item in match["any"]]
        for n, one in enumerate(made):
            at = f"routes[{index}].match.any[{n}]"
            wider = [m for m, other in enumerate(made) if m != n and implies(one, other)]
            wider = [m for m in wider if m < n or not implies(made[m], one)]
            taken = [_taker(file, index, name, all_of([rest, one])) for name in file.routes[index].sources]
            if wider:
                problems.warn(at, f"adds nothing: any[{wider[0]}] holds whenever it does")
            elif None not in taken and len(made) > 1:
                problems.warn(at, f"adds nothing: {taken[0]}")


def _reread(item: Any) -> Condition:
    """The condition of a mapping that is known to be right."""
    found = read_mapping(ENVELOPE, item, "", Problems())
    return found if found is not None else ALWAYS


def _unused(file: FileOptions, problems: Problems) -> None:
    """Sections that no route refers to."""
    used = {name for route in file.routes for name in route.sources}
    used.update(file.drains.sources if file.drains is not None else ())
    for name in file.sources:
        if name not in used:
            problems.warn(f"sources.{name}", f"no route takes from {name}, so its topics are read for nothing")
    looked_up = {use.name for route in file.routes for use in route.enrich.lookup}
    for name in file.lookups or {}:
        if name not in looked_up:
            problems.warn(f"lookups.{name}", f"no route looks anything up in {name}")
    if file.geoip is not None and not any(route.enrich.geoip for route in file.routes):
        problems.warn("geoip", "no route says `enrich: {geoip: true}`")
    hashes = any(
        "hash" in (route.client_ip.policy, route.user) or route.enrich.client_id.hashed for route in file.routes
    )
    hashes = hashes or (file.drains is not None and file.drains.redaction.addresses == "hash")
    if file.privacy.hash_key is not None and not hashes:
        detail = "no route says `client_ip: hash`, `user: hash`, or `hashed: true` of its client id"
        problems.warn("privacy.hash_key", detail)


def _short_windows(file: FileOptions, problems: Problems) -> None:
    """Windows of pairs that end while what a dead process has left open still hides the other line."""
    timeout_ms = file.route_lane.transaction_timeout_ms
    for index, route in enumerate(file.routes):
        if route.pair is not None and route.pair.window_seconds * 1000 < timeout_ms:
            problems.warn(
                f"routes[{index}].pair.window_seconds",
                f"{route.pair.window_seconds} s is shorter than route_lane.transaction_timeout_ms ({timeout_ms}): so "
                "long may the other line be held back by what a dead process has left open",
            )


def _short_retention(file: FileOptions, problems: Problems) -> None:
    """A rollup topic that keeps its records for less than a weekend."""
    kept = file.outputs.rollup.retention_ms
    if kept < SHORTEST_RETENTION_MS:
        problems.warn(
            "outputs.rollup.retention_ms",
            f"keeps rollup records for {kept / 3_600_000:g} h: what a tables lane that is away for longer has not "
            f"counted is lost; three days ({SHORTEST_RETENTION_MS}) outlast a weekend",
        )


def _loops(sources: Mapping[str, SourceOptions], table: RouteTable, problems: Problems) -> None:
    """Expressions that would select an output if outputs were not left out."""
    by_name = {source.name: source for source in table.sources}
    for name, source in sources.items():
        patterns = {pattern.pattern: pattern for pattern in by_name[name].patterns}
        for index, topic in enumerate(source.topics):
            pattern = patterns.get(anchor_expression(topic))
            for own in sorted(table.own_topics) if pattern is not None else ():
                if pattern is not None and pattern.fullmatch(own):
                    message = f"{topic} selects {own} as well, an output of this file; outputs are never read"
                    problems.warn(f"sources.{name}.topics[{index}]", message)


def _duplicate_tests(file: FileOptions, problems: Problems) -> None:
    """Tests of one line, source and headers."""
    first: dict[tuple[str, str, str], tuple[int, CaseOptions]] = {}
    for index, case in enumerate(file.tests):
        key = (case.source or next(iter(file.sources)), case.line, repr(case.headers))
        if key in first:
            number, other = first[key]
            wants = "expects the same" if case.expect == other.expect else "expects something else"
            problems.warn(f"tests[{index}]", f"tests[{number}] has the same line and source, and {wants}")
        first.setdefault(key, (index, case))
