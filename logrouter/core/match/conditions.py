"""Conditions on fields, compiled to small values that know how to test and which bytes they need.

    all_of(equal("program", "api-gateway"), Not(glob("host", "test-*")))

`test(subject)` decides about an envelope or a parsed request. `tokens()` gives what the raw record must contain for
`test` to be able to hold: a set of byte strings of which at least one occurs, or None where nothing is known.
`for_topic(topic)` decides the conditions on the topic, which is known before any record is read. `describe()` and
`explain(subject)` are for people: what is asked, and which parts of it the subject fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from logrouter.core.redact import redact_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Subject = Any
"""What a condition is about: a `model.Envelope`, or for `request:` conditions a `core.request_fields.Request`. The
getters of a condition decide which of the two."""


class Condition(Protocol):
    """A compiled condition on an envelope or a request. Immutable; its methods never raise."""

    @property
    def never(self) -> bool:
        """Whether nothing can satisfy it."""

    def test(self, subject: Subject, /) -> bool:
        """Whether it holds."""

    def tokens(self) -> frozenset[bytes] | None:
        """Byte strings of which every record that satisfies it holds at least one; None if nothing is known."""

    def for_topic(self, topic: str, /) -> Condition:
        """The same condition for records of one topic."""

    def describe(self) -> str:
        """What it asks, in one line."""

    def explain(self, subject: Subject, /) -> list[str]:
        """Why it does not hold: a line for each part that fails, without secrets; empty if it holds."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A condition that always holds, or never."""

    holds: bool

    @property
    def never(self) -> bool:
        """Whether this is the constant False."""
        return not self.holds

    def test(self, _subject: Subject, /) -> bool:
        """The constant."""
        return self.holds

    def tokens(self) -> frozenset[bytes] | None:
        """None for always; for never the empty set, as it needs one of no tokens."""
        return None if self.holds else frozenset()

    def for_topic(self, _topic: str, /) -> Condition:
        """Itself."""
        return self

    def describe(self) -> str:
        """The constant."""
        return "always" if self.holds else "never"

    def explain(self, _subject: Subject, /) -> list[str]:
        """That it never holds."""
        return [] if self.holds else ["never holds"]


ALWAYS: Final = Constant(holds=True)
NEVER: Final = Constant(holds=False)


@dataclass(frozen=True, slots=True)
class Field:
    """A test of the text of one field.

    *needs* are the byte strings of `tokens`, None if unknown. An absent field fails every test, so `not` of a test
    holds where the field is absent. *wants* is the test in words: `equals api-gateway`. *operator* and *operand* are
    the same for `implication`: for `equals` and `in` a frozenset of texts, else the operand as it was compiled.
    """

    field: str
    get: Callable[[Subject], str | None]
    accepts: Callable[[str], bool]
    needs: frozenset[bytes] | None
    wants: str = "is accepted"
    operator: str = ""
    operand: Any = None
    never: ClassVar[bool] = False

    def test(self, subject: Subject, /) -> bool:
        """Whether the field is there and accepted."""
        text = self.get(subject)
        return text is not None and self.accepts(text)

    def tokens(self) -> frozenset[bytes] | None:
        """The byte strings that the raw record must hold one of."""
        return self.needs

    def for_topic(self, _topic: str, /) -> Condition:
        """Itself: it doesn't ask about the topic."""
        return self

    def describe(self) -> str:
        """The field and what it must be."""
        return f"{self.field} {self.wants}"

    def explain(self, subject: Subject, /) -> list[str]:
        """What the field is instead."""
        return [] if self.test(subject) else [f"{self.describe()}: {_found(self.field, self.get(subject))}"]


@dataclass(frozen=True, slots=True)
class Absent:
    """Holds where the field is missing or empty."""

    get: Callable[[Subject], str | None]
    field: str = "a field"
    never: ClassVar[bool] = False

    def test(self, subject: Subject, /) -> bool:
        """Whether the field is missing or empty."""
        return self.get(subject) is None

    def tokens(self) -> frozenset[bytes] | None:
        """Absence leaves no bytes."""
        return None

    def for_topic(self, _topic: str, /) -> Condition:
        """Itself."""
        return self

    def describe(self) -> str:
        """Which field must be absent."""
        return f"{self.field} is absent"

    def explain(self, subject: Subject, /) -> list[str]:
        """What is there."""
        return [] if self.test(subject) else [f"{self.describe()}: {_found(self.field, self.get(subject))}"]


@dataclass(frozen=True, slots=True)
class OfTopic:
    """A test of the topic's name, decided by `for_topic`; before that it holds for nothing and needs nothing."""

    accepts: Callable[[str], bool]
    wants: str = "is accepted"
    never: ClassVar[bool] = False

    def test(self, _subject: Subject, /) -> bool:
        """An envelope doesn't know its topic."""
        return False

    def tokens(self) -> frozenset[bytes] | None:
        """The topic's name is not part of the record."""
        return None

    def for_topic(self, topic: str, /) -> Condition:
        """The answer."""
        return ALWAYS if self.accepts(topic) else NEVER

    def describe(self) -> str:
        """What the topic must be."""
        return f"topic {self.wants}"

    def explain(self, _subject: Subject, /) -> list[str]:
        """Undecided, so it does not hold."""
        return [f"{self.describe()}: no topic is given"]


@dataclass(frozen=True, slots=True)
class Not:
    """Holds where its part does not."""

    part: Condition
    never: ClassVar[bool] = False

    def test(self, subject: Subject, /) -> bool:
        """The opposite."""
        return not self.part.test(subject)

    def tokens(self) -> frozenset[bytes] | None:
        """Nothing is known of what doesn't hold."""
        return None

    def for_topic(self, topic: str, /) -> Condition:
        """The opposite of the part on the topic."""
        part = self.part.for_topic(topic)
        return Constant(not part.holds) if isinstance(part, Constant) else Not(part)

    def describe(self) -> str:
        """The opposite of the part."""
        return f"not ({self.part.describe()})"

    def explain(self, subject: Subject, /) -> list[str]:
        """That the part holds."""
        return [] if self.test(subject) else [f"{self.describe()}: it does hold"]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Holds where every part does. Made by `all_of`, so never empty, nested or constant."""

    parts: tuple[Condition, ...]
    never: ClassVar[bool] = False

    def test(self, subject: Subject, /) -> bool:
        """Whether all hold, asked in the written order."""
        for part in self.parts:  # noqa: SIM110 - as in `AnyOf`
            if not part.test(subject):
                return False
        return True

    def tokens(self) -> frozenset[bytes] | None:
        """The most selective part's tokens: fewest alternatives, then longest."""
        known = [tokens for part in self.parts if (tokens := part.tokens()) is not None]
        return min(known, key=lambda tokens: (len(tokens), -min(map(len, tokens), default=0)), default=None)

    def for_topic(self, topic: str, /) -> Condition:
        """All parts on the topic."""
        return all_of(part.for_topic(topic) for part in self.parts)

    def describe(self) -> str:
        """All parts."""
        return " and ".join(
            f"({part.describe()})" if isinstance(part, AnyOf) else part.describe() for part in self.parts
        )

    def explain(self, subject: Subject, /) -> list[str]:
        """Every part that fails, not just the first."""
        return [line for part in self.parts for line in part.explain(subject)]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Holds where at least one part does. Made by `any_of`, so never empty, nested or constant."""

    parts: tuple[Condition, ...]
    never: ClassVar[bool] = False

    def test(self, subject: Subject, /) -> bool:
        """Whether one holds, asked in the written order."""
        for part in self.parts:  # noqa: SIM110 - asked for every line, and a generator costs more than the parts
            if part.test(subject):
                return True
        return False

    def tokens(self) -> frozenset[bytes] | None:
        """All parts' tokens together, if all have some."""
        union: frozenset[bytes] = frozenset()
        for part in self.parts:
            tokens = part.tokens()
            if tokens is None:
                return None
            union |= tokens
        return union

    def for_topic(self, topic: str, /) -> Condition:
        """Any part on the topic."""
        return any_of(part.for_topic(topic) for part in self.parts)

    def describe(self) -> str:
        """All parts, of which one is enough."""
        return " or ".join(
            f"({part.describe()})" if isinstance(part, AllOf) else part.describe() for part in self.parts
        )

    def explain(self, subject: Subject, /) -> list[str]:
        """What each part fails by, as none holds."""
        if self.test(subject):
            return []
        return ["none of these holds", *(f"  {line}" for part in self.parts for line in part.explain(subject))]


def fields_of(condition: Condition) -> frozenset[str]:
    """The names of all fields that the condition reads."""
    match condition:
        case Field() | Absent():
            return frozenset({condition.field})
        case Not():
            return fields_of(condition.part)
        case AllOf() | AnyOf():
            return frozenset().union(*map(fields_of, condition.parts))
    return frozenset()


def _found(field: str, text: str | None) -> str:
    return "it is absent" if text is None else f'it is "{redact_shown(field, text)}"'


def all_of(parts: Iterable[Condition]) -> Condition:
    """The conjunction; without parts it always holds."""
    left = [part for part in parts if part != ALWAYS]
    if any(part.never for part in left):
        return NEVER
    return AllOf(tuple(left)) if len(left) > 1 else left[0] if left else ALWAYS


def any_of(parts: Iterable[Condition]) -> Condition:
    """The disjunction; without parts it never holds."""
    left = [part for part in parts if not part.never]
    if ALWAYS in left:
        return ALWAYS
    return AnyOf(tuple(left)) if len(left) > 1 else left[0] if left else NEVER
