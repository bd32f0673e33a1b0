"""The `match:` mapping of a route, read and compiled to one condition.

match:
  program: api-gateway                       # equals
  namespace: [gateway, edge]                 # is one of
  host: {prefix: gw-, exists: true}          # all of these hold
  any: [{severity: err}, {topic: {glob: "k8s-*"}}]
  not: {host: {suffix: -test}}
  looks_like: request                        # decided by the format, not here
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.kinds import INVALID
from logrouter.config.problems import did_you_mean, echo, join
from logrouter.core.conditions import ALWAYS, NEVER, Absent, Condition, Field, Not, OfTopic, all_of, any_of
from logrouter.core.envelopes import FIELD_NAMES, FIELD_PREFIXES, getter
from logrouter.core.prefilter import literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.config.problems import Problems

TOPIC_FIELD: Final = "topic"
LOWER: Final = frozenset({"severity", "facility"})
"""Fields that are lower case in every envelope, so that `NOTICE` in the file means what `notice` does."""
REWRITTEN: Final = LOWER | {"shape", "text"}
"""Fields that need not occur in the record's bytes as conditions see them: decoding makes them up, folds their case or
strips colour codes out of them. They give the pre-filter nothing to look for."""
OPERATORS: Final = ("equals", "in", "glob", "prefix", "suffix", "contains", "exists")
NESTING: Final = ("all", "any", "not")
MAX_TEXT: Final = 500


@dataclass(frozen=True, slots=True)
class Matching:
    """What a route's `match:` says: the condition on the envelope, and whether the line must be a request."""

    condition: Condition = ALWAYS
    request_only: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """The kind of the option `match`."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """A `Matching`."""
        if not isinstance(value, dict) or "looks_like" not in value:
            condition = _mapping(value, path, problems)
            return INVALID if condition is None else Matching(condition)
        wanted = value["looks_like"]
        if wanted != "request":
            problems.add(join(path, "looks_like"), f"must be `request`, not {echo(wanted)}")
        others = {key: item for key, item in value.items() if key != "looks_like"}
        condition = _mapping(others, path, problems) if others else ALWAYS
        return INVALID if condition is None or wanted != "request" else Matching(condition, request_only=True)

    def schema(self) -> dict[str, Any]:
        """An object of conditions."""
        text = {"type": ["string", "integer"]}
        operators: dict[str, Any] = dict.fromkeys(("equals", "glob", "prefix", "suffix", "contains"), text)
        operators |= {"in": {"type": "array", "items": text, "minItems": 1}, "exists": {"type": "boolean"}}
        test = {
            "anyOf": [
                text,
                {"type": "array", "items": text, "minItems": 1},
                {"type": "object", "properties": operators, "additionalProperties": False, "minProperties": 1},
            ]
        }
        nested = {"type": "object", "minProperties": 1}
        parts = {"type": "array", "items": nested, "minItems": 1}
        own = {"looks_like": {"const": "request"}, "all": parts, "any": parts, "not": nested}
        known = dict.fromkeys((TOPIC_FIELD, *sorted(FIELD_NAMES)), test)
        prefixed = {f"^{re.escape(prefix)}.": test for prefix in FIELD_PREFIXES}
        return {
            "type": "object",
            "minProperties": 1,
            "properties": known | own,
            "patternProperties": prefixed,
            "additionalProperties": False,
        }

    def words(self) -> str:
        """What it is."""
        return "a mapping from envelope field to condition"


def _mapping(value: Any, path: str, problems: Problems) -> Condition | None:
    """All conditions of one mapping together; None with the problem noted."""
    if not isinstance(value, dict) or not value:
        problems.add(path, "must be a mapping from envelope field to condition" if value else "must not be empty")
        return None
    parts = [_entry(key, item, join(path, key), problems) for key, item in value.items()]
    return _joined(parts)


def _joined(parts: list[Condition | None]) -> Condition | None:
    good = [part for part in parts if part is not None]
    return all_of(good) if len(good) == len(parts) else None


def _entry(key: str, value: Any, path: str, problems: Problems) -> Condition | None:
    if key in NESTING:
        return _nested(key, value, path, problems)
    if key == "looks_like":
        problems.add(path, "belongs at the top of `match`: it is asked of the whole line", at_key=True)
        return None
    if not _is_field(key):
        hint = did_you_mean(key, (*FIELD_NAMES, *NESTING, TOPIC_FIELD, "looks_like"))
        known = ", ".join(sorted({TOPIC_FIELD, *FIELD_NAMES}))
        problems.add(path, f"no such field{hint}; there are {known}, label.<name> and field.<name>", at_key=True)
        return None
    if not isinstance(value, dict):
        value = {"in" if isinstance(value, list) else "equals": value}
    elif not value:
        problems.add(path, f"needs one of {', '.join(OPERATORS)}")
        return None
    return _joined([_test(key, operator, given, path, problems) for operator, given in value.items()])


def _nested(key: str, value: Any, path: str, problems: Problems) -> Condition | None:
    if key == "not":
        part = _mapping(value, path, problems)
        return None if part is None else Not(part)
    if not isinstance(value, list) or not value:
        problems.add(path, "must be a list of condition mappings, not empty")
        return None
    parts = [_mapping(item, f"{path}[{index}]", problems) for index, item in enumerate(value)]
    good = [part for part in parts if part is not None]
    if len(good) < len(parts):
        return None
    return all_of(good) if key == "all" else any_of(good)


def _is_field(key: str) -> bool:
    return key in FIELD_NAMES or key == TOPIC_FIELD or any(key.startswith(p) and key != p for p in FIELD_PREFIXES)


def _test(field: str, operator: str, given: Any, path: str, problems: Problems) -> Condition | None:
    """One operator on one field."""
    at = path if operator in ("equals", "in") else join(path, operator)
    match operator:
        case "exists":
            return _exists(field, given, at, problems)
        case "in":
            return _in(field, given, at, problems)
        case "equals" | "glob" | "prefix" | "suffix" | "contains":
            text = _text(field, given, at, problems)
            if text is None:
                return None
            return _compiled(field, _accepts(operator, text), _needs(operator, text), _words(operator, text))
    hint = did_you_mean(operator, OPERATORS)
    problems.add(at, f"no such operator{hint}; there are {', '.join(OPERATORS)}", at_key=True)
    return None


def _exists(field: str, given: Any, path: str, problems: Problems) -> Condition | None:
    if not isinstance(given, bool):
        problems.add(path, f"must be true or false, not {echo(given)}")
        return None
    if field == TOPIC_FIELD:
        return ALWAYS if given else NEVER
    return Field(field, getter(field), _anything, None, "is there") if given else Absent(getter(field), field)


def _in(field: str, given: Any, path: str, problems: Problems) -> Condition | None:
    if not isinstance(given, list) or not given:
        problems.add(path, "must be a list of texts, not empty")
        return None
    read = [_text(field, item, f"{path}[{index}]", problems) for index, item in enumerate(given)]
    wanted = frozenset(text for text in read if text is not None)
    tokens = [literal(text) for text in wanted]
    needs = frozenset(token for token in tokens if token is not None)
    words = f"is one of {', '.join(sorted(wanted))}"
    return _compiled(field, wanted.__contains__, needs if needs and None not in tokens else None, words)


def _text(field: str, given: Any, path: str, problems: Problems) -> str | None:
    """The operand, folded where the field is."""
    if isinstance(given, bool) or not isinstance(given, str | int) or given == "":
        problems.add(path, f"must be text, not {'empty' if given in (None, '') else echo(given)}")
        return None
    text = str(given)
    if len(text) > MAX_TEXT:
        problems.add(path, f"has {len(text)} characters, at most {MAX_TEXT} are allowed")
        return None
    if text == "-":
        problems.add(path, 'can never hold: "-" means that the field is absent, so write {exists: false}')
        return None
    return text.lower() if field in LOWER else text


def _accepts(operator: str, text: str) -> Callable[[str], bool]:
    match operator:
        case "equals":
            return text.__eq__
        case "prefix":
            return lambda value: value.startswith(text)
        case "suffix":
            return lambda value: value.endswith(text)
        case "contains":
            return lambda value: text in value
    # fnmatch writes expressions that take linear time per "*", so a glob can't hang a lane.
    matches = re.compile(translate(text)).match
    return lambda value: matches(value) is not None


def _needs(operator: str, text: str) -> frozenset[bytes] | None:
    """What the record's bytes must hold: of a glob, the longest plain stretch before any bracket."""
    parts = [text] if operator != "glob" else re.split(r"[*?]", text.partition("[")[0])
    tokens = [token for part in parts if (token := literal(part)) is not None]
    return frozenset([max(tokens, key=len)]) if tokens else None


def _words(operator: str, text: str) -> str:
    """The predicate for people."""
    verbs = {"prefix": "begins with", "suffix": "ends with", "glob": "matches"}
    return f"{verbs.get(operator, operator)} {text}"


def _compiled(field: str, accepts: Callable[[str], bool], needs: frozenset[bytes] | None, words: str) -> Condition:
    if field == TOPIC_FIELD:
        return OfTopic(accepts, words)
    return Field(field, getter(field), accepts, None if field in REWRITTEN else needs, words)


def _anything(_value: str) -> bool:
    return True
