"""The ways in which the outcomes of one record differ between two route tables."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.model import Accepted, Held, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logrouter.model import Outcome


class Effect(StrEnum):
    """One way in which a record's outcomes differ with the new table. There may be several per record."""

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
    """A group of dead letters that are counted together."""

    route: str
    stage: str
    reason: str
    pointer: str


def effects_of(old: tuple[Outcome, ...], new: tuple[Outcome, ...]) -> list[Effect]:
    """How a record's outcomes differ with the new table, worst first; empty if they do not.

    Of a record that packs several lines, an effect on any line counts.
    """
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
    if not found and describe_outcomes(old) != describe_outcomes(new):
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
    """Pairs of an event by the old table and its counterpart by the new one, line by line.

    Events for the same topic are paired first, then the others in their order.
    """
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
    """The accepted outcomes, in order."""
    return [outcome for outcome in outcomes if isinstance(outcome, Accepted)]


def _held(outcomes: tuple[Outcome, ...]) -> bool:
    """Whether the record is part of a request that becomes an event when its other line is there."""
    return any(isinstance(outcome, Held) for outcome in outcomes)


def rejections_of(outcomes: tuple[Outcome, ...]) -> Counter[Rejection]:
    """How many outcomes are rejected, by route, stage, reason and pointer."""
    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    return Counter(Rejection(one.route, one.stage.value, one.reason.value, one.pointer) for one in rejected)


def describe_outcomes(outcomes: tuple[Outcome, ...]) -> list[str]:
    """Every outcome in one line."""
    return [outcome.describe() for outcome in outcomes]
