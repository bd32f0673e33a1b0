r"""JSON objects as log writers really print them.

Strict JSON is read by orjson and nothing else. Three faults that known writers make are mended, and flagged:

    NaN Infinity -Infinity 1e999    libfastjson prints them bare       null
    \x41                            access logs escape bytes so        <41>
    \ud800                          half a surrogate pair, cut text    U+FFFD

Everything else that is not JSON stays an error; a cut object is never guessed at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson
from msgspec.structs import replace

from logrouter.model import Reason, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 1 << 20
"""Default size cap of a record. Checked by whoever holds the bytes, before anything here is called."""

MAX_DETAIL: Final = 200

BEFORE: Final = "\ufeff \t\r\n"
"""What may stand before an object without being part of it: blanks, and a byte order mark."""

REPAIRED: Final = "repaired"
"""The flag of an event whose text had to be mended."""

_loads = orjson.loads

# Escapes are matched two characters at a time, so that the second half of `\\` never starts another one.
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
# Whole strings are consumed, so that words inside them are left alone. No sign before a digit: Infinity has its own.
_CONSTANT = re.compile(r'("(?:[^"\\]++|\\.)*+"?)|-?Infinity|NaN|-?\d++(?:\.\d++)?+(?:[eE][+-]?\d++)?+', re.DOTALL)
# No string is looked into, not even one that never ends: braces in strings are no braces.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[{}\[\]]', re.DOTALL)
_INFINITE_DIGITS: Final = 400
_HINTS: Final = ("NaN", "Infinity", "\\x", "\\ud", "\\uD")


class Repaired(dict[str, Any]):
    """A JSON object that had to be mended before it could be read: a dict like any other."""

    __slots__ = ()


def decode_object(data: bytes | str, stage: Stage) -> dict[str, Any] | Rejected:
    """The JSON object in *data*, a `Repaired` one if it had to be mended; else why it is rejected, at *stage*."""
    try:
        value = _loads(data)
    except ValueError as error:
        return _mend(data, stage, str(error))
    if type(value) is dict:
        return value
    return Rejected(stage, Reason.NOT_OBJECT, f"JSON {type(value).__name__}, not an object")


def bare_object(text: str) -> str | None:
    """The text from its brace on, if nothing but `BEFORE` stands before it; None if nothing does, or it has none."""
    if text[:1] not in BEFORE:
        return None
    bare = text.lstrip(BEFORE)
    return bare if bare[:1] == "{" else None


def repair_flags(document: dict[str, Any]) -> tuple[str, ...]:
    """The flags of an event that is read from this object: `REPAIRED`, or none."""
    return (REPAIRED,) if isinstance(document, Repaired) else ()


def cut_or_malformed(rejected: Rejected, text: str) -> Rejected:
    """The rejection of a line that is not JSON, by a better reason: truncated if it lacks its end, else malformed."""
    if rejected.reason is not Reason.INVALID_JSON:
        return rejected
    return replace(rejected, reason=Reason.MALFORMED if text.rstrip()[-1:] == "}" else Reason.TRUNCATED)


def _mend(data: bytes | str, stage: Stage, error: str) -> dict[str, Any] | Rejected:
    if "depth" in error or "ecursion" in error:
        return Rejected(stage, Reason.TOO_DEEP, error[:MAX_DETAIL])
    try:
        text = data.decode() if isinstance(data, bytes) else data.encode("utf-8", "replace").decode()
    except UnicodeDecodeError as bad:
        return Rejected(stage, Reason.INVALID_UTF8, f"{bad.reason} at byte {bad.start}")
    if text[:1] == BEFORE[0]:
        return decode_object(text.lstrip(BEFORE), stage)
    if "infinity" in error or any(hint in text for hint in _HINTS):
        text = _CONSTANT.sub(_finite, _ESCAPE.sub(_valid_escape, text))
    try:
        value = _loads(text)
    except ValueError as still:
        reason = Reason.TOO_DEEP if "depth" in str(still) or "ecursion" in str(still) else Reason.INVALID_JSON
        return Rejected(stage, reason, str(still)[:MAX_DETAIL])
    if isinstance(value, dict):
        return Repaired(value)
    return Rejected(stage, Reason.NOT_OBJECT, f"JSON {type(value).__name__}, not an object")


def _valid_escape(match: re.Match[str]) -> str:
    if match[1] is not None:
        return f"<{match[1]}>"
    return match[0] if match[3] is None else "\\ufffd"


def _finite(match: re.Match[str]) -> str:
    token = match[0]
    if match[1] is not None:
        return token
    if token[-1] in "yN" or len(token) > _INFINITE_DIGITS:
        return "null"
    return "null" if float(token) in (float("inf"), float("-inf")) else token


def split_documents(data: bytes, most: int) -> list[tuple[Any, bytes]] | None:
    """JSON documents with nothing but white space between them as (value, text); None if *data* is anything else.

    At most *most* documents are read.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    found: list[tuple[Any, bytes]] = []
    for part in _spans(text):
        if len(found) == most:
            break
        if part is None:
            return None
        try:
            found.append((_loads(part), part.encode()))
        except ValueError:
            return None
    return found


def _spans(text: str) -> Iterator[str | None]:
    """The outermost bracketed parts of *text*; None where something stands between them or is missing."""
    depth = start = end = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        token = match[0]
        if token in ("{", "["):
            if not depth:
                start = match.start()
                if text[end:start].strip():
                    yield None
                    return
            depth += 1
        elif depth and token in ("}", "]"):
            depth -= 1
            if not depth:
                end = match.end()
                yield text[start:end]
    if depth or text[end:].strip():
        yield None
