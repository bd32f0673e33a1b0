"""One table of names: what is a secret's name, and what only sounds like one."""

from __future__ import annotations

import pytest

from logrouter.core.redact.names import NameKind, kind_of, names_secret

SECRETS = """
    access_token accessToken x-auth-token token tokens secret client_secret password passwd pass user_pass userPass pwd
    passphrase otp smsOtp totp pin cvv sig x-amz-signature X-Amz-Credential auth http.x-api-key apiKey api.key api_key
    Ocp-Apim-Subscription-Key x-functions-key x-rapidapi-key private_key privateKey access_key_id sharedAccessKey
    Authorization Proxy-Authorization cookie Set-Cookie session session_id JSESSIONID PHPSESSID connect.sid jwt
    client_assertion csrf XSRF-TOKEN SAMLResponse connection_string code key ticket %61ccess_token pass%77ord
    p%2561ssword password[] code_verifier oauth_verifier
"""
PUBLIC = """
    status status_code author authority authors keyType routeKey partition_key x-idempotency-key x-request-id path
    monkey bypass compass pinned shopping spin signal design assigned user-agent passenger x-cache-key codec encode
    client_id consumerKey user id request_id time duration host author_id
"""


@pytest.mark.parametrize("name", SECRETS.split())
def test_the_name_of_a_secret_is_known_however_it_is_spelt(name):
    """With any separator, in camel case, in capitals, behind a path, and percent-encoded."""
    assert names_secret(name)


@pytest.mark.parametrize("name", PUBLIC.split())
def test_a_name_that_only_sounds_like_one_is_none(name):
    """What people look for in a dead letter stays readable."""
    assert not names_secret(name)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (NameKind.BULK, "payload request_body responseBody"),
        (NameKind.QUERY, "query queryStringParameters $args"),
        (NameKind.SECRET, "token x-api-key"),
        (NameKind.PLAIN, "body_bytes_sent query_time host"),
    ],
)
def test_what_a_name_says_of_its_value(kind, names):
    """Bodies and queries are no secrets by themselves, and are not shown for other reasons."""
    assert {kind_of(name) for name in names.split()} == {kind}
