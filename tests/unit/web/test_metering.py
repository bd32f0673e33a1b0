"""What a question costs: the rows that are read for it, charged to who asked and to nobody else."""

import asyncio
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from logrouter.access.rates import Rate
from logrouter.access.scopes import client_scope
from logrouter.http_server.peers import Peers
from logrouter.query.memory import MemoryReader
from logrouter.query.schemas import ROWS_HEADER
from logrouter.telemetry.metrics import ACCESS_REFUSED, QUERY_ROWS
from logrouter.web.view import Limits
from tests.conftest import HANG_SECONDS

SHARED = "between us"
MINE = "/v1/clients/client-1"


@pytest.fixture
def looked_up(monkeypatch):
    """Tier and bucket of each row of a subject that any worker reads."""
    found, moment = [], MemoryReader.moment

    def noted(reader, subject, segments):
        made = moment(reader, subject, segments)
        found.extend(made.found)
        return made

    monkeypatch.setattr(MemoryReader, "moment", noted)
    return found


@pytest.mark.parametrize(
    "target",
    [
        MINE,
        f"{MINE}?window=7d&compare=previous",
        f"{MINE}?window=life",
        f"{MINE}/series?window=24h&step=minute",
        f"{MINE}/series?step=day&by=api",
        f"{MINE}/apis?window=400d",
        f"{MINE}/urls?window=15m&format=csv",
        f"{MINE}/errors?window=life",
        "/v1/clients?window=24h",
        "/v1/clients?window=7d&compare=previous",
        "/v1/clients/nobody",
    ],
)
@pytest.mark.parametrize("worker", [0, 1])
def test_what_is_charged_is_what_was_read(fleet, let_in, looked_up, target, worker):
    """Whichever worker is asked, and wherever the rows are: the answer says how many, and the bucket lacks as many."""
    policy, sent = let_in(mine=[client_scope("client-1"), client_scope("nobody")])
    policy = replace(policy, rows=Rate(0.001, 100_000))

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            first = await workers[worker].get(target, **sent["mine"])
            assert first.status in (200, 404)
            rows = len(looked_up)
            assert int(first.headers[ROWS_HEADER]) == rows
            left = workers[worker].left("token:mine")
            assert left == pytest.approx(100_000 - rows, abs=1)

    asyncio.run(main())


def test_a_caller_without_rows_left_waits_as_long_as_the_question_needs(fleet, let_in):
    """429, with the seconds until these very rows are there; a smaller question passes, and so do other callers."""
    policy, sent = let_in(busy=[client_scope("client-1")], calm=[client_scope("client-1")])
    policy = replace(policy, rows=Rate(10, 2000))
    day = f"{MINE}/series?window=24h&step=minute"
    before = ACCESS_REFUSED.labels("caller_rows")._value.get()

    async def main():
        async with fleet(1, access=policy) as (worker,):
            assert (await worker.get(day, **sent["busy"])).status == 200
            refused = await worker.get(day, **sent["busy"])
            assert (refused.status, refused.json["rows"]) == (429, 1441)
            assert refused.json["type"] == "urn:logrouter:problem:too-many-requests"
            assert 80 <= int(refused.headers["Retry-After"]) <= 89  # 882 of 1,441 are missing, at 10 a second
            assert (await worker.get(f"{MINE}/errors?window=15m", **sent["busy"])).status == 200
            assert (await worker.get("/v1/whoami", **sent["busy"])).status == 200
            assert (await worker.get(day, **sent["calm"])).status == 200

    asyncio.run(main())
    assert ACCESS_REFUSED.labels("caller_rows")._value.get() == before + 1


def test_a_list_of_all_is_charged_afterwards_and_a_debt_is_paid_first(fleet, let_in):
    """How much it reads is not known before; rows that other workers read for it count as well."""
    policy, sent = let_in(all=["usage:read"])
    policy = replace(policy, rows=Rate(1, 50))

    async def main():
        async with fleet(3, access=policy, secret=SHARED) as workers:
            first = await workers[0].get("/v1/clients?window=life", **sent["all"])
            assert (first.status, int(first.headers[ROWS_HEADER])) == (200, 31)
            assert (await workers[0].get("/v1/totals?window=7d", **sent["all"])).status == 200
            refused = await workers[0].get("/v1/clients?window=life", **sent["all"])
            assert (refused.status, refused.json["detail"]) == (429, "the caller has no rows left to read; ask later")
            assert int(refused.headers["Retry-After"]) > 50

    asyncio.run(main())


def test_rows_are_counted_by_endpoint_on_the_worker_that_reads_them(fleet, let_in):
    """The series of the metric are those of the routes, and a hop is counted where the rows are."""
    policy, sent = let_in(all=["usage:read"])
    before = {name: QUERY_ROWS.labels(name)._value.get() for name in ("client_errors", "clients", "part_clients")}

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            await workers.stranger("cclient-1").get(f"{MINE}/errors?window=life", **sent["all"])
            await workers[0].get("/v1/clients?window=life", **sent["all"])

    asyncio.run(main())
    more = {name: QUERY_ROWS.labels(name)._value.get() - was for name, was in before.items()}
    assert more["client_errors"] == 1
    assert more["clients"] + more["part_clients"] == 31
    assert 0 < more["clients"] < 31


def test_rows_that_a_caller_may_not_know_of_are_counted_and_not_charged(fleet, let_in):
    """A pattern that goes on behind its star passes over rows: what that costs is shown to the operator alone."""
    policy, sent = let_in(some=["usage:read:api=*/v1"])

    async def main():
        async with fleet(1, access=policy) as (worker,):
            before = QUERY_ROWS.labels("apis")._value.get()
            reply = await worker.get("/v1/apis?window=life", **sent["some"])
            assert [entry["api"] for entry in reply.json["apis"]] == ["feed/v1"]
            read = QUERY_ROWS.labels("apis")._value.get() - before
            assert (reply.headers["Logrouter-Rows-Read"], read) == ("1", 3)

    asyncio.run(main())


def test_a_forged_hop_is_charged_to_the_address_and_not_to_whom_it_names(fleet, let_in):
    """Whoever claims to be a worker without the secret runs into the bound for strangers; callers and workers don't."""
    policy, sent = let_in(mine=[client_scope("client-1")])
    policy = replace(policy, strangers=Rate(0.001, 3), rate=Rate(0.001, 4))

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            asked, forged = workers.stranger("cclient-1"), {"X_Logrouter_Hop": "1", "X_Logrouter_Hop_Signature": "0"}
            found = [(await asked.get(MINE, **forged, **sent["mine"])).status for _ in range(6)]
            assert found == [403, 403, 403, 429, 429, 429]
            assert (await asked.get("/livez", **forged)).status == 429
            # The other worker sees hops from the same address; a signed one passes, whoever else is refused there.
            owner = workers.owner("cclient-1")
            assert [(await owner.get(MINE, **forged)).status for _ in range(4)] == [403, 403, 403, 429]
            assert [(await asked.get(MINE, **sent["mine"])).status for _ in range(5)] == [200, 200, 200, 200, 429]

    asyncio.run(main())


@pytest.mark.parametrize(
    "target", [f"{MINE}/series?window=24h&step=minute&by=api", "/v1/clients?window=7d", f"{MINE}/apis?include=*?a*"]
)
def test_one_confined_caller_takes_turns(fleet, let_in, monkeypatch, target):
    """Twenty large questions at once, and no pass of the loop has more than one slice of them."""
    policy, sent = let_in(mine=[client_scope("client-1")])
    cell, looks, number = MemoryReader.moment, [], [0]

    def noted(reader, subject, segments):
        looks.append(number[0])
        return cell(reader, subject, segments)

    monkeypatch.setattr(MemoryReader, "moment", noted)

    async def main():
        async with fleet(1, access=policy, limits=Limits(slice=0.0)) as (worker,):
            done = asyncio.Event()

            async def tick():
                while not done.is_set():
                    number[0] += 1
                    await asyncio.sleep(0)

            ticking = asyncio.create_task(tick())
            replies = await asyncio.gather(*(worker.get(target, **sent["mine"]) for _ in range(20)))
            done.set()
            await ticking
            assert {reply.status for reply in replies} == {200}

    asyncio.run(main())
    assert len(looks) >= 20
    assert len(set(looks)) == len(looks)
    # Each answer has many slices, and those of one caller come one after the other.
    assert min(later - earlier for earlier, later in pairwise(looks)) > 5


def test_too_many_questions_at_once_are_told_to_come_back(fleet, let_in):
    """Of one caller; another one still gets its turn."""
    policy, sent = let_in(mine=[client_scope("client-1")], calm=[client_scope("client-1")])

    async def main():
        async with fleet(1, access=policy, limits=Limits(questions_waiting=2, slice=0.0)) as (worker,):
            many = asyncio.gather(
                *(worker.get(f"{MINE}/series?window=24h&step=minute", **sent["mine"]) for _ in range(9))
            )
            assert (await worker.get(MINE, **sent["calm"])).status == 200
            replies = await many
            busy = [reply for reply in replies if reply.status == 503]
            assert {reply.status for reply in replies} == {200, 503}
            assert {reply.json["type"] for reply in busy} == {"urn:logrouter:problem:busy"}
            assert all(int(reply.headers["Retry-After"]) > 0 for reply in busy)

    asyncio.run(main())


def test_where_access_is_open_nothing_is_charged(fleet):
    """There is nobody to charge; the answer still says what it cost."""

    async def main():
        async with fleet(1) as (worker,):
            for _ in range(3):
                reply = await worker.get(f"{MINE}/series?window=24h&step=minute")
                assert (reply.status, reply.headers[ROWS_HEADER]) == (200, "1441")
            assert worker.left("127.0.0.1") is None

    asyncio.run(main())


def test_one_caller_does_not_hold_all_ways_to_another_worker(fleet, let_in, monkeypatch):
    """Of its forty forwarded questions a few are on their way at a time; all are answered, and others get through."""
    policy, sent = let_in(mine=[client_scope("client-1")], calm=[client_scope("client-1")])
    flying, most, get = Counter(), Counter(), Peers.get

    async def noted(peers, base, target, seconds, caller):
        flying[caller.name] += 1
        most[caller.name] = max(most[caller.name], flying[caller.name])
        try:
            return await get(peers, base, target, seconds, caller)
        finally:
            flying[caller.name] -= 1

    monkeypatch.setattr(Peers, "get", noted)

    async def main():
        limits = Limits(hops=8, point_timeout=HANG_SECONDS)
        async with fleet(2, access=policy, secret=SHARED, limits=limits) as workers:
            asked = workers.stranger("cclient-1")
            many = asyncio.gather(*(asked.get(f"{MINE}/errors", **sent["mine"]) for _ in range(40)))
            assert (await asked.get(MINE, **sent["calm"])).status == 200
            assert {reply.status for reply in await many} == {200}

    asyncio.run(main())
    assert most == {"mine": 2, "calm": 1}
