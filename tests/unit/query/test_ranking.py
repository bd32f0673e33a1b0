"""Lists by the order of tops: the same as by a scan, or marked, with a bound that holds."""

from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query import parsing
from logrouter.query.memory import MemoryReader, MemoryTables
from logrouter.query.parameters import Sort
from logrouter.query.ranking import RANKED, Order, RankCandidate, Top, merge_orders, rank_candidates, top_buckets
from logrouter.query.reports import top_list
from logrouter.query.reports.top_list import CLIENTS, TopListBuilder, top_list_answer
from logrouter.query.reports.work import Lookup, Ranking
from logrouter.query.steps import finish
from logrouter.query.tiers import Segment, Tier

NOW = 1_790_000_000_000
NAMES = [f"client-{number}" for number in range(12)]


def test_a_top_keeps_the_largest_and_a_floor_for_the_rest():
    """Seven offers to a top with room for two: cut when it holds five, by value and then by name."""
    top = Top()
    for name, value in [("a", 1), ("b", 5), ("c", 3), ("a", 2), ("d", 3), ("e", 4), ("f", 3)]:
        top.offer(name, value, room=2)
    assert (top.values, top.floor) == ({"b": 5, "e": 4}, 3)


def test_what_somebody_can_be_worth_counts_floors_and_what_is_unflushed():
    """Two hours: who is in one top only may have had as much as the other one's floor."""
    tops = [Top({"a": 9, "b": 4}, 3), Top({"a": 7, "c": 6}, 2)]
    found = finish(rank_candidates(tops, {"b": 1, "new": 2}, limit=3))
    assert found == Order([RankCandidate(16, "a"), RankCandidate(9, "c"), RankCandidate(7, "b")], 7)
    assert finish(rank_candidates(tops, {}, limit=9)).bound == 5
    assert finish(rank_candidates(tops, {}, 9, lambda name: name > "b")) == Order([RankCandidate(9, "c")], 5)


def test_partitions_together_are_as_uncertain_as_the_worst():
    """Largest first over all of them."""
    parts = [Order([RankCandidate(5, "x"), RankCandidate(1, "y")], 1), Order([RankCandidate(4, "z")], 3)]
    assert merge_orders(parts) == Order([RankCandidate(5, "x"), RankCandidate(4, "z"), RankCandidate(1, "y")], 3)


def test_minutes_are_covered_by_their_hours():
    """00:30 to 02:10 touches three hours; wider tiers cover themselves."""
    assert list(top_buckets([Segment(Tier.MINUTE, 30, 130), Segment(Tier.DAY, 1, 3)])) == [
        *((Tier.HOUR, 0), (Tier.HOUR, 1), (Tier.HOUR, 2)),
        *((Tier.DAY, 1), (Tier.DAY, 2)),
    ]


EVENTS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 300), st.sampled_from(["ok", "backend_error"]), st.integers(0, 9)),
    max_size=120,
)
WINDOWS = st.sampled_from(["life", "30m", "2h", "2d"])


def run(report, reader):
    """Do what a report asks for, as a worker does."""
    for work in report.work():
        match work:
            case None:
                pass
            case Ranking():
                for partition in range(2):
                    work.take(finish(reader.order(partition, work.sort, work.segments, work.limit, work.wanted)))
            case Lookup():
                for name in work.names:
                    for _, row in reader.numbers(reader.partition_of(f"c{name}"), [f"c{name}"], work.segment):
                        work.add(name, row)
            case _:
                for row in reader.scan(range(2), work.kind, work.segment, work.prefix):
                    if row is not None and work.add(*row):
                        break
    return finish(report.result())


def lists(events, query, room):
    """The answer by a scan, and the one by the tops of *room* names."""
    tables, sums = MemoryTables(2), Accumulator()
    for name, minutes, outcome, size in events:
        sums.add(name, "core", NOW - minutes * 60_000, 200, outcome, bytes_out=size, latency_ms=size)
    tables.fold(sums.take())
    parsed = parsing.parse_query(CLIENTS.parameters, query, NOW)
    readers = [MemoryReader(tables, mine=frozenset({0, 1}), room=some) for some in (None, room)]
    partials = [run(TopListBuilder(SubjectKind.CLIENT, parsed), reader) for reader in readers]
    return [finish(top_list_answer(SubjectKind.CLIENT, parsed, [partial])) for partial in partials]


def worth(sort, entry):
    """What an entry is ordered by."""
    return entry["bytes"]["in"] + entry["bytes"]["out"] if sort is Sort.BYTES else entry[sort]


@given(EVENTS, st.sampled_from(RANKED), st.integers(1, 3), st.integers(1, 12), WINDOWS, st.booleans())
def test_a_list_by_order_is_the_list_by_scan_or_says_what_it_lacks(events, sort, room, limit, window, compare):
    """Its figures are right in any case; nobody who is missing exceeds the bound."""
    query = [("window", window), ("sort", sort), ("limit", str(limit))]
    query += [("compare", "previous")] if compare and window != "life" else []
    scanned, ordered = lists(events, query, room)
    assert scanned["exact"]
    whole, _ = lists(events, [*query[:2], ("limit", "12"), *query[3:]], room)
    truth = {entry["client_id"]: entry for entry in whole["clients"]}
    assert all(truth[entry["client_id"]] == entry for entry in ordered["clients"])
    unlisted = [worth(sort, truth[name]) for name in truth.keys() - {e["client_id"] for e in ordered["clients"]}]
    if ordered["exact"]:
        # Who is worth nothing is listed by a scan only.
        assert ordered["clients"] == [e for e in scanned["clients"] if e in ordered["clients"] or worth(sort, e)]
    else:
        last = min((worth(sort, entry) for entry in ordered["clients"]), default=0)
        full = len(ordered["clients"]) == limit
        assert all(value <= max(ordered["max_unlisted"], last if full else 0) for value in unlisted)


@given(EVENTS, st.sampled_from(RANKED), st.integers(1, 3), st.integers(1, 4))
def test_pages_neither_repeat_nor_contradict(events, sort, room, limit):
    """Whatever is known of the order, each page goes on behind the one before, with right figures."""
    query = [("window", "2h"), ("sort", sort), ("limit", str(limit))]
    seen, cursor = [], []
    while True:
        _, page = lists(events, query + cursor, room)
        seen += [(-worth(sort, entry), entry["client_id"]) for entry in page["clients"]]
        if page["next"] is None:
            break
        cursor = [("cursor", page["next"])]
    assert seen == sorted(set(seen))


@given(EVENTS, st.integers(1, 3))
def test_the_slowest_are_looked_for_among_the_busiest(events, room):
    """A mean has no order that tops could keep: whoever was not looked at has no more requests than is said."""
    scanned, ordered = lists(events, [("window", "life"), ("sort", "latency"), ("limit", "12")], room)
    truth = {entry["client_id"]: entry for entry in scanned["clients"]}
    assert all(truth[entry["client_id"]] == entry for entry in ordered["clients"])
    missing = [truth[name]["count"] for name in truth.keys() - {e["client_id"] for e in ordered["clients"]}]
    assert all(count <= (ordered["max_unlisted"] or 0) for count in missing)


def test_names_that_are_asked_for_are_scanned_until_they_are_too_many(monkeypatch):
    """A prefix reads its own names; past the limit on rows the order answers, filtered."""
    events = [(name, 0, "ok", 1) for name in NAMES for _ in range(3)]
    query = [("window", "life"), ("prefix", "client-1")]
    _, by_scan = lists(events, query, 1)
    monkeypatch.setattr(top_list, "MANY_ROWS", 2)
    _, by_order = lists(events, query, 1)
    assert [e["client_id"] for e in by_scan["clients"]] == ["client-1", "client-10", "client-11"]
    assert (by_scan["exact"], by_scan["total"]["clients"]) == (True, 3)
    assert {e["client_id"] for e in by_order["clients"]} < {"client-1", "client-10", "client-11"}
    assert (by_order["exact"], by_order["max_unlisted"], by_order["total"]) == (False, 3, None)
