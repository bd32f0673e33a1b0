"""A credential that a caller sends, in whatever place, is neither in the answer nor in the log."""

from __future__ import annotations

import asyncio
import logging

import pytest

MARK = "Q7x0042Zk9w"


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (f"/v1/clients?access_token={MARK}", {}),
        (f"/v1/clients?token={MARK}&window=x", {}),
        ("/v1/clients", {"Authorization": f"Bearer {MARK}"}),
        ("/v1/clients", {"Authorization": f"Basic {MARK}=="}),
        ("/v1/clients/client-1", {"Authorization": f"Bearer eyJhbGciOiJIUzI1NiJ9.eyJ{MARK}.{MARK}"}),
        ("/v1/clients", {"Cookie": f"session={MARK}", "X-Api-Key": MARK}),
        ("/nope", {"Authorization": f"Bearer {MARK}", "User-Agent": f"curl Bearer {MARK}"}),
        (f"/nope?password={MARK}", {}),
        ("/metrics", {"Authorization": f"Bearer {MARK}"}),
    ],
)
def test_no_answer_and_no_log_repeats_a_credential(fleet, let_in, caplog, target, headers):
    """Of callers who are let in by their token only, and so refused, and of those that anybody is."""
    caplog.set_level(logging.DEBUG)
    policy, _ = let_in(ann=["usage:read"])

    async def main():
        for options in ({}, {"access": policy}):
            async with fleet(1, **options) as (worker,):
                reply = await worker.get(target, **headers)
                assert MARK.encode() not in reply.body
                assert MARK not in str(reply.headers)

    asyncio.run(main())
    logged = "".join(f"{record.getMessage()} {getattr(record, 'fields', '')}" for record in caplog.records)
    assert caplog.records  # the audit tells of every request
    assert MARK not in logged
