"""The comparison of two route tables over the same records."""

from __future__ import annotations

from itertools import count

import orjson
import pytest

from logrouter import config
from logrouter.core.dryrun.effects import Effect
from logrouter.core.dryrun.event_diff import Change, diff_events
from logrouter.core.dryrun.plan import CHUNK, Comparison, Side, compare_tables
from logrouter.model import RawRecord

NOW = 1_777_888_800_000
TOPIC = "rsyslog-notice"
ROUTE = "- {name: gateway, from: rsyslog, match: {program: api-gateway, looks_like: request}, format: envoy, to: clean"


def table(*routes: str):
    """A table of these routes, each in flow style without its closing brace."""
    lines = "\n".join(f"  {route}}}" for route in routes)
    text = f"version: 1\nsources: {{rsyslog: {{topics: [{TOPIC}], envelope: rsyslog}}}}\nroutes:\n{lines}\n"
    return config.parse(text.encode(), {}).table


def line(program: str = "api-gateway", **request: object) -> bytes:
    """A request as rsyslog writes it."""
    inner = {
        "meta": {"uri": "/core/v1/page", "dt": "2026-05-04T09:59:58Z"},
        "http": {"method": "GET", "status_code": 200, "request_headers": {"user-agent": "curl/8", "x-user-id": "u1"}},
        "client_id": "c1",
        "route": "core",
    }
    message = orjson.dumps(inner | request).decode()
    return orjson.dumps({"host": "gw1", "program": program, "message": message})


def compared(old, new, *values: bytes | None, samples: int = 3):
    """Both tables over records with these values."""
    comparison = Comparison(samples)
    records = [RawRecord(TOPIC, 0, offset, NOW, value) for offset, value in enumerate(values)]
    ticks = count()
    compare_tables(records, Side(old, "c"), Side(new, "c"), comparison, now_ms=NOW, clock=lambda: float(next(ticks)))
    return comparison


@pytest.mark.parametrize(
    ("new", "value", "expected"),
    [
        (ROUTE, line(), {}),
        (ROUTE, line("sshd"), {}),
        (ROUTE.replace("api-gateway,", "gateway,"), line(), {"lost": 1}),
        (ROUTE.replace("api-gateway,", "sshd,"), line("sshd"), {"gained": 1}),
        (ROUTE.replace(", looks_like: request", ""), line("sshd"), {}),
        (ROUTE.replace("to: clean", "to: other"), line(), {"moved": 1, "changed": 1}),
        (ROUTE + ", enrich: {client_id: x-user-id}", line(), {"rekeyed": 1, "changed": 1}),
        (ROUTE + ", request_headers: []", line(), {"changed": 1}),
        (ROUTE.replace("name: gateway", "name: other"), line(), {"relabelled": 1}),
        (ROUTE.replace("api-gateway,", "sshd,"), line(client_id="c1", total_time_ms="x"), {"mended": 1}),
        (ROUTE.replace("api-gateway,", "[api-gateway, sshd],"), line("sshd", total_time_ms="x"), {"rejected": 1}),
    ],
)
def test_effects_of_a_change(new, value, expected):
    """Every way in which a record may fare differently is named, and nothing else is."""
    comparison = compared(table(ROUTE), table(new), value)

    assert comparison.effects == {Effect(name): number for name, number in expected.items()}
    assert comparison.differs == bool(expected)
    assert comparison.loses == bool({"lost", "rejected"} & expected.keys())
    assert len(comparison.samples) == bool(expected)


def test_tallies_by_route():
    """Each table's outcomes, bytes, schema failures and distinct names are counted by route."""
    values = [line(), line(client_id="c2"), line(total_time_ms="x"), line("sshd"), b"", None]
    tally = compared(table(ROUTE), table(ROUTE), *values).old

    gateway, unmatched = tally.routes["gateway"], tally.routes["_unmatched"]
    assert (gateway.accepted, gateway.rejected, gateway.schema_failures) == (2, 1, 1)
    assert gateway.bytes_in == sum(len(value) for value in values[:3])
    assert gateway.bytes_out > 0
    assert (unmatched.ignored, unmatched.bytes_in) == (3, len(values[3]))
    assert {kind: len(names) for kind, names in tally.names.items()} == {
        "routes": 2,
        "reasons": 4,
        "topics": 1,
        "apis": 1,
        "clients": 2,
    }


def test_new_rejections_are_counted_by_reason_and_pointer():
    """What becomes a dead letter only now is told with its reason and the place in the event."""
    new = ROUTE.replace("api-gateway,", "[api-gateway, sshd],")
    comparison = compared(table(ROUTE), table(new), *[line("sshd", total_time_ms="x")] * 4, line(total_time_ms="x"))

    assert dict(comparison.rejections) == {("gateway", "validate", "schema", "/total_time_ms"): 4}


def test_samples_show_what_changed():
    """The first records of each effect are kept, with both ends and every member that differs."""
    comparison = compared(table(ROUTE), table(ROUTE + ", enrich: {client_id: x-user-id}"), *[line()] * 5, samples=2)

    assert [sample.place for sample in comparison.samples] == [f"{TOPIC}:0:0", f"{TOPIC}:0:1"]
    sample = comparison.samples[0]
    assert (sample.effect, sample.old, sample.new) == (
        Effect.REKEYED,
        "accepted by gateway for clean",
        "accepted by gateway for clean",
    )
    assert sample.changes == (Change("/client_id", "c1", "u1"), Change("key", "c1", "u1"))


def test_topic_that_one_table_does_not_read():
    """A record of a topic that a table has no source for is ignored by it; so is an output of ours come back."""
    side = Side(table(ROUTE), "c", loop_header="ours")
    foreign = RawRecord("elsewhere", 0, 0, NOW, line())
    looped = RawRecord(TOPIC, 0, 0, NOW, line(), (("ours", b"1"),))

    assert [one.describe() for one in side.outcomes(foreign, NOW)] == ["ignored by _unmatched (unmatched)"]
    assert [one.describe() for one in side.outcomes(looped, NOW)] == ["ignored by _unmatched (loop)"]


def test_timing_is_by_turns_and_leaves_the_first_chunk_out():
    """Who goes first changes with each chunk; the chunk that fills the caches is not counted."""
    order = []

    class Told(Side):
        def outcomes(self, record, now_ms):
            if record.offset % CHUNK == 0:
                order.append(self)
            return super().outcomes(record, now_ms)

    old, new = Told(table(ROUTE), "c"), Told(table(ROUTE), "c")
    records = [RawRecord(TOPIC, 0, offset, NOW, b"") for offset in range(CHUNK * 2 + 1)]
    ticks = count()
    timing = compare_tables(records, old, new, Comparison(), now_ms=NOW, clock=lambda: float(next(ticks)))

    assert order == [new, old, old, new, new, old]
    assert (timing.records, timing.old, timing.new) == (CHUNK + 1, 2.0, 2.0)
    assert timing.us_per_record() == pytest.approx((2e6 / (CHUNK + 1),) * 2)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, [("/a", 1, 1.0)]),
        ({"a": {"b/c": 1}}, {"a": {}}, [("/a/b~1c", 1, None)]),
        ({}, {"a": [1]}, [("/a", None, [1])]),
        ({"a": "x" * 300}, {}, [("/a", "x" * 200 + "…", None)]),
    ],
)
def test_changes_by_pointer(old, new, expected):
    """Members that differ are told by JSON pointer with both values, absent ones as None."""
    assert diff_events(old, new) == expected


def test_changes_are_bounded():
    """Of events that have nothing in common, twenty members are enough."""
    assert len(diff_events({str(n): n for n in range(100)}, {})) == 20
