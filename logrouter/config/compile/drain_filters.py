"""Filters that users of the API give their drains, compiled within bounds that an operator's conditions need not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.options.match import read_mapping
from logrouter.config.options.match_fields import ENVELOPE, RECORD_HEADER, REQUEST, TOPIC_FIELD, Vocabulary
from logrouter.config.yaml.problems import Problem, Problems
from logrouter.core.drains.filters import LineFilter
from logrouter.core.drains.owner import OwnerKind
from logrouter.core.sampling import compile_sample

if TYPE_CHECKING:
    from logrouter.core.match.conditions import Condition

MAX_VALUES: Final = 200
"""Names and values in one condition, those within each other counted."""
MAX_DEPTH: Final = 8
MAX_CHARACTERS: Final = 8_192
"""All its texts together."""
MAX_EXPRESSIONS: Final = 4
"""Regular expressions and globs: each takes time for each character of a line."""

_SEARCHING: Final = frozenset({"regex", "glob"})
_OF_LINES: Final = frozenset({OwnerKind.APP, OwnerKind.SITE})
_ENVELOPE: Final = replace(
    ENVELOPE,
    names=ENVELOPE.names - {TOPIC_FIELD},
    prefixes=tuple(prefix for prefix in ENVELOPE.prefixes if prefix != RECORD_HEADER),
)


def compile_line_filter(
    kind: OwnerKind, match: Any = None, request: Any = None, sample: Any = 1.0
) -> LineFilter | tuple[Problem, ...]:
    """The filter of a drain of this kind, or everything that is wrong with it, by path (`match.host.regex`).

    *match* and *request* are JSON values of whoever asks, None for no condition.
    """
    problems = Problems()
    if match is not None and kind not in _OF_LINES:
        problems.add("match", "is for drains of apps and sites: events have no envelope, so use `request`")
        match = None
    made = [
        _compile(vocabulary, value, path, problems)
        for vocabulary, value, path in (
            (_ENVELOPE, match, "match"),
            (REQUEST, request, "request"),
        )
    ]
    if type(sample) not in (int, float) or not 0 < sample <= 1:
        problems.add("sample", "must be a number above 0, at most 1")
    if problems.errors:
        return tuple(problems.errors)
    return LineFilter(made[0], made[1], compile_sample(sample) if sample < 1 else None)


def _compile(vocabulary: Vocabulary, value: Any, path: str, problems: Problems) -> Condition | None:
    if value is None:
        return None
    wrong = _exceeds(value)
    if wrong:
        problems.add(path, wrong)
        return None
    return read_mapping(vocabulary, value, path, problems)


def _exceeds(value: Any) -> str:
    """Which bound a condition does not keep, in one line; "" if it keeps all. Takes no longer than the bounds allow."""
    values = characters = expressions = 0
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        values += 1
        if depth > MAX_DEPTH:
            return f"has conditions within each other, at most {MAX_DEPTH} levels are allowed"
        if isinstance(item, dict):
            values += len(item)
            characters += sum(map(len, item))
            expressions += len(_SEARCHING & item.keys())
            below = list(item.values())
        else:
            characters += len(item) if isinstance(item, str) else 0
            below = item if isinstance(item, list) else []
        if values + len(below) > MAX_VALUES:
            return f"has too many parts, at most {MAX_VALUES} are allowed"
        if characters > MAX_CHARACTERS:
            return f"has too much text, at most {MAX_CHARACTERS} characters are allowed"
        if expressions > MAX_EXPRESSIONS:
            return f"has too many expressions, at most {MAX_EXPRESSIONS} (`regex`, `glob`) are allowed"
        waiting += [(each, depth + 1) for each in below]
    return ""
