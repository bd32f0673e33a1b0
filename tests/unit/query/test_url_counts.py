"""URLs of cells, by status: every figure lies between its bounds, and what is known otherwise makes them narrow."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.cells import Cell, merge_cells
from logrouter.core.rollup.old_cells import OldCell, upgrade_cell
from logrouter.core.templates.learning import TemplateLearner
from logrouter.query.patterns import statuses_matching
from logrouter.query.reports.url_counts import count_urls

ENDINGS = [(200, "ok")] * 40 + [(304, "ok")] * 5 + [(404, "not_found")] * 3 + [(504, "backend_error")] * 2
SPECIAL = [(200, "backend_error"), (499, "aborted"), (504, "aborted"), (None, None)]
"""A call of gRPC that failed, clients that left, and a line without a status."""


def asked(rnd, urls, skew, count):
    """Requests as (path, status, outcome): few paths are asked for often, as everywhere."""
    weights = [1 / (rank + 1) ** skew for rank in range(urls)]
    paths = rnd.choices([f"/items/by-name/{n:x}x" for n in range(urls)], weights, k=count)
    return [(path, *rnd.choice(ENDINGS if rnd.random() < 0.99 else SPECIAL)) for path in paths]


def row_of(requests, subject, parts):
    """The row that the requests amount to when they come in so many partial sums, merged by twos as tiers do."""
    cells = []
    for at in range(parts):
        sums = Accumulator()
        for path, status, outcome in requests[at::parts]:
            sums.add("alice", "core", 0, status, outcome, path=path)
        cells += dict(sums.take())[subject]
    while len(cells) > 1:
        halves = []
        for at in range(0, len(cells), 2):
            into = Cell(0)
            for cell in cells[at : at + 2]:
                merge_cells(into, cell)
            halves.append(into)
        cells = halves
    return cells[0]


@pytest.mark.parametrize("subject", ["calice", "acore"])
@pytest.mark.parametrize("skew", [0.0, 0.8, 1.3])
@pytest.mark.parametrize("parts", [1, 7, 60])
def test_every_figure_lies_between_its_bounds(subject, skew, parts):
    """752 URLs, by status and without; what has 2 % of the requests is listed, and never with less than half."""
    requests = asked(Random(f"{skew} {parts}"), 752, skew, 12_000)
    row = row_of(requests, subject, parts)
    for pattern in (None, "2xx", "404", "5xx", "504", "499", "---"):
        statuses = pattern and statuses_matching(pattern)
        truth = Counter(
            path
            for path, status, _ in requests
            if not statuses or ("---" if status is None else f"{status}") in statuses
        )
        found, max_unlisted, _ = count_urls(row, statuses, lambda _: True)
        counts = {url.template: url for url in found}
        for path, n in truth.items():
            url = counts.get(path)
            if url is None:
                assert n <= max_unlisted
            else:
                assert url.at_least <= n <= url.at_most
                assert url.count >= n / 2
            if n >= 0.02 * len(requests):
                assert url is not None
        for path, url in counts.items():
            assert url.at_least <= truth[path]


def test_failures_are_exact_while_their_urls_fit_though_others_do_not():
    """752 URLs of requests that went well take no room from the few that failed: 92 of one, by status as well."""
    requests = [(f"/u/{n % 752:x}x", 200, "ok") for n in range(8_000)] + [("/u/1x", 504, "backend_error")] * 92
    row = row_of(requests, "calice", 20)
    for statuses in (statuses_matching("504"), statuses_matching("5xx")):
        (url,), max_unlisted, _ = count_urls(row, statuses, lambda _: True)
        assert (url.template, url.at_least, url.count, url.at_most, max_unlisted) == ("/u/1x", 92, 92, 92, 0)
    assert count_urls(row, statuses_matching("404"), lambda _: True) == ([], 0, {})


def test_a_url_whose_statuses_were_not_kept_apart_bounds_those_that_are_not_listed():
    """64 URLs with five statuses each are too many names: of one, 30 requests with 204 are of any status then."""
    statuses = [201, 202, 203, 204, 206]
    requests = [(f"/u/{n:x}x", status, "ok") for n in range(64) for status in statuses]
    row = row_of([*requests, *[("/u/1x", 206, "ok")] * 90, *[("/u/1x", 204, "ok")] * 30], "calice", 1)
    found, max_unlisted, _ = count_urls(row, statuses_matching("204"), lambda _: True)
    assert [url.template for url in found if url.template == "/u/1x"] == []
    assert max_unlisted >= 31


def test_requests_of_cells_before_an_upgrade_may_be_of_any_url():
    """What an older version has forgotten is in the upper bounds, of its templates and of any other."""
    row = row_of([("/a/1", 200, "ok"), ("/b", 200, "ok")], "calice", 1)
    first = {"status": {200: 10}, "outcome": {"ok": 10}, "peer": {"200core": 10}}
    merge_cells(row, upgrade_cell(OldCell(0, 10, url={"200/a/7": 4, "200/a/8": 2}, url_error_bound=1, **first)))
    found, max_unlisted, _ = count_urls(row, None, lambda _: True)
    bounds = {url.template: (url.at_least, url.count, url.at_most) for url in found}
    assert bounds == {"/a/{id}": (6, 7, 10), "/a/1": (1, 2, 5), "/b": (1, 2, 5)}
    assert max_unlisted == 4


def test_old_requests_that_failed_against_their_status_leave_bounds_as_wide_as_they_are():
    """20 calls of gRPC failed with 200. A version that told failures by status alone has them with the others."""
    row = row_of([(f"/u/{n:x}x", 200, "ok") for n in range(60)], "calice", 1)
    first = {"status": {200: 20}, "outcome": {"backend_error": 20}, "peer": {"200core": 20}}
    old = OldCell(0, 20, url={"200/grpc": 20}, error={"200backend_error": 20}, **first)
    merge_cells(row, upgrade_cell(old))
    found, max_unlisted, _ = count_urls(row, None, lambda _: True)
    assert len(found) == 50
    assert max_unlisted >= 1


def test_paths_from_before_their_template_was_learned_are_counted_under_it():
    """128 names were names; what came later is one template, of which they are part. For one of them was no room."""
    sums = Accumulator(TemplateLearner())
    for n in range(300):
        sums.add("alice", "core", 0, 200, "ok", path=f"/users/{n:x}y/orders", latency_ms=n)
    row = dict(sums.take())["acore"][0]
    found, max_unlisted, _ = count_urls(row, None, lambda _: True)
    bounds = {url.template: (url.at_least, url.at_most) for url in found}
    assert bounds == {"/users/{value}/orders": (299, 300)}
    assert max_unlisted == 1
