"""How a request ended: the closed set of outcomes, and the rules that derive one from status and flags."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTCOMES: Final = (
    "ok",
    "client_error",
    "auth",
    "throttled",
    "not_found",
    "backend_error",
    "gateway_error",
    "aborted",
)


FIRST_STATUS: Final = 100
"""The least status that a server can have sent."""
_LAST_STATUS: Final = 599
_MAX_STATUS: Final = 999
"""Servers send numbers of their own beyond those that HTTP knows."""


_METHOD: Final = re.compile(r"[A-Z][A-Z_-]{1,31}", re.ASCII)
_USUAL_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})


_NAMED: Final = {
    0: "aborted",  # no response had started when the client went away
    401: "auth",
    403: "auth",
    404: "not_found",
    429: "throttled",
    499: "aborted",
}


_ALWAYS_BACKEND: Final = (502, 503, 504)


def is_http_status(value: object) -> bool:
    """Whether a value is a status that a server can have sent. The exit status of a job is none, nor is 0."""
    return type(value) is int and FIRST_STATUS <= value <= _MAX_STATUS


def is_http_method(value: object) -> bool:
    """Whether a value may be the method of a request: a word in capitals, or a usual one. A job's `sync` is none."""
    return type(value) is str and (_METHOD.fullmatch(value) is not None or value.upper() in _USUAL_METHODS)


def outcome_of(status: int | None, *, from_backend: bool | None = None) -> str | None:
    """How a request with this status ended: one of `OUTCOMES`, None without a status that HTTP knows.

    A 5xx is the backend's unless *from_backend* is False; 502, 503 and 504 are always the backend's.
    """
    if status is None or not 0 <= status <= _LAST_STATUS:
        return None
    if from_backend is False and status >= 500 and status not in _ALWAYS_BACKEND:
        return "gateway_error"
    return _OUTCOMES[status]


def is_about_backend(status: object) -> bool:
    """Whether a status says that a backend did not answer as it should, whoever has written it."""
    return status in _ALWAYS_BACKEND


def status_class(status: int | None) -> str | None:
    """The class of a status, "2xx" or "0xx" for a request without a response; None if HTTP knows no such status."""
    return _CLASSES[status] if status is not None and 0 <= status <= _LAST_STATUS else None


def _outcome(status: int) -> str | None:
    if status in _NAMED:
        return _NAMED[status]
    if status < 100:
        return None
    return "ok" if status < 400 else "client_error" if status < 500 else "backend_error"


_OUTCOMES: Final = tuple(_outcome(status) for status in range(_LAST_STATUS + 1))


_CLASSES: Final = tuple(
    f"{status // 100}xx" if status == 0 or status >= 100 else None for status in range(_LAST_STATUS + 1)
)


ENDINGS: Final[Mapping[int | None, tuple[str | None, str | None]]] = dict(
    enumerate(zip(_OUTCOMES, _CLASSES, strict=True))
)
"""`outcome_of` and `status_class` of every status that HTTP knows: one look for both."""


NO_ENDING: Final = (None, None)
"""Those of all others."""
