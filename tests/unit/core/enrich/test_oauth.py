"""Sources `oauth:`: the consumer that a request names, and nothing of the secrets beside it."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from time import process_time
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.enrich import compile_client_id, field_getter
from logrouter.model import Parsed

KEY = "4f5d6e7f8091a2b3c4d5e6f708192a3b"
SIGNED = f'OAuth oauth_consumer_key="{KEY}", oauth_token="made-up", oauth_signature="made-up%3D"'


def request(header: str | None = None, *, uri: str = "/w/api.php", status: int = 200) -> Parsed:
    """A request as a format has read it that drops the header."""
    secrets = None if header is None else {"header:authorization": header}
    return Parsed({"http": {"status_code": status}, "meta": {"uri": uri}}, {}, secrets=secrets)


def bearer(claims: object) -> str:
    """A header with a token that has these claims."""
    parts = [b'{"alg":"RS256"}', orjson.dumps(claims), b"made-up-signature"]
    return "Bearer " + ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (SIGNED, KEY),
        (f'oauth  realm="x" ,oauth_signature="s",oauth_consumer_key = "{KEY}"', KEY),
        (f"OAuth oauth_consumer_key={KEY},oauth_signature=s", KEY),
        ('OAuth oauth_consumer_key="my%20app", oauth_signature="s"', "my app"),
        # Not signed, so anybody's; two keys; none; another scheme; cut off.
        (f'OAuth oauth_consumer_key="{KEY}"', None),
        (f'OAuth oauth_consumer_key="{KEY}", oauth_consumer_key="other", oauth_signature="s"', None),
        # The other one with an escaped name, and behind what is no parameter: some servers read both.
        (f'OAuth oauth_consumer_key="{KEY}", oauth%5fconsumer%5Fkey="other", oauth_signature="s"', None),
        (f'OAuth oauth_consumer_key="{KEY}", oauth_signature="s", !, oauth_consumer_key="other"', None),
        (f'OAuth oauth_consumer_key="{KEY}", oauth_signature="s", {"a=1, " * 70}oauth_consumer_key="other"', None),
        ('OAuth oauth_consumer_key="", oauth_signature="s"', None),
        (f'Digest oauth_consumer_key="{KEY}", oauth_signature="s"', None),
        (f'OAuth oauth_signature="s", oauth_consumer_key="{KEY}', None),
        ("OAuth", None),
        ("REDACTED", None),
        ("", None),
        (None, None),
    ],
)
def test_the_consumer_key_of_a_signed_request(header, key):
    """By the grammar of RFC 5849, percent-decoded."""
    found = compile_client_id(["oauth:consumer_key"])(request(header))
    assert found == (None if key is None else (key, None))


def test_a_key_inside_of_another_value_is_not_the_key():
    """A realm with a comma in it, by which a client would pass for somebody else."""
    header = f'OAuth realm="a, oauth_consumer_key=other, oauth_x=", oauth_consumer_key="{KEY}", oauth_signature="s"'
    assert field_getter("oauth:consumer_key")(request(header)) == KEY


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        (f"/w/api.php?action=query&oauth_consumer_key={KEY}&oauth_signature=made-up", KEY),
        (f"/w/api.php?oauth_signature=made-up&oauth_consumer_key={KEY}#x", KEY),
        (f"/w/api.php?oauth_consumer_key={KEY}", None),
        (f"/oauth_consumer_key={KEY}&oauth_signature=x", None),
        (f"/w/api.php?oauth_consumer_key={KEY}&oauth_consumer_key=b&oauth_signature=x", None),
        (f"/w/api.php?oauth_consumer_key={KEY}&oauth%5Fconsumer_key=b&oauth_signature=x", None),
        (f"/w/api.php?oauth_consumer_key={KEY}&oauth_signature=x{'&a' * 70}&oauth_consumer_key=b", None),
    ],
)
def test_the_consumer_key_in_the_query(uri, key):
    """Which OAuth 1.0a allows as well, and no more without a signature than in the header."""
    assert field_getter("oauth:consumer_key")(request(uri=uri)) == key


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ('OAuth oauth_consumer_key="other"', None),  # a server that takes both together believes the header
        ('OAuth oauth_consumer_key="other", oauth_signature="s"', None),
        (f'OAuth oauth_consumer_key="{KEY}", oauth_signature="s"', KEY),
        ('OAuth oauth_nonce="n"', KEY),
        (f"OAuth {'a=1, ' * 4000}", None),
    ],
)
def test_a_key_in_the_header_and_another_in_the_query_are_two(header, key):
    """Servers take parameters of both places together, so that either key may be the one that has signed."""
    uri = f"/w/api.php?oauth_consumer_key={KEY}&oauth_signature=made-up"
    assert field_getter("oauth:consumer_key")(request(header, uri=uri)) == key


def test_a_key_in_the_query_whose_name_is_escaped_is_another_one_than_that_of_the_header():
    """Servers take such names for what they stand for."""
    parsed = request(SIGNED, uri="/w/api.php?%6fauth_consumer_key=other")
    assert field_getter("oauth:consumer_key")(parsed) is None


@pytest.mark.parametrize("code", ["mwoauth-invalid-authorization", "mwoauth-oauth-exception"])
def test_a_key_that_mediawiki_has_not_believed_is_nobodys(code):
    """Its events have no status of such a request: the code alone tells that anybody may have sent it."""
    parsed = Parsed({"http": {}, "error": {"code": code}}, {}, secrets={"header:authorization": SIGNED})
    assert field_getter("oauth:consumer_key")(parsed) is None


@pytest.mark.parametrize(
    ("claims", "source", "client"),
    [
        ({"aud": KEY, "sub": "42"}, "oauth:aud", (KEY, None)),
        ({"aud": [KEY, "other"]}, "oauth:aud", (KEY, None)),
        ({"azp": "shop-app"}, "oauth:azp", ("shop-app", None)),
        ({"client_id": 7}, "oauth:client_id", ("7", None)),
        (
            {"http://example.org/claims/application": "shop"},
            "oauth:http://example.org/claims/application",
            ("shop", None),
        ),
        # An id that would say what kind it is, of a token that nobody has verified here.
        ({"sub": "jwt-sub:42"}, "oauth:sub", ("jwt-sub%3A42", None)),
        ({"aud": None}, "oauth:aud", None),
        ({"aud": {"deep": KEY}}, "oauth:aud", None),
        ({"aud": True}, "oauth:aud", None),
        ({"session_id": "made-up", "sid": "made-up"}, "oauth:session_id", None),
        ([KEY], "oauth:aud", None),
        ("text", "oauth:aud", None),
    ],
)
def test_a_claim_of_a_bearer_token(claims, source, client):
    """A text, a number, or the first of a list; never what is called like a secret."""
    assert compile_client_id([source])(request(bearer(claims))) == client


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer opaque-token",
        "Bearer a.b",
        "Bearer a.!.c",
        "Bearer a.e30.c.d.e",
        "Bearer ..",
        bearer({})[:-30],
    ],
)
def test_what_is_no_token_with_claims_names_nobody(header):
    """Opaque, encrypted and damaged tokens; the next source is asked."""
    who = compile_client_id(["oauth:aud", "http.client_ip"])
    parsed = request(header)
    parsed.fields["http.client_ip"] = "192.0.2.7"
    assert who(parsed) == ("x-client-ip:192.0.2.7", "x-client-ip")


@pytest.mark.parametrize(("header", "source"), [(SIGNED, "consumer_key"), (bearer({"aud": KEY}), "aud")])
def test_who_was_refused_is_nobody(header, source):
    """With 401 the server says that the request was not theirs; 403 is about what they may."""
    get = field_getter(f"oauth:{source}")
    assert [get(request(header, status=status)) for status in (200, 401, 403)] == [KEY, None, KEY]


def test_a_header_of_a_line_that_writes_it_as_a_key():
    """As the format kv drops it."""
    assert field_getter("oauth:consumer_key")(Parsed({}, {}, secrets={"authorization": SIGNED})) == KEY


@given(st.text(min_size=1), st.dictionaries(st.sampled_from(["realm", "oauth_nonce", "oauth_token"]), st.text()))
def test_every_key_that_a_client_can_send_is_read_back(key, others):
    """Whatever is in it and in what stands beside it."""
    parameters = {**others, "oauth_consumer_key": key, "oauth_signature": "made-up"}
    header = "OAuth " + ", ".join(f'{name}="{quote(value, safe="~")}"' for name, value in parameters.items())
    assert field_getter("oauth:consumer_key")(request(header)) == key


@given(st.text() | st.text(alphabet='OAuthBearer ",=._%eyJ').map(lambda text: f"OAuth {text}"), st.text())
def test_whatever_the_header_it_is_read_or_not(header, uri):
    """Nothing raises."""
    for name in ("consumer_key", "aud"):
        field_getter(f"oauth:{name}")(request(header, uri=uri))


@pytest.mark.parametrize("piece", ['a="', 'a="",', "a=,", "a.", "oauth_consumer_key=b&", "\t", "OAuth ", "%25"])
def test_a_long_header_costs_no_more_than_its_length(piece):
    """Half a megabyte of what an expression may stumble over."""
    text = piece * (500_000 // len(piece))
    began = process_time()
    for name in ("consumer_key", "aud"):
        for begin in ("OAuth ", "Bearer ", ""):
            field_getter(f"oauth:{name}")(request(begin + text, uri="/?" + text))
    assert process_time() - began < 1
