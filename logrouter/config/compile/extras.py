"""The optional steps of a route: sampling, lookups, changes of fields, topics by field."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.config.compile.databases import load_agents
from logrouter.config.compile.field_changes import NameChecker, compile_fields, forbids_field
from logrouter.config.compile.path_templates import build_path_templates
from logrouter.config.compile.schemas import packaged_schemas
from logrouter.config.yaml.problems import did_you_mean, join_path, list_names
from logrouter.core.dead_letter import coordinates
from logrouter.core.enrich import compile_client_ip
from logrouter.core.enrich.lookup import compile_agent, compile_geo, compile_lookup
from logrouter.core.routing import OnInvalid, OptionalSteps
from logrouter.core.sampling import compile_limit, compile_sample
from logrouter.core.transform import chain, drop, path_of, value_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.config.compile.databases import Find
    from logrouter.config.compile.lookups import Rows
    from logrouter.config.compile.openapi_files import OpenApiFiles
    from logrouter.config.compile.outputs import Destinations
    from logrouter.config.options.file import LookupFileOptions
    from logrouter.config.options.route import RouteOptions
    from logrouter.config.yaml.problems import Problems
    from logrouter.core.enrich.lookup import Enrich
    from logrouter.core.routing import KeyOf
    from logrouter.core.transform import Change, Path
    from logrouter.model import RawRecord

CANONICAL: Final = "api_request/1.1.0"
SINCE_1_1: Final[tuple[Path, ...]] = (("path_template",), ("backend",), ("error", "source"), ("meta", "response_id"))
"""Fields that events have had since 1.1.0 of their schema: a route whose schema refuses one leaves it out."""
MAX_WEIGHT: Final = 1_000_000
_GEO: Final = "geo"
_AGENT: Final = "user_agent_family"
_TEMPLATE: Final = "path_template"
_COUNTED_BY: Final = {"clients": "client_id", "apis": "api"}


@dataclass(frozen=True, slots=True)
class LookupSources:
    """The data in which all routes look things up; None for what could not be loaded, a problem already noted."""

    options: Mapping[str, LookupFileOptions]
    rows: Mapping[str, Rows | None]
    geoip: Find | None
    has_geoip: bool
    openapi: OpenApiFiles


def compile_optional_steps(
    options: RouteOptions,
    to: Destinations,
    lookup_sources: LookupSources,
    schema: Mapping[str, Any],
    path: str,
    problems: Problems,
) -> OptionalSteps | None:
    """The optional steps of a route, None if it has none. *schema* is the one that its events must satisfy."""
    enrich = join_path(path, "enrich")
    before = [*_geo(options, lookup_sources, schema, enrich, problems), *_agent(options, schema, enrich, problems)]
    templates = _templates(options, lookup_sources, schema, enrich, problems)
    after = [*templates, *_lookups(options, lookup_sources, schema, enrich, problems)]
    sample = options.sample.rate if options.sample is not None else 1.0
    _check_weight(options, sample, path, problems)
    if options.fields is not None:
        _check_fields(options, schema, path, problems)
    limit = options.rate_limit
    burst = limit and (limit.burst or max(1, round(limit.events_per_second)))
    on_invalid = OnInvalid(options.on_invalid)
    extras = OptionalSteps(
        key=_key(options.key),
        sample=compile_sample(sample) if sample < 1 else None,
        limit=compile_limit(limit.events_per_second, burst) if limit and burst else None,
        before=tuple(before),
        after=tuple(after),
        topics=to.choose,
        follow=to.choose is not None and not options.stream,
        change=_change(options, schema),
        on_invalid=on_invalid,
    )
    used = (extras.sample, extras.limit, extras.topics, extras.change, *before, *after)
    plain = options.key == "client_id" and on_invalid is OnInvalid.DEAD_LETTER and len(to.topics) <= 1
    return None if plain and all(each is None for each in used) else extras


def _geo(
    options: RouteOptions, lookup_sources: LookupSources, schema: Mapping[str, Any], path: str, problems: Problems
) -> list[Enrich]:
    if not options.enrich.geoip:
        return []
    if not lookup_sources.has_geoip:
        problems.add(join_path(path, "geoip"), "needs the section `geoip` with its files")
    if forbids_field(schema, (_GEO,)):
        problems.add(join_path(path, "geoip"), f"the schema allows no field {_GEO}")
    find = lookup_sources.geoip
    return [] if find is None else [compile_geo(compile_client_ip(options.client_ip.trusted_hops), find)]


def _agent(options: RouteOptions, schema: Mapping[str, Any], path: str, problems: Problems) -> list[Enrich]:
    if not options.enrich.user_agent:
        return []
    at = join_path(path, "user_agent")
    if forbids_field(schema, (_AGENT,)):
        problems.add(at, f"the schema allows no field {_AGENT}")
    family_of = load_agents(at, problems)
    return [] if family_of is None else [compile_agent(family_of)]


def _templates(
    options: RouteOptions, lookup_sources: LookupSources, schema: Mapping[str, Any], path: str, problems: Problems
) -> list[Enrich]:
    if not options.enrich.templates:
        return []
    at = join_path(path, "templates")
    if forbids_field(schema, (_TEMPLATE,)):
        problems.add(at, f"the schema allows no field {_TEMPLATE}: {CANONICAL} and later ones do")
    made = build_path_templates(options.enrich.templates, lookup_sources.openapi, at, problems)
    return [] if made is None else [made]


def _lookups(
    options: RouteOptions, lookup_sources: LookupSources, schema: Mapping[str, Any], path: str, problems: Problems
) -> list[Enrich]:
    made = []
    for index, use in enumerate(options.enrich.lookup):
        at = f"{join_path(path, 'lookup')}[{index}]" if len(options.enrich.lookup) > 1 else join_path(path, "lookup")
        if use.name not in lookup_sources.rows:
            hint = did_you_mean(use.name, lookup_sources.rows)
            problems.add(at, f"there is no lookup {use.name!r}{hint}; there are {list_names(lookup_sources.rows)}")
            continue
        if forbids_field(schema, (use.into,)):
            problems.add(at, f"the schema allows no field {use.into}")
        rows = lookup_sources.rows[use.name]
        if rows is not None:
            by = use.by or lookup_sources.options[use.name].key
            if forbids_field(_canonical(), path_of(by)):
                problems.add(at, f"no event has a field {by} to look up: say which with `by`")
            made.append(compile_lookup(rows, path_of(by), use.into))
    return made


def _check_weight(options: RouteOptions, sample: float, path: str, problems: Problems) -> None:
    weights = [options.weight.default, *(options.weight.by_status or {}).values()]
    if max(weights) / sample > MAX_WEIGHT:
        problems.add(
            join_path(path, "sample"),
            f"gives events a weight of {max(weights) / sample:.10g}, at most {MAX_WEIGHT} is allowed",
        )


def _change(options: RouteOptions, schema: Mapping[str, Any]) -> Change | None:
    """What the route changes of its events. A schema of an older version must not make dead letters of new fields."""
    unknown = [path for path in SINCE_1_1 if forbids_field(schema, path)]
    asked = [] if options.fields is None else [compile_fields(options.fields)]
    changes = [*asked, drop(unknown)] if unknown else asked
    return chain(changes) if changes else None


def _check_fields(options: RouteOptions, schema: Mapping[str, Any], path: str, problems: Problems) -> None:
    needed: dict[Path, str] = {
        (_COUNTED_BY[table],): f"the table {table} counts by" for table in options.tables if table in _COUNTED_BY
    }
    added = [use.into for use in options.enrich.lookup]
    NameChecker(schema, _canonical(), needed, added, problems).run(options.fields or (), join_path(path, "fields"))


@lru_cache(maxsize=1)
def _canonical() -> Mapping[str, Any]:
    schema: dict[str, Any] = orjson.loads(packaged_schemas()[CANONICAL])
    return schema


def _key(key: str) -> KeyOf:
    """The function that makes the Kafka key of an event."""
    if key == "none":
        return lambda _event, _record: None
    if key == "coordinates":
        return _by_record
    path = path_of(key.removeprefix("field:"))

    def by_field(event: dict[str, Any], _record: RawRecord) -> bytes | None:
        value = value_at(event, path)
        if type(value) is str:
            return value.encode()
        return str(value).encode() if type(value) is int else None

    return by_field


def _by_record(_event: dict[str, Any], record: RawRecord) -> bytes:
    return coordinates(record)
