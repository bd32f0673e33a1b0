"""Signatures of AWS, compared with those of botocore (recorded by record_signatures.py)."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.model import RawRecord
from logrouter.sinks.http_client import HttpBounds, HttpClient
from logrouter.sinks.http_messages import HttpAnswer, HttpRequest
from logrouter.sinks.http_sink import HttpSink
from logrouter.sinks.opensearch.bulk import OpensearchProtocol
from logrouter.sinks.opensearch.rotation import IndexNames
from logrouter.sinks.opensearch.sigv4 import AwsCredentials
from tests.unit.sinks.loopback import serve

RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parent / "signatures.json").read_text("utf-8"))
NOW = 1_777_888_800
KEYS = AwsCredentials("AKIDEXAMPLE", "secret-key", "eu-west-1")


def authorization(keys: AwsCredentials, request: HttpRequest, now: float = 1_777_888_800) -> str:
    """The header of a signed request."""
    return keys.authorise(request, now).headers["Authorization"]


def test_requests_are_signed_as_botocore_signs_them():
    """Many requests with odd paths, queries and headers, for both services, with and without a session."""
    assert len(RECORDED) == 150
    for case in RECORDED:
        keys = AwsCredentials(
            case["access_key_id"],
            case["secret_access_key"],
            case["region"],
            case["service"],
            case["session_token"],
        )
        request = HttpRequest(case["url"], case["body"].encode(), case["headers"], case["method"])

        assert authorization(keys, request, case["now"]) == case["authorization"], case


def test_a_signed_request_has_what_the_signature_is_about():
    """The time, the hash of the body, and the session's token; the rest is as it was."""
    request = HttpRequest("https://h/_bulk?a=b", b"{}", {"Content-Type": "application/json", "authorization": "old"})

    signed = AwsCredentials("AKID", "k", "eu-west-1", "es", "token").authorise(request, 1_777_888_800.9)

    headers = dict(signed.headers)
    assert headers.pop("Authorization").startswith(
        "AWS4-HMAC-SHA256 Credential=AKID/20260504/eu-west-1/es/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature="
    )
    assert headers == {
        "Content-Type": "application/json",
        "X-Amz-Date": "20260504T100000Z",
        "X-Amz-Content-Sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "X-Amz-Security-Token": "token",
    }
    assert (signed.url, signed.body, signed.method) == (request.url, request.body, request.method)


@pytest.mark.parametrize(
    "other",
    [
        HttpRequest("https://h/_bulk", b"{ }", {}),
        HttpRequest("https://h/_bulk", b"{}", {}, "PUT"),
        HttpRequest("https://h/a/_bulk", b"{}", {}),
        HttpRequest("https://h/_bulk?a", b"{}", {}),
        HttpRequest("https://g/_bulk", b"{}", {}),
        HttpRequest("https://h:9200/_bulk", b"{}", {}),
        HttpRequest("https://h/_bulk", b"{}", {"Content-Encoding": "gzip"}),
    ],
)
def test_another_request_has_another_signature(other: HttpRequest):
    """Whatever it differs in."""
    assert authorization(KEYS, other) != authorization(KEYS, HttpRequest("https://h/_bulk", b"{}", {}))


@given(
    names=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=4),
    encodings=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_how_a_query_is_encoded_in_the_url_does_not_matter(names: list[str], encodings: list[bool]):
    """Clients may encode more or less than AWS does; what is compared is what the parameters say."""
    strict = "&".join(f"{quote(name, safe='-_.~')}=*" for name in names)
    loose = "&".join(
        f"{quote(name, safe='-_.~' if hard else '-_.~,*!/:@$')}={'%2A' if hard else '*'}"
        for name, hard in zip(names, encodings, strict=False)
    )

    assert authorization(KEYS, HttpRequest(f"https://h/?{strict}", b"", {})) == authorization(
        KEYS, HttpRequest(f"https://h/?{loose}", b"", {})
    )


@given(url=st.text(max_size=60), now=st.integers(0, 4_000_000_000))
def test_signing_never_fails_for_a_path(url: str, now: int):
    """Whatever is behind the host."""
    path = url.translate({ord(character): None for character in "?#[]\t\r\n\\"})

    assert "Signature=" in authorization(KEYS, HttpRequest(f"https://h/{path}", b"", {}), now)


def test_keys_are_in_no_repr():
    """Whatever prints a sink."""
    keys = AwsCredentials("AKID", "secret-key", "eu-west-1", "es", "session-token")

    assert "secret-key" not in repr(keys)
    assert "session-token" not in repr(keys)


@pytest.mark.parametrize("path", ["", "/", "/a", "/a/", "//a", "/a/../b/./c", "/a-b_c.d~e/1"])
def test_what_goes_over_the_wire_is_what_was_signed(path: str):
    """Host, query and headers as the client writes them; AWS signs what it was sent."""

    async def run() -> str:
        async with serve() as heard:
            protocol = OpensearchProtocol(f"http://127.0.0.1:{heard.port}{path}", IndexNames("r"), credentials=KEYS)
            sink = HttpSink(protocol, HttpClient(HttpBounds()), clock=lambda: NOW)
            event = RawRecord("e", 0, 0, 0, b"{}")
            answer = await sink.send(protocol.encode([event]).request)
            await sink.close()
            assert isinstance(answer, HttpAnswer)
            return signed_by_a_server(heard.heads[0], heard.bodies[0])

    assert asyncio.run(run()) == "as signed"


def signed_by_a_server(head: str, body: bytes) -> str:
    """What a server makes of a request: it signs what it was sent, with the same key, and compares."""
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    got = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
    assert got["x-amz-content-sha256"] == sha256(body).hexdigest()
    signed = dict(re.findall(r"(SignedHeaders|Signature)=([^,]+)", got["authorization"]))
    path, _, query = target.partition("?")
    pairs = sorted(
        (quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~"))
        for name, _, value in (pair.partition("=") for pair in query.split("&"))
    )
    parts = [part for part in path.split("/") if part]
    canonical = "\n".join([
        method,
        quote("/" + "/".join(parts) + ("/" if path.endswith("/") and parts else ""), safe="/-_.~"),
        "&".join(f"{name}={value}" for name, value in pairs),
        *(f"{name}:{got[name]}" for name in signed["SignedHeaders"].split(";")),
        "",
        signed["SignedHeaders"],
        got["x-amz-content-sha256"],
    ])  # fmt: skip
    scope = got["authorization"].split("Credential=AKIDEXAMPLE/")[1].split(",")[0]
    key = b"AWS4secret-key"
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{got['x-amz-date']}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    expected = hmac.digest(key, text.encode(), "sha256").hex()
    return "as signed" if expected == signed["Signature"] else f"another signature for {target}"
