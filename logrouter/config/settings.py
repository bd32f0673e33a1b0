"""Loads a topics.yaml: immutable `Settings`, or an error with every problem."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.compile.access import check_access
from logrouter.config.compile.build import build
from logrouter.config.compile.drains import build_drains
from logrouter.config.compile.inputs import Inputs
from logrouter.config.compile.pairing import pairing_options
from logrouter.config.compile.sinks import build_sinks
from logrouter.config.options.access import AccessOptions
from logrouter.config.options.endpoint import check_http
from logrouter.config.options.file import (
    FileOptions,
    RouteLaneOptions,
    TablesLaneOptions,
    TrialOptions,
)
from logrouter.config.secret_options import misplaced
from logrouter.config.yaml import document
from logrouter.config.yaml.kinds import Section, usable
from logrouter.config.yaml.named_files import read_bounded, read_given, why_unreadable
from logrouter.config.yaml.problems import ConfigError, Problem, Problems, join_path
from logrouter.config.yaml.secrets import FromEnv, Secret, expand
from logrouter.core.trial import TrialBounds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from logrouter.config.compile.drains import ConfiguredDrains
    from logrouter.config.compile.sinks import ConfiguredSink
    from logrouter.config.options.cases import CaseOptions
    from logrouter.config.options.outputs import OutputsOptions, PairingOptions
    from logrouter.core.routing import RouteTable

FILE_NAME: Final = "topics.yaml"
DEFAULT_BOOTSTRAP: Final = "localhost:9092"

_SINKS: Final = "sinks"

WITHOUT_REFERENCES: Final = frozenset({"version", "sources", "routes", "tests"})
"""Sections in which `${…}` is plain text: what is routed where is the same on every worker that has the file."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One topics.yaml, ready for use. `dataclasses.replace` overrides parts of it; its repr shows no secret.

    *file* is the name it was loaded by, *kafka* holds librdkafka settings (`bootstrap.servers` always among them),
    *inputs* are the other files that were read: those of the table, and certificates of sinks. *pairing* is where lines
    wait for each other, None where none do; *drains* is None where there are none.
    """

    file: str
    kafka: Mapping[str, str | Secret]
    route_lane: RouteLaneOptions
    tables_lane: TablesLaneOptions
    outputs: OutputsOptions
    table: RouteTable
    tests: tuple[CaseOptions, ...]
    inputs: tuple[Path, ...] = ()
    trial_bounds: TrialBounds | None = None
    admin_token: Secret | None = None
    access: AccessOptions = field(default_factory=AccessOptions)
    pairing: PairingOptions | None = None
    sinks: Mapping[str, ConfiguredSink] = field(default_factory=dict)
    drains: ConfiguredDrains | None = None

    @property
    def generation(self) -> str:
        """Twelve hex digits that name the content of the file and of the other files that the table was built from."""
        return self.table.generation


def default_path() -> Path:
    """./topics.yaml if there is one, else the one that comes with logrouter."""
    here = Path(FILE_NAME)
    if here.is_file():
        return here
    packaged = Path(str(files("logrouter"))) / FILE_NAME
    # An editable checkout has no copy in the package; the original lies one folder up.
    return packaged if packaged.is_file() else packaged.parent.parent / FILE_NAME


def load(path: Path | None, env: Mapping[str, str], *, sinks: Collection[str] | None = None) -> Settings:
    """The settings in the file at *path*, or in the default one; `ConfigError` with every problem.

    *sinks* are those that are read, None for all: others count as if they were not there, so that a process needs no
    secrets and files but its own.
    """
    file = path or default_path()
    return parse(read_config(file), env, name=str(file), folder=file.parent, sinks=sinks)


def read_config(file: Path) -> bytes:
    """The bytes of a topics.yaml, cut where it is too large for `parse`; `ConfigError` if it can't be read.

    It may be a pipe, such as of `<(…)`.
    """
    return _read(file, read_given)


def _read(file: Path, read: Callable[[Path, int], bytes]) -> bytes:
    try:
        return read(file, document.MAX_BYTES)
    except OSError as error:
        raise ConfigError(str(file), [Problem("", f"can't be read: {error.strerror}")]) from None


def reread_config(file: Path) -> bytes:
    """Like `read_config`, for a running lane: a pipe in the file's place must not keep it waiting; `ConfigError`."""
    why = why_unreadable(file)
    if why is not None:
        raise ConfigError(str(file), [Problem("", why)])
    return _read(file, read_bounded)


def parse(
    data: bytes,
    env: Mapping[str, str],
    *,
    name: str = FILE_NAME,
    folder: Path = Path(),
    sinks: Collection[str] | None = None,
) -> Settings:
    """The settings in the bytes of a topics.yaml; see `load`. Schema files are looked for in *folder*."""
    examined = examine(data, env, name=name, folder=folder, sinks=sinks)
    if examined.settings is None:
        raise ConfigError(name, examined.problems.errors, examined.inputs)
    return examined.settings


@dataclass(frozen=True, slots=True)
class Examination:
    """The result of reading a topics.yaml: every problem, its options, and the settings if nothing is wrong.

    *file* has INVALID where an option could not be read; *value* is the document as plain values.
    """

    problems: Problems
    value: Any = None
    file: FileOptions | None = None
    settings: Settings | None = None
    inputs: tuple[Path, ...] = ()


def examine(
    data: bytes,
    env: Mapping[str, str],
    *,
    name: str = FILE_NAME,
    folder: Path = Path(),
    sinks: Collection[str] | None = None,
) -> Examination:
    """Like `parse`, but returns problems and what could be read instead of raising."""
    try:
        doc = document.read(data)
    except document.DocumentError as error:
        return Examination(Problems(errors=[error.problem]))
    problems = Problems(doc.values, doc.keys)
    if not isinstance(doc.value, dict):
        problems.add("", "must be a mapping that begins with `version: 1`")
        return Examination(problems)
    expanded = {
        key: value if key in WITHOUT_REFERENCES else _expanded(value, key, env, problems)
        for key, value in _with_sinks(doc.value, sinks).items()
    }
    options = Section(FileOptions, partial=True).read(expanded, "", problems)
    inputs = Inputs(folder)
    table = build(options, generation="", inputs=inputs, problems=problems)
    trial_bounds = _trial_bounds(options.canary, problems)
    if usable(options.access):
        check_access(options.access, problems)
    if usable(options.tables_lane):
        check_http(options.tables_lane.http, problems)
    built = _build_sinks(options, table, folder, problems)
    drains = build_drains(options, table, [sink.group for sink in built.values()], problems)
    paths = (*inputs.paths, *(path for sink in built.values() for path in sink.inputs))
    if problems.errors:
        return Examination(problems, doc.value, options, None, paths)
    table = replace(table, generation=inputs.generation(data))
    kafka = {"bootstrap.servers": DEFAULT_BOOTSTRAP} | (options.kafka or {})
    settings = Settings(
        file=name,
        kafka=kafka,
        route_lane=options.route_lane,
        tables_lane=options.tables_lane,
        outputs=options.outputs,
        table=table,
        tests=options.tests,
        inputs=paths,
        trial_bounds=trial_bounds,
        admin_token=options.admin.token if usable(options.admin) else None,
        access=options.access,
        pairing=pairing_options(options.outputs, options.routes),
        sinks=built,
        drains=drains,
    )
    return Examination(problems, doc.value, options, settings, paths)


def _with_sinks(value: dict[str, Any], names: Collection[str] | None) -> dict[str, Any]:
    """The document without sinks that have other names."""
    sinks = value.get(_SINKS)
    if names is None or not isinstance(sinks, dict):
        return value
    return value | {_SINKS: {name: sink for name, sink in sinks.items() if name in names}}


def _build_sinks(
    options: FileOptions, table: RouteTable, folder: Path, problems: Problems
) -> dict[str, ConfiguredSink]:
    if not (usable(options.outputs) and usable(options.route_lane) and usable(options.tables_lane)):
        return {}
    return build_sinks(
        options.sinks if usable(options.sinks) else None,
        topics=table.event_topics(),
        dead_letter_topic=options.outputs.dead_letter.topic,
        groups={options.route_lane.group: "route_lane", options.tables_lane.group: "tables_lane"},
        folder=folder,
        problems=problems,
    )


def _trial_bounds(options: TrialOptions | None, problems: Problems) -> TrialBounds | None:
    if options is None or not usable(options):
        return None
    limits = (options.max_rejected_ratio, options.max_unmatched_ratio, options.max_lag_growth_records)
    if all(limit is None for limit in limits):
        problems.add("canary", "bounds nothing: give max_rejected_ratio, max_unmatched_ratio or max_lag_growth_records")
        return None
    return TrialBounds(options.window_seconds * 1000, options.min_records, *limits)


def _expanded(value: Any, path: str, env: Mapping[str, str], problems: Problems) -> Any:
    """A copy with every reference to the environment replaced. Depth is bounded by the document."""
    if isinstance(value, dict):
        return {key: _expanded(item, join_path(path, key), env, problems) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, f"{path}[{index}]", env, problems) for index, item in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    secret = misplaced(value, path)
    if secret is not None:
        problems.add(
            path,
            f"would show the environment variable {secret}, a secret by its name: use it where values are hidden "
            "(passwords and keys of kafka, and options that take nothing but a reference, such as admin.token)",
        )
        return FromEnv("")
    text, wrong = expand(value, env)
    for message in wrong:
        problems.add(path, message)
    if isinstance(text, FromEnv) and not text.literal:
        problems.hide(str(text), value)
    return text


class SettingsError(ValueError):
    """Settings with which the tables lane cannot work; the text says which, and repeats no values."""
