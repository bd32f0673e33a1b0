"""The option `format` of a route: a name, or a name with what that format takes besides."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

from logrouter.config.yaml.kinds import Choice, Integer, ListOf, MappingOf, Section, Text, options
from logrouter.config.yaml.kinds import option as opt
from logrouter.config.yaml.problems import join, listed
from logrouter.core.formats import FORMATS
from logrouter.core.formats.format import ErrorRule, FormatSettings, FormatSettingsError
from logrouter.core.outcomes import OUTCOMES

if TYPE_CHECKING:
    from logrouter.config.yaml.problems import Problems
    from logrouter.model import Parser

_FIELD: Final = Text(r"[A-Za-z0-9_$@./-]{1,200}", "the name of a field of the line", 200)
_GLOB: Final = Text(r"[A-Za-z0-9_./#*{}-]{1,512}", "a glob for the name of a log group", 512)
_CANONICAL: Final = Text(r"[a-z_]+(\.[a-z_-]+){0,2}", "a field of the event, like http.path", 100)


@options
class ErrorMeaning:
    """What an error code of the gateway means."""

    outcome: str = opt(Choice(OUTCOMES), "How such a request ended.")
    status: int = opt(Integer(0, 999), "Its status, where the line has none; 0 means that none is put in.", default=0)


@options
class FormatOptions:
    """How a request line is written. Each format takes some of these options; its page in docs/formats says which."""

    name: str = opt(Choice(tuple(FORMATS)), "The format.")
    pattern: str = opt(
        Text(called="a format string", may_be_empty=True, max_length=4000),
        "The format string of the server's own configuration (`log_format`, `LogFormat`).",
        default="",
    )
    aliases: dict[str, tuple[str, ...]] | None = opt(
        MappingOf(ListOf(_FIELD, min_items=1, max_items=20, shorthand=True, unique=True), key=_CANONICAL),
        "Further names that a field of the event has in the line: `{http.path: [uri, resource]}`.",
        default=None,
    )
    columns: tuple[str, ...] = opt(
        ListOf(_FIELD, min_items=1, max_items=100),
        "What the columns of a line without names are, in order.",
        default=(),
    )
    errors: dict[str, ErrorMeaning] | None = opt(
        MappingOf(Section(ErrorMeaning, shorthand="outcome"), key=Text(r"[A-Za-z0-9_-]{1,64}", "an error code", 64)),
        "What error codes mean, besides those that the format knows: `{'900801': throttled}`.",
        default=None,
    )
    formats: tuple[str, ...] = opt(
        ListOf(Choice(tuple(FORMATS)), min_items=1, unique=True), "Formats to try, in order.", default=()
    )
    log_groups: tuple[str, ...] = opt(
        ListOf(_GLOB, min_items=1, max_items=50, shorthand=True, unique=True),
        "Globs for the log group of a line, the first that fits: `/apigw/{api}/{stage}`. `{stage}` is the stage of "
        "lines that name none, and every name in braces is a source for enriching: `group.api`.",
        default=(),
    )


def parser_of(options: FormatOptions, path: str, problems: Problems) -> Parser | None:
    """The parser that the options describe; None with the problems noted."""
    kind = FORMATS[options.name]
    settings = FormatSettings(
        pattern=options.pattern,
        aliases=options.aliases or {},
        columns=options.columns,
        errors={code: ErrorRule(rule.outcome, rule.status or None) for code, rule in (options.errors or {}).items()},
        formats=options.formats,
        log_groups=options.log_groups,
    )
    nothing = FormatSettings()
    given = [
        each.name for each in fields(FormatSettings) if getattr(settings, each.name) != getattr(nothing, each.name)
    ]
    unknown = [name for name in given if name not in kind.takes]
    for name in unknown:
        takes = listed(kind.takes) if kind.takes else "no options"
        problems.add(join(path, name), f"the format {options.name} does not take this; it takes {takes}")
    if unknown:
        return None
    try:
        return kind.compile(settings)
    except FormatSettingsError as error:
        problems.add(join(path, error.option), error.detail)
        return None
