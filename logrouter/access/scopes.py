"""Callers, and the scopes that say what each of them may see.

    usage:read                  every figure of every client
    usage:read:client=<id>      the figures of one client; its id is percent-encoded as in a path
    metrics:read                /metrics
    admin                       everything

A scope is text wherever it is written: in topics.yaml, in a claim, and on the hop between workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

from logrouter.core.rollup.cells import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

READ: Final = "usage:read"
METRICS: Final = "metrics:read"
ADMIN: Final = "admin"
CLIENT: Final = "usage:read:client="

FORMS: Final = f"{READ}, {CLIENT}<id>, {METRICS} or {ADMIN}"
"""Every scope there is, for messages."""

MAX_LENGTH: Final = 4096
"""Characters that all scopes of a caller may have together: they travel in one header between workers."""

_WORDS: Final = frozenset({READ, METRICS, ADMIN})


class Via(StrEnum):
    """How a caller was authenticated."""

    TOKEN = "token"  # noqa: S105 - a word for it, not a token
    JWT = "jwt"
    OPEN = "open"
    HOP = "hop"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sends a request, and what it may see.

    *clients* are the ids that *scopes* names one by one; the figures of any other client need `reads_all`.
    """

    name: str
    via: Via
    scopes: tuple[str, ...]
    clients: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed."""
        return ADMIN in self.scopes

    @property
    def reads_all(self) -> bool:
        """Whether the figures of all clients, and so every total over them, may be read."""
        return READ in self.scopes or self.is_admin

    @property
    def reads_metrics(self) -> bool:
        """Whether /metrics may be read."""
        return METRICS in self.scopes or self.is_admin

    @property
    def only(self) -> frozenset[str] | None:
        """The clients to which the caller is confined; None if there are no such bounds."""
        return None if self.reads_all else self.clients

    def may_read(self, client_id: str) -> bool:
        """Whether the figures of this client may be read. Ids are compared exactly, as they are counted."""
        return self.reads_all or client_id in self.clients


def make_caller(name: str, via: Via, scopes: Iterable[str]) -> Caller:
    """The caller with these scopes.

    Raises:
        ValueError: one of them is not a scope, or together they are too long.
    """
    given = tuple(sorted(set(scopes)))
    if sum(map(len, given)) > MAX_LENGTH:
        msg = f"scopes have more than {MAX_LENGTH} characters together"
        raise ValueError(msg)
    clients = set()
    for scope in given:
        if scope in _WORDS:
            continue
        client = client_of(scope)
        if client is None:
            raise ValueError("there is no such scope")
        clients.add(client)
    return Caller(name, via, given, frozenset(clients))


def is_scope(text: str) -> bool:
    """Whether the text is a scope."""
    return text in _WORDS or client_of(text) is not None


def client_of(scope: str) -> str | None:
    """The client id in a scope for one client's figures, decoded; None for any other scope."""
    if not scope.startswith(CLIENT):
        return None
    encoded = scope.removeprefix(CLIENT)
    try:
        client = unquote_to_bytes(encoded).decode()
    except UnicodeError:
        return None
    # Lists of scopes have spaces between.
    proper = encoded.isprintable() and " " not in encoded and _escapes_whole(encoded)
    return client if proper and 0 < len(client) <= MAX_NAME else None


def client_scope(client_id: str) -> str:
    """The scope that lets its owner read the figures of one client."""
    return CLIENT + quote(client_id, safe="")


def _escapes_whole(encoded: str) -> bool:
    digits = "0123456789ABCDEFabcdef"
    parts = encoded.split("%")[1:]
    return all(len(part) >= 2 and part[0] in digits and part[1] in digits for part in parts)


ANYONE: Final = make_caller("anyone", Via.OPEN, (READ, METRICS))
"""Everybody who reaches a worker whose `access` says `mode: open`. Nobody is an admin by that."""
