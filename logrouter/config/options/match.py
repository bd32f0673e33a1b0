"""The options `match` and `request` of a route: mappings of conditions, read into one condition.

match:                                       # on the envelope, before anything is parsed
  program: api-gateway                       # equals
  namespace: [gateway, edge]                 # is one of
  host: {prefix: gw-, exists: true}          # all of these hold
  any: [{severity: err}, {topic: {glob: "k8s-*"}}]
  not: {host: {suffix: -test}}
  looks_like: request                        # decided by the format, not here
request:                                     # on the request, after it is parsed
  status_code: {ge: 500}
  client_ip: {cidr: [10.0.0.0/8, "fd00::/8"]}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.options.match_fields import ENVELOPE, REQUEST, Vocabulary
from logrouter.config.options.operators import COMPARISONS, OPERATORS, TEXT_OPERATORS, read_operator
from logrouter.config.yaml.kinds import INVALID
from logrouter.config.yaml.problems import did_you_mean, join_path, quote_value
from logrouter.core.match.conditions import ALWAYS, Condition, Not, all_of, any_of

if TYPE_CHECKING:
    from logrouter.config.yaml.problems import Problems

NESTING: Final = ("all", "any", "not")
LOOKS_LIKE: Final = "looks_like"


@dataclass(frozen=True, slots=True)
class Matching:
    """What a route's `match` says: the condition on the envelope, and whether the line must be a request."""

    condition: Condition = ALWAYS
    request_only: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """The kind of the option `match`."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """A `Matching`."""
        if not isinstance(value, dict) or LOOKS_LIKE not in value:
            condition = read_mapping(ENVELOPE, value, path, problems)
            return INVALID if condition is None else Matching(condition)
        wanted = value[LOOKS_LIKE]
        if wanted != "request":
            problems.add(join_path(path, LOOKS_LIKE), f"must be `request`, not {quote_value(wanted)}")
        others = {key: item for key, item in value.items() if key != LOOKS_LIKE}
        condition = read_mapping(ENVELOPE, others, path, problems) if others else ALWAYS
        return INVALID if condition is None or wanted != "request" else Matching(condition, request_only=True)

    def schema(self) -> dict[str, Any]:
        """An object of conditions."""
        return _schema(ENVELOPE, {LOOKS_LIKE: {"const": "request"}})

    def describe(self) -> str:
        """What it maps."""
        return "a mapping from envelope field to condition"


@dataclass(frozen=True, slots=True)
class RequestConditions:
    """The kind of the option `request`."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """A condition on a `request_fields.Request`."""
        condition = read_mapping(REQUEST, value, path, problems)
        return INVALID if condition is None else condition

    def schema(self) -> dict[str, Any]:
        """An object of conditions."""
        return _schema(REQUEST, {})

    def describe(self) -> str:
        """What it maps."""
        return "a mapping from field of the request to condition"


def _schema(vocabulary: Vocabulary, own: dict[str, Any]) -> dict[str, Any]:
    text = {"type": ["string", "number"]}
    number = {"type": "number"}
    texts = {"type": "array", "items": text, "minItems": 1}
    operators: dict[str, Any] = dict.fromkeys(TEXT_OPERATORS, text) | dict.fromkeys(COMPARISONS, number)
    operators |= {"in": texts, "exists": {"type": "boolean"}}
    operators |= {
        "cidr": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    }
    asked = {"type": "object", "properties": operators, "additionalProperties": False, "minProperties": 1}
    test = {"anyOf": [text, texts, asked]}
    nested = {"type": "object", "minProperties": 1}
    parts = {"type": "array", "items": nested, "minItems": 1}
    return {
        "type": "object",
        "minProperties": 1,
        "properties": dict.fromkeys(sorted(vocabulary.names), test) | own | {"all": parts, "any": parts, "not": nested},
        "patternProperties": {f"^{re.escape(prefix)}.": test for prefix in vocabulary.prefixes},
        "additionalProperties": False,
    }


def read_mapping(vocabulary: Vocabulary, value: Any, path: str, problems: Problems) -> Condition | None:
    """The condition that all entries of a mapping hold; None if one is wrong, with the problems noted."""
    if not isinstance(value, dict) or not value:
        problems.add(path, f"must be a mapping from {vocabulary.named} to condition" if value else "must not be empty")
        return None
    return _joined([read_entry(vocabulary, key, item, join_path(path, key), problems) for key, item in value.items()])


def _joined(parts: list[Condition | None]) -> Condition | None:
    good = [part for part in parts if part is not None]
    return all_of(good) if len(good) == len(parts) else None


def read_entry(vocabulary: Vocabulary, key: str, value: Any, path: str, problems: Problems) -> Condition | None:
    """The condition of one entry of a mapping; None if it is wrong, with the problems noted."""
    if key in NESTING:
        return _nested(vocabulary, key, value, path, problems)
    if key == LOOKS_LIKE and vocabulary is ENVELOPE:
        problems.add(path, "belongs at the top of `match`: it is asked of the whole line", at_key=True)
        return None
    if not vocabulary.has(key):
        own = (LOOKS_LIKE,) if vocabulary is ENVELOPE else ()
        hint = did_you_mean(key, (*vocabulary.names, *NESTING, *own))
        problems.add(path, f"no such field{hint}; there are {vocabulary.listed()}", at_key=True)
        return None
    if not isinstance(value, dict):
        value = {"in" if isinstance(value, list) else "equals": value}
    elif not value:
        problems.add(path, f"needs one of {', '.join(OPERATORS)}")
        return None
    return _joined([read_operator(vocabulary, key, name, given, path, problems) for name, given in value.items()])


def _nested(vocabulary: Vocabulary, key: str, value: Any, path: str, problems: Problems) -> Condition | None:
    if key == "not":
        part = read_mapping(vocabulary, value, path, problems)
        return None if part is None else Not(part)
    if not isinstance(value, list) or not value:
        problems.add(path, "must be a list of condition mappings, not empty")
        return None
    parts = [read_mapping(vocabulary, item, f"{path}[{index}]", problems) for index, item in enumerate(value)]
    good = [part for part in parts if part is not None]
    if len(good) < len(parts):
        return None
    return all_of(good) if key == "all" else any_of(good)
