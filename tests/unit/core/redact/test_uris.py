"""URIs of requests: what goes, however it is written, and what must stay readable."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.enrich import allow_headers
from logrouter.core.redact import backend_url, path_of, redact_raw, redact_uri
from logrouter.core.redact.names import percent_decoded

LEAK = "x9Y8z7w6Q5"


@pytest.mark.parametrize(
    "uri",
    [
        f"/a;session={LEAK}",
        f"/a%3Bsession={LEAK}",
        f"/a%3Bsession%3D{LEAK}",
        f"/a%253Bsession%253D{LEAK}",
        f"/cb%23access_token={LEAK}",
        f"/cb%2523access_token%253D{LEAK}&x=1",
        f"/a%3Faccess_token={LEAK}",
        f"/a%2525253Faccess_token%2525253D{LEAK}",
        f"/a%3F%61ccess%5Ftoken={LEAK}",
        f"https://u:{LEAK}@h.example.org/a",
        f"https://u:p@{LEAK}@h.example.org/a",
        f"https://u:p/{LEAK}@h.example.org/a",
        f"https://u%3A{LEAK}%40h.example.org/a",
        f"https://{LEAK}%40x:y@h.example.org/a",
        f"/proxy/https%3A%2F%2Fu%3A{LEAK}%40h.example.org%2Fa",
        f"/proxy/https%253A%252F%252Fu%253A{LEAK}%2540h.example.org%252Fa",
        f"u:{LEAK}@h.example.org:443",
        f"u%3A{LEAK}%40h.example.org:443",
        f"/token/{LEAK}",
        f"/v1/tokens/{LEAK}/x",
        f"/access_token/{LEAK}",
        f"/reset-password/{LEAK}",
        f"/password/reset/{LEAK}",
        "/verify/482913x9Y8z7w6Q5",
        f"/magic-link/{LEAK}?a=1",
        f"/invite/{LEAK}",
        f"/unsubscribe/{LEAK}",
        f"/api-key/{LEAK}",
        f"/reset-password%2F{LEAK}",
        f"/bot123456:{LEAK}/sendMessage",
        f"/bot123456%3A{LEAK}/sendMessage",
        f"/session/{LEAK}{LEAK}",
        f"/x/ghp_{LEAK}{LEAK}",
        f"/x/lrt_{LEAK}{LEAK}/y",
        f"/x/sk_live_{LEAK}",
        f"/x/xoxb-{LEAK}-1",
        f"/x?next=%2Fy%3Faccess_token%3D{LEAK}",
        f"/x?next=https%3A%2F%2Fu%3A{LEAK}%40h%2F",
        f"/x?q=%7B%22password%22%3A%22{LEAK}%22%7D",
        f"/x?Authorization=Bearer+{LEAK}",
        f"/x?h=Bearer%20{LEAK}",
        f"/x?a=1&X-Amz-Signature={LEAK}",
        f"/x?user[password]={LEAK}",
        f"/x?user%5Bpassword%5D={LEAK}",
    ],
)
def test_no_writing_of_a_secret_comes_through(uri):
    """Neither with the query nor without it, in any encoding."""
    for shown in (redact_uri(uri), redact_uri(uri, "keep"), path_of(uri)):
        assert LEAK not in percent_decoded(shown)


ORDINARY = """
    /tokens /token /api/v1/session/list /sessions/42 /session/new /authors /authors/jane-doe-2 /author/12345
    /orders/12345 /tokens/42 /tokens/123456/history /token/refresh /oauth2/token /oauth/token/introspect
    /reset-password /reset-password/confirm /users/me/password /invitations/20260501 /verify/email
    /confirm/order-17 /code/123456 /v1/keys/primary /keys /signatures/list
    /session/0b5f7c3e-1111-4222-8333-944444444444 /items/0b5f7c3e-1111-4222-8333-944444444444 /wiki/User:A@b
    /wiki/%D0%9A%D0%B8%D1%97%D0%B2 /a%20b /a=b/c=d /2026-05-01 /files/report-2026-05-01T10:00:00Z.pdf
    /commit/9fceb02d0ae598e95dc970b74767f19372d61af8 /bots /bot/status /robots.txt
    /api/v1/very/long/path/with/many/segments/and/a-rather-long-segment-name-in-it /@scope/package /x;v=1/y /a,b=c
    /api/token/v2 /static/app.3f2a9c1d.js /@alice/posts /secrets /secrets/list /webhooks/42 /auth/login
    /webhooks/42/deliveries-and-other-things /keys/42/primary-2026 /sessions/42/0b5f7c3e-1111-4222-8333-944444444444
    /orders/42/9fceb02d0ae598e95dc970b74767f19372d61af8 /invites/7/report-2026-05-01T10.pdf
    /auth/callback /sso/login /token/oauth2 /healthz * / //double/slash h.example.org:443
"""


@pytest.mark.parametrize("path", ORDINARY.split())
def test_an_ordinary_path_stays_as_it_is(path):
    """Words, numbers, names and ids are what an operator looks at."""
    assert path_of(path) == path
    assert redact_uri(path) == path


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("user-agent", "curl/8.0 Bearer x9Y8z7w6Q5", "curl/8.0 Bearer REDACTED"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/1", "Mozilla/5.0 (X11; Linux x86_64) Firefox/1"),
        ("user-agent", "app (token=x9Y8z7w6Q5)", "app (token=REDACTED"),
        ("x-forwarded-uri", "/a?b=1&token=x9Y8z7w6Q5", "/a"),
        ("origin", "https://u:x9Y8z7w6Q5@h.example.org", "https://REDACTED@h.example.org"),
        (
            "referer",
            "https://h.example.org/reset-password/x9Y8z7w6Q5?a=1",
            "https://h.example.org/reset-password/REDACTED",
        ),
        ("x-note", "ghp_x9Y8z7w6Q5x9Y8z7w6Q5", "REDACTED"),
    ],
)
def test_a_published_header_has_no_secret_in_its_value(name, value, shown):
    """The first time and from the cache; URIs lose their query as the route's own do."""
    allowed = frozenset({name})
    assert allow_headers({name: value, "x-other": "1"}, allowed) == {name: shown}
    assert allow_headers({name: value}, allowed) == {name: shown}


def test_headers_that_hold_uris_keep_their_query_where_the_route_does():
    """But for secrets, and never that of the page that a client came from."""
    headers = {"x-forwarded-uri": "/a?b=1&token=x", "referer": "https://h.example.org/a?b=1"}
    assert allow_headers(headers, frozenset(headers), "keep") == {
        "x-forwarded-uri": "/a?b=1&token=REDACTED",
        "referer": "https://h.example.org/a",
    }


@pytest.mark.parametrize(
    "before",
    [
        *("/accounts/reset/MQ/", "/activate/MTIz/", "/confirm-email/42/", "/accounts/password/reset/key/"),
        *(
            "https://discord.com/api/webhooks/123456789012345678/",
            "/webhook/0b5f7c3e-1111-4222-8333-944444444444/IncomingWebhook/",
        ),
    ],
)
def test_a_credential_may_stand_behind_an_id(before):
    """Links that name the account first, and hooks; in events and in letters."""
    path = f"{before}5x1-9b1c55ab0f9e47d2a8c1/"
    assert redact_uri(path) == f"{before}REDACTED/"
    for shown in (redact_raw(path.encode()), redact_raw(path.replace("/", "\\/").encode())):
        assert b"9b1c55" not in shown


@pytest.mark.parametrize(
    ("url", "uri", "host"),
    [
        ("https://backend.example/a/b?x=1#top", "https://backend.example/a/b", "backend.example"),
        ("http://Backend.Example:8080", "http://Backend.Example:8080", "backend.example:8080"),
        ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/a", "[2001:db8::1]:8443"),
        ("https://svc:s3cret@backend.example/a", "https://backend.example/a", "backend.example"),
        ("https://svc%3As3cret%40backend.example/a", "https://backend.example/a", "backend.example"),
        ("https://svc:s3/cret@backend.example/a", "https://backend.example/a", "backend.example"),
        ("https://svc:s3?cret@backend.example/a", "", ""),
        ("https://svc:s3#cret@backend.example/a", "", ""),
        ("https://svc:1?/s3cret@backend.example/a", "", ""),
        ("https://backend.example:8080/users/@me", "https://backend.example:8080/users/@me", "backend.example:8080"),
        ("https://svc:s3cret", "", ""),
        ("/services/a?x=1", "/services/a", ""),
        ("svc:s3cret@backend.example/a", "backend.example/a", ""),
        ("https://", "", ""),
        ("", "", ""),
    ],
)
def test_a_url_of_a_backend_has_no_user_information(url, uri, host):
    """What can't be told from a password is not published, and neither is what the host would be of it."""
    assert backend_url(url) == (uri, host)


@given(
    st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12).filter(
        lambda text: not re.match("[0-9]{1,5}/", text)  # is a port to everybody
    ),
    st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8}){1,2}(:[0-9]{2,5})?", fullmatch=True),
    st.sampled_from(["", "/", "/a/b", "/a?b=1&token=zzz", "?x=@", "/@"]),
    st.sampled_from(["drop", "keep"]),
)
def test_no_password_gets_out_of_a_url_of_a_backend(user, more, host, rest, query):
    """Whatever characters it is of, as long as it is in front of the host."""
    uri, told = backend_url(f"https://{user}:{more}Zq7Zq7Zq{more}@{host}{rest}", query)

    assert "Zq7" not in f"{uri}{told}"
    assert told in ("", host)
    assert "zzz" not in uri
    assert query == "keep" or "?" not in uri
