"""Whatever stretch of time is asked for, all answers about it are about the same requests, and add up."""

import asyncio
from collections import Counter
from random import Random

import pytest

from logrouter.core.text.timestamps import rfc3339
from logrouter.query.tiers import Tier

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.fixture
def tables(make_tables, now):
    """Requests of 40 days, as many of the last hours as of the days before."""
    draw = Random(13)
    requests = [
        {
            "client": draw.choice(["one", "two"]),
            "api": draw.choice(["core", "feed", "-"]),
            "time_ms": now - int(draw.choice([HOUR, DAY, 40 * DAY]) * draw.random()),
            "status": draw.choice([200, 404, 499, 0, 503, None]),
            "outcome": draw.choice(["ok", "not_found", "aborted", "backend_error"]),
            "weight": 1.0,
            "bytes_out": draw.randrange(1000),
            "path": f"/items/{draw.randrange(30)}/{draw.choice('abc')}",
        }
        for _ in range(6000)
    ]
    return make_tables(requests)


def stretches(now, seed=1, count=40):
    """Random time ranges as parameters, with every step that is kept for them: windows, ends amid steps, and no end."""
    draw = Random(seed)
    for _ in range(count):
        length = draw.choice([HOUR, 6 * HOUR, DAY, 7 * DAY, 39 * DAY]) * draw.random() + MINUTE
        if draw.random() < 0.3:
            minutes = int(length // MINUTE) or 1
            when, begin = f"window={minutes}m", now - minutes * MINUTE
        else:
            begin = now - int(length + draw.choice([0, DAY, 3 * DAY]) * draw.random())
            when = f"from={rfc3339(begin)}"
            if draw.random() < 0.7:
                when += f"&to={rfc3339(min(begin + int(length), now))}"
        for tier, kept in ((Tier.MINUTE, DAY), (Tier.HOUR, 35 * DAY), (Tier.DAY, 400 * DAY)):
            if begin >= now - kept + HOUR and (now - begin) / (tier.value * MINUTE) < 1400:
                yield when, tier.name.lower()


def added(points, *names):
    """The sums of members of points, and of their splits."""
    by = Counter()
    for point in points:
        by.update(point["by"])
    return [sum(point[name] for point in points) for name in names], +by


def test_series_breakdowns_and_lists_of_a_stretch_add_up_to_its_figures(fleet, tables, now):
    """Requests, failures, bytes and statuses; of everything, a client and an API; and all name the same times."""

    async def main():
        async with fleet(2, tables=tables) as workers:

            async def get(path, when, **more):
                query = "&".join([when, *(f"{name}={value}" for name, value in more.items())])
                reply = await workers[0].get(f"/v1/{path}?{query}")
                assert reply.status == 200, (path, query, reply.body)
                about = reply.json["window"] if isinstance(reply.json.get("window"), dict) else reply.json
                seen.append((about["from"], about["to"]))
                return reply.json

            for when, step in stretches(now):
                seen = []
                total = (await get("totals", when))["total"]
                series = await get("totals/series", when, step=step, by="status")
                assert added(series["points"], "count", "errors") == (
                    [total["count"], total["errors"]],
                    total["status"],
                ), (when, step)
                clients, apis = await get("clients", when), await get("apis", when)
                calls = await get("reports/calls", when, step=step)
                outcomes = await get("reports/outcomes", when)
                assert {
                    sum(row["count"] for row in clients["clients"]),
                    sum(row["count"] for row in apis["apis"]),
                    sum(row["count"] for row in calls["apis"]) + sum(calls["other"]),
                    sum(row["count"] for row in outcomes["rows"]) + outcomes["other"],
                } == {total["count"]}, (when, step)
                for kind, peers in (("clients/one", "apis"), ("apis/core", "clients")):
                    figures = (await get(kind, when))["window"]
                    series = await get(f"{kind}/series", when, step=step, by="status")
                    assert added(series["points"], "count", "errors") == (
                        [figures["count"], figures["errors"]],
                        figures["status"],
                    ), (kind, when, step)
                    rows = (await get(f"{kind}/{peers}", when))[peers]
                    errors = await get(f"{kind}/errors", when)
                    urls = await get(f"{kind}/urls", when)
                    assert {
                        sum(row["count"] for row in rows),
                        sum(row["count"] for row in errors["errors"]) + errors["success"] + errors["aborted"],
                        sum(row["at_least"] for row in urls["urls"]) + urls["other"],
                    } == {figures["count"]}, (kind, when, step)
                assert len(set(seen)) == 1, (when, step, set(seen))

    asyncio.run(main())


@pytest.mark.parametrize(("hours", "compared"), [(10, True), (40, False), (80, False)])
def test_nothing_is_compared_with_a_time_in_which_counting_began(fleet, make_tables, now, hours, compared):
    """The last hours beside as many before: of the first 30 hours that are counted, the earlier ones lack requests."""
    first = now - 30 * HOUR
    began = rfc3339(first // MINUTE * MINUTE)
    tables = make_tables(
        [
            {"client": "one", "api": "core", "time_ms": first + n * HOUR, "status": 200, "outcome": "ok", "weight": 1.0}
            for n in range(30)
        ]
    )

    async def main():
        async with fleet(2, tables=tables) as workers:
            for path in ("totals", "clients/one", "apis/core"):
                answer = (await workers[0].get(f"/v1/{path}?window={hours}h&compare=previous")).json
                if compared:
                    assert answer["previous"]["count"] > 0, path
                    assert "counted_since" not in answer
                else:
                    assert (answer["previous"], answer["counted_since"]) == (None, began), path

    asyncio.run(main())
