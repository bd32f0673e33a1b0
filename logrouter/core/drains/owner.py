"""Whose lines a drain gets: an app's, a site's, an API's or a client's.

Apps run in spaces. In paths of the API, and in the names of hosts, the two are one *name*, `shop-prod`, which says not
where the one ends and the other begins: `my-shop-prod` may be `my-shop` in `prod` or `my` in `shop-prod`. So a name is
compared whole, and the *pair* of app and space tells those apart where both sides know it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from logrouter.core.formats.families.app_space import DEFAULT_SPACE, AppSpace

MAX_NAME: Final = 253
"""Characters of an owner's name: those of a host name. APIs and clients have no longer names either."""


class OwnerKind(StrEnum):
    """What kind of thing a drain is about."""

    APP = "app"
    SITE = "site"
    API = "api"
    CLIENT = "client"


class Owner(Struct, frozen=True, omit_defaults=True):
    """*name* is an app's and its space's, a domain in small letters, an API's or a client id.

    *pair* is set for an app of which both names are known by themselves.
    """

    kind: OwnerKind
    name: str
    pair: AppSpace | None = None


def name_of(pair: AppSpace) -> str:
    """How the two are written as one; the space `default` is left out."""
    return pair.app if pair.space == DEFAULT_SPACE else f"{pair.app}-{pair.space}"


def spells(pair: AppSpace, name: str) -> bool:
    """Whether *name* may mean this pair: also with the space `default` written out."""
    return name in (name_of(pair), f"{pair.app}-{pair.space}")


def pairs_spelled(name: str) -> tuple[AppSpace, ...]:
    """Every pair that *name* may mean, the one with the shortest app first."""
    dashes = [index for index, char in enumerate(name) if char == "-"]
    split = [AppSpace(name[:at], name[at + 1 :]) for at in dashes if 0 < at < len(name) - 1]
    return (*split, AppSpace(name, DEFAULT_SPACE)) if name else ()
