"""Turns and places: one slice in a pass of the loop, callers in turn, and nothing lost when somebody leaves."""

import asyncio
import itertools
from collections import Counter

import pytest

from logrouter.http_server.work_queue import BusyError, Gate, Places, Turns, WorkQueue


def queue(running=2, waiting=9, *, each=2, each_waiting=9, seconds=0.0):
    """A queue whose clock moves on by one whenever it is looked at."""
    places = Places(running, waiting, each=each, each_waiting=each_waiting)
    return WorkQueue(Turns(seconds, itertools.count().__next__), places)


class CountedTurns(Turns):
    """Turns that know how many have been given back."""

    given = 0

    def give(self):
        """One more."""
        self.given += 1
        super().give()


async def passes(done):
    """How many passes the loop has made whenever it is asked, until *done* is set."""
    number = 0
    while not done.is_set():
        number += 1
        await asyncio.sleep(0)
    return number


def test_only_one_slice_of_all_jobs_is_in_a_pass_of_the_loop():
    """Three jobs of five slices each take fifteen passes, whoever else gets the loop in between."""
    seen = []

    async def main():
        jobs, done, number = queue(3, each=3), asyncio.Event(), [0]

        async def ticker():
            while not done.is_set():
                number[0] += 1
                await asyncio.sleep(0)

        async def work(name):
            async with jobs.acquire(name) as job:
                for _ in range(5):
                    seen.append((number[0], name))
                    await job.pause()

        ticking = asyncio.create_task(ticker())
        await asyncio.gather(*map(work, "abc"))
        done.set()
        await ticking

    asyncio.run(main())
    assert len(seen) == 15
    assert len({at for at, _ in seen}) == 15
    assert "abc" * 4 in "".join(name for _, name in seen)


def test_jobs_of_one_slice_do_not_share_a_pass():
    """Many short answers in one pass would hold the loop as one long one does."""
    begun = []

    async def main():
        jobs, done = queue(100, each=100), asyncio.Event()
        number = asyncio.create_task(passes(done))

        async def work(name):
            async with jobs.acquire("a"):
                begun.append(name)

        await asyncio.gather(*map(work, range(50)))
        done.set()
        return await number

    assert asyncio.run(main()) >= 50
    assert begun == list(range(50))


@pytest.mark.parametrize(("seconds", "pauses"), [(0, 100), (10, 10), (1000, 0)])
def test_steps_are_interrupted_when_the_slice_is_over(seconds, pauses):
    """Each look at the clock takes a second here: a hundred steps are that many slices."""

    async def main():
        turns = CountedTurns(seconds, itertools.count().__next__)
        jobs = WorkQueue(turns, Places(1, 1, each=1, each_waiting=1))

        def steps():
            for _ in range(100):
                yield
            return "done"

        async with jobs.acquire("a") as job:
            assert await job.run(steps()) == "done"
            return turns.given

    assert asyncio.run(main()) == pauses


def test_requests_that_come_together_are_spread_over_passes():
    """Three of ten in a pass, in their order; whoever leaves while waiting takes nobody's room."""
    seen = []

    async def main():
        gate, done, number = Gate(3), asyncio.Event(), [0]

        async def tick():
            while not done.is_set():
                number[0] += 1
                await asyncio.sleep(0)

        async def enter(name):
            await gate.enter()
            seen.append((number[0], name))

        ticking = asyncio.create_task(tick())
        for _ in range(2):
            tasks = [asyncio.create_task(enter(name)) for name in range(10)]
            await asyncio.sleep(0)
            tasks[4].cancel()
            await asyncio.wait(tasks)
        done.set()
        await ticking

    asyncio.run(main())
    assert [name for _, name in seen] == [0, 1, 2, 3, 5, 6, 7, 8, 9] * 2
    assert max(Counter(at for at, _ in seen).values()) == 3


def test_places_are_given_to_callers_in_turn():
    """Who has many jobs waiting does not keep out who comes later with one."""
    order = []

    async def main():
        jobs = queue(1, each=1)

        async def work(name):
            async with jobs.acquire(name) as job:
                order.append(name)
                await job.pause()

        await asyncio.gather(*(work(name) for name in "aaaabac"))

    asyncio.run(main())
    assert "".join(order) == "aabcaaa"


def test_the_rest_is_refused_and_only_the_rest():
    """A bound for each caller, so that one does not take all the room, and one for all of them together."""

    async def main():
        jobs = queue(1, 3, each=1, each_waiting=2)

        async def work(name):
            async with jobs.acquire(name) as job:
                await job.pause()

        found = await asyncio.gather(*(work(name) for name in "aaaabb"), return_exceptions=True)
        assert [type(one) for one in found] == [type(None)] * 3 + [BusyError, type(None), BusyError]
        await work("a")

    asyncio.run(main())


@pytest.mark.parametrize("passes_before", range(8))
def test_who_leaves_gives_back_place_and_turn(passes_before):
    """Wherever in its wait or its work it is cancelled: the others go on."""

    async def main():
        jobs = queue(1, each=1)

        async def work():
            async with jobs.acquire("a") as job:
                for _ in range(3):
                    await job.pause()

        tasks = [asyncio.create_task(work()) for _ in range(4)]
        for _ in range(passes_before):
            await asyncio.sleep(0)
        for task in tasks[:3]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert tasks[3].exception() is None
        async with asyncio.timeout(60):
            await work()

    asyncio.run(main())
