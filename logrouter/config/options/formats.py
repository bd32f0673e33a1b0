"""The option `format` of a route: a name, or a name with what that format takes besides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.yaml.kinds import INVALID, Boolean, Choice, Integer, ListOf, MappingOf, Section, Text, options
from logrouter.config.yaml.kinds import option as opt
from logrouter.config.yaml.problems import did_you_mean, quote_value
from logrouter.core.formats import FORMATS
from logrouter.core.formats.json_readers import IN_TEXT, UNITS
from logrouter.core.formats.json_rules import HEADER_PREFIX, JSON_FIELDS
from logrouter.core.outcomes import OUTCOMES

if TYPE_CHECKING:
    from logrouter.config.yaml.problems import Problems

_FIELD: Final = Text(r"[A-Za-z0-9_$@./-]{1,200}", "the name of a field of the line", 200)
_GLOB: Final = Text(r"[A-Za-z0-9_./#*{}-]{1,512}", "a glob for the name of a log group", 512)
_CANONICAL: Final = Text(r"[a-z_]+(\.[a-z_-]+){0,2}", "a field of the event, like http.path", 100)
_KEY: Final = Text(r"[^\x00-\x1f\x7f]+", "a key of the line", 200)
_KEYS: Final = ListOf(_KEY, min_items=1, max_items=20, shorthand=True, unique=True)
_EXTRA: Final = Text(r"[A-Za-z_][A-Za-z0-9_.]{0,63}", "a name (letters, digits, _ .; at most 64)", 64)
_HEADER: Final = re.escape(HEADER_PREFIX) + r"[a-z0-9][a-z0-9_-]{0,99}"


@dataclass(frozen=True, slots=True)
class EventField:
    """The name of a field of the event that the format `json` can fill."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The name."""
        if value in JSON_FIELDS or (isinstance(value, str) and re.fullmatch(_HEADER, value)):
            return value
        text = str(value)
        leaf = text.rpartition(".")[2]
        # `uri` alone is what the client asked for.
        names = sorted(JSON_FIELDS, key=lambda name: name.startswith("backend."))
        same = (f' (did you mean "{name}"?)' for name in names if name.rpartition(".")[2] == leaf)
        hint = _HINTS.get(text) or next(same, "") or did_you_mean(text, JSON_FIELDS)
        hint = hint or f"; there are {', '.join(JSON_FIELDS)} and {HEADER_PREFIX}<name>"
        problems.add(path, f"{quote_value(text)} is no field that a key can be read into{hint}", at_key=True)
        return INVALID

    def schema(self) -> dict[str, Any]:
        """An enumeration, or the name of a header."""
        return {"anyOf": [{"enum": list(JSON_FIELDS)}, {"type": "string", "pattern": f"^{_HEADER}$"}]}

    def describe(self) -> str:
        """What it is."""
        return "a field of the event"


_CLIENT: Final = ": name the key in `extras`, and that name in `enrich.client_id`"
_HINTS: Final = {
    "client_id": _CLIENT,
    "client": _CLIENT,
    **dict.fromkeys(("meta.dt", "timestamp", "ts"), ' (did you mean "time"?)'),
    **dict.fromkeys(("status", "http.status"), ' (did you mean "http.status_code"?)'),
    **dict.fromkeys(("url", "http.uri", "http.url"), ' (did you mean "meta.uri"?)'),
    **dict.fromkeys(("duration", "latency", "took", "total_time"), ' (did you mean "total_time_ms"?)'),
    **dict.fromkeys(("user_agent", "http.user_agent"), f' (did you mean "{HEADER_PREFIX}user-agent"?)'),
    **dict.fromkeys(("host", "http.host"), ' (did you mean "meta.domain"?)'),
    **dict.fromkeys(("ip", "remote_addr", "http.remote_addr"), ' (did you mean "http.client_ip"?)'),
}
"""What is often meant by names that are none; a look for similar names finds others."""


@options
class ErrorMeaning:
    """What an error code of the gateway means."""

    outcome: str = opt(Choice(OUTCOMES), "How such a request ended.")
    status: int = opt(Integer(0, 999), "Its status, where the line has none; 0 means that none is put in.", default=0)


@options
class KeyOptions:
    """Where a value stands in a JSON line, and how it is written."""

    key: tuple[str, ...] = opt(
        _KEYS,
        "The key, `request.method` for one in an object; a JSON pointer (`/request/a.b`) leaves no doubt where dots "
        "belong to a name. Of several keys the first counts whose value can be used.",
    )
    unit: str = opt(
        Choice((*UNITS, IN_TEXT)),
        "Unit of a duration, which `total_time_ms` and `backend_time_ms` need; `text` for values like `12.5ms`.",
        default="",
    )
    form: str = opt(
        Text(called="the form of a time", max_length=100),
        "How the time is written: `rfc3339`, `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns`, a form of strftime "
        "(`%d/%b/%Y:%H:%M:%S %z`), or `auto`: texts in usual forms, numbers by how many digits they have.",
        default="auto",
    )
    at: str = opt(
        Choice(("start", "end")),
        "Whether the time is that of the request's start or end; from an end `total_time_ms` is taken away.",
        default="start",
    )
    not_secret: bool = opt(
        Boolean(), "Read the key although it is called like a secret, as `jwt.sub` is: it holds none.", default=False
    )


@options
class ExtraOptions:
    """Where a value stands in a JSON line that only sources and conditions read."""

    key: tuple[str, ...] = opt(_KEYS, "The key, or several, spelled as in `fields`.")
    not_secret: bool = opt(
        Boolean(), "Read the key although it is called like a secret, as `jwt.sub` is: it holds none.", default=False
    )


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
    fields: dict[str, KeyOptions] | None = opt(
        MappingOf(Section(KeyOptions, shorthand="key"), key=EventField(), min_items=1),
        "Which key of a JSON line is which field of the event: `{http.status_code: status, total_time_ms: {key: took, "
        "unit: s}}`. `time` is the request's time, and `http.request_headers.<name>` a header of its own.",
        default=None,
    )
    extras: dict[str, ExtraOptions] | None = opt(
        MappingOf(Section(ExtraOptions, shorthand="key"), key=_EXTRA),
        "Further keys of a JSON line by names that sources (`enrich`) and `request` conditions (`field.<name>`) know "
        "them by. They are not published.",
        default=None,
    )
    required: tuple[str, ...] = opt(
        _KEYS,
        "Keys that every request has: a JSON line with none of them is no request, and one that lacks some is "
        "rejected. Without this option they are the keys of `http.status_code` and `http.method`.",
        default=(),
    )
