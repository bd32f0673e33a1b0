r"""What can be walked loses its secrets and nothing else."""

from __future__ import annotations

import time

import orjson
import pytest

from logrouter.core import dead_letter
from logrouter.core.redact.addresses import ip_policy
from logrouter.core.redact.disclosure import STRICT, Disclosure, strictest
from logrouter.core.redact.documents import walk_value
from logrouter.model import RawRecord, Reason, Rejected, Stage

HIDDEN = "s3cr3t-Value.9"


def nested(text: str, levels: int) -> str:
    """The text as a member of JSON in strings of JSON."""
    for _ in range(levels):
        text = orjson.dumps({"log": text, "n": 1}).decode()
    return text


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('{"password": "x9y8z7", "n": 1}', '{"password":"REDACTED","n":1}'),
        ('{"credentials":{"user":"u","list":[1,"x9y8z7"]}}', '{"credentials":"REDACTED"}'),
        ('[["Authorization","x9y8z7"],["Host","h"]]', '[["Authorization","REDACTED"],["Host","h"]]'),
        ('{"raw":["Host","h","Cookie","x9y8z7"]}', '{"raw":["Host","h","Cookie","REDACTED"]}'),
        ('{"name":"X-Api-Key","value":"x9y8z7"}', '{"name":"X-Api-Key","value":"REDACTED"}'),
        ('{"value":["x9y8z7"],"key":"cookie"}', '{"value":"REDACTED","key":"cookie"}'),
        ('{"key":"env","value":"prod"}', '{"key":"env","value":"prod"}'),
        ('{"error":{"code":"H12"},"code":503}', '{"error":{"code":"H12"},"code":503}'),
        ('{"code":"4/0AX4XfWhx9y8z7"}', '{"code":"REDACTED"}'),
        ('{"usage":{"total_tokens":812}}', '{"usage":{"total_tokens":812}}'),
        ('{"session":null,"token":"-","otp":true}', '{"session":null,"token":"-","otp":true}'),
        ('{"log":"{\\"pin\\": 1234}"}', '{"log":"{\\"pin\\":\\"REDACTED\\"}"}'),
        ('{"log":"GET /a?x=1 HTTP/1.1","url":"/b?y=2"}', '{"log":"GET /a?REDACTED HTTP/1.1","url":"/b"}'),
        (
            '{"query":"a=1","queryStringParameters":{"a":"1"}}',
            '{"query":"REDACTED","queryStringParameters":"REDACTED"}',
        ),
        ('{"ip":"198.51.100.77","v6":"2001:db8:1:2::3"}', '{"ip":"198.51.100.0","v6":"2001:db8:1::"}'),
        ('<134>1 host app: {"sig":"x9y8z7"} tail', '<134>1 host app: {"sig":"REDACTED"} tail'),
        ('{"a":1,"token":"x9y8z7', '{"a":1,"token":"REDACTED'),
        ('{"a":1,"token":{"deep":["x9y8z7', '{"a":1,"token":"REDACTED"}…'),
        ('{"a":"b","token":"x9y8z7","c":tru', '{"a":"b","token":"REDACTED","c":tru'),
        ('[{"token":"x9y8z7","a":[{"b":1}]}', '[{"token":"REDACTED","a":[{"b":1}]}'),
        ('{"x":{"token":"x9y8z7","a":[{"b":1', '{"x":{"token":"REDACTED","a":[{"b":1'),
        ('[{"token":"x9y8z7","q":[[1]]} x', '[{"token":"REDACTED","q":[[1]]} x'),
        ('{"a":1,"b":{"c":2,"stat', '{"a":1,"b":{"c":2,"stat'),
        ('{"a":"x","otp":"x9y8z7"}\n{"a":"y"}', '{"a":"x","otp":"REDACTED"}\n{"a":"y"}'),
        ('{"token":"x9y8z7","token":1}', '{"token":"REDACTED"}'),
        ('{"a":"Bearer x9y8z7x9","a":1}', '{"a":1}'),
        ('{"%74oken":"x9y8z7"}', '{"token":"REDACTED"}'),
        ('login cookies={"a":"x9y8z7"} n=1', "login cookies=REDACTED n=1"),
        ('body {"a":"x9","b":1} request_body={"a":"x9y8z7","b', 'body {"a":"x9","b":1} request_body=REDACTED'),
        ('request_body: [{"a":"x9y8z7"', "request_body: REDACTED"),
        ('GET /a?filter={"a":"x9y8z7"} HTTP/1.1', "GET /a?REDACTED HTTP/1.1"),
        ('"queryStringParameters":{"a":"x9y8z7"}', '"queryStringParameters":REDACTED'),
        ("a\n-----BEGIN PRIVATE KEY-----\nx9y8z7\nx9y8\n-----END PRIVATE KEY-----\nb", "a\nREDACTED\nb"),
        ("<Password>\n  x9y8z7\n</Password>\n<a/>", "<Password>REDACTED</Password>\n<a/>"),
        ('{"a": {"b": [1, 2.50, null]}, "c": "d"}', '{"a": {"b": [1, 2.50, null]}, "c": "d"}'),
    ],
)
def test_a_line_is_shown_without_its_secrets(line, shown):
    """Subtrees, pairs, lists, strings of JSON, queries and addresses; what holds none is shown as it was written."""
    assert STRICT.text(line) == shown


@pytest.mark.parametrize("levels", [1, 3, 7, 8, 9])
@pytest.mark.parametrize(
    "inner",
    [
        f'{{"password":"{HIDDEN}"}}',
        f'{{"headers":[["cookie","{HIDDEN}"]]}}',
        f"GET /x?password={HIDDEN} HTTP/1.1",
        f'Authorization: Digest username="u", response="{HIDDEN}"',
    ],
)
def test_no_level_of_strings_hides_a_secret(inner, levels):
    """However deep JSON stands in strings of JSON: beyond a bound nothing of it is shown."""
    line = nested(inner, levels)
    assert HIDDEN not in STRICT.text(line)
    assert HIDDEN not in STRICT.text(line[:-3])


def test_depth_is_bounded():
    """What lies deeper than the bound is replaced as a whole, and nothing raises."""
    value: object = "x"
    for _ in range(500):
        value = [value]
    assert "REDACTED" in str(walk_value(value, str))
    assert STRICT.text("[" * 100_000) == "[" * 100_000


def test_a_route_decides_on_queries_and_addresses():
    """Secret parameters go in any case."""
    line = "198.51.100.77 GET /a?x=1&token=x9y8z7"
    assert Disclosure(keeps_query=True, address=None).text(line) == "198.51.100.77 GET /a?x=1&token=REDACTED"
    assert STRICT.text(line) == "198.51.100.0 GET /a?REDACTED"


def test_where_no_route_is_known_the_strictest_counts():
    """What any route of the source keeps to itself is not shown."""
    keeps = Disclosure(keeps_query=True, address=None, strictness=0)
    hashes = Disclosure(keeps_query=True, address=ip_policy("hash", b"k"), strictness=2)
    assert strictest([keeps, keeps]).text("198.51.100.77 /a?x=1") == "198.51.100.77 /a?x=1"
    assert "198.51" not in strictest([keeps, hashes, STRICT]).text("198.51.100.77 /a?x=1")
    assert strictest([keeps, STRICT]).text("198.51.100.77 /a?x=1") == "198.51.100.0 /a?REDACTED"
    assert strictest([]) is STRICT


def test_bytes_that_are_no_text_stay_what_they_are():
    """A letter of bytes in another encoding is masked all the same."""
    assert STRICT.raw(b"\xff\xfe password=x9y8z7 \xe9") == b"\xff\xfe password=REDACTED \xe9"


@pytest.mark.parametrize(
    "seed",
    [
        '{"a":',
        "[{",
        '{"token":{',
        '"',
        '\\"',
        '{"a":"b"},',
        '{"log":"{',
        "[[[",
        "}",
        "{}",
        '{"a":[1,',
        "1.2.3.4 ",
        "a:b:",
        "\n{",
    ],
)
def test_bait_takes_no_longer_than_its_length(seed):
    """What is looked at of a record is bounded, and is walked in linear time: the bound is some ten times as much."""
    text = (seed * (2**18 // len(seed) + 1))[: 2**18]
    start = time.process_time()
    STRICT.text(text)
    STRICT.text('{"m":"' + text)
    assert time.process_time() - start < 4


def test_the_letter_of_a_huge_record_is_cheap():
    """Ten megabytes are rejected unread: no more of them is looked at than twice what is kept."""
    value = b'{"log":"' + b"GET /a?token=x HTTP/1.1 " * 440_000
    rejected = Rejected(Stage.DECODE, Reason.TOO_LARGE)
    start = time.process_time()
    letter = dead_letter.encode(
        RawRecord("t", 0, 0, 1, value),
        rejected,
        event_id="i",
        emitter="e",
        stream="s",
        max_raw_bytes=65_536,
        now_ms=1,
    )
    assert time.process_time() - start < 2
    assert len(letter) < 80_000
    assert b"token=x" not in letter
