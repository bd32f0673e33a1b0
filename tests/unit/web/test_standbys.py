"""While the owner of a partition is away: who answers instead, what the answer says of itself, and what it refuses."""

import asyncio

import pytest

from logrouter.query.memory import MemoryReader

POINTS = [
    "/v1/clients/{}",
    "/v1/clients/{}/series",
    "/v1/clients/{}/apis",
    "/v1/clients/{}/urls",
    "/v1/clients/{}/errors",
]
LISTS = ["/v1/clients", "/v1/apis", "/v1/totals", "/v1/totals/series", "/v1/reports/calls", "/v1/reports/outcomes"]
CLIENT = "client-3"


def count(body):
    """How many requests an answer is about."""
    return body["total"]["count"]


def give_replicas(workers, older=None):
    """Each worker follows the partitions of the one before it, and everybody knows that."""
    for number, worker in enumerate(workers):
        worker.reader.held = workers[number - 1].reader.mine
        worker.reader.older = older
    for worker in workers:
        for partition in range(worker.reader.partitions()):
            holders = [w.reader.url for w in workers if partition in w.reader.held]
            others = [w.reader.url for w in workers if w.reader.url not in holders and partition not in w.reader.mine]
            worker.reader.others[partition] = [url for url in holders + others if url != worker.reader.url]


@pytest.mark.parametrize("target", POINTS)
def test_a_copy_answers_for_an_owner_that_is_gone(fleet, target):
    """From every worker that is left, with the same figures, marked as what they are."""

    async def main():
        async with fleet(3) as workers:
            give_replicas(workers)
            before = (await workers[0].get(target.format(CLIENT))).json
            assert before["freshness"]["stale"] is False
            gone = workers.owner("c" + CLIENT)
            await gone.stop()
            for worker in workers:
                if worker is gone:
                    continue
                after = (await worker.get(target.format(CLIENT))).json
                (placed,) = after["freshness"]["partitions"]
                assert after["freshness"]["stale"] is True
                assert (placed["role"], placed["lag"], placed["end"]) == ("standby", None, None)
                assert placed["offset"] == before["freshness"]["partitions"][0]["offset"]
                assert {**after, "freshness": 0} == {**before, "freshness": 0}

    asyncio.run(main())


@pytest.mark.parametrize("target", LISTS)
def test_a_list_takes_from_replicas_what_owners_do_not_give(fleet, target):
    """It is whole, says which partitions are of replicas, and is what it was before."""

    async def main():
        async with fleet(3) as workers:
            give_replicas(workers)
            before = (await workers[0].get(target)).json
            await workers[1].stop()
            for worker in (workers[0], workers[2]):
                after = (await worker.get(target)).json
                roles = {one["partition"]: one["role"] for one in after["freshness"]["partitions"]}
                assert roles == {p: "standby" if p in (1, 4) else "active" for p in range(6)}
                assert after["freshness"]["stale"] is True
                assert after["freshness"]["missing"] == []
                assert {**after, "freshness": 0} == {**before, "freshness": 0}

    asyncio.run(main())


def test_an_older_copy_is_answered_as_what_it_is(fleet, make_tables, requests):
    """Its figures are those of its own offset; the owner's are preferred as soon as it is back."""

    async def main():
        async with fleet(2, tables=make_tables(requests)) as workers:
            give_replicas(workers, older=make_tables(requests[:1000]))
            whole = (await workers[0].get("/v1/clients?window=life")).json
            assert (count(whole), whole["freshness"]["stale"]) == (2000, False)
            workers[1].reader.is_ready = False
            stale = (await workers[0].get("/v1/clients?window=life")).json
            assert 1000 < count(stale) < 2000
            fresh, old = whole["freshness"]["partitions"], stale["freshness"]["partitions"]
            assert all(o["offset"] < f["offset"] for f, o in zip(fresh, old, strict=True) if o["role"] == "standby")
            workers[1].reader.is_ready = True
            assert count((await workers[0].get("/v1/clients?window=life")).json) == 2000

    asyncio.run(main())


def move(reader):
    """A rebalance: what this worker owned it has as a replica now, until it is recovered."""
    reader.held, reader.mine = reader.held | reader.mine, frozenset()


@pytest.mark.parametrize("target", LISTS)
def test_partitions_that_change_hands_while_a_list_is_made_are_read_again(fleet, monkeypatch, target):
    """An owner becomes a replica in the middle of a scan: what was read is not of one moment, and no error either."""
    scan, moved = MemoryReader.scan, []

    def scan_and_move(self, *args, **options):
        for number, row in enumerate(scan(self, *args, **options)):
            yield row
            if number == 3 and not moved:
                moved.append(self.url)
                move(self)
                raise LookupError("a partition moved away")

    monkeypatch.setattr(MemoryReader, "scan", scan_and_move)

    async def main():
        async with fleet(1) as (worker,):
            reply = await worker.get(target)
            assert moved
            assert (reply.status, reply.json["freshness"]["stale"]) == (200, True)

    asyncio.run(main())


def test_a_list_is_not_of_two_moments(fleet, make_tables, requests, monkeypatch):
    """Between two scans for one answer an owner becomes a replica that lacks the newest: all is as of its offset."""
    scan, scans = MemoryReader.scan, []

    def scan_and_move(self, *args, **options):
        yield from scan(self, *args, **options)
        scans.append(args[1])
        move(self)

    monkeypatch.setattr(MemoryReader, "scan", scan_and_move)

    async def main():
        old = make_tables(requests[:1000])
        async with fleet(1, tables=make_tables(requests)) as (worker,):
            worker.reader.older = old
            answer = (await worker.get("/v1/totals?window=life")).json
        assert [one["offset"] for one in answer["freshness"]["partitions"]] == [old.offsets[p] for p in range(6)]
        assert count(answer) == 1000
        assert answer["clients"] == len({request["client"] for request in requests[:1000]})
        assert len(scans) > len(set(scans))

    asyncio.run(main())


def test_partitions_that_are_lost_while_a_list_is_made_are_missing(fleet, monkeypatch):
    """Nobody has them any more, and a bug of ours is not taken for that."""
    lost, scan = [LookupError("a partition moved away"), KeyError("a bug")], MemoryReader.scan

    def scan_and_lose(self, *args, **options):
        yield from scan(self, *args, **options)
        exc = lost.pop(0)
        if not isinstance(exc, KeyError):
            self.mine = frozenset()
        raise exc

    monkeypatch.setattr(MemoryReader, "scan", scan_and_lose)

    async def main():
        async with fleet(1) as (worker,):
            mine = worker.reader.mine
            assert (await worker.get("/v1/clients")).status == 503
            worker.reader.mine = mine
            assert (await worker.get("/v1/clients")).status == 500

    asyncio.run(main())


def test_what_a_copy_does_not_reach_is_refused(fleet, make_tables, requests, now):
    """Neither offset nor age that was asked for is given up for the sake of an answer."""

    async def main():
        async with fleet(2, tables=make_tables(requests), clock=lambda: now + 3_600_000) as workers:
            give_replicas(workers, older=make_tables(requests[:1000]))
            owner, other = workers.owner("c" + CLIENT), workers.stranger("c" + CLIENT)
            offset = (await other.get(f"/v1/clients/{CLIENT}")).json["freshness"]["partitions"][0]["offset"]
            owner.reader.is_ready = False
            for target, kind in (
                (f"/v1/clients/{CLIENT}?min_offset={offset}", "not-yet"),
                (f"/v1/clients/{CLIENT}?max_staleness=30m", "too-stale"),
                ("/v1/clients?max_staleness=30m", "too-stale"),
                (f"/v1/clients/nobody?min_offset={offset}", "not-yet"),
            ):
                for worker in workers:
                    reply = await worker.get(target)
                    assert (reply.status, reply.json["type"]) == (503, f"urn:logrouter:problem:{kind}")
            assert (await other.get(f"/v1/clients/{CLIENT}?min_offset={offset - 2}&max_staleness=2h")).status == 200

    asyncio.run(main())


def test_a_client_that_a_copy_does_not_know_is_unknown_as_of_then(fleet, make_tables, requests):
    """The 404 says how far it reaches and that it is of a copy."""

    async def main():
        async with fleet(2, tables=make_tables(requests)) as workers:
            give_replicas(workers, older=make_tables([]))
            fresh = await workers[0].get("/v1/clients/nobody")
            assert (fresh.status, fresh.json["freshness"]["stale"]) == (404, False)
            workers.owner("c" + CLIENT).reader.is_ready = False
            for worker in workers:
                reply = await worker.get(f"/v1/clients/{CLIENT}")
                assert (reply.status, reply.json["freshness"]["stale"]) == (404, True)
                assert reply.json["freshness"]["partitions"][0]["offset"] is None

    asyncio.run(main())


def test_partitions_that_nobody_has_whole_are_missing(fleet):
    """A worker that is still copying does not answer; what is left over is named."""

    async def main():
        async with fleet(3) as workers:
            give_replicas(workers)
            workers[2].reader.held = frozenset({1})  # not 4, which it has only begun to copy
            await workers[1].stop()
            for worker in (workers[0], workers[2]):
                reply = await worker.get("/v1/clients")
                assert (reply.status, [entry["partition"] for entry in reply.json["missing"]]) == (503, [4])
                part = (await worker.get("/v1/clients?partial=allow")).json
                assert [one["partition"] for one in part["freshness"]["partitions"]] == [0, 1, 2, 3, 5]
                assert [one["partition"] for one in part["freshness"]["missing"]] == [4]

    asyncio.run(main())


def test_every_worker_answers_while_all_of_them_wait_for_their_partitions(fleet):
    """In a rebalance nobody is ready: everybody answers from what it has, and none says that it is ready."""

    async def main():
        async with fleet(3) as workers:
            for worker in workers:
                worker.reader.held = worker.reader.mine
                worker.reader.is_ready = False
            for worker in workers:
                assert (await worker.get("/readyz")).status == 503
                for target in (f"/v1/clients/{CLIENT}", "/v1/clients", "/v1/totals"):
                    reply = await worker.get(target)
                    assert (reply.status, reply.json["freshness"]["stale"]) == (200, True)

    asyncio.run(main())


def test_an_owner_that_hangs_is_waited_for_once_and_not_for_long(fleet, monkeypatch):
    """The hop's time-out is the price of a worker that neither answers nor refuses."""

    async def main():
        from logrouter.web.view import Limits

        async with fleet(2, limits=Limits(point_timeout=1.0, list_timeout=5.0)) as workers:
            give_replicas(workers)
            hung = workers.owner("c" + CLIENT)
            other = workers.stranger("c" + CLIENT)
            asked, released = [], asyncio.Event()

            async def hang(reader, writer):
                asked.append(await reader.read(10))
                await released.wait()
                writer.close()

            server = await asyncio.start_server(hang, "127.0.0.1", 0)
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            other.reader.owners = {p: url if p in hung.reader.mine else u for p, u in other.reader.owners.items()}
            for target in (f"/v1/clients/{CLIENT}", "/v1/clients"):
                reply = await other.get(target)
                assert (reply.status, reply.json["freshness"]["stale"]) == (200, True)
            assert len(asked) == 2
            released.set()
            server.close()

    asyncio.run(main())
