"""Slots of connections: never more than there may be, in the order of asking, and none is lost."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from logrouter.sinks.connection_slots import ConnectionSlots
from tests.conftest import HANG_SECONDS


def run(main) -> None:
    """Run a coroutine, with a guard against hangs."""
    asyncio.run(asyncio.wait_for(main, HANG_SECONDS))


async def settle() -> None:
    """Let all tasks go as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_waits_gets_a_slot_in_the_order_of_asking():
    """Two slots, four who want one; another place has its own."""

    async def main() -> None:
        slots, got = ConnectionSlots(2), []

        async def take(who: int) -> None:
            await slots.take("h:514")
            got.append(who)

        tasks = [asyncio.create_task(take(who)) for who in range(4)]
        await settle()
        assert got == [0, 1]
        assert slots.is_wanted("h:514")
        await slots.take("h:6514")
        slots.free("h:514")
        await settle()
        assert got == [0, 1, 2]
        slots.free("h:514")
        await asyncio.gather(*tasks)
        assert got == [0, 1, 2, 3]
        assert not slots.is_wanted("h:514")

    run(main())


def test_who_waits_gets_the_slot_of_the_connection_that_is_idle_for_longest():
    """One that is in use again is left alone."""

    async def main() -> None:
        slots, given_up = ConnectionSlots(3), []

        def give_up(who: str) -> None:
            given_up.append(who)
            slots.free("h")

        for who in "abc":
            await slots.take("h")
            slots.rest("h", who, lambda who=who: give_up(who))
        slots.resume("h", "a")
        await slots.take("h")
        assert given_up == ["b"]
        await slots.take("h")
        assert given_up == ["b", "c"]
        waits = asyncio.create_task(slots.take("h"))
        await settle()
        assert not waits.done()
        slots.free("h")
        await waits

    run(main())


def test_a_slot_that_nobody_wants_any_more_goes_to_the_next():
    """The first who waits is cancelled just when the slot is given to it."""

    async def main() -> None:
        slots = ConnectionSlots(1)
        await slots.take("h")
        first, second = asyncio.create_task(slots.take("h")), asyncio.create_task(slots.take("h"))
        await settle()
        slots.free("h")
        first.cancel()
        await second
        assert first.cancelled()

    run(main())


@given(st.lists(st.tuples(st.sampled_from(["take", "free", "rest", "cancel"]), st.integers(0, 5)), max_size=60))
def test_there_are_never_more_and_at_the_end_nothing_is_left(steps):
    """Whatever is asked, cancelled and given back."""

    async def main() -> None:
        slots: ConnectionSlots[str] = ConnectionSlots(2)
        held: list[object] = []
        tasks: list[asyncio.Task[None]] = []

        async def take() -> None:
            await slots.take("h")
            held.append(object())
            assert len(held) <= 2

        def give_up(each: object) -> None:
            held.remove(each)
            slots.free("h")

        for step, at in steps:
            if step == "take":
                tasks.append(asyncio.create_task(take()))
            elif step == "free" and held:
                each = held[at % len(held)]
                slots.resume("h", each)
                give_up(each)
            elif step == "rest" and held:
                each = held[at % len(held)]
                slots.rest("h", each, lambda each=each: give_up(each))
            elif step == "cancel" and tasks:
                tasks[at % len(tasks)].cancel()
            if at % 2:
                await settle()
        while not all(task.done() for task in tasks) or held:
            await settle()
            if held:
                slots.resume("h", held[0])
                give_up(held[0])
        assert slots._uses == {}

    run(main())
