"""A line as drains get it: what stands in it may be shown, and in which form is decided where it is sent."""

from __future__ import annotations

from msgspec import Struct


class Line(Struct, frozen=True, array_like=True):
    """One line of an app, a router or a build, or one clean event as JSON.

    *id* is the same whenever the line is sent again. *time_us* is its own time in microseconds since the epoch, None if
    nobody knows. *host* is the `app-space`, *app_name* as in RFC 5424: "web.5d4f8", "router", "build". *severity* is a
    code of that RFC. *text* is UTF-8, redacted, and may have control characters.
    """

    id: str
    time_us: int | None
    host: str
    app_name: str
    severity: int
    text: bytes
