"""Callers, and the scopes that say what each of them may see.

    usage:read                  every figure of every client
    usage:read:client=<id>      the figures of one client; its id is percent-encoded as in a path
    usage:read:api=<name>       the figures of one API, or of all whose names fit: `*` stands for any characters
    metrics:read                /metrics
    drains:..., logs:...        log drains (`access.drain_scopes`)
    admin                       everything

A scope is text wherever it is written: in topics.yaml, in a claim, and on the hop between workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from logrouter.access.drain_scopes import (
    ALL_DRAINS,
    DRAIN_FORMS,
    WRITE_DRAINS,
    WRITE_LOGS,
    DrainRights,
    drain_rights,
    is_drain_scope,
)
from logrouter.access.encoded_names import decode_name, decode_pattern
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

FORMS: Final = f"{', '.join((READ, f'{CLIENT}<id>', f'{API}<name>', METRICS, *DRAIN_FORMS))} or {ADMIN}"
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

    *clients* and *apis* are those that *scopes* names; the figures of any other one need `reads_all`. *drains* says
    whose log drains it may read and change.
    """

    name: str
    via: Via
    scopes: tuple[str, ...]
    clients: NameSet
    apis: NameSet
    drains: DrainRights

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
        elif not is_drain_scope(scope):
            raise ValueError("there is no such scope")
    drains = ALL_DRAINS if ADMIN in given else drain_rights(given)
    return Caller(name, via, given, make_name_set(clients), make_name_set(apis), drains)


def is_scope(text: str) -> bool:
    """Whether the text is a scope."""
    return text in _WORDS or client_of(text) is not None or api_of(text) is not None or is_drain_scope(text)


def client_of(scope: str) -> str | None:
    """The client id in a scope for one client's figures, decoded; None for any other scope."""
    return decode_name(scope.removeprefix(CLIENT), MAX_NAME) if scope.startswith(CLIENT) else None


def client_scope(client_id: str) -> str:
    """The scope that lets its owner read the figures of one client."""
    return CLIENT + quote(client_id, safe="")


def api_of(scope: str) -> str | Wildcard | None:
    """The API in a scope for APIs, decoded, or the pattern of their names; None for any other scope."""
    return decode_pattern(scope.removeprefix(API), MAX_NAME) if scope.startswith(API) else None


def api_scope(pattern: str) -> str:
    """The scope that lets its owner read the figures of the APIs whose names fit: `*` stands for any characters."""
    return API + quote(pattern, safe="*")


ANYONE: Final = make_caller("anyone", Via.OPEN, (READ, METRICS))
"""Everybody who reaches a worker whose `access` says `mode: open`. Nobody is an admin by that."""
HERE: Final = make_caller("anyone", Via.OPEN, (READ, METRICS, WRITE_DRAINS, WRITE_LOGS))
"""Everybody on the machine itself, where `mode: open` lets in whoever reaches a process that listens on loopback."""
