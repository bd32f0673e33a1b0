"""The option `format` of a route: a name, or a name with what that format takes besides."""

from __future__ import annotations

from typing import Final

from logrouter.config.yaml.kinds import Choice, Integer, ListOf, MappingOf, Section, Text, options
from logrouter.config.yaml.kinds import option as opt
from logrouter.core.formats import FORMATS
from logrouter.core.outcomes import OUTCOMES

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
