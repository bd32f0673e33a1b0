"""Which owner a path of the drains API means, for whoever asks.

`/apps/my-shop-prod/...` names an app and its space as one, and the name alone does not say where the one ends: it is
pinned to a pair by what the caller may name, or by what is known. `/apps/my-shop/spaces/prod/...` leaves nothing open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from logrouter.core.drains.owner import Owner, OwnerKind, name_of, pairs_spelled, spells

if TYPE_CHECKING:
    from collections.abc import Collection

    from logrouter.core.formats.families.app_space import AppSpace


class NamedOwner(NamedTuple):
    """An owner as a path has it. *pair* is set where app and space stand in segments of their own."""

    kind: OwnerKind
    name: str
    pair: AppSpace | None = None


class ResolvedOwner(NamedTuple):
    """*owner* is whose a new drain is; drains of *others* are found by the same path."""

    owner: Owner
    others: tuple[Owner, ...] = ()

    @property
    def owners(self) -> tuple[Owner, ...]:
        """All of them."""
        return (self.owner, *self.others)


class AmbiguousName(NamedTuple):
    """The name of an app means each of these *pairs*, two or more, in the order of their names."""

    pairs: tuple[AppSpace, ...]


def resolve_owner(
    named: NamedOwner, granted: Collection[AppSpace] | None, known: Collection[AppSpace]
) -> ResolvedOwner | AmbiguousName:
    """The owner that is meant.

    *granted* are the apps that the caller may name, None for all; that it may name this one has been checked. *known*
    are pairs that lines or drains have. Who may name all finds drains without a pair as well, by each of their names;
    others don't, as these may get lines of several apps.
    """
    if named.kind is not OwnerKind.APP:
        return ResolvedOwner(Owner(named.kind, named.name))
    pairs = _meant(named, granted, known)
    if len(pairs) > 1:
        return AmbiguousName(tuple(sorted(pairs)))
    if not pairs:
        return ResolvedOwner(Owner(OwnerKind.APP, named.name))
    (pair,) = pairs
    written = dict.fromkeys((name_of(pair), f"{pair.app}-{pair.space}")) if granted is None else ()
    return ResolvedOwner(
        Owner(OwnerKind.APP, name_of(pair), pair), tuple(Owner(OwnerKind.APP, name) for name in written)
    )


def _meant(
    named: NamedOwner, granted: Collection[AppSpace] | None, known: Collection[AppSpace]
) -> Collection[AppSpace]:
    if named.pair is not None:
        return {named.pair}
    spelled = pairs_spelled(named.name)
    if granted is None:
        return spelled if len(spelled) == 1 else {pair for pair in known if spells(pair, named.name)}
    return {pair for pair in granted if spells(pair, named.name)}
