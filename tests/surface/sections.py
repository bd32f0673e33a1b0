"""What is public of the package, gathered section by section as sorted lines.

Whatever can be asked of the running program is asked: the schema of topics.yaml, the registry of metrics, the OpenAPI
document, the command. Modules and classes are free to move and to change their names.
"""

from __future__ import annotations

import logging
import re
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

import click
import orjson
from prometheus_client.metrics import MetricWrapperBase

from logrouter.access.scopes import FORMS, Via
from logrouter.cli import cli
from logrouter.config import Secret, parse
from logrouter.config.compile.schemas import packaged_schemas
from logrouter.config.options.file import FileOptions
from logrouter.config.options.kafka import OWNED
from logrouter.config.reference import json_schema
from logrouter.config.yaml.kinds import declared_options
from logrouter.core.dead_letter import SCHEMA_URI, coordinates, headers
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.envelopes.fields import FIELD_NAMES, FIELD_PREFIXES
from logrouter.core.formats import FORMATS
from logrouter.core.join.held_lines import PairResult
from logrouter.core.outcomes import OUTCOMES
from logrouter.core.request_fields import REQUEST_FIELDS
from logrouter.http_server.problems import PROBLEM_TYPES
from logrouter.kafka.records import LOOP_HEADER
from logrouter.model import ANONYMOUS, UNMATCHED, RawRecord, Reason, Rejected, Stage
from logrouter.query.openapi import openapi_document
from logrouter.query.reports.registry import ENDPOINTS
from logrouter.reload.versions import ReloadOutcome, ReloadResult
from logrouter.route.process import wanted_topics
from logrouter.status_port.app import application
from logrouter.tables.app import TABLE
from logrouter.telemetry.log import Log, log
from logrouter.telemetry.metrics import REGISTRY
from logrouter.web.app import build_app
from tests.surface import source
from tests.surface.flat import compact, lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SHIPPED = source.ROOT.parent / "topics.yaml"
REFERENCE = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"
"""How the schema of topics.yaml says that a value may come from the environment."""

FLAGS = (
    *("clock_clamped", "detected", "evicted", "guessed", "invalid", "late", "negative_latency", "never_completed"),
    *("no_prefix", "partial", "rejoined", "repaired", "repeated", "repeated_key", "status_from_error", "suspect"),
    *("time_from_envelope", "time_from_record", "time_without_zone", "unit_unknown", "unpaired", "unread_value"),
)
"""Flags of events that are documented. They are declared all over the package, so one that is new must be added."""


def options() -> Iterator[str]:
    """topics.yaml: every option with its type, bounds, choices and default."""
    yield from (line.replace(" or-reference=true", " or ${NAME}") for line in lines_of(_shorter(json_schema())))
    yield from _defaults(FileOptions, "")
    yield from (f"kafka refuses {name}" for name in OWNED)


def _shorter(schema: Any) -> Any:
    """The schema with `anyOf: [X, reference]` as X with a mark."""
    if isinstance(schema, list):
        return [_shorter(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    match schema.get("anyOf"):
        case [first, {"type": "string", "pattern": pattern}] if pattern == REFERENCE:
            rest = {key: value for key, value in schema.items() if key != "anyOf"}
            return _shorter(first) | rest | {"or-reference": True}
    return {key: _shorter(value) for key, value in schema.items()}


def _defaults(of: Any, path: str) -> Iterator[str]:
    """Defaults that the schema doesn't show: whole sections."""
    if not isinstance(of, type):
        below = getattr(of, "of", None)
        if isinstance(below, type) or hasattr(below, "schema"):
            schema = of.schema()
            names = isinstance(schema.get("additionalProperties"), dict)
            yield from _defaults(below, f"{path}[]" if "items" in schema else f"{path}.<name>" if names else path)
        return
    for _, option in declared_options(of):
        at = f"{path}.{option.key}" if path else option.key
        if is_dataclass(option.default):
            yield f"{at} default {compact(_plain(option.default))}"
        yield from _defaults(option.kind, at)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {option.key: _plain(getattr(value, name)) for name, option in declared_options(type(value))}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def names() -> Iterator[str]:
    """Words in records, metrics and topics.yaml."""
    yield from (f"absent name {ANONYMOUS}", f"no route {UNMATCHED}")
    words: dict[str, Iterable[str]] = {
        "envelope": ENVELOPES,
        "flag": set(FLAGS) & source.texts(),
        "format": FORMATS,
        "match field": [*FIELD_NAMES, *(f"{prefix}<name>" for prefix in FIELD_PREFIXES)],
        "outcome of a request": OUTCOMES,
        "pairing result": PairResult,
        "reason": Reason,
        "reload result": ReloadResult,
        "request field": REQUEST_FIELDS,
        "scope": re.split(r", | or ", FORMS),
        "stage": Stage,
        "let in by": Via,
    }
    yield from (f"{kind} {word}" for kind, found in words.items() for word in found)


def schemas() -> Iterator[str]:
    """Schemas that ship: their names, their ids, and what they allow."""
    for name, data in packaged_schemas().items():
        schema = orjson.loads(data)
        yield f"{name}: id {schema['$id']}"
        yield from (f"{name}: {line}" for line in lines_of(schema))


def metrics() -> Iterator[str]:
    """Metrics of both lanes: name as scraped, type, labels, buckets."""
    for collector in {id(found): found for found in REGISTRY._names_to_collectors.values()}.values():
        if isinstance(collector, MetricWrapperBase):
            bounds = getattr(collector, "_upper_bounds", None)
            buckets = f" buckets={','.join(f'{bound:g}' for bound in bounds)}" if bounds else ""
            yield _metric(collector._name, collector._type, collector._labelnames) + buckets
            continue
        for family in collector.collect():
            if family.name.startswith("logrouter_"):
                yield _metric(family.name, family.type, family._labelnames)


def _metric(name: str, kind: str, labels: Iterable[str]) -> str:
    return f"{name}{'_total' if kind == 'counter' else ''} {kind} {{{','.join(labels)}}}"


def log_events() -> Iterator[str]:
    """Events of the log: level, and the fields that are written with them (as far as calls name both)."""
    seen: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = seen.append
    logger = logging.getLogger("logrouter")
    before, passes = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        for event in Log:
            log(event)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = passes
    fields = source.fields_of(Log.__name__)
    for event, record in zip(Log, seen, strict=True):
        yield f"{record.getMessage()} {record.levelname} {','.join(sorted(fields.get(event.name, ())))}".rstrip()


def endpoints() -> Iterator[str]:
    """The HTTP API of the table view: paths, parameters, answers, problems."""
    served: dict[str, list[str]] = {}
    for route in build_app(None).router.routes():  # nothing is asked of the tables that it lacks
        served.setdefault(route.resource.canonical, []).append(route.method)
    yield from (f"serves {path} {','.join(sorted(methods))}" for path, methods in served.items())
    described = openapi_document("any", ENDPOINTS)
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield from _operation(f"{method.upper()} {path}", operation)
    for name, schema in described["components"]["schemas"].items():
        yield from lines_of(schema, f"schema {name}")
    yield from (f"security scheme {compact(one)}" for one in described["components"]["securitySchemes"].values())
    yield from (f"problem {found.uri} {found.status}" for found in PROBLEM_TYPES)


def _operation(name: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"{name} is {operation['operationId']}{' open' if operation.get('security') == [] else ''}"
    for parameter in operation["parameters"]:
        needed = " required" if parameter.get("required") else ""
        at = f"{name} {parameter['in']} {parameter['name']}"
        yield from (line + needed * (not number) for number, line in enumerate(lines_of(parameter["schema"], at)))
    seen: dict[str, str] = {}
    for status, answer in operation["responses"].items():
        for header, said in answer.get("headers", {}).items():
            yield from _content(f"{name} {status} header {header}", said.get("content") or {"": said}, seen)
        yield from _content(f"{name} {status}", answer.get("content", {}), seen)
        if not answer.get("content"):
            yield f"{name} {status}"


def _content(at: str, content: dict[str, Any], seen: dict[str, str]) -> Iterator[str]:
    for kind, said in content.items():
        yield from lines_of(said.get("schema", {}), f"{at} {kind}".rstrip(), seen)


def route_http() -> Iterator[str]:
    """The HTTP port of a route process: what each request is answered with."""
    secret, states = Secret("token"), {"ready": "", "not ready": "what it waits for"}
    for path in ("/", "/livez", "/readyz", "/metrics", "/v1/config", "/v1/admin/reload"):
        for method in ("GET", "HEAD", "POST"):
            for state, why in states.items():
                yield f"{method} {path} {state}: {_asked(application(lambda why=why: why), method, path)}"
    for outcome in (None, *(ReloadOutcome(result) for result in ReloadResult)):
        app = application(lambda: "", reload=lambda outcome=outcome: outcome, token=lambda: secret)
        path, ends = "/v1/admin/reload", outcome.result if outcome else "pending"
        yield f"POST {path} {ends}: {_asked(app, 'POST', path, 'Bearer token')}"
        yield f"POST {path} without token: {_asked(app, 'POST', path)}"
        yield f"GET {path} with token: {_asked(app, 'GET', path, 'Bearer token')}"


def _asked(app: Callable[..., Iterable[bytes]], method: str, path: str, token: str = "") -> str:
    said: list[str] = []
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "QUERY_STRING": "", "HTTP_AUTHORIZATION": token}
    list(app(environ, lambda status, more: said.append(f"{status[:3]} {dict(more).get('Content-Type', '')}".strip())))
    return said[0]


def commands() -> Iterator[str]:
    """Commands with their options and arguments, and every exit code."""
    yield from _command(click.Context(cli, info_name="logrouter", **cli.context_settings), cli)
    yield from (f"exit code {code}" for code in source.exit_codes() | {0})


def _command(context: click.Context, command: click.Command) -> Iterator[str]:
    path = context.command_path
    codes = re.search(r"(?:\*\*Exit codes\*\*|Exits with).*?(?:\n\n|\Z)", command.help or "", re.DOTALL)
    yield f"{path} exits with {','.join(re.findall(r'[0-9]+', codes[0])) if codes else 'nothing said'}"
    for parameter in command.get_params(context):
        yield f"{path} {_parameter(parameter.to_info_dict())}"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, f"{path} lists {name} and has no such command"
            yield from _command(click.Context(below, context, name, **below.context_settings), below)


def _parameter(about: dict[str, Any]) -> str:
    """One option or argument, with what differs from one that is optional and may be given once."""
    kind = {key: value for key, value in about["type"].items() if value is not None and value is not False}
    del kind["param_type"], kind["name"]
    default = about["default"] if isinstance(about["default"], str | int | float | list | tuple) else None
    says = [about["type"]["param_type"], *(f"{key}={compact(value)}" for key, value in sorted(kind.items()))]
    says += [f"{key}={compact(about[key])}" for key in ("envvar", "flag_value") if isinstance(about.get(key), str)]
    says += [key for key in ("required", "multiple", "is_flag", "hidden", "count") if about.get(key)]
    says += [f"nargs={about['nargs']}"] * (about["nargs"] != 1)
    says += [f"default={compact(default)}"] * (default is not None)
    called = ",".join(sorted([*about["opts"], *about["secondary_opts"]]))  # click has those of help as a set
    return f"{about['param_type_name']} {called} {' '.join(says)}"


def environment() -> Iterator[str]:
    """Variables that the program reads, and those that the topics.yaml that ships refers to."""
    yield from (f"read {name}" for name in source.environment())
    without_comments = re.sub(r"#.*", "", SHIPPED.read_text(encoding="utf-8"))
    yield from (f"in topics.yaml {text}" for text in re.findall(r"\$\{[^}]+\}", without_comments))


def kafka() -> Iterator[str]:
    """What other clients of the cluster see with the topics.yaml that ships: topics, groups, headers, keys."""
    settings = parse(SHIPPED.read_bytes(), {}, folder=SHIPPED.parent)
    for topic in wanted_topics(settings):
        config = " ".join(f"{key}={value}" for key, value in sorted(topic.config.items()))
        yield f"topic {topic.name} partitions={topic.partitions} {config}".rstrip()
    yield f"group of the route lane {settings.route_lane.group}"
    yield f"group of the tables lane {settings.tables_lane.group}"
    yield f"table {TABLE}"
    rejected = Rejected(Stage.PARSE, Reason.MALFORMED, route="name")
    yield f"header of all records {LOOP_HEADER}"
    yield from (f"header of dead letters {name}: {value!r}" for name, value in headers(rejected))
    yield f"key of dead letters {coordinates(RawRecord('topic', 3, 14, 0, None)).decode()}"
    yield f"schema of dead letters {SCHEMA_URI}"


SECTIONS: dict[str, Callable[[], Iterator[str]]] = {
    "options": options,
    "names": names,
    "schemas": schemas,
    "metrics": metrics,
    "log_events": log_events,
    "table_view_http": endpoints,
    "route_http": route_http,
    "commands": commands,
    "environment": environment,
    "kafka": kafka,
}
"""Every section by the name of its file."""


def lines(section: str) -> list[str]:
    """What the package shows of a section now: sorted, each line once."""
    return sorted(set(SECTIONS[section]()))
