"""What cells keep for reports: who failed how, which URLs and clients are the largest, and what was asked last."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.cells import (
    MAX_CLIENTS,
    MAX_PAIRS,
    MAX_RECENT,
    MAX_URLS_OF_API,
    MAX_URLS_OF_CLIENT,
    Cell,
    Failure,
    merge_cells,
)
from logrouter.core.rollup.failures import FailureKey, failure_key_of, parse_failure_key
from logrouter.core.rollup.ranked import bounds_of
from logrouter.core.rollup.sketches import coarse_bucket, coarse_value, latency_bucket, quantiles


def cells_of(*events):
    """The cells that a batch of events amounts to, by subject; all in one minute."""
    accumulator = Accumulator()
    for event in events:
        accumulator.add(**{"client": "alice", "api": "core", "time_ms": 0, "status": 200, "outcome": "ok"} | event)
    return {subject: cells[0] for subject, cells in accumulator.take()}


@pytest.mark.parametrize(("subject", "room"), [("calice", MAX_URLS_OF_CLIENT), ("acore", MAX_URLS_OF_API)])
def test_urls_are_bounded_and_within_their_bounds_through_batches_and_merges(subject, room):
    """Ten batches with a thousand URLs each, of which one is asked for all the time, and fails every fourth time."""
    truth, row = Counter(), Cell(0)
    for batch in range(10):
        paths = [f"/one-off/{batch}/{n}" for n in range(1000)] + ["/always"] * 400
        truth.update(paths)
        failed = {"status": 500, "outcome": "backend_error"}
        merge_cells(
            row, cells_of(*({"path": p} | (failed if n % 4 == 0 else {}) for n, p in enumerate(paths)))[subject]
        )
    assert len(row.url) <= room
    assert len(row.failed) <= room
    for url, n in truth.items():
        good = bounds_of(url, row.url.get(f"200{url}", 0), row.slack.url)
        bad = bounds_of(url, row.failed.get(f"500{url}", 0), row.slack.failed)
        assert good.at_least + bad.at_least <= n <= good.at_most + bad.at_most
    assert row.url["200/always"] > 2500
    assert row.failed["500/always"] > 800
    assert row.count == 14_000


def test_clients_of_an_api_are_the_most_frequent_ones():
    """A busy client among thousands of others is found, with its bounds; the cells of clients have no such list."""
    clients = [f"client-{n}" for n in range(3000)]
    events = [{"client": name} for one in clients for name in (one, "busy")]
    cells = cells_of(*events)
    core = cells["acore"]
    assert len(core.clients) <= MAX_CLIENTS
    bounds = bounds_of("busy", core.clients["busy"], core.slack.clients)
    assert bounds.at_least <= 3000 <= bounds.at_most
    assert core.slack.clients.floor * (MAX_CLIENTS + 1) <= core.count == 6000
    assert (cells["cbusy"].clients, cells["cbusy"].slack) == ({}, None)


def test_cells_of_apis_tell_backends_versions_and_latencies_by_url():
    """Those of clients don't: an API's owner asks for them."""
    cells = cells_of(
        {"path": "/a/1", "template": "/a/{id}", "backend": "192.0.2.7:80", "version": "v1", "latency_ms": 100},
        {"path": "/a/2", "template": "/a/{id}", "backend": "192.0.2.7:80", "version": "v2", "latency_ms": 101},
        {"status": 503, "outcome": "backend_error", "path": "/a/2", "template": "/a/{id}", "backend": "192.0.2.8:80"},
    )
    core, alice = cells["acore"], cells["calice"]
    assert core.parts.backend == {"200192.0.2.7:80": 2, "503192.0.2.8:80": 1}
    assert core.parts.version == {"200v1": 1, "200v2": 1}
    assert core.url == alice.url == {"200/a/{id}": 2}
    assert core.failed == alice.failed == {"503/a/{id}": 1}
    assert core.parts.url_latency == {"/a/{id}": {coarse_bucket(latency_bucket(100)): 2}}
    found = quantiles(core.parts.url_latency["/a/{id}"], (0.5, 0.95), coarse_value)
    assert found == pytest.approx([100, 100], rel=0.08)
    assert alice.parts is None
    assert core.recent[0].url == "/a/2"


def test_use_of_a_client_is_counted_by_status_and_api():
    """The pair is counted, so that a report may ask for both; a request without a status is under ---."""
    cells = cells_of({}, {"status": 404, "outcome": "not_found"}, {"api": "-", "status": None, "outcome": None}, {})
    assert cells["calice"].peer == {"200core": 2, "404core": 1, "----": 1}
    assert cells["acore"].peer == {}


def test_pairs_beyond_the_room_are_counted_together():
    """A hostile number of APIs makes no larger cell, and the sum stays right."""
    cells = cells_of(*({"api": f"api{n}"} for n in range(1000)))
    assert len(cells["calice"].peer) == MAX_PAIRS + 1
    assert cells["calice"].peer["~other"] == 1000 - MAX_PAIRS


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ({"status": 404, "outcome": "not_found"}, FailureKey("404", "not_found", "404 not_found")),
        ({"status": None, "outcome": None}, FailureKey("---", "-", "--- -")),
        (
            {"status": 401, "outcome": "auth", "error": {"code": "900901", "message": "Invalid Credentials"}},
            FailureKey("401", "auth", "900901 Invalid Credentials"),
        ),
        (
            {"status": 500, "outcome": "backend_error", "error": {"code": "E1"}},
            FailureKey("500", "backend_error", "E1"),
        ),
        (
            {"status": 500, "outcome": "backend_error", "error": {"message": "no"}},
            FailureKey("500", "backend_error", "no"),
        ),
        ({"status": 500, "outcome": "backend_error", "error": {"class": "x"}}, None),
    ],
)
def test_failed_requests_are_counted_by_what_went_wrong(event, fault):
    """The gateway's code and message where it gave one, else status and outcome."""
    for cell in cells_of(event, event).values():
        ((name, n),) = cell.error.items()
        assert n == 2
        assert parse_failure_key(name) == (fault or FailureKey("500", "backend_error", "500 backend_error"))


@pytest.mark.parametrize("outcome", ["ok", "aborted"])
def test_no_failure_without_fault(outcome):
    """A request that ended well, or that the client left, is no error and not among the recent ones."""
    assert all(not cell.error and not cell.recent for cell in cells_of({"outcome": outcome}).values())


@given(st.text(max_size=3).filter(lambda text: " " not in text), st.text(max_size=300))
def test_faults_come_apart_as_they_were_put_together(outcome, words):
    """Whatever the gateway said, status and outcome are read back, and the words as far as there is room."""
    status, found, label = parse_failure_key(failure_key_of("503", outcome, {"message": words}))
    assert (status, found) == ("503", outcome or "-")
    assert words.startswith(label) if words else label == f"503 {outcome or '-'}"


FAILED = st.builds(
    Failure, st.integers(0, 5), st.just("404not_found"), st.sampled_from("ab"), st.sampled_from(["/x", "/y"])
)


@given(st.lists(st.lists(FAILED, max_size=30), max_size=6), st.randoms(use_true_random=False))
def test_recent_failures_are_the_newest_in_any_grouping(groups, rnd):
    """The twenty newest of all, whichever cells they came in and however those are merged."""
    cells = [Cell(0, len(group), recent=sorted(group, reverse=True)[:MAX_RECENT]) for group in groups]
    expected = sorted((failure for group in groups for failure in group), reverse=True)[:MAX_RECENT]
    while len(cells) > 1:
        other = cells.pop(rnd.randrange(len(cells)))
        merge_cells(cells[rnd.randrange(len(cells))], other)
    assert (cells[0].recent if cells else []) == expected


def test_recent_failures_say_when_where_and_what():
    """The client's cell names the API, the API's cell the client; both bounded, newest first."""
    failures = [
        {"status": 500, "outcome": "backend_error", "time_ms": n, "path": "/p" * 500, "request_id": "r" * 100}
        for n in range(300)
    ]
    cells = cells_of({}, *failures)
    for subject, peer in (("calice", "core"), ("acore", "alice")):
        recent = cells[subject].recent
        assert len(recent) == MAX_RECENT
        assert all(one.ms > other.ms for one, other in pairwise(recent))
        assert recent[0] == Failure(299, "500backend_error", peer, ("/p" * 500)[:256], "r" * 64)


def test_urls_can_be_left_out():
    """Without the table of URLs neither paths nor recent failures are kept; errors are counted all the same."""
    cells = cells_of({"status": 500, "outcome": "backend_error", "path": "/x", "count_urls": False})
    assert all((cell.url, cell.recent, len(cell.error)) == ({}, [], 1) for cell in cells.values())
