"""What the dialects of WSO2 API gateways share: numbered faults, names of APIs, and words for *absent*.

    900803                          throttled    429    the application's quota
    admin--Weather:v1.2.0           provider "admin", API "Weather", version "1.2.0"

A fault is known by its number, as messages differ between versions of the gateway. Numbers of the transport are a base
plus the state of the connection (101504 + 3 = 101507): they overlap, and only say that it was the backend.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logrouter.core.names import SUSPECT, bounded_name
from logrouter.core.outcomes import is_http_status
from logrouter.core.redact import backend_url, redact_shown
from logrouter.core.text.json_numbers import MAX_WHOLE, written_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.core.formats.format import ErrorRule

    FaultOf = Callable[[str | None, str | None], "ErrorCode | None"]

STATUS_FROM_ERROR: Final = "status_from_error"
"""The flag of an event whose line has no status, so that it has the one that belongs to its error code."""

MAX_API: Final = 128
MAX_NAME: Final = 256
MAX_ROUTE: Final = 512
MAX_CODE: Final = 64
MAX_MESSAGE: Final = 1000
MAX_URI: Final = 8192
_METHOD: Final = re.compile(r"[A-Za-z_-]{1,64}")

ABSENT: Final = frozenset({"", "-", "null", "N/A", "UNKNOWN"})
"""What these gateways write where there is nothing."""


class ErrorCode(NamedTuple):
    """What an error code means.

    *outcome* is one of `core.outcomes.OUTCOMES`, *kind* the class of the error, *status* the HTTP status where the line
    has none.
    """

    outcome: str
    kind: str
    status: int | None = None


_ROWS: Final = (
    ("900800 900802 900803 900804 900805 900806 900807 900808 900809", ErrorCode("throttled", "throttled", 429)),
    ("900801", ErrorCode("throttled", "throttled", 503)),
    ("700700", ErrorCode("throttled", "blocked", 503)),
    ("900900", ErrorCode("auth", "auth", 500)),
    ("900901 900902 900903 900904 900905 900907 900909 900911", ErrorCode("auth", "auth", 401)),
    ("900906", ErrorCode("not_found", "resource", 403)),
    ("900908 900910", ErrorCode("auth", "auth", 403)),
    ("900912 900913 900914 900915 900916 900917 900918", ErrorCode("auth", "auth")),
    ("900422", ErrorCode("client_error", "client", 422)),
    ("102511", ErrorCode("client_error", "client", 400)),
    ("101000 101001", ErrorCode("backend_error", "backend", 502)),
    (
        "101500 101501 101503 101504 101505 101506 101507 101508 101509 101510",
        ErrorCode("backend_error", "backend", 502),
    ),
    ("900514", ErrorCode("client_error", "other", 446)),
    ("900967", ErrorCode("gateway_error", "other", 500)),
)
FAULTS: Final[Mapping[str, ErrorCode]] = MappingProxyType(
    {code: fault for codes, fault in _ROWS for code in codes.split()}
)

PREFIXES: Final[Mapping[str, ErrorCode]] = MappingProxyType(
    {
        "9008": ErrorCode("throttled", "throttled"),
        "9009": ErrorCode("auth", "auth"),
        "1015": ErrorCode("backend_error", "backend"),
    }
)
"""What a number that is in no table means, by its first four digits."""

SOURCES: Final[Mapping[str, ErrorCode]] = MappingProxyType(
    {
        "_auth_failure_handler_": ErrorCode("auth", "auth"),
        "_throttle_out_handler_": ErrorCode("throttled", "throttled", 429),
        "_resource_mismatch_handler_": ErrorCode("not_found", "resource", 404),
        "main": ErrorCode("not_found", "resource", 404),
        "fault": ErrorCode("gateway_error", "other"),
    }
)
"""What the sequence that reports an error tells, where its code tells nothing. `main` serves what matches no API."""

_KINDS: Final = {
    "auth": "auth",
    "throttled": "throttled",
    "not_found": "resource",
    "client_error": "client",
    "backend_error": "backend",
}


def compile_faults(rules: Mapping[str, ErrorRule]) -> FaultOf:
    """A function that reads an error code and the source of an error; *rules* of topics.yaml take precedence."""
    own = {
        code: ErrorCode(
            rule.outcome,
            FAULTS[code].kind if code in FAULTS and FAULTS[code].outcome == rule.outcome else _kind(rule.outcome),
            rule.status if rule.status is not None else FAULTS[code].status if code in FAULTS else None,
        )
        for code, rule in rules.items()
    }
    known = {**FAULTS, **own}

    def fault_of(code: str | None, source: str | None = None) -> ErrorCode | None:
        if code is not None:
            fault = known.get(code) or (PREFIXES.get(code[:4]) if len(code) == 6 and is_number(code) else None)
            if fault is not None:
                return fault
        return SOURCES.get(source) if source is not None else None

    return fault_of


def _kind(outcome: str) -> str:
    return _KINDS.get(outcome, "other")


class ApiName(NamedTuple):
    """The parts of an API's full name; None for those that it lacks."""

    name: str
    version: str | None = None
    provider: str | None = None


def split_api(text: str) -> ApiName:
    """`provider--Name:vVersion`: the provider ends at the first `--`, the name at the last `:v`.

    A version keeps its own `v` (`:vv2.0` is "v2.0"). `-AT-` in a provider's name is the gateway's spelling of `@`.
    """
    provider, mark, rest = text.partition("--")
    if not mark or not provider or not rest:
        provider, rest = "", text
    name, mark, version = rest.rpartition(":v")
    if not mark or not name:
        name, version = rest, ""
    return ApiName(name, version or None, provider.replace("-AT-", "@") or None)


def put_api(event: dict[str, Any], api: ApiName) -> tuple[str, ...]:
    """Put an API into an event, within the bounds of the schema. Returns the flags for what had to be shortened."""
    flags: tuple[str, ...] = ()
    for key, text, limit in (
        ("api", api.name, MAX_API),
        ("api_version", api.version, MAX_API),
        ("api_provider", api.provider, MAX_NAME),
    ):
        if text is not None:
            event[key], flag = bounded(text, limit)
            flags = flag or flags
    return flags


def bounded(text: str, limit: int = MAX_NAME) -> tuple[str, tuple[str, ...]]:
    """A name within *limit* characters, and the flag for it if it was shortened."""
    name = bounded_name(text, limit)
    return name, () if name == text else (SUSPECT,)


def error_of(code: str | None, kind: str | None, message: str | None, source: str | None = None) -> dict[str, str]:
    """The event's `error`: code, class, and message without anything that looks like a secret.

    *source* is the gateway's own word for the part of it, or for the kind of fault, that reports the error.
    """
    parts = {
        "code": code and bounded_name(code, MAX_CODE),
        "class": kind and bounded_name(kind, MAX_CODE),
        "message": message and redact_shown("message", message, MAX_MESSAGE),
        "source": source and bounded_name(source, MAX_CODE),
    }
    return {name: text for name, text in parts.items() if text}


def put_backend_request(event: dict[str, Any], url: str | None, method: str | None, query: str) -> None:
    """Put the request to the backend into an event: its URL, redacted, and method, and the host that was asked.

    *query* is `FormatSettings.backend_query`. What the schema does not allow is left out.
    """
    uri, host = backend_url(url, query) if url is not None else ("", "")
    parts = {
        "instance": host,
        "method": method if method is not None and _METHOD.fullmatch(method) else "",
        "uri": uri if len(uri) <= MAX_URI and uri.isprintable() else "",
    }
    backend = {name: text for name, text in parts.items() if text}
    if backend:
        event["backend"] = backend


def present(value: Any) -> str | None:
    """The text, or None if it is a word for *absent*."""
    return value if type(value) is str and value not in ABSENT else None


def drop_empty(event: dict[str, Any]) -> None:
    """Remove the parts of an event that are empty."""
    for part in ("http", "meta"):
        if not event[part]:
            del event[part]


def relative(url: str) -> str:
    """A path with the slash at its beginning that some logs leave out; an absolute URL stays as it is."""
    return url if url[:1] == "/" or "://" in url else f"/{url}"


def is_number(text: str) -> bool:
    """Whether a text is a whole number in ASCII digits that any JSON reader can hold."""
    return text.isascii() and text.isdecimal() and len(text) <= 16 and int(text) <= MAX_WHOLE


def count_of(value: Any) -> int | None:
    """A whole number, given as a number or as text; None for anything else, and below 0."""
    if type(value) is str and is_number(value):  # what most are
        return int(value)
    number = written_whole(value)
    return number if number is not None and number >= 0 else None


def status_of(value: Any) -> int | None:
    """A status of HTTP, given as a number or as text; None for anything else."""
    status = count_of(value)
    return status if is_http_status(status) else None
