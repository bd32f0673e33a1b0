"""The series of the largest clients: bounded in number, and together all requests."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.query.memory import MemoryReader, MemoryTables
from logrouter.tables.top_clients import LargestClients, read_largest
from logrouter.telemetry.metrics import TOP_CLIENTS, _TopClients

NOW = 1_790_000_000_000


def tables_of(counts):
    """Tables that have counted so many requests of each client."""
    tables, sums = MemoryTables(4), Accumulator()
    for client, count in counts.items():
        for _ in range(count):
            sums.add(client, "core", NOW, 200, "ok")
    tables.fold(sums.take())
    return tables


@given(st.dictionaries(st.text(max_size=3) | st.just("other"), st.integers(1, 1000), max_size=30), st.integers(1, 10))
def test_the_labels_add_up_to_the_total(counts, most):
    """Whatever the clients are called: at most so many and one more, each once, the rest in `other`."""
    found = LargestClients(most)
    for client, count in counts.items():
        found.add(client, count)
    published = found.counts()

    assert sum(count for _, count in published) == sum(counts.values())
    assert len({client for client, _ in published}) == len(published) <= most + 1
    named = [(client, count) for client, count in published if client != "other"]
    assert named == [(client, counts[client]) for client, _ in named]
    left_out = [count for client, count in counts.items() if client not in dict(published)]
    assert not named or max(left_out, default=0) <= named[-1][1]


def test_workers_together_publish_every_request_once():
    """Each of its own partitions; the sum over labels and workers is the number of requests."""
    counts = {f"client-{n}": n for n in range(1, 40)}
    tables = tables_of(counts)
    readers = [MemoryReader(tables, mine=frozenset({0, 1})), MemoryReader(tables, mine=frozenset({2, 3}))]
    published = [asyncio.run(read_largest(reader, 5)) for reader in readers]

    assert sum(count for part in published for _, count in part) == sum(counts.values())
    assert [len(part) for part in published] == [6, 6]
    assert all(count == counts[client] for part in published for client, count in part if client != "other")


def test_a_client_that_grows_into_the_largest_leaves_the_others():
    """Its series begins with all of its requests: hence gauges, and the sum is right before and after."""
    tables = tables_of({"a": 5, "b": 3, "c": 1})
    reader = MemoryReader(tables, mine=frozenset(range(4)))
    assert asyncio.run(read_largest(reader, 1)) == (("a", 5), ("other", 4))
    sums = Accumulator()
    for _ in range(9):
        sums.add("c", "core", NOW, 200, "ok")
    tables.fold(sums.take())
    assert asyncio.run(read_largest(reader, 1)) == (("c", 10), ("other", 8))


def test_nothing_is_published_while_the_tables_move():
    """Another worker may publish the same already."""
    tables = tables_of({"a": 5})
    assert asyncio.run(read_largest(MemoryReader(tables, mine=frozenset(range(4)), is_ready=False), 3)) == ()


def test_any_name_survives_the_exposition():
    """Quotes, line breaks and markup in a client id are data to a scraper as well."""
    names = ['a"b', "c\nd", "e\\f", "ü €", "{x=1}", "-"]
    registry = CollectorRegistry()
    _TopClients(registry).counts = tuple((name, n) for n, name in enumerate(names))
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))

    assert [sample.labels["client_id"] for family in families for sample in family.samples] == names
    assert {family.name for family in families} == {TOP_CLIENTS.name}


def test_by_default_no_client_is_a_label():
    """It has to be switched on."""
    assert TOP_CLIENTS.counts == ()
