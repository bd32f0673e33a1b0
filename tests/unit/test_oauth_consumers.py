"""A client id may be the OAuth consumer in a header that formats drop, and nothing else of that header comes out."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import orjson
import pytest
from click.testing import CliRunner

from logrouter import config
from logrouter.cli import cli

from .secret_places import Marks, leaks
from .test_secret_client_ids import LINES, file_of
from .test_secrets_canary import published

CONSUMER = "4f5d6e7f8091a2b3"


def authorized(text: str) -> str:
    """The options or line of a format with the header `Authorization` in place of its header for keys."""
    for name, other in (
        ("http_x_api_key", "http_authorization"),
        ("request_X-Api-Key", "request_Authorization"),
        ("X-Api-Key", "Authorization"),
        ("X-API-KEY", "AUTHORIZATION"),
        ("x-api-key", "authorization"),
        ("api_key", "authorization"),
    ):
        text = text.replace(name, other)
    return text


def token(marks: Marks) -> str:
    """A bearer token with secrets in its signature and in a claim."""
    claims = orjson.dumps({"client_id": CONSUMER, "sid": marks.fill("@")})
    parts = [b'{"alg":"RS256"}', claims, marks.fill("@").encode()]
    return "Bearer " + ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def signed(marks: Marks) -> str:
    """The header of OAuth 1.0a."""
    return marks.fill(f'OAuth oauth_consumer_key="{CONSUMER}", oauth_token="@", oauth_nonce="x", oauth_signature="@"')


def written(name: str, header: str) -> str:
    """The header as a server of this format writes it between quotes; HAProxy changes nothing in an expression."""
    return header if name == "haproxy" else header.replace('"', r"\x22" if name == "nginx" else r"\"")


# What API Gateway logs of keys is no header.
CASES = [
    (name, authorized(options), line.replace("=@", '="@"') if isinstance(line, str) else orjson.dumps(line).decode())
    for name, options, source, line in LINES
    if source in ("x-api-key", "api_key") and name != "aws_json"
]
HEADERS = [
    *((name, options, line, token, "oauth:client_id") for name, options, line in CASES),
    # The pattern of envoy_text has quotes that Envoy does not escape, and so has none of these headers.
    *((name, options, line, signed, "oauth:consumer_key") for name, options, line in CASES if name != "envoy_text"),
]


@pytest.mark.parametrize(("name", "options", "line", "header", "source"), HEADERS)
def test_the_consumer_is_published_and_nothing_beside_it(name, options, line, header, source, tmp_path, monkeypatch):
    """Not in events, dead letters of cut lines, or what `explain` shows."""
    monkeypatch.chdir(tmp_path)
    record = authorized(line).replace("@", written(name, header(Marks()))).encode()
    text = file_of(name, options, source, "}}").replace("x-api-key", "authorization")
    shown = list(published(config.parse(text.encode(), {"KEY": "k" * 40}).table, [record, record[:-2], record[:-40]]))
    assert f'"client_id":"{CONSUMER}"'.encode() in shown[1]
    assert leaks(b" ".join(shown)) == set()

    (tmp_path / "topics.yaml").write_text(text)
    monkeypatch.setenv("KEY", "k" * 40)
    for form in ((), ("--json",)):
        result = CliRunner().invoke(cli, ["explain", *form], input=record)
        assert result.exit_code == 0
        assert CONSUMER in result.output
        assert leaks(result.output) == set()
