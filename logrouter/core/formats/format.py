"""The interface of a format: a parser that is compiled once per route from its settings in topics.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.model import Envelope, Parser


class ErrorRule(NamedTuple):
    """The meaning of a gateway's error code: one of `core.outcomes.OUTCOMES`, and the status for lines without one."""

    outcome: str
    status: int | None = None


class KeyRule(NamedTuple):
    """Where a value stands in a JSON line, and how it is written.

    *keys* are spelled as `core.text.json_keys` reads them; the first that has a usable value counts. *unit* is that of
    a duration and *form* that of a time; *at_end* says that it is the time when the request had ended. *not_secret*
    says that the key holds no secret although it is called like one.
    """

    keys: tuple[str, ...]
    unit: str = ""
    form: str = ""
    at_end: bool = False
    not_secret: bool = False


@dataclass(frozen=True, slots=True)
class FormatSettings:
    """The settings of a format in topics.yaml; a format takes some of them (`Format.takes`).

    *pattern* is a log format as the gateway's own configuration writes it. *aliases* are further names of a canonical
    field in the line, by canonical path. *columns* is the order of fields in lines without names. *errors* are meanings
    of error codes that take precedence over the format's own. *formats* are the formats that `auto` tries. *log_groups*
    are globs for the log group of a line, with names in braces. *fields* says where the fields of the event stand in a
    line, by canonical path, *extras* where further ones do that only sources read, and *required* which keys all
    requests have. *backend_query* is no setting of a format but the route's word that URLs of requests to backends are
    read, without their queries ("drop") or with them ("keep"); with "" they are not.
    """

    pattern: str = ""
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    errors: Mapping[str, ErrorRule] = field(default_factory=dict)
    formats: tuple[str, ...] = ()
    log_groups: tuple[str, ...] = ()
    fields: Mapping[str, KeyRule] = field(default_factory=dict)
    extras: Mapping[str, KeyRule] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    backend_query: str = ""


class FormatSettingsError(ValueError):
    """A setting that a format cannot work with: *option* is its name, *detail* says what would be right."""

    def __init__(self, option: str, detail: str) -> None:
        super().__init__(detail)
        self.option = option
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a request line.

    *compile* returns the parser, which never raises; it raises `FormatSettingsError` for settings that make no sense.
    *takes* names the settings that it reads, and *needs* those that it can't work without. *signature* tests cheaply,
    without parsing, whether a line may be of this format; it is never False for a line that the parser would read.
    `format: auto` cannot find formats without one. *two_lines* says that the gateway writes two lines for a request and
    that the parser tells them apart, so that they can be paired. *mask* compiles settings that the parser can work with
    to a function that hides what a line of them has in places which the settings say are secret, or to None. *users*
    are names in `Parsed.fields` of whoever the client called for, the best first. *backends* says that its lines have
    the URL of the request to the backend, which it reads if `FormatSettings.backend_query` says so. *mask_users* is
    like *mask*, of the places of users.
    """

    compile: Callable[[FormatSettings], Parser]
    takes: frozenset[str] = frozenset()
    signature: Callable[[Envelope], bool] | None = None
    two_lines: bool = False
    needs: frozenset[str] = frozenset()
    mask: Callable[[FormatSettings], Callable[[str], str] | None] | None = None
    users: tuple[str, ...] = ()
    backends: bool = False
    mask_users: Callable[[FormatSettings], Callable[[str], str] | None] | None = None


def fixed_format(
    parse: Parser,
    signature: Callable[[Envelope], bool] | None = None,
    *,
    two_lines: bool = False,
    users: tuple[str, ...] = (),
) -> Format:
    """A format without settings."""
    return Format(lambda _settings: parse, signature=signature, two_lines=two_lines, users=users)
