"""Two real workers that let in callers: what a token allows is the same through both, and by the hop between them."""

from __future__ import annotations

import time

import pytest

from logrouter.access import hops
from logrouter.access.scopes import Via, api_scope, client_scope, make_caller
from logrouter.access.tokens import make_token
from logrouter.query.endpoints import Reach
from logrouter.query.reports.registry import ENDPOINTS

pytestmark = pytest.mark.broker

SECRET = "a secret between two workers"  # noqa: S105 - of this test
ALL, ONE, SOME = (make_token(name.ljust(32)) for name in (b"all", b"one", b"some"))
MINE, OTHER = "client1", "client2"
OF_CLIENT = [endpoint.path for endpoint in ENDPOINTS if "{client_id}" in endpoint.path]
OF_API = [endpoint.path for endpoint in ENDPOINTS if "{api}" in endpoint.path]
OF_ALL = [e.path for e in ENDPOINTS if e.reach is not Reach.NOBODY and "{client_id}" not in e.path]


def bearer(token):
    """The header that a caller sends."""
    return {"Authorization": f"Bearer {token}"}


def signed(path, secret, scopes):
    """The headers of a hop that asks for *path* in the name of a caller with these scopes."""
    return hops.sign_hop(secret.encode(), "GET", path, make_caller("x", Via.HOP, scopes), time.time_ns() // 1_000_000)


def test_a_token_reads_what_it_names_through_both_workers_and_nothing_else(lane, eventually):
    """Its own path, its line of the list, no other client, no totals; not in the name of a worker either."""
    access = {"secret": SECRET, "tokens": {ALL: ["usage:read"], ONE: [client_scope(MINE)], SOME: [api_scope("fe*")]}}
    workers = [lane.worker(name, **access) for name in ("a", "b")]
    lane.feed(4)

    def shared():
        held = [worker.get("/readyz") for worker in workers]
        return all(status == 200 and len(body["partitions"]) == 2 for status, body in held)

    eventually(shared, message="both workers hold half of the partitions")
    eventually(lane.caught_up, message="caught up")

    for worker in workers:
        for path in OF_CLIENT:
            assert worker.get(path.format(client_id=MINE), **bearer(ONE))[0] == 200
            assert worker.get(path.format(client_id=OTHER), **bearer(ONE))[0] == 403
            assert worker.get(path.format(client_id=OTHER), **bearer(ALL))[0] == 200
            assert worker.get(path.format(client_id=MINE))[0] == 401
        for path in OF_ALL:
            status, body = worker.get(path.format(api="core"), **bearer(ONE))
            assert (path, status) == (path, 200 if path == "/v1/clients" else 403)
            if status == 200:
                assert [entry["client_id"] for entry in body["clients"]] == [MINE]
                assert body["total"]["count"] == body["clients"][0]["count"] == lane.expected_lifetimes()[MINE]
        _, page = worker.get("/v1/clients?limit=1&sort=bytes", **bearer(ALL))
        _, rest = worker.get(f"/v1/clients?limit=1&sort=bytes&cursor={page['next']}", **bearer(ONE))
        assert {entry["client_id"] for entry in rest["clients"]} <= {MINE}
        _, lines = worker.get("/v1/clients?format=csv", **bearer(ONE))
        assert [line.split(",")[0] for line in lines.splitlines()] == ["client_id", MINE]

        for path in OF_API:
            assert worker.get(path.format(api="feed"), **bearer(SOME))[0] == 200
            assert worker.get(path.format(api="core"), **bearer(SOME))[0] == 403
        for path in OF_CLIENT:
            assert worker.get(path.format(client_id=MINE), **bearer(SOME))[0] == 403
        _, whole = worker.get("/v1/apis?window=life", **bearer(ALL))
        _, some = worker.get("/v1/apis?window=life", **bearer(SOME))
        assert some["apis"] == [entry for entry in whole["apis"] if entry["api"] == "feed"]
        assert (some["total"]["apis"], some["total"]["count"]) == (1, some["apis"][0]["count"])

        part = f"/internal/v1/parts/clients?at={time.time_ns() // 1_000_000}&partitions=0,1,2,3"
        other = f"/v1/clients/{OTHER}"
        assert worker.get(part, **bearer(ALL))[0] == 404
        assert worker.get(part, **signed(part, "another secret altogether", ["admin"]))[0] == 403
        assert worker.get(other, **signed(other, "another secret altogether", ["admin"]))[0] == 403
        assert worker.get(other, **signed(other, SECRET, [client_scope(MINE)]))[0] == 403
        assert worker.get(other, **signed(f"/v1/clients/{MINE}", SECRET, ["admin"]))[0] == 403

    answered = {
        worker.get(f"/v1/clients/{MINE}", **bearer(ONE))[1]["freshness"]["partitions"][0]["answered_by"]
        for worker in workers
    }
    assert len(answered) == 1, "one of the two has asked the other"
    assert all(f"who=caller-{n}" in "".join(worker.text() for worker in workers) for n in (0, 1, 2))
    assert not any(secret in worker.text() for worker in workers for secret in (ALL, ONE, SOME, SECRET))
