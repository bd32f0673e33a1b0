"""How many connections there are to one place, over all who have some there: who waits gets one that is idle."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Place = TypeVar("Place", bound="Hashable")


class _PlaceUse:
    """What is known of one place that has connections."""

    def __init__(self) -> None:
        self.taken = 0
        self.idle: dict[object, Callable[[], None]] = {}
        """By whose it is, the one that has been idle for longest first."""
        self.waiting: deque[asyncio.Future[None]] = deque()


class ConnectionSlots(Generic[Place]):
    """Slots of places, *most* for each. Used in one event loop; holds nothing of a place without connections."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._uses: dict[Place, _PlaceUse] = {}

    async def take(self, place: Place) -> None:
        """Wait for a slot; first come, first served. Whoever has it gives it back by `free`."""
        use = self._uses.setdefault(place, _PlaceUse())
        if not use.waiting and use.taken >= self._most and use.idle:
            give_up = use.idle.pop(next(iter(use.idle)))
            give_up()  # which frees its slot
            use = self._uses.setdefault(place, use)
        if not use.waiting and use.taken < self._most:
            use.taken += 1
            return
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        use.waiting.append(slot)
        try:
            await slot
        except BaseException:
            if slot.done() and not slot.cancelled():
                self.free(place)  # it was given in the moment in which nobody wanted it any more
            raise

    def free(self, place: Place) -> None:
        """Give a slot back: to whoever has waited for longest."""
        use = self._uses[place]
        while use.waiting:
            slot = use.waiting.popleft()
            if not slot.done():
                slot.set_result(None)
                return
        use.taken -= 1
        if not use.taken:
            del self._uses[place]

    def is_wanted(self, place: Place) -> bool:
        """Whether somebody waits for a slot."""
        return any(not slot.done() for slot in self._uses[place].waiting)

    def rest(self, place: Place, connection: object, give_up: Callable[[], None]) -> None:
        """A connection that has a slot is idle: when somebody waits, *give_up* is called, which frees the slot."""
        self._uses[place].idle[connection] = give_up

    def resume(self, place: Place, connection: object) -> None:
        """A connection is no longer idle, or is closed."""
        self._uses[place].idle.pop(connection, None)
