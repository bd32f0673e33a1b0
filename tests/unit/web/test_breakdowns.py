"""What an API's requests went to: backends by instance or group, and versions, by status."""

import asyncio

import pytest


def request(now, status, **more):
    """One request of the API core."""
    outcome = "ok" if status < 400 else "backend_error"
    return {
        "client": "one", "api": "core", "time_ms": now, "status": status, "outcome": outcome, "weight": 1.0, **more
    }  # fmt: skip


@pytest.fixture
def tables(make_tables, now):
    """Two backends, of which one answers nothing but 503, and requests of which neither is known."""
    alive, dead = "192.0.2.7:8080", "192.0.2.8:8080"
    return make_tables(
        [
            *(request(now, 200, backend=alive, version="v1") for _ in range(4)),
            request(now, 503, backend=alive, version="v2"),
            *(request(now, 503, backend=dead, version="v2") for _ in range(3)),
            *(request(now, 200) for _ in range(2)),
        ]
    )


def asked(fleet, tables, path):
    """The answer to a question about the API."""

    async def main():
        async with fleet(2, tables=tables) as workers:
            reply = await workers[0].get(f"/v1/apis/core/{path}")
            assert reply.status == 200, reply.body
            return reply

    return asyncio.run(main())


def test_a_dead_backend_has_a_name(fleet, tables):
    """All that went to it failed; requests whose lines say no backend are counted as unknown."""
    answer = asked(fleet, tables, "backends").json

    assert [(row["backend"], row["count"], row["errors"], row["status"]) for row in answer["backends"]] == [
        ("192.0.2.7:8080", 5, 1, {"200": 4, "503": 1}),
        ("192.0.2.8:8080", 3, 3, {"503": 3}),
    ]
    assert (answer["other"], answer["unknown"]) == (0, 2)


def test_versions_are_filtered_by_name_and_status(fleet, tables):
    """As the APIs of a client are; and as CSV."""
    answer = asked(fleet, tables, "versions?include=V*&status=5xx").json

    assert [(row["version"], row["count"]) for row in answer["versions"]] == [("v2", 4)]
    assert asked(fleet, tables, "backends?format=csv").body.decode().splitlines()[1].startswith("192.0.2.7:8080,5,1,")
