"""A token for APIs reads these, and gets the very answers that it would get if there were no others."""

import asyncio
import re
from urllib.parse import quote, urlencode

import pytest

from logrouter.access.policy import Policy
from logrouter.access.rates import Rate
from logrouter.access.scopes import api_scope, client_scope
from logrouter.query.cursors import Cursor, encode_cursor, fingerprint
from logrouter.query.memory import MemoryReader, MemoryTables
from logrouter.query.reports.registry import ENDPOINTS, REPORTS
from logrouter.web import app

SHARED = "between us"
NOW = 1_790_000_000_000
HOUR = 3_600_000

OPEN = {"index", "page", "livez", "readyz", "openapi", "whoami"}
LISTS = {"clients": "client", "apis": "api", "calls": "api", "outcomes": "api"}
"""Reports over many subjects that a caller of some of them gets about those; any other is for callers of everything."""

MINE = ["pay/v1", "pay/v2", "ü €", "{api}"]
"""APIs of the caller below, by name and by pattern."""
OTHERS = ["pay", "xpay/v1", "PAY/v1", "core", "payx/v1-beta", "-", "~other"]
SCOPES = [api_scope("pay/*"), api_scope("{api}"), api_scope("ü*€"), api_scope("pay*/v1"), api_scope("pay/v2")]
CALLERS = {
    "apis": (SCOPES, set(), {*MINE, "pay/never"}),
    "one api": ([api_scope("core")], set(), {"core"}),
    "every api": ([api_scope("*")], set(), {*MINE, *OTHERS, "pay/never"} - {"-"}),
    "no api": ([api_scope("-")], set(), {"-"}),
    "both": ([*SCOPES, client_scope("core")], {"core"}, {*MINE, "pay/never"}),
    "client": ([client_scope("pay/v1")], {"pay/v1"}, set()),
    "scraper": (["metrics:read"], set(), set()),
}
"""Scopes of each caller, and which of the names it may read as clients and as APIs. Clients are called as APIs are."""
NAMES = [*MINE, *OTHERS, "pay/never"]


def routes():
    """Name and path of every route there is."""
    built = app.build_app(MemoryReader(MemoryTables(1)))
    return sorted({(route.name, route.resource.canonical) for route in built.router.routes()})


def filled(path, name):
    """A path of a route with the client or the API filled in."""
    return re.sub(r"\{\w+\}", quote(name, safe="").replace(".", "%2E"), path)


def allowed(route, path, caller, name):
    """Whether a caller may read what a route shows of the name in its path."""
    scopes, clients, apis = CALLERS[caller]
    if path.startswith("/v1/clients/{client_id}"):
        return name in clients
    if path.startswith("/v1/apis/{api}"):
        return name in apis
    if route == "metrics":
        return "metrics:read" in scopes
    return bool({"client": clients, "api": apis}[LISTS[route]]) if route in LISTS else route in OPEN


def request(api, client, hours=0, **changes):
    """A request as tables count it."""
    made = {"client": client, "api": api, "time_ms": NOW - int(hours * HOUR), "status": 200, "outcome": "ok"}
    return {**made, "weight": 1.0, "bytes_out": 10, "latency_ms": 5, "path": f"/{api}/of/{client}", **changes}


@pytest.fixture(scope="module")
def mine():
    """What was asked of the caller's APIs, by clients that ask others as well; the first request of all among it."""
    failed = {"status": 502, "outcome": "backend_error", "error": {"code": "1", "message": "Connection refused"}}
    return [
        request("pay/v1", "seen", hours=60),
        *(request(api, f"seen-{n % 3}", hours=n * 1.7, request_id=f"m-{n}") for n in range(25) for api in MINE),
        *(request(api, "pay/v1", hours=n, **failed) for n in range(5) for api in MINE),
    ]


@pytest.fixture(scope="module")
def others():
    """What was asked of other APIs, by the same clients and by hidden ones: larger and smaller figures than those."""
    return [
        *(request(api, f"hidden-{n % 40}", hours=n / 20, path=f"/hidden/{n}") for n in range(60) for api in OTHERS),
        *(request("core", "seen-1", hours=n / 10, path="/hidden/seen") for n in range(80)),
        *(request(api, "core", status=500, outcome="backend_error") for api in OTHERS),
        request("pa", "hidden"),
    ]


@pytest.fixture(scope="module")
def everything(make_tables, mine, others):
    """Tables with all requests. Nothing here changes them."""
    return make_tables([*mine, *others])


@pytest.mark.parametrize(("route", "path"), routes())
def test_every_route_for_every_combination_of_scopes(fleet, let_in, everything, mine, others, route, path):
    """Through the owner and through a stranger: what a caller may not read is 403, whether there is any or not."""
    policy, sent = let_in(**{name: scopes for name, (scopes, *_) in CALLERS.items()})
    counted = {one["api"] for one in [*mine, *others]}, {one["client"] for one in [*mine, *others]}

    def expected(caller, name):
        if path.startswith(("/internal/", "/assets/")):
            return 404
        if not allowed(route, path, caller, name):
            return 403
        kind = 0 if "{api}" in path else 1
        return 200 if "{" not in path or name in counted[kind] else 404

    async def main():
        async with fleet(2, everything, access=policy, secret=SHARED) as workers:
            for worker in workers:
                for caller, headers in sent.items():
                    for name in NAMES if "{" in path else NAMES[:1]:
                        reply = await worker.get(filled(path, name), **headers)
                        assert reply.status == expected(caller, name), (caller, name)
                        if reply.status == 403:
                            assert b"count" not in reply.body

    asyncio.run(main())


VALUES = {
    "window": ["life", "7d"],
    "compare": ["previous"],
    "sort": ["errors", "latency"],
    "limit": ["1"],
    "prefix": ["pay/v", "p", "core"],
    "include": ["*/v1", "hidden*"],
    "exclude": ["pay/v1", "zzz"],
    "contains": ["hidden", "of"],
    "status": ["5xx"],
    "by": ["status"],
    "step": ["minute", "day"],
    "partial": ["allow"],
    "format": ["csv"],
}
"""Values for parameters that reports declare."""


def questions(report):
    """Queries of a report: each parameter by itself, and cursors that a caller of everything was given."""
    known = [parameter.name for parameter in report.parameters if parameter.name in VALUES]
    pairs = [[], *([(name, value)] for name in known for value in VALUES[name])]
    if "prefix" in known:
        pairs.append([("window", "7d"), ("compare", "previous"), ("prefix", "pay"), ("include", "*v*")])
    if "cursor" in [parameter.name for parameter in report.parameters]:
        base = [("window", "life"), ("limit", "2")]
        identity = fingerprint(report.name, base)
        behind = [Cursor(30, "pay/v2"), Cursor(200, "core"), Cursor(1, "pa")]
        pairs += [[*base, ("cursor", encode_cursor(cursor, identity))] for cursor in behind]
    if "format" in known:
        pairs += [[*some, ("format", "csv")] for some in pairs[1:] if ("format", "csv") not in some]
    return [f"?{urlencode(some)}" for some in pairs]


def targets():
    """Every question about APIs that the caller may ask, and about some that it may not."""
    for report in REPORTS:
        for question in questions(report):
            if "{api}" in report.path:
                yield from (filled(report.path, name) + question for name in ("pay/v1", "{api}", "pay/never", "core"))
            else:
                yield report.path.replace("{client_id}", "seen-1") + question


async def answers(fleet, tables, policy, headers):
    """Everything that the caller can see in the answers of a fleet, by target, and what it has left to ask for."""
    found = {}
    async with fleet(2, tables, access=policy, secret=SHARED) as workers:
        for number, target in enumerate(targets()):
            reply = await workers[number % 2].get(target, **headers)
            shown = reply.body
            if "json" in reply.headers["Content-Type"]:
                freshness = reply.json.get("freshness", {"partitions": []})
                shown = {**reply.json, "freshness": [one["partition"] for one in freshness["partitions"]]}
            changing = {"Date", "Logrouter-Freshness", "Content-Length", "ETag"}
            said = sorted((name, value) for name, value in reply.headers.items() if name not in changing)
            found[target] = reply.status, shown, said, reply.headers.get("ETag")
        found["left"] = [round(worker.left("token:apis")) for worker in workers]
    return found


def test_answers_are_those_of_tables_without_the_other_apis(fleet, let_in, make_tables, everything, mine):
    """Figures, bounds, cursors, CSV, ETags, refusals, rows that are charged: nothing tells of others."""
    policy, sent = let_in(apis=SCOPES)
    policy = Policy(tokens=policy.tokens, rate=Rate(0, 1), rows=Rate(1e-9, 10**9))

    async def main():
        alone = await answers(fleet, make_tables(mine), policy, sent["apis"])
        among = await answers(fleet, everything, policy, sent["apis"])
        for target, seen in alone.items():
            assert among[target] == seen, target
        assert sum(seen[0] == 200 for seen in alone.values() if isinstance(seen, tuple)) > 100
        assert "hidden" not in str(among.values())

    asyncio.run(main())


def test_a_list_by_names_asks_the_workers_that_hold_them_and_no_other(fleet, let_in, make_tables, mine):
    """As for clients: by pattern all partitions are needed, by name those of the names."""
    policy, sent = let_in(named=[api_scope("pay/v1")], pattern=[api_scope("pay/*")])

    async def main():
        async with fleet(3, make_tables(mine), access=policy, secret=SHARED) as workers:
            owner = workers.owner("apay/v1")
            for worker in workers:
                if worker is not owner:
                    await worker.stop()
            reply = await owner.get("/v1/apis?window=life", **sent["named"])
            assert [entry["api"] for entry in reply.json["apis"]] == ["pay/v1"]
            assert (await owner.get("/v1/apis?window=life", **sent["pattern"])).status == 503

    asyncio.run(main())


def test_the_clients_of_an_api_are_listed_and_closed(fleet, let_in, everything):
    """Its callers are its developers' affair; what else these do is not."""
    policy, sent = let_in(apis=SCOPES)

    async def main():
        async with fleet(2, everything, access=policy, secret=SHARED) as (worker, _):
            reply = await worker.get("/v1/apis/pay%2Fv1/clients?window=life", **sent["apis"])
            listed = {entry["client_id"] for entry in reply.json["clients"]}
            assert listed == {"seen", "seen-0", "seen-1", "seen-2", "pay/v1"}
            for client in listed:
                for endpoint in ENDPOINTS:
                    if "{client_id}" in endpoint.path:
                        reply = await worker.get(filled(endpoint.path, client), **sent["apis"])
                        assert reply.status == 403

    asyncio.run(main())


TRICKS = [
    *("/v1/apis/core%2Fpay%2Fv1", "/v1/apis/pay", "/v1/apis/PAY%2Fv1", "/v1/apis/pay%2fv1/../../core", "/v1/apis/*"),
    *("/v1/apis/pay%2F..%2Fcore/", "/v1/apis/core?api=pay/v1", "/v1/apis/core/clients?api=pay%2Fv1", "/v1/apis/core/"),
    *("/v1/apis//pay%2Fv1", "//v1/apis/core", "/v1/apis/%63ore", "/v1/apis/core%00pay%2F", "/v1/apis/pay%252Fv1"),
    *("/v1/apis/core%2F..%2Fpay%2Fv1", "/v1/apis/./core", "/v1/apis/xpay%2Fv1", "/v1/reports/unmatched", "/v1/totals"),
    *("/v1/apis/-/urls", "/v1/apis/pay/v1", "/v1/apis/%EF%BD%90ay%2Fv1", "/V1/apis/core", "/v1/apis/pay%FFx/urls"),
    "/internal/v1/parts/apis?partitions=0,1,2,3,4,5&at=1790000000000",
    "/internal/v1/parts/calls?partitions=0,1,2,3,4,5&at=1790000000000",
]


@pytest.mark.parametrize("target", TRICKS)
def test_no_way_of_writing_the_path_leads_to_another_api(fleet, let_in, target):
    """The name that is allowed and the name that is answered are the same one, read once from the path as sent."""
    policy, sent = let_in(mine=SCOPES)

    async def main():
        async with fleet(2, access=policy, secret=SHARED) as workers:
            for worker in workers:
                for method in ("GET", "HEAD", "POST", "OPTIONS"):
                    reply = await worker.get(target, method, **sent["mine"])
                    assert reply.status in (400, 403, 404, 405)
                    assert b"lifetime" not in reply.body

    asyncio.run(main())
