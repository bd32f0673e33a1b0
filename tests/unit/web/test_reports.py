"""Totals, breakdowns and reports: through every worker, equal to a recount of the requests."""

import asyncio
import csv
import io
from collections import Counter

import pytest

from logrouter.core.text.timestamps import rfc3339

WINDOWS = {"1h": 60, "24h": 1440, "life": None}
NO_FAILURE = ("ok", "aborted")


def within(requests, window, now):
    """The requests of a window that is kept in minutes."""
    start = 0 if WINDOWS[window] is None else (now // 60_000 + 1 - WINDOWS[window]) * 60_000
    return [request for request in requests if request["time_ms"] >= start]


def label(request):
    """What a failed request is counted under."""
    error = request["error"]
    return f"{error['code']} {error['message']}" if error else f"{request['status']:03d} {request['outcome']}"


def failed(requests):
    """Those that nobody was well served by."""
    return [request for request in requests if request["outcome"] not in NO_FAILURE]


def everywhere(fleet, target, size=3):
    """The answer that all workers agree on, but for who they are."""

    async def main():
        async with fleet(size) as workers:
            replies = [await worker.get(target) for worker in workers]
            assert {reply.status for reply in replies} == {200}, replies[0].body
            assert len({reply.headers["ETag"] for reply in replies}) == 1
            assert all(reply.json == replies[0].json for reply in replies)
            return replies[0].json

    return asyncio.run(main())


@pytest.mark.parametrize("window", WINDOWS)
def test_totals_are_those_of_all_requests(fleet, requests, now, window):
    """Counts, statuses, errors, and how many clients and APIs there are."""
    counted = within(requests, window, now)
    answer = everywhere(fleet, f"/v1/totals?window={window}")
    total = answer["total"]
    assert total["count"] == len(counted)
    assert total["errors"] == len(failed(counted)) == sum(total["error"].values())
    assert total["status"] == {f"{s:03d}": n for s, n in sorted(Counter(r["status"] for r in counted).items())}
    assert total["status_class"] == {
        f"{s}xx": n for s, n in sorted(Counter(r["status"] // 100 for r in counted).items())
    }
    assert total["error"] == Counter(map(label, failed(counted)))
    assert answer["clients"] == len({r["client"] for r in counted})
    assert answer["apis"] == len({r["api"] for r in counted})


@pytest.mark.parametrize("by", ["status", "status_class", "outcome", "api"])
def test_a_series_over_everything_adds_up(fleet, requests, now, by):
    """The points are the requests of each hour, and so are their splits."""
    answer = everywhere(fleet, f"/v1/totals/series?step=hour&by={by}&from=2026-09-20T00:00:00Z")
    value = {
        "status": lambda r: f"{r['status']:03d}",
        "status_class": lambda r: f"{r['status'] // 100}xx",
        "outcome": lambda r: r["outcome"],
        "api": lambda r: r["api"],
    }[by]
    found = {point["time"]: (point["count"], point["by"]) for point in answer["points"] if point["count"]}
    expected = {}
    for request in requests:
        hour = request["time_ms"] // 3_600_000 * 3_600_000
        expected.setdefault(hour, []).append(value(request))
    from logrouter.core.text.timestamps import rfc3339

    begin = answer["from"]
    assert found == {rfc3339(h): (len(v), Counter(v)) for h, v in expected.items() if rfc3339(h) >= begin}


def test_a_series_of_a_client_by_error(fleet, requests, now):
    """Failed requests of each day by what went wrong."""
    answer = everywhere(fleet, "/v1/clients/client-3/series?step=day&by=error")
    mine = failed([r for r in requests if r["client"] == "client-3"])
    total = Counter()
    for point in answer["points"]:
        total.update(point["by"])
    assert total == Counter(map(label, mine))


def test_the_apis_of_a_client_by_status(fleet, requests):
    """Count, errors and statuses of each API, largest first."""
    answer = everywhere(fleet, "/v1/clients/client-3/apis?window=life")
    mine = [r for r in requests if r["client"] == "client-3"]
    assert [entry["api"] for entry in answer["apis"]] == [
        api for api, _ in sorted(Counter(r["api"] for r in mine).items(), key=lambda item: (-item[1], item[0]))
    ]
    for entry in answer["apis"]:
        statuses = Counter(f"{r['status']:03d}" for r in mine if r["api"] == entry["api"])
        assert entry["status"] == statuses
        assert entry["count"] == statuses.total()
        assert entry["errors"] == sum(n for status, n in statuses.items() if status >= "400")
    assert answer["other"] == 0


def test_the_apis_of_a_client_can_be_picked(fleet, requests):
    """By wildcard without regard to case, and by status pattern."""
    answer = everywhere(fleet, "/v1/clients/client-3/apis?window=life&include=FEED*&include=-&exclude=-&status=4%3F%3F")
    mine = [r for r in requests if r["client"] == "client-3" and r["api"] == "feed/v1" and r["status"] // 100 == 4]
    assert [(entry["api"], entry["count"]) for entry in answer["apis"]] == [("feed/v1", len(mine))]


@pytest.mark.parametrize(("subject", "field", "name"), [("clients", "client", "client-3"), ("apis", "api", "core")])
def test_urls_by_status_and_fragment(fleet, requests, subject, field, name):
    """Few URLs are exact: both bounds are the count, and what is listed and the rest are all there is."""
    mine = Counter((r["path"], f"{r['status']:03d}") for r in requests if r[field] == name and r["path"])
    answer = everywhere(fleet, f"/v1/{subject}/{name}/urls?window=life")
    found = {(entry["url"], status): n for entry in answer["urls"] for status, n in entry["status"].items()}
    assert found == mine
    for entry in answer["urls"]:
        assert entry["at_least"] == entry["count"] == entry["at_most"] == sum(entry["status"].values())
    assert answer["max_unlisted"] == 0
    assert answer["count"] == sum(entry["count"] for entry in answer["urls"]) + answer["other"]

    answer = everywhere(fleet, f"/v1/{subject}/{name}/urls?window=life&contains=CORE&status=5xx&limit=1")
    (entry,) = answer["urls"]
    expected = [r for r in requests if r[field] == name and (r["path"], r["status"]) == ("/core/v1/page", 500)]
    assert (entry["url"], entry["status"], entry["count"], entry["failed"]) == (
        *("/core/v1/page", {"500": len(expected)}),
        *(len(expected), len(failed(expected))),
    )


@pytest.mark.parametrize(
    ("subject", "field", "name", "peer"), [("clients", "client", "client-3", "api"), ("apis", "api", "core", "client")]
)
def test_errors_and_the_newest_failures(fleet, requests, subject, field, name, peer):
    """By message, and the newest twenty of all time one by one."""
    mine = [r for r in requests if r[field] == name]
    answer = everywhere(fleet, f"/v1/{subject}/{name}/errors?window=life")
    assert {entry["error"]: entry["count"] for entry in answer["errors"]} == Counter(map(label, failed(mine)))
    assert answer["success"] == sum(r["outcome"] == "ok" for r in mine)
    assert answer["aborted"] == sum(r["outcome"] == "aborted" for r in mine)
    newest = sorted(failed(mine), key=lambda r: -r["time_ms"])[:20]
    assert [entry["request_id"] for entry in answer["recent"]] == [r["request_id"] for r in newest]
    first = answer["recent"][0]
    shown = {"client": "client_id"}.get(peer, peer)
    assert (first["status"], first[shown], first["url"], first["error"]) == (
        *(f"{newest[0]['status']:03d}", newest[0][peer], newest[0]["path"] or "", label(newest[0])),
    )


def test_the_clients_of_an_api(fleet, requests):
    """The most frequent first, each between two bounds."""
    mine = Counter(r["client"] for r in requests if r["api"] == "core")
    answer = everywhere(fleet, "/v1/apis/core/clients?window=life&limit=5")
    ranked = sorted(mine.items(), key=lambda item: (-item[1], item[0]))
    assert [(entry["client_id"], entry["count"]) for entry in answer["clients"]] == ranked[:5]
    assert all(entry["at_least"] == entry["count"] == entry["at_most"] for entry in answer["clients"])
    assert (answer["max_unlisted"], answer["other"]) == (ranked[5][1], sum(n for _, n in ranked[5:]))


def test_calls_per_api_over_time(fleet, requests):
    """The largest APIs one by one, all others together; every request is in one of them."""
    query = "from=2026-09-19T00:00:00Z&step=day"
    answer = everywhere(fleet, f"/v1/reports/calls?{query}&limit=1")
    counts = Counter(r["api"] for r in requests)
    (largest,) = answer["apis"]
    assert (largest["api"], largest["count"]) == min(counts.items(), key=lambda item: (-item[1], item[0]))
    assert sum(largest["points"]) + sum(answer["other"]) == len(requests)
    assert len(largest["points"]) == len(answer["other"]) == len(answer["times"]) == 3

    answer = everywhere(fleet, f"/v1/reports/calls?{query}&exclude=C%3Fre&include=*e*")
    assert [entry["api"] for entry in answer["apis"]] == ["feed/v1"]
    assert not any(answer["other"])


def test_outcomes_by_api_and_error(fleet, requests):
    """Every request is in one row."""
    answer = everywhere(fleet, "/v1/reports/outcomes?window=life")
    found = {(row["api"], row["outcome"], row["error"]): row["count"] for row in answer["rows"]}
    expected = Counter()
    for r in requests:
        well = {"ok": "success"}.get(r["outcome"], r["outcome"])
        expected[r["api"], well, label(r) if r["outcome"] not in NO_FAILURE else None] += 1
    assert found == expected
    assert answer["other"] == 0
    assert everywhere(fleet, "/v1/reports/outcomes?window=life&limit=2")["other"] == len(requests) - sum(
        n for _, n in expected.most_common(2)
    )


def test_outcomes_by_status_pattern(fleet, requests):
    """Failed requests with such a status, and those with it that did not fail."""
    answer = everywhere(fleet, "/v1/reports/outcomes?window=life&include=core&status=2xx")
    mine = [r for r in requests if r["api"] == "core" and r["status"] == 200]
    rows = {(row["outcome"], row["error"]): row["count"] for row in answer["rows"]}
    assert rows.pop(("success", None)) == sum(r["outcome"] in NO_FAILURE for r in mine)
    assert rows == Counter((r["outcome"], label(r)) for r in failed(mine))


def test_requested_urls_that_matched_no_api(fleet, requests):
    """404 unless other statuses are asked for."""
    mine = Counter(r["path"] for r in requests if r["api"] == "-" and r["status"] == 404 and r["path"])
    answer = everywhere(fleet, "/v1/reports/unmatched?window=life")
    assert {entry["url"]: entry["count"] for entry in answer["urls"]} == mine
    assert all(entry["status"] == {"404": entry["count"]} for entry in answer["urls"])
    answer = everywhere(fleet, "/v1/reports/unmatched?window=life&status=*&contains=script")
    assert {entry["url"] for entry in answer["urls"]} == {"/x/<script>"}


def test_no_unmatched_request_is_an_empty_report(fleet, make_tables):
    """Nothing was ever counted there, and that is an answer."""

    async def main():
        async with fleet(2, tables=make_tables([])) as workers:
            for worker in workers:
                reply = await worker.get("/v1/reports/unmatched")
                assert (reply.status, reply.json["urls"]) == (200, [])

    asyncio.run(main())


def test_comparison_with_the_time_range_before(fleet, requests, now):
    """In a summary, a list and the totals, the member previous holds the hour before the last."""
    minute = now // 60_000 + 1
    mine = [r for r in requests if (minute - 120) * 60_000 <= r["time_ms"] < (minute - 60) * 60_000]
    totals = everywhere(fleet, "/v1/totals?window=1h&compare=previous")
    assert totals["previous"]["count"] == len(mine)
    assert totals["previous"]["to"] == totals["from"]
    listed = everywhere(fleet, "/v1/clients?window=1h&compare=previous")
    assert listed["previous"]["count"] == len(mine)
    for entry in listed["clients"]:
        assert entry["previous"]["count"] == sum(r["client"] == entry["client_id"] for r in mine)
    one = everywhere(fleet, "/v1/clients/client-3?window=1h&compare=previous")
    assert one["previous"]["count"] == sum(r["client"] == "client-3" for r in mine)
    assert one["window"]["length"] == "1h"


def test_comparison_with_any_time_range(fleet, requests, now):
    """Two windows of different length, also of all time with a part of it; each says what it covers."""
    begin, end = now // 60_000 * 60_000 - 5 * 3_600_000, now // 60_000 * 60_000 - 3_600_000
    mine = [r for r in requests if begin <= r["time_ms"] < end]
    compared = f"compare={rfc3339(begin)}/{rfc3339(end)}"
    totals = everywhere(fleet, f"/v1/totals?window=1h&{compared}")
    assert (totals["previous"]["from"], totals["previous"]["to"]) == (rfc3339(begin), rfc3339(end))
    assert totals["previous"]["count"] == len(mine)
    listed = everywhere(fleet, f"/v1/clients?window=life&{compared}")
    for entry in listed["clients"]:
        assert entry["previous"]["count"] == sum(r["client"] == entry["client_id"] for r in mine)


def test_a_time_range_between_two_times(fleet, requests, now):
    """Exact to the minute where minutes are kept."""
    begin, end = now // 60_000 * 60_000 - 5 * 3_600_000, now // 60_000 * 60_000 - 3_600_000
    mine = [r for r in requests if begin <= r["time_ms"] < end]
    answer = everywhere(fleet, f"/v1/totals?from={rfc3339(begin)}&to={rfc3339(end)}")
    assert (answer["from"], answer["to"], answer["total"]["count"]) == (rfc3339(begin), rfc3339(end), len(mine))


@pytest.mark.parametrize("query", ["prefix=client-1", "include=CLIENT-1*", "include=*&exclude=*-*&exclude=*%2F*"])
def test_lists_are_searched(fleet, requests, query):
    """By prefix or wildcard, and the total is of what was found."""
    wanted = {
        "prefix=client-1": lambda name: name.startswith("client-1"),
        "include=CLIENT-1*": lambda name: name.startswith("client-1"),
    }.get(query, lambda name: "-" not in name and "/" not in name)
    answer = everywhere(fleet, f"/v1/clients?window=life&{query}")
    names = {r["client"] for r in requests if wanted(r["client"])}
    assert {entry["client_id"] for entry in answer["clients"]} == names
    assert answer["total"]["count"] == sum(r["client"] in names for r in requests)
    assert answer["total"]["clients"] == len(names)


@pytest.mark.parametrize("sort", ["count", "errors", "bytes", "latency"])
def test_pages_put_together_are_the_whole_list(fleet, sort):
    """Asked of changing workers, page after page, while the limit changes."""

    async def main():
        async with fleet() as workers:
            whole = (await workers[0].get(f"/v1/clients?window=7d&sort={sort}&limit=1000")).json
            found, cursor, turn = [], "", 0
            while cursor is not None:
                target = f"/v1/clients?window=7d&sort={sort}&limit={3 + turn % 4}" + (cursor and f"&cursor={cursor}")
                page = (await workers[turn % 3].get(target)).json
                found += page["clients"]
                cursor, turn = page["next"], turn + 1
                assert page["total"] == whole["total"]
            assert found == whole["clients"]
            assert whole["next"] is None
            other = (
                f"/v1/apis?window=7d&sort={sort}&cursor="
                + (await workers[0].get(f"/v1/clients?window=7d&sort={sort}&limit=3")).json["next"]
            )
            assert (await workers[0].get(other)).status == 400

    asyncio.run(main())


CSV_TARGETS = {
    "/v1/clients?window=life": "client_id",
    "/v1/apis?window=life": "api",
    "/v1/totals/series?by=status": "time",
    "/v1/clients/client-3/series?by=api": "time",
    "/v1/clients/client-3/apis?window=life": "api",
    "/v1/clients/client-3/urls?window=life": "url",
    "/v1/clients/client-3/errors?window=life": "error",
    "/v1/apis/core/clients?window=life": "client_id",
    "/v1/reports/calls?window=7d": "time",
    "/v1/reports/outcomes?window=life": "api",
    "/v1/reports/unmatched?window=life": "url",
}


@pytest.mark.parametrize("target", CSV_TARGETS)
def test_lists_and_series_as_csv(fleet, target):
    """By parameter or by Accept, through every worker; no cell is a formula."""

    async def main():
        async with fleet(2) as workers:
            bodies = set()
            for worker in workers:
                for query, headers in (("&format=csv", {}), ("", {"Accept": "text/csv"})):
                    reply = await worker.get(target + query, **headers)
                    assert reply.status == 200
                    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
                    assert reply.headers["Content-Disposition"].startswith("attachment")
                    bodies.add(reply.body)
            assert (await workers[0].get(target + "&format=json", Accept="text/csv")).json["freshness"]
            (body,) = bodies
            lines = list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))
            assert lines[0][0] == CSV_TARGETS[target]
            assert len(lines) > 2
            assert {len(line) for line in lines} == {len(lines[0])}
            assert not any(cell[:1] in ("=", "+", "-", "@", "\t", "\r") for line in lines for cell in line)

    asyncio.run(main())
