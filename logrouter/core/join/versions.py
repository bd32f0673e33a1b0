"""What a newer version of logrouter has written: this one must not skip it as garbage, or requests are lost."""

from __future__ import annotations

from typing import Final

import orjson

_MOST: Final = 9_999
"""A larger number is no version, but something that somebody else has written."""


class NewerStateError(Exception):
    """A held line, an entry of the changelog or a list of places in a form of a newer version."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(f"it has form {found}, and this version reads forms up to {known}")


def refuse_newer(found: object, known: int) -> None:
    """Raise `NewerStateError` if *found* is the number of a form that is newer than *known*."""
    if type(found) is int and known < found <= _MOST:
        raise NewerStateError(found, known)


def refuse_newer_array(value: bytes, place: int, known: int) -> None:
    """The same for a JSON array that can't be read, with its form at *place*; anything else is left alone."""
    try:
        array = orjson.loads(value)
    except orjson.JSONDecodeError:
        return
    if isinstance(array, list) and len(array) > place:
        refuse_newer(array[place], known)
