r"""JSON lines of any writer: topics.yaml says which key is which field of the event, and which keys tell a request.

    format:
      name: json
      required: [status, request.method]
      fields:
        http.status_code: status
        http.method: request.method
        meta.uri: request.uri
        total_time_ms: {key: duration, unit: s}
        time: {key: ts, form: epoch_s, at: end}
      extras: {plan: account.plan}

A line in which all of the required keys have a usable value is a request, one in which none has is not, and one in
which some have is rejected, with the others' names. A value of another kind than its field needs is left out and
flagged, never made into what it may have meant. A key that is written twice in one object has two values, as where a
client has broken out of a template: such lines are rejected. docs/formats/json_format.md is the same for users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.core.formats.families.json_values import host_of
from logrouter.core.formats.families.weblog import begin_of, split_request
from logrouter.core.formats.format import Format
from logrouter.core.formats.json_rules import REQUEST_LINE, TIME, compile_rules
from logrouter.core.redact import path_of
from logrouter.core.text.json_keys import count_keys, repeated_keys
from logrouter.core.text.json_objects import cut_or_malformed, decode_object, repair_flags
from logrouter.model import Ignored, Parsed, Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logrouter.core.formats.format import ErrorRule, FormatSettings
    from logrouter.core.formats.json_rules import CompiledRules, ReadRule
    from logrouter.model import Envelope, Parser

UNREAD: Final = "unread_value"
"""The flag of an event of whose line a value was left out, as it was of another kind than its field."""

_NO_OBJECT: Final = Ignored(Reason.NOT_REQUEST, detail="no JSON object")
_MAX_NAMED: Final = 8


def _compile(settings: FormatSettings) -> Parser:
    rules = compile_rules(settings)
    quoted = tuple(f'"{name}"' for name in rules.leaves)
    not_request = Ignored(
        Reason.NOT_REQUEST,
        detail=f"no usable value of {_listed([key.name for key in rules.required])}, as requests have",
    )

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        text, document = envelope.text, envelope.document
        if text[:1] not in ("{", "["):
            return _NO_OBJECT if document is None else of_object(document, ())
        line = decode_object(text, Stage.PARSE)
        if isinstance(line, Rejected):
            if document is not None:  # the text is its message
                return of_object(document, ())
            return _of_no_object(line, text) if any(name in text for name in quoted) else not_request
        found = of_object(line, repair_flags(line))
        if isinstance(found, Parsed) and text.count('":') != count_keys(line):
            twice = sorted(repeated_keys(text) & rules.names)
            if twice:
                return Rejected(Stage.PARSE, Reason.FIELD_CONFLICT, f"written twice in one object: {_listed(twice)}")
        return of_object(document, ()) if isinstance(found, Ignored) and document is not None else found

    def of_object(line: dict[str, Any], flags: tuple[str, ...]) -> Parsed | Ignored | Rejected:
        for key in rules.required:
            if not key.is_in(line):
                return missed(line)
        return _request(line, flags, rules, settings.errors)

    def missed(line: dict[str, Any]) -> Ignored | Rejected:
        lacks = [key.name for key in rules.required if not key.is_in(line)]
        if len(lacks) == len(rules.required):
            return not_request
        return Rejected(Stage.PARSE, Reason.MALFORMED, f"no usable value of {_listed(lacks)}, as requests have")

    return parse


def _listed(names: Sequence[str]) -> str:
    """Names for a message, the first of them if they are many."""
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more


def _of_no_object(found: Rejected, text: str) -> Ignored | Rejected:
    """What becomes of a text with a required key in it that is no object."""
    if text[:1] == "{":
        return cut_or_malformed(found, text)
    if found.reason is not Reason.NOT_OBJECT:
        return _NO_OBJECT
    return Rejected(Stage.PARSE, Reason.MALFORMED, "a list of objects, which the envelope json takes apart")


def _request(
    line: dict[str, Any], flags: tuple[str, ...], rules: CompiledRules, errors: Mapping[str, ErrorRule]
) -> Parsed:
    """The event in an object that has all required keys."""
    event: dict[str, Any] = {}
    extras: dict[str, Any] = {}
    unread = _fill(event, line, rules.fields)
    unread += _fill(extras, line, rules.extras)
    time = None
    if rules.time is not None:
        time, left = rules.time.value_in(line)
        if left:
            unread.append(TIME)
        if rules.at_end and time is not None and event.get("total_time_ms"):
            time = begin_of(time, event["total_time_ms"])
    if REQUEST_LINE in event and not _split(event, event.pop(REQUEST_LINE)):
        unread.append(REQUEST_LINE)
    _derive(event)
    outcome = _apply_error(event, errors)
    found = Parsed(event, extras | event, time, flags, outcome)
    if rules.secrets is not None:
        found.secrets = rules.secrets.value_in(line)[0]
    if unread:
        found.flags += (UNREAD,)
        found.detail = f"without {_listed(unread)}: of another kind than the field"
    return found


def _fill(part: dict[str, Any], line: dict[str, Any], rules: tuple[ReadRule, ...]) -> list[str]:
    """Put the values of a line where the rules want them; the names of those that could not be used."""
    unread: list[str] = []
    for rule in rules:
        value, left = rule.value_in(line)
        if left:
            unread.append(".".join(rule.path))
        elif value is not None and value != {}:
            into = part
            for name in rule.path[:-1]:
                into = into.setdefault(name, {})
            into[rule.path[-1]] = value
    return unread


def _derive(event: dict[str, Any]) -> None:
    """What follows from other fields: path and host of the URI; a status of the backend only if it is another one."""
    uri = event.get("meta", {}).get("uri")
    if uri is not None:
        event.setdefault("http", {}).setdefault("path", path_of(uri))
        if "://" in uri and (host := host_of(uri)):
            event["meta"].setdefault("domain", host)
    if "backend_status_code" in event and event["backend_status_code"] == event.get("http", {}).get("status_code"):
        del event["backend_status_code"]


def _split(event: dict[str, Any], line: str) -> bool:
    """Put method, URI and protocol of a request line into the event, where no key of their own has; False for none."""
    method, uri, protocol = split_request(line)
    http = {name: value for name, value in (("method", method), ("protocol", protocol)) if value is not None}
    if http:
        event["http"] = http | event.get("http", {})
    if uri is not None:
        event.setdefault("meta", {}).setdefault("uri", uri)
    return bool(http)


def _apply_error(event: dict[str, Any], errors: Mapping[str, ErrorRule]) -> str | None:
    """How it ended by the meaning of its error code, which may also give the status that the line has not."""
    rule = errors.get(event.get("error", {}).get("code", ""))
    if rule is None:
        return None
    if rule.status is not None:
        event.setdefault("http", {}).setdefault("status_code", rule.status)
    return rule.outcome


FORMAT: Final = Format(_compile, frozenset({"fields", "extras", "required", "errors"}), needs=frozenset({"fields"}))
