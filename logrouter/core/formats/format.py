"""What a format is: a parser that is made once per route from what topics.yaml may say about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.model import Envelope, Parser


class ErrorRule(NamedTuple):
    """What a gateway's error code means: one of `enrich.OUTCOMES`, and the status where the line has none."""

    outcome: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class FormatSettings:
    """Everything that topics.yaml can tell a format; each takes a few of these (`Format.takes`).

    *pattern* is a format string as the gateway's own configuration has it; *aliases* are further names that a
    canonical field may have in the line, by canonical path; *columns* is the order of fields in lines without names;
    *errors* are meanings of the gateway's error codes that go before the format's own; *formats* are those to try;
    *log_groups* are globs for the log group of a line, whose names in braces say what they hold.
    """

    pattern: str = ""
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    errors: Mapping[str, ErrorRule] = field(default_factory=dict)
    formats: tuple[str, ...] = ()
    log_groups: tuple[str, ...] = ()


class FormatSettingsError(ValueError):
    """A setting that a format can't work with: *option* names it, *detail* says what would be right."""

    def __init__(self, option: str, detail: str) -> None:
        super().__init__(detail)
        self.option = option
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a request line.

    *compile* makes the parser, which never raises; it raises `FormatSettingsError` for settings that make no sense.
    *takes* names the settings that it reads. *signature* tells cheaply, without parsing, whether a line may be of
    this format: never False for a line that the parser would read. Formats without one can't be found by
    `format: auto`. *halves* says that the gateway writes two lines for a request and that the parser tells them
    apart, so that they can be paired.
    """

    compile: Callable[[FormatSettings], Parser]
    takes: frozenset[str] = frozenset()
    signature: Callable[[Envelope], bool] | None = None
    halves: bool = False


def fixed(parse: Parser, signature: Callable[[Envelope], bool] | None = None, *, halves: bool = False) -> Format:
    """A format without settings."""
    return Format(lambda _settings: parse, signature=signature, halves=halves)
