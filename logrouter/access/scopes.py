"""Callers, and the scopes that say what each of them may see.

    usage:read                  every figure of every client
    usage:read:client=<id>      the figures of one client; its id is percent-encoded as in a path
    usage:read:api=<name>       the figures of one API, or of all whose names fit: `*` stands for any characters
    metrics:read                /metrics
    admin                       everything

A scope is text wherever it is written: in topics.yaml, in a claim, and on the hop between workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

from logrouter.access.names import NameSet, Wildcard, make_name_set
from logrouter.core.rollup.cells import MAX_NAME
from logrouter.core.rollup.subjects import SubjectKind

if TYPE_CHECKING:
    from collections.abc import Iterable

READ: Final = "usage:read"
METRICS: Final = "metrics:read"
ADMIN: Final = "admin"
CLIENT: Final = "usage:read:client="
API: Final = "usage:read:api="

FORMS: Final = f"{READ}, {CLIENT}<id>, {API}<name>, {METRICS} or {ADMIN}"
"""Every scope there is, for messages."""

MAX_LENGTH: Final = 4096
"""Characters that all scopes of a caller may have together: they travel in one header between workers."""

_WORDS: Final = frozenset({READ, METRICS, ADMIN})
_RESERVED: Final = frozenset("?[]")
"""Signs that mean something in other notations for patterns and nothing here: a name has them percent-encoded."""


class Via(StrEnum):
    """How a caller was authenticated."""

    TOKEN = "token"  # noqa: S105 - a word for it, not a token
    JWT = "jwt"
    OPEN = "open"
    HOP = "hop"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sends a request, and what it may see.

    *clients* and *apis* are those that *scopes* names; the figures of any other one need `reads_all`.
    """

    name: str
    via: Via
    scopes: tuple[str, ...]
    clients: NameSet
    apis: NameSet

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

    def confined_to(self, kind: SubjectKind | None) -> NameSet | None:
        """The clients or the APIs to which the caller is confined; None if it is not.

        Of what is about neither kind, a caller who may not read everything may read nothing.
        """
        if self.reads_all:
            return None
        return {SubjectKind.CLIENT: self.clients, SubjectKind.API: self.apis}[kind] if kind else NameSet()

    def may_read(self, kind: SubjectKind, name: str) -> bool:
        """Whether the figures of this client or API may be read. Names are compared exactly, as they are counted."""
        only = self.confined_to(kind)
        return only is None or name in only


def make_caller(name: str, via: Via, scopes: Iterable[str]) -> Caller:
    """The caller with these scopes.

    Raises:
        ValueError: one of them is not a scope, or together they are too long.
    """
    given = tuple(sorted(set(scopes)))
    if sum(map(len, given)) > MAX_LENGTH:
        msg = f"scopes have more than {MAX_LENGTH} characters together"
        raise ValueError(msg)
    clients, apis = list[str](), list[str | Wildcard]()
    for scope in given:
        if scope in _WORDS:
            continue
        if (client := client_of(scope)) is not None:
            clients.append(client)
        elif (api := api_of(scope)) is not None:
            apis.append(api)
        else:
            raise ValueError("there is no such scope")
    return Caller(name, via, given, make_name_set(clients), make_name_set(apis))


def is_scope(text: str) -> bool:
    """Whether the text is a scope."""
    return text in _WORDS or client_of(text) is not None or api_of(text) is not None


def client_of(scope: str) -> str | None:
    """The client id in a scope for one client's figures, decoded; None for any other scope."""
    client = _decoded(scope.removeprefix(CLIENT)) if scope.startswith(CLIENT) else None
    return client if client and len(client) <= MAX_NAME else None


def client_scope(client_id: str) -> str:
    """The scope that lets its owner read the figures of one client."""
    return CLIENT + quote(client_id, safe="")


def api_of(scope: str) -> str | Wildcard | None:
    """The API in a scope for APIs, decoded, or the pattern of their names; None for any other scope.

    `*` stands for any characters; as `%2A` it is itself.
    """
    encoded = scope.removeprefix(API)
    if not scope.startswith(API) or not encoded or not _RESERVED.isdisjoint(encoded):
        return None
    parts = [_decoded(part) for part in encoded.split("*")]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or sum(map(len, known)) > MAX_NAME:
        return None
    return known[0] if len(known) == 1 else Wildcard((known[0], *filter(None, known[1:-1]), known[-1]))


def api_scope(pattern: str) -> str:
    """The scope that lets its owner read the figures of the APIs whose names fit: `*` stands for any characters."""
    return API + quote(pattern, safe="*")


def _decoded(encoded: str) -> str | None:
    """The name of which this is the percent-encoded form; None if it is not such a form, or has a space in it."""
    try:
        name = unquote_to_bytes(encoded).decode()
    except UnicodeError:
        return None
    # Lists of scopes have spaces between.
    return name if encoded.isprintable() and " " not in encoded and _escapes_whole(encoded) else None


def _escapes_whole(encoded: str) -> bool:
    digits = "0123456789ABCDEFabcdef"
    parts = encoded.split("%")[1:]
    return all(len(part) >= 2 and part[0] in digits and part[1] in digits for part in parts)


ANYONE: Final = make_caller("anyone", Via.OPEN, (READ, METRICS))
"""Everybody who reaches a worker whose `access` says `mode: open`. Nobody is an admin by that."""
