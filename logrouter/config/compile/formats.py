"""The option `format` of a route as a parser."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from logrouter.config.compile.field_changes import forbids_field
from logrouter.config.yaml.problems import join_path, list_names
from logrouter.core.formats import FORMATS
from logrouter.core.formats.format import ErrorRule, FormatSettings, FormatSettingsError, KeyRule
from logrouter.core.formats.json_times import AUTO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.config.options.formats import FormatOptions, KeyOptions
    from logrouter.config.options.route import RouteOptions
    from logrouter.config.yaml.problems import Problems
    from logrouter.model import Parser


def build_parser(options: FormatOptions, path: str, problems: Problems, *, backend_query: str = "") -> Parser | None:
    """The parser of a route's format with its options; None if they are wrong, with the problems noted.

    *backend_query* is as in `FormatSettings`.
    """
    kind = FORMATS[options.name]
    settings = _settings_of(options)
    nothing = FormatSettings()
    given = [
        each.name for each in fields(FormatSettings) if getattr(settings, each.name) != getattr(nothing, each.name)
    ]
    unknown = [name for name in given if name not in kind.takes]
    for name in unknown:
        takes = list_names(kind.takes) if kind.takes else "no options"
        problems.add(join_path(path, name), f"the format {options.name} does not take this; it takes {takes}")
    if unknown:
        return None
    try:
        return kind.compile(replace(settings, backend_query=backend_query))
    except FormatSettingsError as error:
        problems.add(join_path(path, error.option), error.detail)
        return None


def backend_query_of(options: RouteOptions, schema: Mapping[str, Any], path: str, problems: Problems) -> str:
    """What becomes of queries in URLs of requests to backends, "" if the route does not publish these URLs.

    *schema* is the one that the route's events must satisfy.
    """
    if options.backend_uri != "keep":
        return ""
    if forbids_field(schema, ("backend",)):
        problems.warn(join_path(path, "backend_uri"), "the schema allows no field backend, so that it is left out")
    if not FORMATS[options.format.name].backends:
        at, formats = join_path(path, "backend_uri"), [name for name, each in FORMATS.items() if each.backends]
        problems.add(at, f"lines of {options.format.name} have no URL of a backend; those of {list_names(formats)} do")
    return options.query


def build_line_masks(options: FormatOptions) -> tuple[Callable[[str], str], ...]:
    """What hides values in lines of a format that `build_parser` has made a parser of."""
    compile_mask = FORMATS[options.name].mask
    mask = compile_mask(_settings_of(options)) if compile_mask is not None else None
    return () if mask is None else (mask,)


def build_pattern_user_masks(options: FormatOptions) -> tuple[Callable[[str], str], ...]:
    """The same of the users' names that the format's pattern puts in known places."""
    compile_mask = FORMATS[options.name].mask_users
    mask = compile_mask(_settings_of(options)) if compile_mask is not None else None
    return () if mask is None else (mask,)


def _settings_of(options: FormatOptions) -> FormatSettings:
    return FormatSettings(
        pattern=options.pattern,
        aliases=options.aliases or {},
        columns=options.columns,
        errors={code: ErrorRule(rule.outcome, rule.status or None) for code, rule in (options.errors or {}).items()},
        formats=options.formats,
        log_groups=options.log_groups,
        fields={name: _key_rule(each) for name, each in (options.fields or {}).items()},
        extras={name: KeyRule(each.key, not_secret=each.not_secret) for name, each in (options.extras or {}).items()},
        required=options.required,
    )


def _key_rule(options: KeyOptions) -> KeyRule:
    form = "" if options.form == AUTO else options.form
    return KeyRule(options.key, options.unit, form, options.at == "end", options.not_secret)
