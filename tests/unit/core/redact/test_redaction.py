"""Secrets do not leave, in linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.redact import ip_policy, path_of, redact_raw, redact_uri
from logrouter.core.redact.text import mask

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("uri", "dropped", "kept"),
    [
        ("/core/v1/page", "/core/v1/page", "/core/v1/page"),
        ("/a?q=earth&limit=3", "/a", "/a?q=earth&limit=3"),
        ("/a?access_token=abc&q=1", "/a", "/a?access_token=REDACTED&q=1"),
        (
            "/a?centralauthtoken=abc;api_key=x;apikey=y",
            "/a",
            "/a?centralauthtoken=REDACTED;api_key=REDACTED;apikey=REDACTED",
        ),
        (
            "/a?code=1&sig=2&token=3&password=4&state=5",
            "/a",
            "/a?code=REDACTED&sig=REDACTED&token=REDACTED&password=REDACTED&state=5",
        ),
        ("/a?%61ccess_token=abc", "/a", "/a?%61ccess_token=REDACTED"),
        (f"/a?next={JWT}", "/a", "/a?next=REDACTED"),
        ("/a?to=%2Fb%3Faccess_token%3Dabc%26x", "/a", "/a?to=%2Fb%3Faccess_token%3DREDACTED"),
        (f"/v/{JWT}/x", "/v/REDACTED/x", "/v/REDACTED/x"),
        ("/a;session=abc/b", "/a;session=REDACTED", "/a;session=REDACTED"),
        ("/a#access_token=abc", "/a", "/a"),
        ("/a#f?access_token=abc", "/a", "/a"),
        ("/a?x=1#access_token=abc", "/a", "/a?x=1"),
        ("https://u:pw@example.org/a?x=1", "https://REDACTED@example.org/a", "https://REDACTED@example.org/a?x=1"),
        (
            "/proxy/https://u:pw@example.org/",
            "/proxy/https://REDACTED@example.org/",
            "/proxy/https://REDACTED@example.org/",
        ),
        ("/wiki/User:A@b", "/wiki/User:A@b", "/wiki/User:A@b"),
        ("", "", ""),
        ("?token=x", "", "?token=REDACTED"),
        ("/a?pass%77ord%3Dx&q%3D1", "/a", "/a?password=REDACTED&q%3D1"),
        (
            "https://hooks.slack.com/services/T0/B0/x9",
            "https://hooks.slack.com/services/REDACTED",
            "https://hooks.slack.com/services/REDACTED",
        ),
    ],
)
def test_a_uri_loses_its_secrets_and_by_default_its_query(uri, dropped, kept):
    """Secret parameters, tokens, user information and fragments always go; the rest of the query unless it is kept."""
    assert redact_uri(uri) == dropped
    assert redact_uri(uri, "keep") == kept


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/core/v1?x=1", "/core/v1"),
        ("//double/slash", "//double/slash"),
        ("https://u:pw@example.org/core?x", "/core"),
        ("https://example.org?x", "/"),
        (f"/x/{JWT}", "/x/REDACTED"),
        ("*", "*"),
        ("?x=1", "/"),
        ("-?x=1", "/"),
        ("#x", "/"),
    ],
)
def test_the_path_is_what_is_left_of_a_uri(uri, path):
    """No query, no fragment, and no scheme and host where the request named them."""
    assert path_of(uri) == path


@pytest.mark.parametrize(
    ("raw", "redacted"),
    [
        (f"x {JWT} y", "x REDACTED y"),
        (f"\\n{JWT}\\n", "\\nREDACTED\\n"),
        ("Authorization: Bearer abc.def", "Authorization: REDACTED"),
        ("sent Bearer abc.def~1 ok", "sent Bearer REDACTED ok"),
        ("Basic dXNlcjpw\\/cg==", "Basic REDACTED"),
        ("Cookie: a=b; session=c\\nHost: x", "Cookie: REDACTED\\nHost: x"),
        ('{"cookie":"a=1; b=2","n":1}', '{"cookie":"REDACTED","n":1}'),
        ('{"set-cookie":"a=\\"x\\"; b","n":1}', '{"set-cookie":"REDACTED","n":1}'),
        (
            '{"log":"{\\"access_token\\":\\"a,b c\\",\\"n\\":1}"}',
            '{"log":"{\\"access_token\\":\\"REDACTED\\",\\"n\\":1}"}',
        ),
        (
            '{"m":"{\\"l\\":\\"{\\\\\\"apiKey\\\\\\":\\\\\\"k\\\\\\"}\\"}"}',
            '{"m":"{\\"l\\":\\"{\\\\\\"apiKey\\\\\\":\\\\\\"REDACTED\\\\\\"}\\"}"}',
        ),
        ("GET \\/a?code=12&status_code=200&sig=3 HTTP", "GET \\/a?code=REDACTED&status_code=200&sig=REDACTED HTTP"),
        ("password=hunter2, user=x", "password=REDACTED, user=x"),
        ("client_secret: 's3'", "client_secret: 'REDACTED'"),
        ("https:\\/\\/u:pw@example.org\\/", "https:\\/\\/REDACTED@example.org\\/"),
        ('{"verb":"POST","payload":"{\\"card\\":\\"4111\\"}","n":1}', '{"verb":"POST","payload":"REDACTED","n":1}'),
        ('{"requestBody":"a=1","body_bytes_sent":5}', '{"requestBody":"REDACTED","body_bytes_sent":5}'),
        ("a%3Faccess_token%3Dabc%26b", "a%3Faccess_token%3DREDACTED"),
        ('E="Invalid Credentials", URL="/a"', 'E="Invalid Credentials", URL="/a"'),
        ('x "x-auth-token", "y9"', 'x "x-auth-token", "REDACTED"'),
        ("headers=[(b'cookie', b'a=x'), (b'host', b'h')]", "headers=[(b'cookie', b'REDACTED'), (b'host', b'h')]"),
        ('<property name="password" value="x"/>', '<property name="password" value="REDACTED"/>'),
        ("&lt;password&gt;x&lt;/password&gt;", "&lt;password&gt;REDACTED&lt;/password&gt;"),
        ("password[]=x&password[0]=y&n=1", "password[]=REDACTED&password[0]=REDACTED&n=1"),
        ("password := x", "password := REDACTED"),
        ("password=a,b'c user=d", "password=REDACTED user=d"),
        ("password=a,user=d", "password=REDACTED,user=d"),
        ("run --db-password x --verbose", "run --db-password REDACTED --verbose"),
        ("GET //u:p@h/a", "GET //REDACTED@h/a"),
        ("a //comment for u@h", "a //comment for u@h"),
        ('{"status_code":200,"route":"core"}', '{"status_code":200,"route":"core"}'),
    ],
)
def test_raw_bytes_lose_what_looks_like_a_secret(raw, redacted):
    """Tokens, credentials, secret parameters and cookie headers go, at any depth of JSON in JSON; the rest stays."""
    assert redact_raw(raw.encode()) == redacted.encode()


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("/a?name=O'Brien&mail=x HTTP", "/a?REDACTED HTTP"),
        (r"/a?f={\x22mail\x22:\x22x\x22} HTTP", "/a?REDACTED HTTP"),
        (r"/a?f={\"mail\":\"x\"} HTTP", r"/a?REDACTED\"} HTTP"),
        ("/a?q=<b>x</b> HTTP", "/a?REDACTED</b> HTTP"),
        ("/a?(x) HTTP", "/a?REDACTED HTTP"),
        ("{'url': '/a?x=1', 'n': 1}", "{'url': '/a?REDACTED', 'n': 1}"),
        (r"{\"url\":\"/a?x=1\",\"n\":1", r"{\"url\":\"/a?REDACTED\",\"n\":1"),
        ("<url>/a?x=1</url><n>1</n>", "<url>/a?REDACTED</url><n>1</n>"),
        ("cs-uri-query=x n=1", "cs-uri-query=REDACTED n=1"),
        ("why? (because) what?", "why? (because) what?"),
    ],
)
def test_a_query_goes_to_its_end(line, shown):
    """Whatever a client writes in it; a string or an element around it ends it."""
    assert mask(line.encode(), drop_queries=True) == shown.encode()


ADVERSARIAL = [
    "?'a",
    '?\\"a',
    "?<",
    "password=a,b",
    "password[",
    "--token ",
    "&gt;",
    "//a:",
    "eyJ",
    "eyJ.",
    "token",
    'token"',
    '"token":"',
    'token\\\\\\"',
    'token:"\\\\\\"',
    "bearer ",
    "basic   ",
    "cookie:",
    "://",
    "://a@",
    "&code",
    "%3F",
    "%26token%3D",
    "\\",
    '"',
    "a",
    " ",
    "/" + "a" * 40,
    "eyJ" + "a" * 40 + " ",
    "%2e",
]


@pytest.mark.long
@pytest.mark.parametrize("seed", ADVERSARIAL)
def test_a_megabyte_of_bait_takes_no_longer_than_a_megabyte(seed):
    """No input makes the patterns backtrack: the bound is some ten times what this takes."""
    text = (seed * (2**20 // len(seed) + 1))[: 2**20]
    start = time.process_time()
    redact_raw(text.encode())
    redact_uri(text)
    redact_uri("/?" + text, "keep")
    assert time.process_time() - start < 5


@given(st.binary(max_size=300))
def test_no_bytes_make_redaction_raise(data):
    """Any bytes come back as bytes, and any text as a URI and a path."""
    assert isinstance(redact_raw(data), bytes)
    text = data.decode("utf-8", "replace")
    assert "?" not in redact_uri(text)
    redact_uri(text, "keep")
    path_of(text)


@given(
    st.from_regex(r"[A-Za-z0-9]{12,20}", fullmatch=True), st.sampled_from(["access_token", "api_key", "code", "sig"])
)
def test_the_value_of_a_secret_parameter_is_nowhere_in_the_result(secret, name):
    """Wherever the parameter stands in the query, its value is gone from URIs and from raw bytes."""
    for uri in (f"/p?{name}={secret}", f"/p?a=1&{name}={secret}&b=2", f"/p?a=1;{name}={secret}"):
        assert secret not in redact_uri(uri, "keep")
        assert secret.encode() not in redact_raw(uri.encode())


def test_addresses_are_kept_truncated_or_hashed():
    """A hash needs a key and is the same for the same address; truncation leaves /24 and /48."""
    truncate, hashed = ip_policy("truncate"), ip_policy("hash", b"k" * 100)
    assert ip_policy("keep")("198.51.100.7") == "198.51.100.7"
    assert truncate("198.51.100.7") == "198.51.100.0"
    assert truncate("2001:db8:1:2::3") == "2001:db8:1::"
    assert truncate("nonsense") == ""
    assert len(hashed("198.51.100.7")) == 16
    assert hashed("198.51.100.7") == hashed("198.51.100.7")
    assert hashed("198.51.100.7") != ip_policy("hash", b"other")("198.51.100.7")


@pytest.mark.parametrize(("policy", "key"), [("hash", None), ("hash", b""), ("drop", None)])
def test_a_policy_that_is_none_is_refused_when_it_is_made(policy, key):
    """Configuration errors are loud, and early."""
    with pytest.raises(ValueError, match="IP policy"):
        ip_policy(policy, key)
