"""How many records go through the stages together is a matter of speed alone."""

from __future__ import annotations

import gzip
from random import Random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logrouter import config
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.core.pipeline import process_block
from logrouter.demo.generator import records
from logrouter.kafka.records import LOOP_HEADER
from logrouter.route import batch
from logrouter.route.batch import BatchProcessor
from tests.conftest import examples
from tests.fake_kafka.messages import START, Message

REQUEST = b'{"meta":{"uri":"/a/b"},"http":{"method":"GET","status_code":200},"client_id":"c"}'
OPENING, CLOSING = (
    b'2026-05-04T10:00:01.000+0000 [][]{D_APIAccessLog.AccessLogWriter}[] INFO  Event="%b", MessageID="urn:uuid:%b", '
    b'ResponseTo="urn:uuid:r", API="jo--Tides:v1.0", RequestInURL="/tides", RequestInMethod="GET", StatusCode="200"'
    % named
    for named in ((b"INCOMING_REQUEST", b"r"), (b"REQUEST_COMPLETE", b"c"))
)


def packed(*lines: bytes) -> bytes:
    """A record that packs lines, as CloudWatch sends them."""
    events = [{"id": "1", "timestamp": START, "message": line.decode()} for line in lines]
    return gzip.compress(orjson.dumps({"messageType": "DATA_MESSAGE", "logGroup": "/g", "logEvents": events}))


def piece(tag: bytes, text: bytes) -> bytes:
    """A line of a container, whole (F) or a piece (P)."""
    return b"2026-05-04T10:00:00.1Z stdout " + tag + b" " + text


CONFIG = """
version: 1
sources: {s: {topics: logs, envelope: %s}}
routes:
%s
"""
ENVOY = "from: s, match: {looks_like: request}, format: envoy"
MIXES = {
    "mixed stream": (
        "rsyslog",
        "  - {name: a, from: s, match: {program: api-gateway, looks_like: request}, format: envoy, to: clean}",
        [line for line, _ in records(150, seed=1, start_ms=START, clients=9)],
    ),
    "several routes, sampled and limited": (
        "plain, routing: all-matches",
        f"""  - {{name: a, {ENVOY}, to: a, sample: 0.5}}
  - {{name: b, {ENVOY}, to: b, rate_limit: {{events_per_second: 1, burst: 5}}}}
  - {{name: c, {ENVOY}, to: [c, d]}}""",
        [REQUEST, REQUEST.replace(b"200", b'"200"'), REQUEST[:-9], b"text", b"{}"],
    ),
    "limited, else the next route": (
        "plain",
        f"""  - {{name: a, {ENVOY}, to: a, request: {{path: /a/b}}, rate_limit: {{events_per_second: 1, burst: 3}}}}
  - {{name: b, {ENVOY}, to: b, rate_limit: {{events_per_second: 1, burst: 5}}}}""",
        [REQUEST, REQUEST.replace(b"/b", b"/c"), b"text"],
    ),
    "packed lines": (
        "cloudwatch, routing: all-matches",
        f"  - {{name: a, {ENVOY}, to: a}}\n  - {{name: b, {ENVOY}, to: b}}",
        [packed(), packed(REQUEST), packed(*[REQUEST, b"text", REQUEST[:-9]] * 8), b"none"],
    ),
    "cut lines": (
        "cri, join_partial: {max_bytes: 1024, max_wait_seconds: 2}",
        f"  - {{name: a, {ENVOY}, to: a}}",
        [piece(b"F", REQUEST), piece(b"P", REQUEST[:30]), piece(b"F", REQUEST[30:]), piece(b"P", b"x" * 600)],
    ),
    "paired lines": (
        "plain",
        "  - {name: a, from: s, match: {looks_like: request}, format: wso2_access, pair: 60, to: a, sample: 0.5}",
        [OPENING, CLOSING, OPENING.replace(b":r", b":q"), CLOSING.replace(b":r", b":q"), b"text"],
    ),
}


@pytest.mark.parametrize(
    ("mix", "value", "most"),
    [
        ("mixed stream", b"api-gateway" + b"x" * 400_000, 3),
        ("cut lines", piece(b"F", b"x" * 300_000), 4),
        ("packed lines", packed(REQUEST), 1),
        ("paired lines", CLOSING, 64),
    ],
)
def test_what_is_decoded_at_once_is_bounded(monkeypatch, mix, value, most):
    """Few large records, one that may unpack to anything, and else as many as a block has."""
    sizes = []

    def noted(block, now_ms, block_size):
        sizes.append(len(block))
        process_block(block, now_ms, block_size)

    monkeypatch.setattr(batch, "process_block", noted)
    processor(mix, 64).process([Message(value, offset) for offset in range(130)])

    assert max(sizes) == most
    assert sum(sizes) == 130


KINDS = ["usual"] * 8 + ["cut short", "no value", "ours"]


def processor(mix: str, block_size: int) -> BatchProcessor:
    """One that begins anew with the configuration of a mix."""
    envelope, routes, _ = MIXES[mix]
    return BatchProcessor(
        config.parse((CONFIG % (envelope, routes)).encode(), {}).table,
        cluster="test",
        rollup_partitions=2,
        dead_letters=DeadLetterSettings("dead", 500),
        clock_ms=lambda: START,
        pairing_partitions=2,
        block_size=block_size,
    )


@pytest.mark.parametrize(
    ("mix", "expected"),
    [
        ("mixed stream", {"accepted", "unmatched", "not_request", "invalid_json"}),
        ("several routes, sampled and limited", {"accepted", "sampled", "rate_limited", "schema", "truncated"}),
        ("limited, else the next route", {"accepted", "rate_limited", "not_request"}),
        ("packed lines", {"accepted", "not_request", "truncated", "empty"}),
        ("cut lines", {"accepted", "partial"}),
        ("paired lines", {"held", "sampled", "not_request"}),
    ],
)
def test_every_mix_has_what_it_is_for(mix, expected):
    """Nothing below is the same only because nothing comes of it."""
    lines = MIXES[mix][2] * 20
    output = processor(mix, 7).process([Message(line, offset) for offset, line in enumerate(lines)])
    found = {reason or outcome for _, outcome, _, reason in [*output.counts, *output.copies]}

    assert expected <= found


@pytest.mark.parametrize("mix", MIXES)
@settings(max_examples=examples(25), deadline=None)
@given(block_size=st.integers(1, 100), count=st.integers(1, 200), seed=st.integers(0, 2**32))
def test_the_size_of_a_block_changes_nothing(mix, block_size, count, seed):
    """Whatever is mixed: events, dead letters, partial sums and counts are those of one record at a time, in order."""
    drawn = Random(seed)
    messages = [
        Message(
            None if kind == "no value" else drawn.choice(MIXES[mix][2])[: 40 if kind == "cut short" else None],
            offset,
            drawn.randrange(2),
            headers=[(LOOP_HEADER, b"g")] if kind == "ours" else None,
            at=START + drawn.randrange(3000),
        )
        for offset, kind in enumerate(drawn.choices(KINDS, k=count))
    ]
    one_by_one, together = processor(mix, 1), processor(mix, block_size)
    half = len(messages) // 2

    for part in (messages[:half], messages[half:]):
        assert together.process(part) == one_by_one.process(part)
