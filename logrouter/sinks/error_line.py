"""What an error says, in one line for the operator. Pure."""

from __future__ import annotations

from typing import Final

_MAX_LENGTH: Final = 200


def one_line(text: str) -> str:
    """*text* without ends of lines, and not longer than a line may be."""
    return " ".join(text.split())[:_MAX_LENGTH]


def describe_error(error: BaseException) -> str:
    """The words of *error*, the name of its type if it has none."""
    return one_line(str(error) or type(error).__name__)
