"""From declared options to an immutable route table, with all checks that concern more than one option.

Names must exist and be unique, schemas must load, and no output may be an input. All problems are noted, not only the
first.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logrouter.config.compile.databases import load_geoip
from logrouter.config.compile.drains import claim_topics
from logrouter.config.compile.enrichment import (
    build_api_rules,
    build_client_id,
    build_client_ip,
    build_disclosure,
    build_envelope_reader,
    build_weight,
)
from logrouter.config.compile.extras import LookupSources, compile_optional_steps
from logrouter.config.compile.formats import backend_query_of, build_line_masks, build_parser
from logrouter.config.compile.lookups import load_lookups
from logrouter.config.compile.masks import build_mask, with_mask
from logrouter.config.compile.openapi_files import OpenApiFiles
from logrouter.config.compile.outputs import resolve_destinations
from logrouter.config.compile.pairing import check_pair, pairing_changelog, pairing_options
from logrouter.config.compile.schemas import load_schema
from logrouter.config.compile.users import build_user_masks, build_user_reader
from logrouter.config.options.file import TablesLaneOptions
from logrouter.config.options.match import Matching
from logrouter.config.options.topics import split_topics
from logrouter.config.yaml.kinds import usable
from logrouter.config.yaml.problems import did_you_mean, join_path, list_names
from logrouter.core.enrich import compile_api, compile_client_ip, made_for_addresses
from logrouter.core.envelopes import ENVELOPES, WITH_FRAGMENTS, WITH_MERGED_KEY
from logrouter.core.join.partial_lines import PartialLineLimits
from logrouter.core.redact import names_secret
from logrouter.core.routing import KAFKA_INTERNAL, Route, RouteTable, Source
from logrouter.model import UNMATCHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from logrouter.config.compile.inputs import Inputs
    from logrouter.config.compile.outputs import Destinations
    from logrouter.config.options.cases import CaseOptions
    from logrouter.config.options.file import FileOptions, SourceOptions
    from logrouter.config.options.route import RouteOptions
    from logrouter.config.yaml.problems import Problems

FAUST_SUFFIX: Final = ".*(?:changelog|repartition|__leader)"
"""Ends of the names of topics that Faust creates; they begin with the application's id."""


def build(file: FileOptions, *, generation: str, inputs: Inputs, problems: Problems) -> RouteTable:
    """The route table of a file, without the parts that are `INVALID`: use it only if no problem was noted.

    *inputs* reads the other files that it needs.
    """
    sources = file.sources if usable(file.sources) else {}
    routes = dict(enumerate(file.routes)) if usable(file.routes) else {}
    routes = {index: options for index, options in routes.items() if usable(options)}
    to = {index: resolve_destinations(options, f"routes[{index}]", problems) for index, options in routes.items()}
    outputs = _outputs(file, routes, to, problems)
    lookup_sources = _load_lookup_sources(file, inputs, problems)
    _check_names(routes, problems)
    mask = build_mask(file.redact, problems)
    made: dict[str, list[Route]] = {name: [] for name in sources}
    for index, options in routes.items():
        path = f"routes[{index}]"
        route = _route(options, file, to[index], lookup_sources, path, inputs, problems)
        for name in options.sources:
            if name not in made:
                hint = did_you_mean(name, made)
                problems.add(
                    join_path(path, "from"), f"there is no source {name!r}{hint}; there are {list_names(made)}"
                )
            elif route is not None:
                made[name].append(route if mask is None else with_mask(route, mask))
    good = {name: options for name, options in sources.items() if usable(options)}
    group = file.tables_lane.group if usable(file.tables_lane) else TablesLaneOptions().group
    table = RouteTable(
        generation=generation,
        sources=tuple(_source(name, options, tuple(made[name])) for name, options in good.items()),
        own_topics=frozenset(outputs),
        internal=re.compile(f"{KAFKA_INTERNAL.pattern}|{re.escape(group)}-{FAUST_SUFFIX}"),
    )
    _check_inputs(good, table, problems)
    _check_retention(file, problems)
    if usable(file.tests):
        # A route that could not be read has a name that nobody knows: a test that asks for it may be right.
        whole = usable(file.routes) and len(routes) == len(file.routes)
        known = [route.name for route in routes.values()] if whole else None
        _check_tests(file.tests, sources, known, problems)
    return table


def _check_retention(file: FileOptions, problems: Problems) -> None:
    """A window is answered from the coarsest rows that cover it, so these must reach at least as far back."""
    if not usable(file.tables_lane) or not usable(file.tables_lane.retention):
        return
    kept = file.tables_lane.retention
    if kept.hour_days * 24 < kept.minute_hours:
        problems.add("tables_lane.retention.hour_days", "must be at least as long as minute_hours")
    if kept.day_days < kept.hour_days:
        problems.add("tables_lane.retention.day_days", "must be at least as long as hour_days")


def _outputs(
    file: FileOptions, routes: Mapping[int, RouteOptions], to: Mapping[int, Destinations], problems: Problems
) -> set[str]:
    """All topics that logrouter writes. Those of the lanes must differ from all others."""
    own: dict[str, str] = {}
    if usable(file.outputs):
        own[file.outputs.dead_letter.topic] = "outputs.dead_letter.topic"
        if file.outputs.rollup.topic in own:
            problems.add("outputs.rollup.topic", f"{file.outputs.rollup.topic} is outputs.dead_letter.topic as well")
        own[file.outputs.rollup.topic] = "outputs.rollup.topic"
        pairing = pairing_options(file.outputs, routes.values())
        for topic in (pairing.topic, pairing_changelog(pairing.topic)) if pairing is not None else ():
            if topic in own:
                problems.add("outputs.pairing.topic", f"{topic} is {own[topic]} as well")
            own[topic] = "outputs.pairing.topic"
        ledger = file.outputs.ledger.topic
        if ledger in own:
            problems.add("outputs.ledger.topic", f"{ledger} is {own[ledger]} as well")
        own[ledger] = "outputs.ledger.topic"
    if file.drains is not None and usable(file.drains):
        claim_topics(file.drains.topics, own, problems)
    for index, destination in to.items():
        for topic in destination.topics:
            if topic in own:
                problems.add(f"routes[{index}].to", f"{topic} is {own[topic]} as well: events need their own topic")
            elif KAFKA_INTERNAL.fullmatch(topic):
                problems.add(f"routes[{index}].to", 'topics that begin with "_" are Kafka\'s own')
    return set(own) | {topic for destination in to.values() for topic in destination.topics}


def _load_lookup_sources(file: FileOptions, inputs: Inputs, problems: Problems) -> LookupSources:
    """Load the files in which routes look things up."""
    lookups = file.lookups if usable(file.lookups) and file.lookups is not None else {}
    rows = load_lookups(lookups, inputs, problems)
    geoip = load_geoip(file.geoip, inputs, problems)
    return LookupSources(lookups, rows, geoip, has_geoip=file.geoip is not None, openapi=OpenApiFiles(inputs))


def _check_names(routes: Mapping[int, RouteOptions], problems: Problems) -> None:
    first: dict[str, int] = {}
    for index, route in routes.items():
        if route.name in first:
            problems.add(f"routes[{index}].name", f"routes[{first[route.name]}] is called {route.name} as well")
        first.setdefault(route.name, index)


def _check_tests(
    tests: Iterable[CaseOptions], sources: Iterable[str], routes: Sequence[str] | None, problems: Problems
) -> None:
    """Tests must name sources and routes that exist."""
    for index, case in enumerate(tests):
        if not usable(case):
            continue
        if case.source and case.source not in sources:
            hint = did_you_mean(case.source, sources)
            problems.add(f"tests[{index}].source", f"there is no source {case.source!r}{hint}")
        wanted = case.expect.route
        if wanted and routes is not None and wanted not in (*routes, UNMATCHED):
            hint = did_you_mean(wanted, (*routes, UNMATCHED))
            problems.add(f"tests[{index}].expect.route", f"there is no route {wanted!r}{hint}")


def _check_inputs(sources: Mapping[str, SourceOptions], table: RouteTable, problems: Problems) -> None:
    """No source may read a topic that logrouter writes, or one of an earlier source."""
    taken: dict[str, str] = {}
    for name, source in sources.items():
        if source.join_partial is not None and source.envelope not in WITH_FRAGMENTS:
            where = list_names(WITH_FRAGMENTS)
            problems.add(f"sources.{name}.join_partial", f"{source.envelope} has no cut lines; {where} may have")
        if source.merge_log_key and source.envelope not in WITH_MERGED_KEY:
            where = list_names(WITH_MERGED_KEY)
            problems.add(f"sources.{name}.merge_log_key", f"{source.envelope} has no such key; {where} may have")
        for index, topic in enumerate(source.topics):
            path = f"sources.{name}.topics[{index}]"
            if topic.startswith("^"):
                continue
            if table.is_own(topic):
                problems.add(path, f"{topic} is written by logrouter or by Kafka itself: no output can be an input")
            if taken.setdefault(topic, name) != name:
                problems.add(path, f"source {taken[topic]} takes {topic} already")


def _source(name: str, options: SourceOptions, routes: tuple[Route, ...]) -> Source:
    names, patterns = split_topics(options.topics)
    envelope = ENVELOPES[options.envelope]
    cut = options.join_partial
    joining = None if cut is None else PartialLineLimits(cut.max_bytes, cut.max_wait_seconds * 1000)
    return Source(
        name=name,
        topics=names,
        patterns=patterns,
        decode=envelope.decoder(options.merge_log_key),
        searchable=envelope.searchable,
        routes=routes,
        max_bytes=options.max_record_bytes,
        prefilter=options.prefilter,
        all_matches=options.routing == "all-matches",
        joining=joining,
        begins_latest=options.begin == "latest",
    )


def _route(
    options: RouteOptions,
    file: FileOptions,
    to: Destinations,
    lookup_sources: LookupSources,
    path: str,
    inputs: Inputs,
    problems: Problems,
) -> Route | None:
    validator = load_schema(options.schema, inputs, join_path(path, "schema"), problems)
    client_ip = build_client_ip(options.client_ip, file.privacy, join_path(path, "client_ip"), problems)
    api_rules = build_api_rules(options.enrich.api, join_path(path, "enrich.api"), problems)
    schema = validator.schema if validator is not None else {}
    extras = compile_optional_steps(options, to, lookup_sources, schema, path, problems)
    if options.pair is not None:
        check_pair(options, path, problems)
    backend_query = backend_query_of(options, schema, path, problems)
    parse = build_parser(options.format, join_path(path, "format"), problems, backend_query=backend_query)
    with_user = build_user_reader(options, file.privacy, client_ip, schema, path, problems)
    transport = build_envelope_reader(options.enrich, schema, join_path(path, "enrich"), problems)
    if (
        transport is None
        or validator is None
        or parse is None
        or client_ip is None
        or api_rules is None
        or not to.topics
    ):
        return None
    matching = options.match or Matching()
    headers = frozenset(name.lower() for name in options.request_headers if not names_secret(name))
    return Route(
        name=options.name,
        condition=matching.condition,
        select=matching.condition.test,
        request_only=matching.request_only,
        parse=transport(with_user(parse)),
        format=options.format.name,
        client_id=build_client_id(
            options.enrich.client_id, client_ip, file.privacy, join_path(path, "enrich.client_id"), problems
        ),
        api=compile_api(api_rules, client_ip, of_format=options.format.name == "json"),
        headers=headers,
        address_headers=frozenset(filter(made_for_addresses, headers)),
        client_ip=client_ip,
        weight=build_weight(options.weight, options.sample.rate if options.sample is not None else 1.0),
        query=options.query,
        schema_uri=validator.uri,
        validator=validator,
        to=to.topics[0],
        stream=options.stream or to.topics[0],
        tables=options.tables,
        request=options.request,
        address=compile_client_ip(options.client_ip.trusted_hops) if options.request is not None else None,
        client_id_sources=options.enrich.client_id.sources,
        client_id_hashed=options.enrich.client_id.hashed,
        client_id_typed_from=options.enrich.client_id.typed_from,
        api_rules=api_rules,
        topics=to.topics,
        extras=extras,
        pair_ms=options.pair.window_seconds * 1000 if options.pair is not None else None,
        disclosure=build_disclosure(
            options.query,
            options.client_ip,
            file.privacy,
            (*build_line_masks(options.format), *build_user_masks(options)),
        ),
    )
