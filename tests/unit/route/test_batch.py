"""A batch: every message counted once, dead letters that tell and hide the right things, partial sums that add up."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import jsonschema
import orjson
import pytest

import logrouter
from logrouter import config
from logrouter.core import dead_letter, ids
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.core.rollup.records import decode_record
from logrouter.demo.generator import records
from logrouter.kafka.records import LOOP_HEADER
from logrouter.model import RawRecord, Reason, Rejected, Stage
from logrouter.route.batch import BatchProcessor
from tests.fake_kafka import messages
from tests.fake_kafka.messages import START

TOPIC = "rsyslog-notice"
Message = partial(messages.Message, topic=TOPIC)
DEAD_LETTER = json.loads((Path(logrouter.__file__).parent / "schemas/dead_letter/1.0.0.json").read_text())


def process(messages, table=None):
    """The output of one batch, with the shipped configuration if there is no other *table*."""
    processor = BatchProcessor(
        table or config.load(None, {}).table,
        cluster="test",
        rollup_partitions=4,
        dead_letters=DeadLetterSettings("dead", 2000),
        clock_ms=lambda: START,
    )
    return processor.process(messages)


def test_mixed_stream_is_counted_published_and_summed_exactly():
    """Over a realistic stream: read = outcomes, events = requests, and the partial sums equal a recount."""
    stream = list(records(5000, seed=3, start_ms=START, clients=40))
    output = process([Message(line, n, n // 100 % 4) for n, (line, _) in enumerate(stream)])
    truth = [t for _, t in stream if t is not None]
    sums, apis = Counter(), Counter()
    for _, value in output.rollup:
        for subject, cells in decode_record(value):
            (sums if subject[0] == "c" else apis)[subject[1:]] += sum(cell.count for cell in cells)

    assert sum(output.counts.values()) == output.read["rsyslog"][0] == 5000
    assert output.read["rsyslog"][1] == sum(len(line) for line, _ in stream)
    assert output.counts["api-gateway", "accepted", "", ""] == len(output.events) == len(truth)
    assert len(output.dead_letters) == sum(n for what, n in output.counts.items() if what[1] == "rejected") > 0
    assert sums == Counter(t.client or "-" for t in truth)
    assert apis == Counter(t.api or "-" for t in truth)


def test_tables_count_what_is_dated_ahead_when_it_is_read():
    """A row years ahead would show in no answer, and never expire; what is dated right counts as before."""
    ahead = START + 10**11
    years = [line for line, truth in records(400, seed=4, start_ms=ahead, clients=5) if truth is not None]
    now = [line for line, truth in records(400, seed=4, start_ms=START, clients=5) if truth is not None]
    stream = [Message(line, n, at=ahead + 10**6) for n, line in enumerate(years)]
    stream += [Message(line, len(years) + n) for n, line in enumerate(now)]
    output = process(stream)
    cells = [cell for _, value in output.rollup for _, each in decode_record(value) for cell in each]
    last = START + 300_000

    assert len(output.events) == len(years) + len(now) > 0
    assert max(max(cell.last_ms, cell.minute * 60_000, *(f.ms for f in cell.recent), 0) for cell in cells) <= last
    assert sum(cell.count for cell in cells) == 2 * len(output.events)


FAN_OUT = """
version: 1
sources: {s: {topics: rsyslog-notice, envelope: rsyslog, routing: all-matches}}
routes:
  - {name: all, from: s, match: {any: &ours [{program: api-gateway}, {namespace: api-gateway}], looks_like: request},
     format: envoy, to: [a, b]}
  - {name: some, from: s, match: {any: *ours, looks_like: request}, format: envoy, to: c, sample: 0.2}
  - {name: rest, from: s, match: {any: *ours, looks_like: request}, format: envoy, to: d, tables: [clients]}
"""


def test_fan_out_counts_a_record_once_and_copies_apart():
    """With several routes and outputs: first outcomes are the records read, tables count once."""
    stream = list(records(4000, seed=5, start_ms=START, clients=40))
    output = process([Message(line, n) for n, (line, _) in enumerate(stream)], config.parse(FAN_OUT.encode(), {}).table)
    requests = sum(truth is not None for _, truth in stream)
    everything = Counter(output.counts) + Counter(output.copies)
    to = Counter(topic for topic, _, _ in output.events)
    sums = Counter()
    for _, value in output.rollup:
        for subject, cells in decode_record(value):
            sums[subject[0]] += sum(cell.count for cell in cells)
    ids = [(topic, orjson.loads(value)["meta"]["id"]) for topic, value, _ in output.events]

    assert sum(output.counts.values()) == output.read["s"][0] == 4000
    assert (to["a"], to["b"], to["d"]) == (requests,) * 3
    assert 0 < to["c"] == everything["some", "accepted", "", ""] < requests / 2
    assert everything["some", "ignored", "", "sampled"] == requests - to["c"]
    assert output.counts["all", "accepted", "", ""] == everything["all", "accepted", "", ""] == requests
    assert output.copies["rest", "accepted", "", ""] == requests
    assert sums == {"c": requests, "a": requests}
    assert len(set(ids)) == len(ids)


def test_positions_are_the_offset_after_the_last_record_of_each_partition():
    """What the transaction commits covers every record read, whatever its outcome, and nothing else."""
    output = process([Message(b"x", 5, 0), Message(None, 6, 0), Message(b"y", 90, 2), Message(b"z", 7, 0)])

    assert output.positions == {(TOPIC, 0): 8, (TOPIC, 2): 91}


def test_dead_letter_is_valid_capped_and_tells_no_secret():
    """A dead letter says where and why, keeps a bounded piece of the raw bytes, and hides tokens in it."""
    bearer = "Bearer c2VjcmV0LXRva2Vu"
    raw = b'{"program":"api-gateway","a":"' + bearer.encode() + b'","b":"' + b"x" * 5000
    ((key, value, headers),) = process([Message(raw, 11, 3)]).dead_letters
    letter = orjson.loads(value)

    jsonschema.validate(letter, DEAD_LETTER)
    assert key == b"rsyslog-notice:3:11"
    assert (letter["stage"], letter["reason"]) == ("decode", "invalid_json")
    assert letter["source"] == {"topic": TOPIC, "partition": 3, "offset": 11}
    assert (letter["raw"]["bytes"], letter["raw"]["truncated"], len(letter["raw"]["text"])) == (len(raw), True, 2000)
    assert bearer not in value.decode()
    assert ("logrouter-reason", b"invalid_json") in headers


def test_dead_letter_stays_below_what_a_broker_takes():
    """Bytes that grow when written as JSON do not make a letter that the broker would refuse for ever."""
    record = RawRecord(TOPIC, 0, 0, START, b"api-gateway" + b"\0" * 600_000)
    rejected = Rejected(Stage.DECODE, Reason.INVALID_JSON)
    letter = dead_letter.encode(
        record, rejected, event_id="i", emitter="e", stream="s", max_raw_bytes=500_000, now_ms=START
    )

    assert len(letter) <= dead_letter.MAX_LETTER_BYTES
    assert orjson.loads(letter)["raw"]["truncated"]


@pytest.mark.parametrize("text", ["x", "\x01", "ü"])
def test_a_dead_letter_is_cut_to_what_its_topic_takes(text):
    """First what it shows of the record, then its words: there is always something to be read."""
    record = RawRecord("t" * 249, 2**31 - 1, 2**53 - 1, START, text.encode() * 100_000)
    rejected = Rejected(Stage.VALIDATE, Reason.SCHEMA, text * 50_000, "/" + text * 50_000, "r" * 64)

    for most in (dead_letter.MIN_LETTER_BYTES, 30_000, 100_000):
        letter = dead_letter.encode(
            *(record, rejected), event_id="i" * 64, emitter="e" * 300, stream="s" * 249, max_raw_bytes=65_536,
            now_ms=START, max_bytes=most,
        )  # fmt: skip
        assert len(letter) <= most
        jsonschema.validate(orjson.loads(letter), DEAD_LETTER)


@pytest.mark.parametrize(("limit", "published"), [(2_000, True), (300, False), (0, False)])
def test_an_event_larger_than_its_topic_takes_is_a_dead_letter_and_counted_nowhere(limit, published):
    """Key and value count. The tables do not know the request, as with any other dead letter."""
    line = next(line for line, truth in records(50, seed=3, start_ms=START) if truth is not None and truth.client)
    table = config.load(None, {}).table.limited(lambda _topic: limit)

    output = process([Message(line, 0)], table)

    assert (len(output.events), len(output.rollup) > 0, len(output.dead_letters)) == (
        (1, True, 0) if published else (0, False, 1)
    )
    if not published:
        letter = orjson.loads(output.dead_letters[0][1])
        assert (letter["stage"], letter["reason"]) == ("validate", "too_large")
        assert letter["detail"].endswith(f"at most {limit} are published")


def test_the_key_of_an_event_counts():
    """It travels with the value: together they are what a broker measures."""
    line = next(line for line, truth in records(50, seed=3, start_ms=START) if truth is not None and truth.client)
    table = config.load(None, {}).table
    ((_, value, key),) = process([Message(line, 0)], table).events
    exact = len(value) + len(key)

    assert len(process([Message(line, 0)], table.limited(lambda _topic: exact)).events) == 1
    assert len(process([Message(line, 0)], table.limited(lambda _topic: exact - 1)).events) == 0


def test_our_own_output_is_not_routed_again():
    """A record that carries our header came out of logrouter: it is counted as a loop, not routed a second time."""
    own = Message(b'{"program":"api-gateway"}', 0, headers=[(LOOP_HEADER, b"g")])

    assert process([own]).counts == {("_unmatched", "ignored", "", "loop"): 1}


class Buggy:
    """One of a route's functions, which stumbles over what names the client "boom"."""

    def __init__(self, function):
        self.is_valid = self
        self._function = function

    def __call__(self, subject):
        if "boom" in str(subject):
            raise RuntimeError("bug")
        return self._function(subject)


@pytest.mark.parametrize("block_size", [1, 2, 64])
@pytest.mark.parametrize("stage", ["decode", "select", "parse", "client_id", "validator"])
def test_bug_of_ours_costs_one_record_not_the_lane(stage, block_size):
    """An exception in any stage is counted as internal, its record kept as a dead letter, the others are routed."""
    lines = [
        b'{"program":"api-gateway","message":"{\\"meta\\":{\\"uri\\":\\"/a\\"},\\"http\\":{\\"method\\":\\"GET\\",'
        b'\\"status_code\\":200},\\"client_id\\":\\"%b\\"}"}' % client
        for client in (b"one", b"boom", b"two", b"three")
    ]
    processor = BatchProcessor(
        config.load(None, {}).table,
        cluster="test",
        rollup_partitions=4,
        dead_letters=DeadLetterSettings("dead", 2000),
        clock_ms=lambda: START,
        block_size=block_size,
    )
    source = processor.source_of(TOPIC)
    (route,) = source.routes
    if stage == "decode":
        source = replace(source, decode=Buggy(source.decode))
    elif stage == "validator":
        source = replace(source, routes=(replace(route, validator=Buggy(route.validator.is_valid)),))
    else:
        source = replace(source, routes=(replace(route, **{stage: Buggy(getattr(route, stage))}),))
    processor._sources[TOPIC] = source
    output = processor.process([Message(line, n) for n, line in enumerate(lines)])
    ((key, letter, _),) = output.dead_letters

    assert output.counts == {
        ("api-gateway", "accepted", "", ""): 3,
        ("_unmatched", "rejected", "parse", "internal"): 1,
    }
    assert [orjson.loads(value)["client_id"] for _, value, _ in output.events] == ["one", "two", "three"]
    assert (key, orjson.loads(letter)["detail"]) == (b"rsyslog-notice:0:1", "RuntimeError")


def test_a_record_that_packs_lines_counts_once_and_its_other_lines_as_copies():
    """Counts add up to the records read, with the copies to the lines; one bad line is one dead letter, shown alone."""
    text = "version: 1\nsources: {s: {topics: t, envelope: cloudwatch}}\n"
    text += "routes: [{name: aws, from: s, format: aws_json, to: clean}]\n"
    good = '{"requestId":"r-1","httpMethod":"GET","status":"200","apiKeyId":"k-1"}'
    bad = '{"requestId":"r-2","cookie":"a=b; c=d'
    events = [{"id": str(n), "timestamp": START, "message": line} for n, line in enumerate([good, "text", bad, good])]
    value = gzip.compress(orjson.dumps({"messageType": "DATA_MESSAGE", "logGroup": "/g", "logEvents": events}))
    output = process([Message(value, 7, topic="t")], config.parse(text.encode(), {}).table)
    ((key, letter, _),) = output.dead_letters
    letter = orjson.loads(letter)

    assert output.counts == {("aws", "accepted", "", ""): 1}
    assert output.copies == {
        ("aws", "ignored", "", "not_request"): 1,
        ("aws", "rejected", "parse", "truncated"): 1,
        ("aws", "accepted", "", ""): 1,
    }
    assert len(output.events) == 2
    assert (key, letter["meta"]["id"]) == (b"t:0:7", ids.for_partition("test", "t", 0)(7, 2))
    assert letter["raw"]["text"] == '{"requestId":"r-2","cookie":"REDACTED'
    assert letter["raw"]["bytes"] == len(bad)


def test_a_dead_letter_of_encoded_bytes_shows_none_of_them():
    """They are counted, and the key leads to them."""
    text = "version: 1\nsources: {s: {topics: t, envelope: cloudwatch}}\n"
    text += "routes: [{name: aws, from: s, format: aws_json, to: clean}]\n"
    value = gzip.compress(b"authorization: s3cret" * 9)[:-9]
    ((_, letter, _),) = process([Message(value, 7, topic="t")], config.parse(text.encode(), {}).table).dead_letters
    letter = orjson.loads(letter)

    assert letter["reason"] == "bad_compression"
    assert letter["raw"] == {"bytes": len(value), "truncated": True, "encoding": "utf-8", "text": ""}
    jsonschema.validate(letter, DEAD_LETTER)


def test_a_bug_shows_no_encoded_bytes():
    """What a bug of ours stumbles over is a dead letter without the bytes that no eye could look through."""
    text = "version: 1\nsources: {s: {topics: t, envelope: cloudwatch}}\n"
    text += "routes: [{name: aws, from: s, format: aws_json, to: clean}]\n"
    table = config.parse(text.encode(), {}).table
    (source,) = table.sources

    def broken(_value):
        raise RuntimeError("bug")

    value = gzip.compress(b"authorization: s3cret")
    output = process([Message(value, 7, topic="t")], replace(table, sources=(replace(source, decode=broken),)))
    ((_, letter, _),) = output.dead_letters
    letter = orjson.loads(letter)

    assert letter["reason"] == "internal"
    assert letter["raw"] == {"bytes": len(value), "truncated": True, "encoding": "utf-8", "text": ""}
