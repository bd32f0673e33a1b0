"""A client id may be the keyed hash of what formats drop as a secret, and nothing else comes of the secret."""

from __future__ import annotations

from hashlib import blake2b

import orjson
import pytest
from click.testing import CliRunner

from logrouter import config
from logrouter.cli import cli

from .secret_places import Marks, leaks
from .test_secrets_canary import published

KEY = "k" * 40
AGENT = '"curl/8"'
NGINX = """'$remote_addr [$time_local] "$request" $status "$http_user_agent" "$http_x_api_key"'"""
APACHE = """'%h %l %u %t "%r" %>s %b "%{User-Agent}i" "%{X-Api-Key}i"'"""
ENVOY_TEXT = """'[%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% "%REQ(X-API-KEY)%"'"""
HAPROXY = """'%ci:%cp [%tr] %ft %b/%s %ST %B %{+Q}[req.hdr(X-Api-Key)] %{+Q}r'"""
CLOCK = "01/May/2026:10:00:00"
LINES = [
    ("nginx", f"pattern: {NGINX}", "x-api-key", f'192.0.2.7 [{CLOCK} +0000] "GET /a HTTP/1.1" 200 {AGENT} "@"'),
    ("apache", f"pattern: {APACHE}", "x-api-key", f'192.0.2.7 - - [{CLOCK} +0000] "GET /a HTTP/1.1" 200 5 {AGENT} "@"'),
    (
        "envoy_text",
        f"pattern: {ENVOY_TEXT}",
        "x-api-key",
        '[2026-05-01T10:00:00.000Z] "GET /a HTTP/1.1" 200 "@"',
    ),
    (
        "haproxy",
        f"pattern: {HAPROXY}",
        "x-api-key",
        f'192.0.2.7:4711 [{CLOCK}.000] web shop/s1 200 5 "@" "GET /a HTTP/1.1"',
    ),
    ("kv", "", "api_key", "time=2026-05-01T10:00:00Z method=GET path=/a status=200 api_key=@"),
    (
        "envoy",
        "",
        "x-api-key",
        {"http": {"method": "GET", "status_code": 200, "request_headers": {"X-Api-Key": "@", "user-agent": "x"}}},
    ),
    ("envoy", "", "x-api-key", {"http.method": "GET", "http.status_code": 200, "http.request_headers.x-api-key": "@"}),
    (
        "istio",
        "",
        "x-api-key",
        {
            "common_properties": {"response_flags": {}},
            "request": {"request_method": "GET", "path": "/a", "request_headers": {"x-api-key": "@"}},
            "response": {"response_code": 200},
        },
    ),
    (
        "istio",
        "",
        "api_key",
        {"method": "GET", "path": "/a", "response_code": 200, "response_flags": "-", "api_key": "@"},
    ),
    (
        "istio",
        "",
        "x-api-key",
        {"method": "GET", "path": "/a", "response_code": 200, "response_flags": "-", "x-api-key": "@"},
    ),
    (
        "traefik",
        "",
        "x-api-key",
        {"DownstreamStatus": 200, "RequestMethod": "GET", "RequestPath": "/a", "request_X-Api-Key": "@"},
    ),
    (
        "kong",
        "",
        "x-api-key",
        {
            "request": {"method": "GET", "uri": "/a", "headers": {"x-api-key": "@", "accept": "x"}},
            "response": {"status": 200},
            "latencies": {"request": 1, "kong": 1, "proxy": 0},
        },
    ),
    (
        "mediawiki",
        "",
        "x-api-key",
        {
            "$schema": "/mediawiki/api/request/1.0.0",
            "http": {"method": "GET", "request_headers": {"x-api-key": "@", "accept": "x"}},
        },
    ),
    (
        "json",
        "fields: {http.status_code: status, http.method: method, http.request_headers: headers}",
        "x-api-key",
        {"status": 200, "method": "GET", "headers": {"X-Api-Key": "@", "accept": "x"}},
    ),
    ("aws_json", "", "apiKey", {"httpMethod": "GET", "status": "200", "requestId": "r-1", "apiKey": "@"}),
    (
        "aws_json",
        "",
        "identity.apiKey",
        {"httpMethod": "GET", "status": "200", "requestId": "r-1", "identity": {"apiKey": "@"}},
    ),
]


def file_of(name: str, options: str, source: str, more: str) -> str:
    """A topics.yaml with one route, whose client id is read from *source*, and which would publish the header."""
    written = f"{{name: {name}{', ' if options else ''}{options}}}"
    return f"""version: 1
sources: {{s: {{topics: t, envelope: plain}}}}
privacy: {{hash_key: '${{KEY}}'}}
routes:
  - name: r
    from: s
    to: out
    tables: [clients]
    format: {written}
    request_headers: [x-api-key, user-agent]
    enrich: {{client_id: {{from: ['{source}']{more}
"""


def line_of(line: str | dict, secret: str) -> bytes:
    """The line with the secret in its place."""
    return (line if isinstance(line, str) else orjson.dumps(line).decode()).replace("@", secret).encode()


@pytest.mark.parametrize(("name", "options", "source", "line"), LINES)
def test_the_keyed_hash_of_a_secret_is_a_client_id(name, options, source, line):
    """Of a header or field that the format drops otherwise; the secret is in nothing that is published."""
    secret = Marks().fill("@")
    table = config.parse(file_of(name, options, source, ", hashed: true}}").encode(), {"KEY": KEY}).table
    shown = list(published(table, [line_of(line, secret)]))
    hashed = blake2b(secret.encode(), digest_size=16, key=blake2b(KEY.encode()).digest()).hexdigest()
    assert f'"client_id":"{hashed}"'.encode() in shown[1]
    assert leaks(b" ".join(shown)) == set()


@pytest.mark.parametrize(("name", "options", "source", "line"), LINES)
def test_a_secret_is_read_for_nothing_but_a_hash(name, options, source, line):
    """Not for a client id as it is, the name of an API or of a tenant, whatever the options say."""
    more = f"}}, api: ['{source}'], tenant: ['{source}']}}"
    table = config.parse(file_of(name, options, source, more).encode(), {"KEY": KEY}).table
    shown = list(published(table, [line_of(line, Marks().fill("@"))]))
    assert b'"status_code":200' in shown[1]
    assert leaks(b" ".join(shown)) == set()


@pytest.mark.parametrize(("name", "options", "source", "line"), LINES)
def test_explain_shows_neither_the_header_nor_the_secret_id(name, options, source, line, tmp_path, monkeypatch):
    """Neither where it is read, nor of conditions that look at it, to people and as JSON."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEY", KEY)
    condition = "    request: {client_id: nobody}\n" if name != "kv" else ""
    (tmp_path / "topics.yaml").write_text(file_of(name, options, source, ", hashed: true}}") + condition)
    record = line_of(line, Marks().fill("@"))
    for form in ((), ("--json",)):
        result = CliRunner().invoke(cli, ["explain", *form], input=record)
        assert result.exit_code == 0
        assert leaks(result.output) == set()
