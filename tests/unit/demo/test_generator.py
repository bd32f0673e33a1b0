"""The made-up stream is realistic, repeatable, and tells the truth about itself."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from itertools import islice

import pytest

from logrouter.demo import generator, vocabulary
from logrouter.demo.templates import GENERATIONS, SHAPES, compile_template, envelope, escape, request

START = 1_750_000_000_000


def application_line(line: bytes) -> dict:
    """The gateway's own object in an envelope of any shape."""
    outer = json.loads(line)
    text = outer.get("log") or outer.get("msg", "").partition(" F ")[2] or outer["message"]
    return json.loads(text)


def flat(document: dict, prefix: str = "") -> dict:
    """Nested or dotted alike, by dotted name."""
    found = {}
    for name, value in document.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def test_same_seed_same_stream():
    """A seed names one stream, and a longer one begins with the shorter one."""
    first = list(generator.records(3000, seed=7))
    assert first == list(islice(generator.records(6000, seed=7), 3000))
    assert first != list(generator.records(3000, seed=8))
    assert [line for line, _ in first] == list(generator.lines(3000, seed=7))


def test_truth_is_what_the_line_says():
    """Number, client, API, status and time of each request are those that its own JSON states."""
    numbers = []
    for line, truth in generator.records(4000, start_ms=START):
        if truth is None:
            continue
        said = flat(application_line(line))
        assert (said.get("client_id") or said.get("jwt_cid")) == truth.client
        assert said.get("route") == truth.api
        assert said.get("http.status_code", said.get("resp_code")) == truth.status
        time = datetime.fromisoformat(said.get("meta.dt") or said["start_time"])
        assert int(time.timestamp() * 1000) == truth.time_ms
        number = generator.request_number(said.get("meta.request_id") or said["req_request_id"])
        assert number == truth.number
        numbers.append(number)
    assert numbers == list(range(len(numbers)))


def test_mixture_has_the_stated_shares():
    """About a fifth are requests, some of them anonymous, about one in a hundred broken; lines of about 570 bytes."""
    found = list(generator.records(20_000))
    requests = [truth for _, truth in found if truth]
    assert 0.18 < len(requests) / len(found) < 0.22
    assert 0.10 < sum(truth.client is None for truth in requests) / len(requests) < 0.20
    assert 540 < sum(len(line) for line, _ in found) / len(found) < 610
    assert {truth.status for truth in requests} == set(vocabulary.STATUSES)
    assert {truth.api for truth in requests} == {*vocabulary.APIS, None}
    assert 0.005 < sum(broken(line) for line, _ in found) / len(found) < 0.02


def broken(line: bytes) -> bool:
    """Whether the envelope is no JSON."""
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


def test_requests_are_never_broken():
    """A line that has a truth is whole; a broken one has none, so a count can't be off by it."""
    assert not any(broken(line) for line, truth in generator.records(20_000, gateway_share=0.9) if truth)


def test_clients_follow_zipf():
    """The busiest client makes several times the requests of the tenth, and rare ones still appear."""
    counts = Counter(truth.client for _, truth in generator.records(20_000, clients=50) if truth and truth.client)
    ids = generator.client_ids(1, 50)
    assert counts.keys() <= set(ids)
    assert counts[ids[0]] > 5 * counts[ids[9]] > 0
    assert len(counts) > 40


def test_tokens_and_forwarded_chains_appear():
    """The stream holds what must be redacted, and X-Forwarded-For chains with spoofed parts, IPv6 and ports."""
    text = b"\n".join(generator.lines(5000)).decode(errors="replace")
    assert "access_token=" in text
    assert "centralauthtoken=" in text
    assert "unknown, 192.0.2.44" in text
    assert "2001:db8:" in text


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_pair_of_shape_and_generation_is_json_in_json(shape, generation):
    """Any access-log generation in any envelope is well-formed, with slashes escaped as rsyslog escapes them."""
    template = compile_template(envelope(shape, "node1", "api-gateway", request(generation, "core", anonymous=False)))
    line = template % Filler()
    assert b"/" in line
    assert b"/" not in line.replace(b"\\/", b"")
    said = flat(application_line(line))
    assert said.get("http.method", said.get("req_method")) == 'a "b"/c'
    assert said.get("http.status_code", said.get("resp_code")) == 7


class Filler(dict):
    """Fills every hole: numbers with 7, the rest with something that needs escaping."""

    def __missing__(self, name: bytes) -> bytes:
        plain = {b"nano", b"micro", b"dt"}
        numbers = {b"status", b"total_ms", b"backend_ms", b"bytes_in", b"bytes_out", b"offset"}
        return b"7" if name in numbers else b"2025" if name in plain else escape('a "b"/c', times=2)
