"""Kinds of the option `fields` of a route: steps in the order of the file, and constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logrouter.config.yaml.kinds import INVALID, Section
from logrouter.config.yaml.problems import quote_value

if TYPE_CHECKING:
    from logrouter.config.yaml.problems import Problems

Steps = tuple[tuple[str, Any], ...]
"""Verbs with their operands, in the order of the file."""


@dataclass(frozen=True, slots=True)
class ConstantValue:
    """A text, a number, true or false."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The value as it is."""
        if isinstance(value, str | int | float) and value != "":
            return value
        problems.add(path, f"must be {self.describe()}, not {quote_value(value)}")
        return INVALID

    def schema(self) -> dict[str, Any]:
        """Any of these."""
        return {"type": ["string", "number", "boolean"]}

    def describe(self) -> str:
        """The three kinds of value."""
        return "text, a number, true or false"


class OrderedSteps(Section):
    """A section whose options are steps: it is read as (key, value) pairs in the order of the file."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The pairs; `INVALID` for an empty mapping."""
        made = super().read(value, path, problems)
        if made is INVALID:
            return INVALID
        if not value:
            problems.add(path, "must not be empty")
            return INVALID
        return tuple((key, getattr(made, "assign" if key == "set" else key)) for key in value)

    def describe(self) -> str:
        """That order matters."""
        return "a mapping of steps, taken in the order in which they are written"
