"""Who called which URL: every figure lies between its bounds, however rows and shards overflow."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.cells import Cell, merge_cells
from logrouter.core.rollup.old_cells import OldCell, upgrade_cell
from logrouter.query import parsing
from logrouter.query.patterns import statuses_matching
from logrouter.query.reports.caller_counts import CallerCollector, merge_callers
from logrouter.query.reports.callers import CALLERS
from logrouter.query.reports.url_counts import count_urls
from logrouter.query.row_ranges import KEPT
from logrouter.query.steps import finish

ENDINGS = [(200, "ok")] * 40 + [(304, "ok")] * 5 + [(404, "not_found")] * 3 + [(504, "backend_error")] * 2
FRAGMENT = "0"
NOW = 1_790_000_000_000


def requests_of(rnd, clients, urls, skew, count):
    """Requests as (client, hour, path, status, outcome): few clients and few paths make most of them."""
    weights = [1 / (rank + 1) ** skew for rank in range(max(clients, urls))]
    names = rnd.choices([f"client-{n}" for n in range(clients)], weights[:clients], k=count)
    paths = rnd.choices([f"/by-name/{n:x}x" for n in range(urls)], weights[:urls], k=count)
    return [(name, rnd.randrange(6), path, *rnd.choice(ENDINGS)) for name, path in zip(names, paths, strict=True)]


def rows_of(requests):
    """(client, cell) of each client and hour, made of partial sums of some requests each, as a fold makes rows."""
    rows = {}
    for at in range(0, len(requests), 3_000):
        sums = Accumulator()
        for client, hour, path, status, outcome in requests[at : at + 3_000]:
            sums.add(client, "core", hour * 60 * 60_000, status, outcome, path=path)
        for subject, cells in sums.take():
            for cell in cells if subject.startswith("c") else ():
                merge_cells(rows.setdefault((cell.minute // 60, subject[1:]), Cell(0)), cell)
    return [(client, cell) for (_, client), cell in rows.items()]


def collected(rows, statuses, limit, room, workers=1):
    """The answer of so many workers, each of which has the rows of some clients."""
    collectors = [CallerCollector(room) for _ in range(workers)]
    for client, cell in rows:
        unassigned = 0 if cell.slack is None else cell.slack.unassigned
        found = count_urls(cell, statuses, lambda url: FRAGMENT in url)
        collectors[int(client.removeprefix("client-")) % workers].add(client, found, unassigned)
    return merge_callers([finish(collector.result(limit)) for collector in collectors], limit)


@pytest.mark.parametrize(("skew", "clients"), [(0.0, 5), (0.8, 200), (1.3, 20)])
def test_every_figure_lies_between_its_bounds(skew, clients):
    """With all callers kept, with some dropped on the way, and with a list that is cut; of one worker and of three."""
    rnd = Random(f"{skew}")
    requests = requests_of(rnd, clients, 700, skew, 6_000)
    rows = rows_of(requests)
    assert any(cell.slack is not None for _, cell in rows)
    for pattern, room, limit, workers in (
        (None, 780, 1000, 1),
        (None, 20, 1000, 3),
        (None, 4, 30, 1),
        ("404", 20, 1000, 1),
        ("5xx", 4, 30, 3),
    ):
        rnd.shuffle(rows)
        statuses = pattern and statuses_matching(pattern)
        truth = Counter(
            (client, path)
            for client, _, path, status, _ in requests
            if FRAGMENT in path and (not statuses or str(status) in statuses)
        )
        compare(collected(rows, statuses, limit, room, workers), truth, limit)


def compare(answer, truth, limit):
    """Every figure of an answer with the requests by client and path."""
    listed = {(caller.client, caller.url): caller for caller in answer.callers}
    assert len(listed) == len(answer.callers) <= limit
    for place, caller in listed.items():
        assert caller.at_least <= truth[place] <= caller.at_most, place
        assert caller.at_least <= caller.count <= caller.at_most
        assert caller.count >= truth[place] / 2
    assert all(n <= answer.max_unlisted for place, n in truth.items() if place not in listed)
    assert answer.count <= truth.total()


def test_figures_are_exact_where_everything_fits():
    """Few URLs of few clients, over several hours: by status, with what failed, largest first."""
    requests = [("client-1", hour, "/a/0x", 200, "ok") for hour in range(3)]
    requests += [("client-1", 1, "/a/0x", 504, "backend_error"), ("client-2", 2, "/b/0x", 404, "not_found")]
    requests += [("client-2", 2, "/elsewhere", 200, "ok")]
    answer = collected(rows_of(requests), None, 10, 780)
    assert [(c.client, c.url, c.count, c.at_least, c.at_most, c.failed, c.status) for c in answer.callers] == [
        ("client-1", "/a/0x", 4, 4, 4, 1, {"200": 3, "504": 1}),
        ("client-2", "/b/0x", 1, 1, 1, 1, {"404": 1}),
    ]
    assert (answer.count, answer.max_unlisted) == (5, 0)


def test_what_is_cut_off_bounds_what_is_not_listed():
    """As the largest that is cut."""
    requests = [(f"client-{n}", 0, "/a/0x", 200, "ok") for n in range(5) for _ in range(n + 1)]
    answer = collected(rows_of(requests), None, 2, 780)
    assert [(caller.client, caller.count) for caller in answer.callers] == [("client-4", 5), ("client-3", 4)]
    assert (answer.count, answer.max_unlisted) == (15, 3)


def test_requests_from_before_an_upgrade_widen_bounds_and_leave_the_count():
    """An older version has forgotten the URLs of 1,000 requests in a row: they may be of any, and prove nothing."""
    first = {"status": {200: 1_004}, "outcome": {"ok": 1_004}, "peer": {"200core": 1_004}}
    old = upgrade_cell(OldCell(0, 1_004, url={"200/a/0x": 4}, url_error_bound=1_000, **first))
    new = rows_of([("client-1", 1, "/b/0x", 200, "ok")])
    answer = collected([("client-1", old), *new], None, 10, 780)
    assert [(caller.url, caller.at_least, caller.at_most) for caller in answer.callers][-1] == ("/b/0x", 1, 1_001)
    assert answer.max_unlisted == 1_000


def test_paths_from_before_their_template_was_learned_count_the_same_in_every_row():
    """The hour that has `/u/{value}` as well adds what it counted as `/u/bob` to that of the hour before."""
    query = parsing.parse_query(CALLERS.parameters, [("window", "7d"), ("contains", "/u/")], NOW, KEPT, name="callers")
    builder = CALLERS.builder(query)
    scan = next(iter(builder.work()))
    scan.add("ann", 1, Cell(1, 3, status={200: 3}, peer={"200core": 3}, url={"200/u/bob": 3}))
    scan.add("ann", 2, Cell(2, 7, status={200: 7}, peer={"200core": 7}, url={"200/u/bob": 2, "200/u/{value}": 5}))
    found = finish(builder.result()).callers
    assert [(each.url, each.at_least, each.at_most) for each in found] == [("/u/bob", 5, 5), ("/u/{value}", 5, 5)]
