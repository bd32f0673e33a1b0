"""Scopes for log drains, and for the lines that are injected beside them.

    drains:read                      the drains of every owner
    drains:read:app=<app>/<space>    the drains of one app; both names are percent-encoded as in a path
    drains:read:site=<domain>        the drains of one site; a domain in small letters
    drains:read:api=<name>           the drains of one API, or of all whose names fit: `*` stands for any characters
    drains:read:client=<id>          the drains of one client
    drains:write...                  the same five: to make and remove drains, and to read them as well
    logs:write                       lines may be injected, for any app
    logs:write:app=<app>/<space>     lines may be injected for this app

A right to figures of usage is none to lines: these hold what an application wrote, whatever that is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from logrouter.access.encoded_names import decode_name, decode_pattern
from logrouter.access.names import NameSet, Wildcard, make_name_set
from logrouter.core.drains.owner import MAX_NAME, OwnerKind, spells
from logrouter.core.formats.families.app_space import AppSpace

if TYPE_CHECKING:
    from collections.abc import Iterable

READ_DRAINS: Final = "drains:read"
WRITE_DRAINS: Final = "drains:write"
WRITE_LOGS: Final = "logs:write"

_OF_OWNERS: Final = (":app=<app>/<space>", ":site=<domain>", ":api=<name>", ":client=<id>")
DRAIN_FORMS: Final = (
    *(READ_DRAINS, *(READ_DRAINS + owner for owner in _OF_OWNERS)),
    *(WRITE_DRAINS, *(WRITE_DRAINS + owner for owner in _OF_OWNERS)),
    *(WRITE_LOGS, WRITE_LOGS + _OF_OWNERS[0]),
)
"""Every scope there is here, for messages."""

PATTERN: Final = r"drains:(read|write)(:(app=[^/]+/[^/]+|(site|api|client)=.+))?|logs:write(:app=[^/]+/[^/]+)?"
"""A regular expression that all of them match, for schemas."""

_WORDS: Final = (READ_DRAINS, WRITE_DRAINS, WRITE_LOGS)
_KINDS: Final = frozenset(OwnerKind)


@dataclass(frozen=True, slots=True)
class OwnerSet:
    """Owners as scopes name them: *everybody*, or apps by their *pairs*, sites, APIs and clients."""

    everybody: bool = False
    pairs: frozenset[AppSpace] = frozenset()
    sites: frozenset[str] = frozenset()
    apis: NameSet = field(default_factory=NameSet)
    clients: frozenset[str] = frozenset()

    def has_pair(self, pair: AppSpace) -> bool:
        """Whether the app of this name in the space of that name is in it."""
        return self.everybody or pair in self.pairs

    def pairs_of(self, name: str) -> tuple[AppSpace, ...]:
        """The pairs in it, by themselves, that *name* may mean; in the order of their names."""
        return tuple(sorted(pair for pair in self.pairs if spells(pair, name)))

    def has_name(self, kind: OwnerKind, name: str) -> bool:
        """Whether an owner of this kind and name is in it; for an app: any pair that the name may mean."""
        if self.everybody:
            return True
        match kind:
            case OwnerKind.APP:
                return bool(self.pairs_of(name))
            case OwnerKind.SITE:
                return name in self.sites
            case OwnerKind.API:
                return name in self.apis
            case OwnerKind.CLIENT:
                return name in self.clients


@dataclass(frozen=True, slots=True)
class DrainRights:
    """Whose drains a caller may read, whose it may make and remove, and for whom it may inject lines.

    *reads* has whoever is in *writes*.
    """

    reads: OwnerSet = field(default_factory=OwnerSet)
    writes: OwnerSet = field(default_factory=OwnerSet)
    injects: OwnerSet = field(default_factory=OwnerSet)


ALL_DRAINS: Final = DrainRights(OwnerSet(everybody=True), OwnerSet(everybody=True), OwnerSet(everybody=True))
"""Of an admin."""

_Granted = tuple[str, OwnerKind | None, "str | Wildcard | AppSpace | None"]


def is_drain_scope(text: str) -> bool:
    """Whether the text is a scope of this kind."""
    return _read(text) is not None


def drain_rights(scopes: Iterable[str]) -> DrainRights:
    """What scopes grant together; those of other kinds grant nothing."""
    granted = [found for scope in scopes if (found := _read(scope)) is not None]
    writes = [one for one in granted if one[0] == WRITE_DRAINS]
    reads = [one for one in granted if one[0] == READ_DRAINS]
    injects = [one for one in granted if one[0] == WRITE_LOGS]
    return DrainRights(_owners([*reads, *writes]), _owners(writes), _owners(injects))


def _owners(granted: Iterable[_Granted]) -> OwnerSet:
    everybody = False
    named: dict[OwnerKind, list[str | Wildcard]] = {kind: [] for kind in OwnerKind}
    pairs = set[AppSpace]()
    for _, kind, name in granted:
        if kind is None or name is None:
            everybody = True
        elif isinstance(name, AppSpace):
            pairs.add(name)
        else:
            named[kind].append(name)
    sites, clients = (frozenset(map(str, named[kind])) for kind in (OwnerKind.SITE, OwnerKind.CLIENT))
    return OwnerSet(everybody, frozenset(pairs), sites, make_name_set(named[OwnerKind.API]), clients)


def _read(scope: str) -> _Granted | None:
    """The verb of a scope, and kind and name of the owner in it, both None for every owner; None for any other text."""
    if scope in _WORDS:
        return scope, None, None
    verb = next((word for word in _WORDS if scope.startswith(f"{word}:")), None)
    kind, equals, encoded = scope.removeprefix(f"{verb}:").partition("=")
    if verb is None or not equals or kind not in _KINDS or (verb == WRITE_LOGS and kind != OwnerKind.APP):
        return None
    name = _decode_owner(OwnerKind(kind), encoded)
    return None if name is None else (verb, OwnerKind(kind), name)


def _decode_owner(kind: OwnerKind, encoded: str) -> str | Wildcard | AppSpace | None:
    match kind:
        case OwnerKind.APP:
            app, *spaces = (_decode_literal(part) for part in encoded.split("/"))
            space = spaces[0] if len(spaces) == 1 else None
            return AppSpace(app, space) if app and space and len(app) + len(space) < MAX_NAME else None
        case OwnerKind.SITE:
            domain = _decode_literal(encoded)
            # Domains are compared in small letters: one that is written otherwise would never be met.
            return domain if domain is not None and domain == domain.lower() else None
        case OwnerKind.API:
            return decode_pattern(encoded, MAX_NAME)
        case OwnerKind.CLIENT:
            return decode_name(encoded, MAX_NAME)


def _decode_literal(encoded: str) -> str | None:
    """A name that no pattern can mean: an unencoded star would look as if it meant several."""
    return None if "*" in encoded else decode_name(encoded, MAX_NAME)
