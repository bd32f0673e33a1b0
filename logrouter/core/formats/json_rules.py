"""The options of the format `json` as rules: which keys are read, how, and where in the event the value goes.

Every mistake is a `FormatSettingsError` that names the option and says what would be right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logrouter.core.formats.families.json_values import secret_headers
from logrouter.core.formats.format import FormatSettingsError
from logrouter.core.formats.json_readers import (
    IN_TEXT,
    UNITS,
    backend_in,
    backend_uri_in,
    chain_of,
    duration_reader,
    extra_of,
    headers_of,
    message_of,
    name_of,
    path_in,
    size_of,
    status_of,
    text_of,
)
from logrouter.core.formats.json_times import AUTO, time_reader
from logrouter.core.redact import names_secret
from logrouter.core.text.json_keys import MISSING, compile_key, leaf_of, names_in, parts_of
from logrouter.core.text.json_numbers import written_whole
from logrouter.core.text.unflatten import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from logrouter.core.formats.format import FormatSettings, KeyRule
    from logrouter.core.formats.json_readers import ValueReader
    from logrouter.core.text.json_keys import KeyReader

TIME: Final = "time"
STATUS: Final = "http.status_code"
METHOD: Final = "http.method"
REQUEST_LINE: Final = "request_line"
HEADERS: Final = "http.request_headers"
HEADER_PREFIX: Final = "http.request_headers."
DURATIONS: Final = frozenset({"total_time_ms", "backend_time_ms"})

_FIGURES: Final[Mapping[str, ValueReader]] = {
    **dict.fromkeys((STATUS, "backend_status_code"), status_of),
    **dict.fromkeys(("bytes_sent", "bytes_received"), size_of),
}
_READERS: Final[Mapping[str, ValueReader]] = {
    **dict.fromkeys(("meta.request_id", "meta.domain", "meta.uri", "meta.correlation_id"), text_of),
    **dict.fromkeys(("api", "api_version", "api_provider", "route", "stage", "tenant"), name_of),
    **dict.fromkeys(("user_agent_family", "application", "user"), name_of),
    **dict.fromkeys((METHOD, "http.protocol", "error.code", "error.class"), name_of),
    REQUEST_LINE: text_of,
    "http.path": path_in,
    "http.client_ip": chain_of,
    "error.message": message_of,
    HEADERS: headers_of,
    **dict.fromkeys(("backend.instance", "backend.cluster"), backend_in),
    "backend.method": name_of,
    "backend.uri": backend_uri_in,
    **_FIGURES,
}

JSON_FIELDS: Final = tuple(sorted({*_READERS, *DURATIONS, TIME}))
"""Every name that `fields` may have; besides, `http.request_headers.` and the name of a header."""


# An extra may have the name of a field that came later, where none of these is read.
_FIRST_FIELDS: Final = tuple(field for field in JSON_FIELDS if not field.startswith("backend."))


class ReadRule(NamedTuple):
    """Where a value goes and where it is read: of the first of *keys* whose value *read* can use."""

    path: tuple[str, ...]
    keys: tuple[KeyReader, ...]
    read: ValueReader

    def value_in(self, line: Mapping[str, Any]) -> tuple[Any, bool]:
        """The value, None for none, and whether one is there that can't be used."""
        unread = False
        for get in self.keys:
            value = get(line)
            if value is MISSING or value in ABSENT:
                continue
            found = self.read(value)
            if found is not None:
                return found, False
            unread = True
        return None, unread


class RequiredKey(NamedTuple):
    """What every request has: under one of *keys* a value, of which *read* makes something."""

    name: str
    keys: tuple[KeyReader, ...]
    read: ValueReader

    def is_in(self, line: Mapping[str, Any]) -> bool:
        """Whether a line has it. Writers that fill in a template write every key in every line, without a value."""
        for get in self.keys:
            value = get(line)
            if value is not MISSING and value not in ABSENT and self.read(value) is not None:
                return True
        return False


class CompiledRules(NamedTuple):
    """What the parser goes by.

    *secrets* reads the headers that are none of *fields*, as their names are those of secrets.
    *required* is what tells a request, and *leaves* are the last parts of the keys for that. *names* are all names that
    an object may have for a part of a key that is read.
    """

    fields: tuple[ReadRule, ...]
    extras: tuple[ReadRule, ...]
    secrets: ReadRule | None
    time: ReadRule | None
    at_end: bool
    required: tuple[RequiredKey, ...]
    leaves: tuple[str, ...]
    names: frozenset[str]


def compile_rules(settings: FormatSettings) -> CompiledRules:
    """The rules of a route's options.

    Raises:
        FormatSettingsError: an option makes no sense.
    """
    if not settings.fields:
        raise FormatSettingsError(
            "fields", "says which key is which field of the event: {http.status_code: status, http.method: method}"
        )
    # The object of all headers first: a header that is named on its own goes before it.
    named = sorted(settings.fields.items(), key=lambda item: item[0] != HEADERS)
    fields = tuple(_field_rule(name, rule) for name, rule in named if name != TIME)
    time = settings.fields.get(TIME)
    required = _required(settings)
    keys = [key for rule in (*settings.fields.values(), *settings.extras.values()) for key in rule.keys]
    keys += [key for group, _ in required for key in group]
    return CompiledRules(
        fields,
        tuple(_extra_rule(name, rule, settings) for name, rule in settings.extras.items()),
        next((rule._replace(read=secret_headers) for rule in fields if rule.read is headers_of), None),
        None if time is None else _time_rule(time),
        time is not None and time.at_end,
        tuple(RequiredKey(" or ".join(group), tuple(map(compile_key, group)), read) for group, read in required),
        tuple(dict.fromkeys(leaf_of(key) for group, _ in required for key in group)),
        frozenset().union(*map(names_in, keys)),
    )


def _field_rule(name: str, rule: KeyRule) -> ReadRule:
    option = f"fields.{name}"
    if rule.form or rule.at_end:
        raise FormatSettingsError(f"{option}.{'form' if rule.form else 'at'}", "is for `time` only")
    if rule.unit and name not in DURATIONS:
        raise FormatSettingsError(f"{option}.unit", f"is for durations only: {', '.join(sorted(DURATIONS))}")
    if name in DURATIONS:
        if not rule.unit:
            units = ", ".join((*UNITS, IN_TEXT))
            detail = f"needs its unit, as {{key: {rule.keys[0]}, unit: ms}}; there are {units} (as in 12.5ms)"
            raise FormatSettingsError(option, detail)
        return ReadRule((name,), _readers(option, rule.keys), duration_reader(rule.unit))
    if name.startswith(HEADER_PREFIX):
        header = name[len(HEADER_PREFIX) :]
        if names_secret(header):
            raise FormatSettingsError(option, f"the header {header} holds a secret, which is never read")
        return ReadRule(("http", "request_headers", header), _public_readers(option, rule), chain_of)
    if name not in _READERS:
        raise FormatSettingsError(option, "no such field of the event")
    readers = _readers(option, rule.keys) if name in _FIGURES else _public_readers(option, rule)
    return ReadRule(tuple(name.split(".")), readers, _READERS[name])


def _time_rule(rule: KeyRule) -> ReadRule:
    option = f"fields.{TIME}"
    if rule.unit:
        raise FormatSettingsError(f"{option}.unit", "is for durations; a time has a `form`, such as epoch_ms")
    try:
        read = time_reader(rule.form or AUTO)
    except ValueError as error:
        raise FormatSettingsError(f"{option}.form", str(error)) from None
    return ReadRule((TIME,), _readers(option, rule.keys), read)


def _extra_rule(name: str, rule: KeyRule, settings: FormatSettings) -> ReadRule:
    option = f"extras.{name}"
    taken = {field.partition(".")[0] for field in (*_FIRST_FIELDS, *settings.fields)}
    if name in taken:
        raise FormatSettingsError(option, "is the name of a field of the event; take another one")
    address = settings.fields.get("http.client_ip")
    if address is not None and not set(address.keys).isdisjoint(rule.keys):
        detail = "is the client's address, which the source http.client_ip gives as the route's client_ip allows"
        raise FormatSettingsError(option, detail)
    return ReadRule((name,), _public_readers(option, rule), extra_of)


def _public_readers(option: str, rule: KeyRule) -> tuple[KeyReader, ...]:
    """The readers of keys that are not called like secrets, or of which topics.yaml says that they hold none."""
    readers = _readers(option, rule.keys)
    for key in () if rule.not_secret else rule.keys:
        parts = [part for part in parts_of(key) if names_secret(part)]
        if parts and not (option.startswith("fields.error.") and [part.lower() for part in parts] == ["code"]):
            detail = f"{key} is called like a secret, which is never read; if it holds none, say not_secret: true"
            raise FormatSettingsError(option, detail)
    return readers


def _readers(option: str, keys: Iterable[str]) -> tuple[KeyReader, ...]:
    try:
        return tuple(map(compile_key, keys))
    except ValueError as error:
        raise FormatSettingsError(option, str(error)) from None


def _required(settings: FormatSettings) -> list[tuple[tuple[str, ...], ValueReader]]:
    """The keys that tell a request, each with how it is read: those of the options, else those of status and method."""
    _readers("required", settings.required)
    status = settings.fields.get(STATUS)
    if not settings.required and status is None:
        detail = f"name the keys that all requests have, and nothing else has; without it, {STATUS} must be in fields"
        raise FormatSettingsError("required", detail)
    groups: list[tuple[str, ...]] = [(key,) for key in settings.required] or [
        settings.fields[name].keys for name in (STATUS, METHOD, REQUEST_LINE) if name in settings.fields
    ]
    # Jobs have a status as well, `done` or 0. Alone it tells a request if HTTP has it; else it is a number at least.
    of_status = status_of if len(groups) == 1 else written_whole
    known = frozenset(status.keys) if status is not None else frozenset()
    return [(group, of_status if known.issuperset(group) else _itself) for group in groups]


def _itself(value: Any) -> Any:
    return value
