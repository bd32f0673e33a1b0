"""Which API was called, by ordered rules on the gateway's route or on the path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Final

from logrouter.core.enrich.address import compile_client_ip
from logrouter.core.enrich.sources import field_getter
from logrouter.core.names import SUSPECT, bounded_name
from logrouter.core.redact import holds_secret
from logrouter.core.text.addresses import replace_addresses
from logrouter.core.text.globs import compile_glob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logrouter.model import Parsed

    Named = tuple[str, str | None]
    ApiOf = Callable[[Parsed], Named | None]

MAX_API: Final = 128
MAX_CACHED: Final = 8192
_MAX_PATH: Final = 2048
_MAX_CACHED_PATH: Final = 256


@dataclass(frozen=True, slots=True)
class ApiRule:
    """One rule that finds the API. Exactly one of *field*, *prefix*, *glob* and *regex* is set.

    *field* is a source as for client ids, and its value is the name. The others test `http.path`: *prefix* ends at a
    segment, *glob* knows `*` (in one segment), `**` (in any) and `{name}` (one segment, named), *regex* is searched.
    *name* and *version* may use `{group}`; without them the groups `api` and `version` are taken, if there are any.
    """

    field: str | None = None
    prefix: str | None = None
    glob: str | None = None
    regex: str | None = None
    name: str | None = None
    version: str | None = None


def compile_api(
    rules: Sequence[ApiRule], client_ip: Callable[[str], str | None] | None = None, *, of_format: bool = False
) -> Callable[[Parsed], tuple[str, str | None] | None]:
    """A function from a request to (name, version) of its API by the first rule that fits, None if none does.

    With *of_format* the last of the rules is what the format has read as the API, which may be of any key.

    A name that is too long, unprintable or holds a secret is cut and hashed, *client_ip* (`compile_client_ip`) is
    applied to addresses in it, and the request of a name that was changed gets the flag `suspect`: read `parsed.flags`
    after the call.

    Raises:
        ValueError: a rule is not valid.
    """
    address = client_ip or compile_client_ip(1)
    names: dict[str, str] = {}
    steps = [_by_field(rule) if rule.field is not None else _by_path(rule) for rule in rules]

    if of_format:
        steps.append(_told_by_format)

    def api(parsed: Parsed) -> Named | None:
        for step in steps:
            found = step(parsed)
            if found is not None:
                name, version = found
                known = names.get(name)
                if known is None:
                    known = _publishable(name, address)
                    if len(names) >= MAX_CACHED:
                        names.clear()
                    if len(name) <= MAX_API:
                        names[name] = known
                if known is not name and known != name:
                    parsed.flags += (SUSPECT,)
                return known, version if version is None else bounded_name(version, MAX_API)
        return None

    return api


def _told_by_format(parsed: Parsed) -> Named | None:
    name = parsed.event.get("api")
    return (name, None) if type(name) is str and name else None


def _publishable(name: str, address: Callable[[str], str | None]) -> str:
    named = bounded_name(name, MAX_API, secret=holds_secret(name))
    return bounded_name(replace_addresses(named, address), MAX_API) or "-"


def _by_field(rule: ApiRule) -> ApiOf:
    if rule.prefix is not None or rule.glob is not None or rule.regex is not None or rule.name is not None:
        raise ValueError(f"{rule}: a rule with a field has nothing but a version besides")
    get, version = field_getter(rule.field or ""), rule.version

    def step(parsed: Parsed) -> Named | None:
        value = get(parsed)
        return (value, version) if type(value) is str and value and value != "-" else None

    return step


def _by_path(rule: ApiRule) -> ApiOf:
    """Answers are kept by path: real clients ask for the same paths again, and hostile ones only empty the cache."""
    fit = _fitting(rule)
    cache: dict[str, Named | None] = {}

    def step(parsed: Parsed) -> Named | None:
        http = parsed.event.get("http")
        path = http.get("path") if http is not None else None
        if type(path) is not str:
            return None
        if path in cache:
            return cache[path]
        found = fit(path[:_MAX_PATH])
        if len(cache) >= MAX_CACHED:
            cache.clear()
        if len(path) <= _MAX_CACHED_PATH:
            cache[path] = found
        return found

    return step


def _fitting(rule: ApiRule) -> Callable[[str], Named | None]:
    match rule:
        case ApiRule(prefix=str(prefix), glob=None, regex=None):
            search = re.compile(re.escape(prefix) + ("" if prefix.endswith("/") else r"(?![^/])")).match
            groups: Mapping[str, int] = {}
        case ApiRule(prefix=None, glob=str(glob), regex=None):
            pattern = compile_glob(glob)
            search, groups = pattern.fullmatch, pattern.groupindex
        case ApiRule(prefix=None, glob=None, regex=str(regex)):
            pattern = _regex(regex)
            search, groups = pattern.search, pattern.groupindex
        case _:
            raise ValueError(f"{rule}: exactly one of field, prefix, glob and regex is needed")
    if rule.name is None and "api" not in groups:
        raise ValueError(f"{rule}: without a name the pattern needs a group called api")
    name = _template(rule.name or "{api}", groups)
    version = _template(rule.version or ("{version}" if "version" in groups else ""), groups)

    def fit(path: str) -> Named | None:
        match = search(path)
        if match is None:
            return None
        found = name(match)
        return (found, version(match) or None) if found else None

    return fit


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"regex {text!r}: {error}") from None


def _template(text: str, groups: Mapping[str, int]) -> Callable[[re.Match[str]], str]:
    """Text with `{group}` in it as a function of the match. Not str.format: that also reaches into attributes."""
    pieces: list[tuple[str, str | None]] = []
    for literal, group, spec, conversion in Formatter().parse(text):
        if group is not None and (group not in groups or spec or conversion):
            raise ValueError(f"{text!r}: no group {group!r} in the pattern")
        pieces.append((literal, group))
    if all(group is None for _, group in pieces):
        return lambda _match: "".join(literal for literal, _ in pieces)
    return lambda match: "".join(literal + ((match[group] or "") if group else "") for literal, group in pieces)
