"""Which drains get a line: an index by owner, so that a line costs the same however many drains there are.

Apps are found by their pair where a line has one. A line that has a name alone is for nobody while two pairs spell that
name: half of the time it would be somebody else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from logrouter.core.drains.owner import OwnerKind, name_of
from logrouter.core.formats.families.app_space import DEFAULT_SPACE, AppSpace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from logrouter.core.drains.filters import LineFilter
    from logrouter.core.drains.lines import OwnedLine
    from logrouter.core.drains.origin import LineOrigin
    from logrouter.core.drains.registration import Registration


class FilteredDrain(NamedTuple):
    """A drain that gets lines, and which of its owner's."""

    registration: Registration
    filter: LineFilter


class Matched(NamedTuple):
    """The drains of a line; *ambiguous* if it is nobody's app's only because two pairs spell its name."""

    drains: tuple[Registration, ...]
    ambiguous: bool = False


class DrainIndex:
    """The drains that are active, by their owners.

    *seen* has the pairs of apps and spaces that lines have named, by each name that spells them, the one that was seen
    first before the others. It is read, not copied: pairs that are added later count. Pairs of registrations are known
    as well, behind those.
    """

    def __init__(self, drains: Iterable[FilteredDrain], seen: Mapping[str, Sequence[AppSpace]]) -> None:
        self._seen = seen
        self._by_pair: dict[AppSpace, list[FilteredDrain]] = {}
        self._by_app_name: dict[str, list[FilteredDrain]] = {}
        self._registered: dict[str, list[AppSpace]] = {}
        self._others: dict[tuple[OwnerKind, str], list[FilteredDrain]] = {}
        for drain in drains:
            self._add(drain)

    def _add(self, drain: FilteredDrain) -> None:
        owner = drain.registration.owner
        if owner.kind is not OwnerKind.APP:
            self._others.setdefault((owner.kind, owner.name), []).append(drain)
        elif owner.pair is None:
            self._by_app_name.setdefault(owner.name, []).append(drain)
        else:
            self._by_pair.setdefault(owner.pair, []).append(drain)
            for name in names_of(owner.pair):
                known = self._registered.setdefault(name, [])
                if owner.pair not in known:
                    known.append(owner.pair)

    def find(self, line: OwnedLine) -> Matched:
        """The drains of a line, each once, whose filters accept it."""
        origin = line.origin
        found, ambiguous = self._of_app(origin) if origin.name else ([], False)
        for kind, name in (
            (OwnerKind.SITE, origin.site),
            (OwnerKind.API, origin.api),
            (OwnerKind.CLIENT, origin.client),
        ):
            if name and (kind, name) in self._others:
                found = [*found, *self._others[kind, name]]
        return Matched(tuple(each.registration for each in found if each.filter.accepts(line)), ambiguous)

    def _of_app(self, origin: LineOrigin) -> tuple[list[FilteredDrain], bool]:
        pair = origin.pair
        if pair is None:
            known = self._known(origin.name)
            if len(known) > 1:
                return [], self._is_wanted(origin.name, known)
            if not known:
                return self._by_app_name.get(origin.name, []), False
            [pair] = known
        found = self._by_pair.get(pair, [])
        for name in names_of(pair):
            named = self._by_app_name.get(name)
            if named is not None and self._known(name)[:1] in ([], [pair]):
                found = [*found, *named]
        return found, False

    def _known(self, name: str) -> list[AppSpace]:
        """The pairs that are known to be spelled *name*, first that which was seen first."""
        if "-" not in name:
            return [AppSpace(name, DEFAULT_SPACE)]
        return list(dict.fromkeys((*self._seen.get(name, ()), *self._registered.get(name, ()))))

    def _is_wanted(self, name: str, known: Iterable[AppSpace]) -> bool:
        return name in self._by_app_name or any(pair in self._by_pair for pair in known)


def names_of(pair: AppSpace) -> tuple[str, ...]:
    """Every name that spells the pair: with the space `default` also that which writes it out."""
    return tuple(dict.fromkeys((name_of(pair), f"{pair.app}-{pair.space}")))
