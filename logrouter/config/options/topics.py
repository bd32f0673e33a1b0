"""The option `topics` of a source: exact names, and regular expressions that match whole names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.options.regex import RegexError, compile_regex
from logrouter.config.yaml.kinds import INVALID, TOPIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from logrouter.config.yaml.problems import Problems

MAX_EXPRESSION: Final = 500

_ONLY_IN_PYTHON = re.compile(r"\\[A-Za-z0-9]|\(\?|[*+?}][*+?]")


@dataclass(frozen=True, slots=True)
class TopicOrExpression:
    """A topic name, or an expression that begins with "^".

    The expression runs in librdkafka, which subscribes by it, and here in RE2; so it may use only what both know, which
    is POSIX extended syntax.
    """

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The text as it is written."""
        if not isinstance(value, str) or not value.startswith("^"):
            return TOPIC.read(value, path, problems)
        wrong = _fault(value)
        if wrong is None:
            return str(value)
        problems.add(path, wrong)
        return INVALID

    def schema(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string", "pattern": r"^([A-Za-z0-9._-]{1,249}|\^.{1,500})$"}

    def describe(self) -> str:
        """Both."""
        return "a topic name, or a regular expression that begins with `^`"


def _fault(expression: str) -> str | None:
    if len(expression) > MAX_EXPRESSION:
        return f"has {len(expression)} characters, at most {MAX_EXPRESSION} are allowed"
    if found := _ONLY_IN_PYTHON.search(expression):
        return f"{found[0]} is not in POSIX extended syntax, which is all that the Kafka client knows"
    try:
        compile_regex(anchor_expression(expression))
    except RegexError as error:
        return str(error)
    return None


def anchor_expression(expression: str) -> str:
    """The expression with anchors at both ends, so that every engine matches whole names only."""
    return f"^({expression.removeprefix('^')})$"


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression with anchors at both ends, compiled by RE2."""

    pattern: str
    accepts: Callable[[str], bool]

    def fullmatch(self, name: str, /) -> bool:
        """Whether it matches the whole name."""
        return self.accepts(name)


def split_topics(topics: Iterable[str]) -> tuple[frozenset[str], tuple[Expression, ...]]:
    """The exact names in *topics*, and its expressions, compiled."""
    every = list(topics)
    names = frozenset(topic for topic in every if not topic.startswith("^"))
    patterns = [anchor_expression(topic) for topic in every if topic.startswith("^")]
    return names, tuple(Expression(pattern, compile_regex(pattern).accepts) for pattern in patterns)
