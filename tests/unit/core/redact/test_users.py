"""Names of users in lines that are shown: hidden wherever gateways write them, and nothing else is touched."""

from __future__ import annotations

import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.redact.users import NAMES, compile_user_mask

MASK = compile_user_mask(["login"])
NAME = st.text("abcXYZ019._-", min_size=1, max_size=20).filter(lambda text: text not in ("-", "null"))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('192.0.2.7 - ann [01/May/2026:10:00:00 +0000] "GET', '192.0.2.7 - REDACTED [01/May/2026:10:00:00 +0000] "GET'),
        ("192.0.2.7 - ann lee [01/May/2026:10:00", "192.0.2.7 - REDACTED REDACTED [01/May/2026:10:00"),
        ("192.0.2.7 AROA:ann AIDA7 [01/May/2026:10", "192.0.2.7 REDACTED REDACTED [01/May/2026:10"),
        ('"192.0.2.7, ::1" 192.0.2.9 - ann [01/May/2026:', '"192.0.2.7, ::1" 192.0.2.9 - REDACTED [01/May/2026:'),
        ('END_USER_NAME="ann@carbon.super", StatusCode="200"', 'END_USER_NAME="REDACTED", StatusCode="200"'),
        ('{"m":"END_USER_NAME=\\"ann\\", A=\\"b\\""}', '{"m":"END_USER_NAME=\\"REDACTED\\", A=\\"b\\""}'),
        ('{"userName":"a \\"b\\" c","n":1}', '{"userName":"REDACTED","n":1}'),
        ('{"m":"{\\"user\\": \\"a \\\\\\"b\\", \\"n\\": 1}"}', '{"m":"{\\"user\\": \\"REDACTED\\", \\"n\\": 1}"}'),
        ('{"identity.user":"ann","login":"bob"}', '{"identity.user":"REDACTED","login":"REDACTED"}'),
        ('{"user":4711,"n":1}', '{"user":"REDACTED","n":1}'),
        ('{"m":"{\\"user\\": 47.0}"}', '{"m":"{\\"user\\": \\"REDACTED\\"}"}'),
        ("requestId: 6f, caller: ann, user: bob, ip: -", "requestId: 6f, caller: REDACTED, user: REDACTED, ip: -"),
        ("user=ann path=/a", "user=REDACTED path=/a"),
        ("192.0.2.7 - ada [01/May/2026:10:00", "192.0.2.7 - REDACTED [01/May/2026:10:00"),
        ("user=CORP\\ann path=/a", "user=REDACTED path=/a"),
        ('{"m":"user=CORP\\\\ann","n":1}', '{"m":"user=REDACTED","n":1}'),
        ('{"m":"{\\"n\\":\\"user=CORP\\\\\\\\ann\\"}"}', '{"m":"{\\"n\\":\\"user=REDACTED\\"}"}'),
        ("192.0.2.7 - a [01/May/2020:00] b [01/May/2026:", "192.0.2.7 - REDACTED REDACTED REDACTED [01/May/2026:"),
        ("<caller>ann</caller> <user>-</user>", "<caller>REDACTED</caller> <user>-</user>"),
        ("192.0.2.7,-,ann@example.org,GET", "192.0.2.7,-,REDACTED,GET"),
        ('field.END_USER_NAME equals bob: it is "ann "a" lee"', 'field.END_USER_NAME equals bob: it is "REDACTED"'),
        ("192.0.2.7 - ann@exam", "192.0.2.7 - REDACTED"),
    ],
)  # fmt: skip
def test_a_name_is_hidden_where_gateways_write_it(line, shown):
    """In columns, pairs and documents, escaped or not; and e-mail addresses anywhere."""
    assert MASK(line) == shown


@pytest.mark.parametrize(
    "line",
    [
        '192.0.2.7 - - [01/May/2026:10:00:00 +0000] "GET /user/1 HTTP/1.1" 200 12 "-" "curl/8"',
        '192.0.2.1 ::1 [2001:db8::1]:443, ::ffff:192.0.2.7,192.0.2.8:80 0.125 - [01/May/2026:10:00:00 +0000] "GET /',
        '2001:db8::1, 192.0.2.7 192.0.2.8 - - [01/May/2026:10:00:00 +0000] "GET / HTTP/1.1" 200',
        '{"userAgent":"curl/8","username":null,"user":"","superuser":"x","users":["a"]}',
        'END_USER_NAME="null", UserAgent="curl/8"',
        "user_agent=curl/8 status=200",
        '{"t":"192.0.2.7 - - [01/May/2026:10:00:00 +0000]"}',
    ],
)
def test_what_names_nobody_stays(line):
    """User agents, and the words that gateways write for nobody."""
    assert MASK(line) == line


@given(st.sampled_from(NAMES), NAME, st.integers(0, 3))
def test_a_document_stays_one_however_often_it_is_wrapped(key: str, name: str, times: int) -> None:
    """JSON in strings of JSON: only the value is another."""
    text = orjson.dumps({"a": "b", key: f"{name} <{name}>", "c": 1}).decode()
    for _ in range(times):
        text = orjson.dumps({"m": text, "n": 2}).decode()

    found = orjson.loads(MASK(text))
    for _ in range(times):
        assert found["n"] == 2
        found = orjson.loads(found["m"])

    assert found == {"a": "b", key: "REDACTED", "c": 1}


@pytest.mark.parametrize(
    "seed",
    [
        *(
            "a",
            '"user":"',
            'user="',
            '\\"',
            '"a.a.a.',
            "user=",
            "a@",
            "<user>",
            " [01/May/2026:",
            '", a="',
            "%40a",
            "user=\\",
            "\\a",
        ),
        *("field.user ", ': it is "', '"user":1', '"user":-'),
    ],
)
def test_hostile_lines_take_linear_time(seed):
    """No input makes the patterns backtrack: the bound is some ten times what this takes."""
    text = seed * (2**18 // len(seed))
    start = time.process_time()
    MASK(text + "@")
    MASK(f'user="{text}')
    MASK(f"user={text}")
    assert time.process_time() - start < 3
