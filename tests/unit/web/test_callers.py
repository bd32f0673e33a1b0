"""Who called a URL, over all APIs: through every worker, equal to a recount of the requests."""

import asyncio
import csv
import io
from collections import Counter

import pytest

from logrouter.access.scopes import client_scope


def everywhere(fleet, target):
    """The answer that all workers agree on."""

    async def main():
        async with fleet(3) as workers:
            replies = [await worker.get(target) for worker in workers]
            assert {reply.status for reply in replies} == {200}, replies[0].body
            assert len({reply.body if "csv" in target else reply.headers["ETag"] for reply in replies}) == 1
            return replies[0]

    return asyncio.run(main())


def counted(requests, wanted):
    """Requests by client and path."""
    return Counter((r["client"], r["path"]) for r in requests if r["path"] and wanted(r))


@pytest.mark.parametrize("contains", ["FEED", "*/Feed*", "/feed/v?"])
def test_callers_of_a_url_by_fragment_and_by_wildcard(fleet, requests, contains):
    """Largest first, with statuses and failures, whatever API it was; all that is asked for adds up to count."""
    answer = everywhere(fleet, f"/v1/callers?window=life&limit=1000&contains={contains.replace('?', '%3F')}").json
    truth = counted(requests, lambda r: "feed" in r["path"])
    assert {(row["client_id"], row["url"]): row["count"] for row in answer["callers"]} == truth
    for row in answer["callers"]:
        mine = [r for r in requests if (r["client"], r["path"]) == (row["client_id"], row["url"])]
        assert row["at_least"] == row["count"] == row["at_most"]
        assert row["status"] == Counter(f"{r['status']:03d}" for r in mine)
        assert row["failed"] == sum(r["outcome"] not in ("ok", "aborted") for r in mine)
    assert [row["count"] for row in answer["callers"]] == sorted(truth.values(), reverse=True)
    assert (answer["count"], answer["other"], answer["max_unlisted"]) == (truth.total(), 0, 0)


@pytest.mark.parametrize(("window", "minutes"), [("1h", 60), ("24h", 1440)])
def test_callers_within_a_window_by_status_and_client(fleet, requests, now, window, minutes):
    """The sums of its minutes and hours; what is cut off is in other, and bounds what is not listed."""
    start = (now // 60_000 + 1 - minutes) * 60_000
    truth = counted(
        requests,
        lambda r: r["time_ms"] >= start and r["status"] == 500 and r["client"].startswith("client-1"),
    )
    target = f"/v1/callers?window={window}&status=5xx&include=CLIENT-1*&limit=3"
    answer = everywhere(fleet, target).json
    ranked = sorted(truth.items(), key=lambda item: (-item[1], item[0]))
    assert [((row["client_id"], row["url"]), row["count"]) for row in answer["callers"]] == ranked[:3]
    assert (answer["other"], answer["max_unlisted"]) == (sum(n for _, n in ranked[3:]), ranked[3][1])
    assert answer["count"] == truth.total()


def test_callers_as_csv(fleet, requests):
    """A line per client and URL."""
    text = everywhere(fleet, "/v1/callers?window=life&contains=core&limit=5&format=csv").body.decode()
    lines = list(csv.DictReader(io.StringIO(text)))
    truth = counted(requests, lambda r: "core" in r["path"])
    assert [int(line["count"]) for line in lines] == [n for _, n in truth.most_common(5)]
    assert all(line["url"] == "/core/v1/page" for line in lines)


def test_who_may_read_one_client_does_not_learn_who_else_called(fleet, let_in):
    """The report is about all clients."""
    access, headers = let_in(one=[client_scope("client-1")], all=["usage:read"])

    async def main():
        async with fleet(1, access=access) as workers:
            found = [(await workers[0].get("/v1/callers", **headers[name])).status for name in ("one", "all")]
            assert found == [403, 200]

    asyncio.run(main())
