"""How fresh an answer is: what it says, what can be asked for, and when it is the same as before."""

import asyncio
import json

import pytest

from logrouter.commands.humanise import staleness
from logrouter.core.text.timestamps import rfc3339
from logrouter.query.tiers import Hole

TARGETS = ["/v1/clients/client-3", "/v1/clients/client-3/urls", "/v1/clients", "/v1/totals", "/v1/reports/unmatched"]


@pytest.mark.parametrize("target", TARGETS)
def test_an_etag_stays_as_long_as_the_figures_do(fleet, make_tables, requests, now, target):
    """Time alone changes nothing; a request that is counted does."""
    times = [now]

    async def main():
        tables = make_tables(requests)
        async with fleet(2, tables=tables, clock=lambda: times[0]) as workers:
            for worker in workers:
                times[0] = now
                reply = await worker.get(target)
                tag = reply.headers["ETag"]
                assert tag.startswith('W/"')
                times[0] += 1500
                assert (await worker.get(target)).headers["ETag"] == tag
                same = await worker.get(target, If_None_Match=f'"x", {tag}')
                assert (same.status, same.body, same.headers["ETag"]) == (304, b"", tag)
                assert (await worker.get(target, If_None_Match="*")).status == 304
                assert (await worker.get(target, If_None_Match='W/"x"')).status == 200
            from logrouter.core.rollup.accumulator import Accumulator

            sums = Accumulator()
            sums.add("client-3", "-", now, 404, "not_found", path="/new")
            tables.fold(sums.take())
            for worker in workers:
                assert (await worker.get(target, If_None_Match=tag)).status == 200

    asyncio.run(main())


def test_csv_and_json_have_etags_of_their_own(fleet):
    """They are different representations."""

    async def main():
        async with fleet(1) as (worker,):
            one, other = [await worker.get(f"/v1/clients?format={form}") for form in ("json", "csv")]
            assert one.headers["ETag"] != other.headers["ETag"]
            assert "Accept" in one.headers["Vary"]

    asyncio.run(main())


@pytest.mark.parametrize("target", ["/v1/clients/client-3", "/v1/reports/unmatched", "/v1/apis/core/series"])
def test_an_answer_that_does_not_reach_as_far_as_asked_is_503(fleet, target):
    """Through the owner and through others, with the time after which to ask again."""

    async def main():
        async with fleet() as workers:
            for worker in workers:
                fresh = (await worker.get(target)).json["freshness"]["partitions"][0]
                mark = "&" if "?" in target else "?"
                assert (await worker.get(f"{target}{mark}min_offset={fresh['offset']}")).status == 200
                reply = await worker.get(f"{target}{mark}min_offset={fresh['offset'] + 1}")
                assert (reply.status, reply.json["type"]) == (503, "urn:logrouter:problem:not-yet")
                assert reply.json["partition"] == fresh["partition"]
                assert int(reply.headers["Retry-After"]) > 0

    asyncio.run(main())


@pytest.mark.parametrize("target", TARGETS)
def test_an_answer_older_than_asked_is_503(fleet, now, target):
    """With nothing behind it, it is of now; with records behind it, as old as its newest event."""
    times = [now]

    async def main():
        async with fleet(clock=lambda: times[0]) as workers:
            mark = "&" if "?" in target else "?"
            for behind, late, status in ((0, 3_000_000, 200), (3, 0, 200), (3, 3_000_000, 503)):
                times[0] = now + late
                for worker in workers:
                    worker.reader.behind = behind
                for worker in workers:
                    reply = await worker.get(f"{target}{mark}max_staleness=30m")
                    assert reply.status == status
                    if status == 503:
                        assert reply.json["type"] == "urn:logrouter:problem:too-stale"
                        assert "Retry-After" in reply.headers

    asyncio.run(main())


def test_a_partition_without_any_event_is_of_unknown_age(fleet, make_tables):
    """Nobody can tell how old nothing is, unless nothing is behind it."""

    async def main():
        async with fleet(1, tables=make_tables([])) as (worker,):
            assert (await worker.get("/v1/totals?max_staleness=1s")).status == 200
            worker.reader.behind = 1
            assert (await worker.get("/v1/totals?max_staleness=24h")).status == 503

    asyncio.run(main())


@pytest.mark.parametrize("target", ["/v1/clients", "/v1/totals", "/v1/totals/series", "/v1/reports/calls"])
def test_a_partial_list_is_answered_where_it_is_allowed_and_says_what_is_missing(fleet, target):
    """Without the permission it is refused; with nobody at all it is refused as well."""

    async def main():
        async with fleet() as workers:
            whole = (await workers[0].get(target)).json
            assert "partial" not in whole
            assert whole["freshness"]["missing"] == []
            await workers[1].stop()
            assert (await workers[0].get(target)).status == 503
            part = (await workers[0].get(f"{target}?partial=allow")).json
            assert part["partial"] is True
            assert [entry["partition"] for entry in part["freshness"]["missing"]] == [1, 4]
            assert all(entry["reason"] for entry in part["freshness"]["missing"])
            assert [entry["partition"] for entry in part["freshness"]["partitions"]] == [0, 2, 3, 5]
            workers[0].reader.is_ready = False
            await workers[2].stop()
            assert (await workers[0].get(f"{target}?partial=allow")).status == 503

    asyncio.run(main())


def brief(reply):
    """How fresh an answer is, by its header."""
    return json.loads(reply.headers["Logrouter-Freshness"])


@pytest.mark.parametrize("target", ["/v1/clients/client-3", "/v1/clients?window=life", "/v1/totals/series"])
def test_an_answer_that_is_the_same_as_before_says_how_fresh_it_is_now(fleet, target):
    """Figures that stay may come from a copy meanwhile, or be behind: a 304 has no body that could say so."""

    async def main():
        async with fleet(1) as (worker,):
            whole = await worker.get(target)
            tag = {"If_None_Match": whole.headers["ETag"]}
            fresh, partitions = whole.json["freshness"], whole.json["freshness"]["partitions"]
            newest = max(partition["watermark"] for partition in partitions)
            assert brief(whole) == {"at": fresh["at"], "stale": False, "lag": 0, "watermark": newest, "missing": []}
            worker.reader.behind = 7
            late = await worker.get(target, **tag)
            assert (late.status, brief(late)["lag"], brief(late)["stale"]) == (304, 7, False)
            worker.reader.held, worker.reader.is_ready = worker.reader.mine, False
            copied = await worker.get(target, **tag)
            assert (copied.status, brief(copied)["lag"], brief(copied)["stale"]) == (304, None, True)

    asyncio.run(main())


def test_a_file_of_a_part_of_the_figures_says_so(fleet):
    """In its name, and with the partitions in a header: lines alone would look like all of them."""

    async def main():
        async with fleet() as workers:
            target = "/v1/clients?window=life&partial=allow&format=csv"
            whole = await workers[0].get(target)
            assert whole.headers["Content-Disposition"] == 'attachment; filename="clients.csv"'
            assert brief(whole)["missing"] == []
            await workers[1].stop()
            part = await workers[0].get(target)
            assert part.headers["Content-Disposition"] == 'attachment; filename="clients-partial.csv"'
            assert brief(part)["missing"] == [1, 4]
            assert len(part.body) < len(whole.body)

    asyncio.run(main())


@pytest.mark.parametrize("target", ["/v1/clients", "/v1/totals", "/v1/totals/series", "/v1/reports/calls", "/v1/apis"])
def test_an_answer_about_the_time_of_a_hole_says_what_it_lacks(fleet, now, target):
    """Whoever holds the partition; one about another time is whole. Nobody needs to ask for it: it stays."""
    hour = 3_600_000

    async def main():
        async with fleet() as workers:
            owner = next(worker for worker in workers if 1 in worker.reader.mine)
            owner.reader.lost[1] = [Hole(7, 9, now - hour // 2, now - hour // 3), Hole(20, 21, None, now - 900 * hour)]
            for worker in workers:
                reply = await worker.get(target)
                assert reply.json["partial"] is True
                (hole,) = reply.json["freshness"]["holes"]
                assert (hole["partition"], hole["records"]) == (1, 2)
                assert hole["from"] < hole["to"] < reply.json["freshness"]["at"]
                assert brief(reply)["holes"] == 1
                before = f"from={rfc3339(now - 6 * hour)}&to={rfc3339(now - 3 * hour)}"
                other = await worker.get(f"{target}?{before}")
                assert (other.status, other.json.get("partial"), "holes" in brief(other)) == (200, None, False)
                assert other.json["freshness"].keys() == {"at", "partitions", "stale", "missing"}

    asyncio.run(main())


def test_an_answer_about_one_client_has_the_holes_of_its_partition_alone(fleet):
    """Those of other partitions have nothing to do with it; a lifetime has all of its own."""

    async def main():
        async with fleet() as workers:
            for worker in workers:
                worker.reader.lost = {partition: [Hole(partition, partition + 3, None, None)] for partition in range(6)}
            own = workers[0].reader.partition_of("cclient-3")
            for worker in workers:
                reply = await worker.get("/v1/clients/client-3")
                assert [hole["partition"] for hole in reply.json["freshness"]["holes"]] == [own]
                assert reply.json["partial"] is True
                unknown = await worker.get("/v1/clients/nobody")
                assert (unknown.status, len(unknown.json["freshness"]["holes"])) == (404, 1)

    asyncio.run(main())


def test_commands_say_that_records_were_lost():
    """In one line under the figures."""
    fresh = {"partitions": [], "missing": [], "stale": False, "holes": [{"records": 1200}, {"records": 3}]}
    said = staleness({"freshness": fresh})
    assert said == "partial: 1,203 rollup records were deleted before they were counted"
