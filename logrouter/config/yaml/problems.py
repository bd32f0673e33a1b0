"""Problems of a topics.yaml: collected, not raised one by one, each with its path, line and column."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from logrouter.printable import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MAX_ECHO = 60
"""How much of a wrong value a message repeats."""


_SHORTEST_HIDDEN: Final = 6
"""What is shorter is in any message by chance, and nobody's secret."""

ERROR: Final = "error"
WARNING: Final = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. *path* is like `routes[3].to`, "" for the whole file; *line* and *column* count from 1.

    A file with an error can't be used; a warning says that something in it will hardly do what was meant.
    """

    path: str
    message: str
    line: int | None = None
    column: int | None = None
    severity: str = ERROR

    def __str__(self) -> str:
        where = f"{self.line}:{self.column}: " if self.line is not None else ""
        # A key of the file may hold a line feed, and what looks like another problem behind it.
        return escape(f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}")


class ConfigError(Exception):
    """A topics.yaml that can't be used. *problems* are in file order; *file* is its name as the operator gave it.

    *inputs* are the other files that were read: the fault may be in one of those.
    """

    def __init__(self, file: str, problems: Iterable[Problem], inputs: tuple[Path, ...] = ()) -> None:
        self.file = file
        self.inputs = inputs
        self.problems = in_file_order(problems)
        super().__init__(file, self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{self.file}: {count} problem{'' if count == 1 else 's'}"
        lines = (
            f"  {self.file}:{problem}" if problem.line else f"  {self.file}: {problem}" for problem in self.problems
        )
        return "\n".join(map(escape, [head, *lines]))


def in_file_order(problems: Iterable[Problem]) -> list[Problem]:
    """Problems by line and column; those of the whole file come first."""
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))


@dataclass(slots=True)
class Problems:
    """Collects the problems that reading, compiling and linting find.

    *values* and *keys* are positions by path, from `document.read`; a path without one has that of its nearest parent.
    *errors* keep a file from being used; one with *warnings* alone can be used.
    """

    values: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    keys: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    _references: dict[str, str] = field(default_factory=dict)

    def hide(self, value: str, reference: str) -> None:
        """Let messages say *reference*, as the file does, where they would repeat *value* from the environment."""
        if len(value) >= _SHORTEST_HIDDEN:
            self._references[value] = reference

    def add(self, path: str, message: str, *, at_key: bool = False) -> None:
        """Note a problem with the value at *path*, or with the key itself."""
        line, column = self._position(path, at_key=at_key)
        self.errors.append(Problem(path, self._hidden(message), line, column))

    def warn(self, path: str, message: str) -> None:
        """Note a warning about the value at *path*."""
        self.warnings.append(Problem(path, self._hidden(message), *self._position(path, at_key=False), WARNING))

    def _hidden(self, message: str) -> str:
        for value in sorted(self._references, key=len, reverse=True):  # one may be a part of another
            message = message.replace(value, self._references[value])
        return message

    def _position(self, path: str, *, at_key: bool) -> tuple[int | None, int | None]:
        if at_key and path in self.keys:
            return self.keys[path]
        while path not in self.values:
            if not path:
                return None, None
            path = parent_path(path)
        return self.values[path]


def parent_path(path: str) -> str:
    """The path of the enclosing value. A key with dots is shortened one dot at a time, which is harmless."""
    cut = max(path.rfind("."), path.rfind("["))
    return path[:cut] if cut > 0 else ""


def join_path(path: str, key: str) -> str:
    """The path of a key's value."""
    return f"{path}.{key}" if path else key


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean "x"?)` or "", to be appended to a message."""
    # Comparing takes quadratic time, and nobody meant a word that long.
    if len(word) > MAX_ECHO:
        return ""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""


def list_names(names: Iterable[str]) -> str:
    """The names in order, separated by commas; "none" without any."""
    return ", ".join(sorted(names)) or "none"


def quote_value(value: object) -> str:
    """A wrong value as a message shows it: short, and never what came from the environment (it redacts its repr)."""
    if value is None or value == "":
        return "empty"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= MAX_ECHO else text[: MAX_ECHO - 1] + "…"
