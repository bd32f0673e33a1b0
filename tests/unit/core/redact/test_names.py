"""One table of names: what is a secret's name, and what only sounds like one."""

from __future__ import annotations

import pytest

from logrouter.core.redact.names import names_bulk, names_query, names_secret

SECRETS = """
    access_token accessToken x-auth-token token tokens secret client_secret password passwd pass user_pass userPass pwd
    passphrase otp smsOtp totp pin cvv sig x-amz-signature X-Amz-Credential auth http.x-api-key apiKey api.key api_key
    Ocp-Apim-Subscription-Key x-functions-key x-rapidapi-key private_key privateKey access_key_id sharedAccessKey
    Authorization Proxy-Authorization cookie Set-Cookie session session_id JSESSIONID PHPSESSID connect.sid jwt
    client_assertion csrf XSRF-TOKEN SAMLResponse connection_string code key ticket %61ccess_token pass%77ord
    p%2561ssword password[] code_verifier
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


def test_bodies_and_queries_have_names_of_their_own():
    """They are no secrets by themselves, and are not shown for other reasons."""
    assert [names_bulk(name) for name in ("payload", "request_body", "responseBody", "body_bytes_sent")] == [
        *(True, True, True, False)
    ]
    assert [names_query(name) for name in ("query", "queryStringParameters", "$args", "query_time")] == [
        *(True, True, True, False)
    ]
