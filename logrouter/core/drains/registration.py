"""What somebody has asked for: a drain with its owner, its target, its form and its filter, as it lies in Kafka."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct

from logrouter.core.drains.owner import Owner  # noqa: TC001 - msgspec looks up the types of fields

VERSION: Final = 1
"""Of the form in which registrations lie in their topic."""


class DrainForm(StrEnum):
    """What is sent: messages of syslog, Heroku's logplex contract over HTTP, or lines of JSON over HTTP."""

    SYSLOG = "syslog"
    LOGPLEX = "logplex"
    NDJSON = "ndjson"


class DrainState(StrEnum):
    """Whether a drain gets lines."""

    ACTIVE = "active"
    PENDING = "pending"
    """Its target has not answered the challenge yet."""
    DISABLED = "disabled"
    """It has failed for too long, or has said that it is gone."""


class Registration(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One drain. *id* and *token* are random; times are in epoch milliseconds.

    *url* is whole: user, password and query are secrets. *framing* is `octet-counting` or `newline`, for streams of
    syslog. *max_message_bytes* is None for what the scheme has by default. *ca* is PEM, empty for those that the system
    trusts. *match* and *request* are conditions as in topics.yaml, *sample* a share from 0 to 1. *signing_keys* sign
    requests over HTTP. *reason* says why the drain is disabled.
    """

    id: str
    token: str
    owner: Owner
    url: str
    created_ms: int
    updated_ms: int
    created_by: str = ""
    addon_id: str = ""
    addon_name: str = ""
    form: DrainForm = DrainForm.SYSLOG
    framing: str = "octet-counting"
    max_message_bytes: int | None = None
    ca: str = ""
    match: dict[str, Any] | None = None
    request: dict[str, Any] | None = None
    sample: float = 1.0
    signing_keys: tuple[str, ...] = ()
    challenge: bool = False
    state: DrainState = DrainState.ACTIVE
    reason: str = ""

    def __repr__(self) -> str:
        """Nothing that could be a secret: texts of errors may quote it."""
        return f"Registration(id={self.id!r}, owner={self.owner!r})"


class _Stored(Struct, frozen=True):
    v: int
    drain: Registration


_decoder: Final = msgspec.json.Decoder(_Stored)


def encode(registration: Registration) -> bytes:
    """The value of its record."""
    return msgspec.json.encode(_Stored(VERSION, registration))


def decode(value: bytes) -> Registration | None:
    """What `encode` has made; None for anything else, such as what a later version has written otherwise."""
    try:
        stored = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return stored.drain if stored.v == VERSION else None
