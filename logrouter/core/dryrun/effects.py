"""How one record fares with two route tables: the ways in which its outcomes may differ, each by a name."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.model import Accepted, Held, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logrouter.model import Outcome


class Effect(StrEnum):
    """One way in which a record fares differently with the new table; it may do so in several."""

    LOST = "lost"
    """Accepted before, and not any more."""
    REJECTED = "rejected"
    """Becomes a dead letter that it did not become before."""
    GAINED = "gained"
    """Accepted, and was not before."""
    MENDED = "mended"
    """Was a dead letter, and is none any more."""
    MOVED = "moved"
    """Accepted by both, for other topics."""
    REKEYED = "rekeyed"
    """Accepted by both, with another key."""
    CHANGED = "changed"
    """Accepted by both, as another event."""
    RELABELLED = "relabelled"
    """Ends alike, but by another route or for another reason."""


_WORST_FIRST: Final = tuple(Effect)
LOSSES: Final = frozenset({Effect.LOST, Effect.REJECTED})


class Rejection(NamedTuple):
    """A kind of dead letter, for counting."""

    route: str
    stage: str
    reason: str
    pointer: str


def effects_of(old: tuple[Outcome, ...], new: tuple[Outcome, ...]) -> list[Effect]:
    """How a record fares differently, the worst first; empty if it does not. Of several lines in it, how any does."""
    before, after = _by_line(old), _by_line(new)
    lines = before.keys() | after.keys()
    found = {effect for line in lines for effect in _effects_on_line(before.get(line, ()), after.get(line, ()))}
    return sorted(found, key=_WORST_FIRST.index)


def _by_line(outcomes: tuple[Outcome, ...]) -> dict[int, tuple[Outcome, ...]]:
    if len(outcomes) == 1:
        return {outcomes[0].line: outcomes}
    lines: dict[int, list[Outcome]] = {}
    for outcome in outcomes:
        lines.setdefault(outcome.line, []).append(outcome)
    return {line: tuple(found) for line, found in lines.items()}


def _effects_on_line(old: tuple[Outcome, ...], new: tuple[Outcome, ...]) -> list[Effect]:
    if old == new:
        return []
    before, after = accepted_of(old), accepted_of(new)
    found = []
    if before and not after and not _held(new):
        found.append(Effect.LOST)
    if rejections_of(new) - rejections_of(old):
        found.append(Effect.REJECTED)
    if after and not before and not _held(old):
        found.append(Effect.GAINED)
    if rejections_of(old) and not rejections_of(new):
        found.append(Effect.MENDED)
    if before and after:
        found += _effects_on_events(before, after)
    if not found and described(old) != described(new):
        found.append(Effect.RELABELLED)
    return found


def _effects_on_events(before: list[Accepted], after: list[Accepted]) -> list[Effect]:
    pairs = list(pairs_of(before, after))
    found = []
    if _topics(before) != _topics(after):
        found.append(Effect.MOVED)
    if any(one.key != other.key for one, other in pairs):
        found.append(Effect.REKEYED)
    if any(one.value != other.value for one, other in pairs):
        found.append(Effect.CHANGED)
    return found


def _topics(events: list[Accepted]) -> Counter[str]:
    return Counter(topic for event in events for topic in (event.topic, *event.also))


def pairs_of(before: list[Accepted], after: list[Accepted]) -> Iterator[tuple[Accepted, Accepted]]:
    """Events that belong together, line by line: those of one topic, then the others as they come."""
    now = _by_line(tuple(after))
    for line, events in _by_line(tuple(before)).items():
        yield from _pairs_of_line(accepted_of(events), accepted_of(now.get(line, ())))


def _pairs_of_line(before: list[Accepted], after: list[Accepted]) -> list[tuple[Accepted, Accepted]]:
    left = list(after)
    pairs, single = [], []
    for one in before:
        same = next((other for other in left if other.topic == one.topic), None)
        if same is None:
            single.append(one)
        else:
            left.remove(same)
            pairs.append((one, same))
    return pairs + list(zip(single, left, strict=False))


def accepted_of(outcomes: tuple[Outcome, ...]) -> list[Accepted]:
    """The accepted ones."""
    return [outcome for outcome in outcomes if isinstance(outcome, Accepted)]


def _held(outcomes: tuple[Outcome, ...]) -> bool:
    """Whether the record is part of a request that becomes an event when its other line is there."""
    return any(isinstance(outcome, Held) for outcome in outcomes)


def rejections_of(outcomes: tuple[Outcome, ...]) -> Counter[Rejection]:
    """The rejected ones by kind."""
    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    return Counter(Rejection(one.route, one.stage.value, one.reason.value, one.pointer) for one in rejected)


def described(outcomes: tuple[Outcome, ...]) -> list[str]:
    """All of them, each in one line."""
    return [outcome.describe() for outcome in outcomes]
