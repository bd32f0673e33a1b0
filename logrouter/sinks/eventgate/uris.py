"""References to resources as RFC 3986 writes them: eventgate checks `meta.uri` for that, and clients send anything."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

MAX_URI: Final = 8192
"""Characters that the schema allows."""

_PCHAR: Final = r"[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}"
_AUTHORITY: Final = (
    r"//"
    r"(?:(?>(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*)@)?"
    r"(?>(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)"
    r"(?::[0-9]*)?"
)
_REFERENCE: Final = re.compile(
    # A scheme or a host, then a path that begins with a slash; without a host it must not begin with two.
    rf"(?:(?>[A-Za-z][A-Za-z0-9+.-]*):(?:{_AUTHORITY}(?=[/?#]|\Z)|(?!//))"
    rf"|{_AUTHORITY}(?=[/?#]|\Z)"
    # A colon in the first segment would make a scheme of what is before it.
    rf"|(?!//)(?![^/?#:]*+:))"
    rf"(?>(?:{_PCHAR}|/)*)"
    rf"(?:\?(?>(?:{_PCHAR}|[/?])*))?"
    rf"(?:#(?>(?:{_PCHAR}|[/?])*))?",
    re.ASCII,
)
_LONE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_CUT_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]?\Z", re.ASCII)


def is_reference(text: str) -> bool:
    """Whether a text is a reference that eventgate takes."""
    return len(text) <= MAX_URI and _REFERENCE.fullmatch(text) is not None


def to_reference(text: str) -> str | None:
    """A reference to the same resource, cut where it is too long; None if it can't be made one.

    What may not stand in a reference is percent-encoded, as browsers do it; what is encoded already stays.
    """
    if is_reference(text):
        return text
    path, mark, fragment = _LONE_PERCENT.sub("%25", text[:MAX_URI]).partition("#")
    encoded = quote(path, safe="/?:@!$&'()*+,;=~%", errors="replace")
    if mark:
        encoded += "#" + quote(fragment, safe="/?:@!$&'()*+,;=~%", errors="replace")
    encoded = _CUT_PERCENT.sub("", encoded[:MAX_URI])
    return encoded if is_reference(encoded) else None
