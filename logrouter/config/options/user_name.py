"""The kind of an option that is a user's name, where a password belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logrouter.config.yaml.kinds import INVALID, Text

if TYPE_CHECKING:
    from logrouter.config.yaml.problems import Problems


@dataclass(frozen=True, slots=True)
class UserName(Text):
    """A text without a colon. One that has a colon is not repeated: what is behind it may be the password."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The name."""
        if isinstance(value, str) and ":" in value:
            problems.add(path, "must not have a colon: the password stands in an option of its own")
            return INVALID
        return Text.read(self, value, path, problems)
