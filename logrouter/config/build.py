"""From declared options to an immutable route table: everything that takes knowledge of more than one option.

Names must exist and be unique, schemas must load, and no output may be an input. Like the reading, it finds everything
that is wrong before it gives up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.config.enrichment import api_of, client_id_of, client_ip_of, weight_of
from logrouter.config.match import Matching
from logrouter.config.problems import did_you_mean, join, listed
from logrouter.config.schemas import load_schema
from logrouter.config.topics import split
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats import FORMATS
from logrouter.core.routing import Route, RouteTable, Source
from logrouter.model import UNMATCHED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from logrouter.config.options import File, RouteOptions, SourceOptions
    from logrouter.config.problems import Problems

INTERNAL_PREFIX: Final = "_"
"""Kafka's own topics begin so (`__consumer_offsets`, `__transaction_state`)."""


def build(file: File, *, generation: str, folder: Path, problems: Problems) -> RouteTable | None:
    """The route table, or None with the problems noted. *folder* is what schema files are relative to."""
    own_topics = _own_topics(file, problems)
    own_prefixes = (INTERNAL_PREFIX, f"{file.tables_lane.group}-")
    _check_names(file.routes, problems)
    _check_tests(file, problems)
    routes: dict[str, list[Route]] = {name: [] for name in file.sources}
    for index, options in enumerate(file.routes):
        path = f"routes[{index}]"
        route = _route(options, file, path, folder, problems)
        for name in options.sources:
            if name not in routes:
                hint = did_you_mean(name, routes)
                problems.add(join(path, "from"), f"there is no source {name!r}{hint}; there are {listed(routes)}")
            elif route is not None:
                routes[name].append(route)
    sources = [
        _source(name, options, tuple(routes[name]), f"sources.{name}", problems)
        for name, options in file.sources.items()
    ]
    table = RouteTable(generation, tuple(s for s in sources if s is not None), frozenset(own_topics), own_prefixes)
    _check_inputs(file, table, problems)
    return None if problems.found else table


def _own_topics(file: File, problems: Problems) -> dict[str, str]:
    """Topics we write, with the path that names each. Lane topics must differ from all others."""
    dead_letter, rollup = file.outputs.dead_letter.topic, file.outputs.rollup.topic
    own = {dead_letter: "outputs.dead_letter.topic"}
    if rollup in own:
        problems.add("outputs.rollup.topic", f"is the dead-letter topic too: {rollup}")
    own[rollup] = "outputs.rollup.topic"
    for index, route in enumerate(file.routes):
        if route.to in (dead_letter, rollup):
            problems.add(f"routes[{index}].to", f"{route.to} is {own[route.to]}: events need a topic of their own")
        elif route.to.startswith(INTERNAL_PREFIX):
            problems.add(f"routes[{index}].to", 'topics that begin with "_" are Kafka\'s own')
        own.setdefault(route.to, f"routes[{index}].to")
    return own


def _check_names(routes: Iterable[RouteOptions], problems: Problems) -> None:
    first: dict[str, int] = {}
    for index, route in enumerate(routes):
        if route.name in first:
            problems.add(f"routes[{index}].name", f"routes[{first[route.name]}] has this name too: {route.name}")
        first.setdefault(route.name, index)


def _check_tests(file: File, problems: Problems) -> None:
    """Tests must speak of sources and routes that exist."""
    names = [route.name for route in file.routes]
    for index, case in enumerate(file.tests):
        if case.source and case.source not in file.sources:
            hint = did_you_mean(case.source, file.sources)
            problems.add(f"tests[{index}].source", f"there is no source {case.source!r}{hint}")
        wanted = case.expect.route
        if wanted and wanted not in (*names, UNMATCHED):
            problems.add(f"tests[{index}].expect.route", f"there is no route {wanted!r}{did_you_mean(wanted, names)}")


def _check_inputs(file: File, table: RouteTable, problems: Problems) -> None:
    """No source may name a topic of ours, nor one that an earlier source has already."""
    taken: dict[str, str] = {}
    for name, source in file.sources.items():
        for index, topic in enumerate(source.topics):
            path = f"sources.{name}.topics[{index}]"
            if topic.startswith("^"):
                continue
            if table.is_own(topic):
                problems.add(path, f"{topic} is written by logrouter or internal to Kafka: an output can't be an input")
            if taken.setdefault(topic, name) != name:
                problems.add(path, f"source {taken[topic]} takes {topic} already")


def _source(
    name: str, options: SourceOptions, routes: tuple[Route, ...], path: str, problems: Problems
) -> Source | None:
    decode = ENVELOPES.get(options.envelope)
    if decode is None:
        hint = did_you_mean(options.envelope, ENVELOPES)
        message = f"there is no envelope {options.envelope!r}{hint}; there are {listed(ENVELOPES)}"
        problems.add(join(path, "envelope"), message)
        return None
    names, patterns = split(options.topics)
    return Source(name, names, patterns, decode, routes, options.max_record_bytes, prefilter=options.prefilter)


def _route(options: RouteOptions, file: File, path: str, folder: Path, problems: Problems) -> Route | None:
    parse = FORMATS.get(options.format)
    if parse is None:
        hint = did_you_mean(options.format, FORMATS)
        message = f"there is no format {options.format!r}{hint}; there are {listed(FORMATS)}"
        problems.add(join(path, "format"), message)
    validator = load_schema(options.schema, folder, join(path, "schema"), problems)
    client_ip = client_ip_of(options.client_ip, file.privacy, join(path, "client_ip"), problems)
    api = api_of(options.enrich.api, join(path, "enrich.api"), problems)
    if parse is None or validator is None or client_ip is None or api is None:
        return None
    matching = options.match or Matching()
    return Route(
        name=options.name,
        condition=matching.condition,
        select=matching.condition.test,
        request_only=matching.request_only,
        parse=parse,
        client_id=client_id_of(options.enrich.client_id, client_ip),
        api=api,
        headers=frozenset(name.lower() for name in options.request_headers),
        client_ip=client_ip,
        weight=weight_of(options.weight),
        query=options.query,
        schema_uri=validator.uri,
        validator=validator,
        to=options.to,
        stream=options.stream or options.to,
        tables=options.tables,
    )
