"""Which options hide their values: those that are declared as secrets, wherever they stand."""

from __future__ import annotations

import pytest

from logrouter.config.secret_options import hides, may_name_secret, misplaced


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        *((path, True) for path in ("admin.token", "privacy.hash_key", "kafka.sasl.password", "kafka.ssl.key.pem")),
        *((f"sinks.a.{key}", True) for key in ("token", "api_key", "authorization", "basic_auth.password")),
        *((f"sinks.a.{key}", True) for key in ("signing_keys", "signing_keys[1]", "secret_headers.x-any")),
        *((f"sinks.a.aws.{key}", True) for key in ("access_key_id", "secret_access_key", "session_token")),
        *(
            (f"sinks.a.{key}", False)
            for key in ("url", "headers.token", "headers.authorization", "tokens", "aws.region")
        ),
        *((f"sinks.a.{key}", False) for key in ("basic_auth.user", "tls.key", "index.token", "x.y.token")),
        *((path, False) for path in ("sinks.token", "token", "admin.token.x", "kafka.client.id", "outputs.token")),
    ],
)
def test_an_option_hides_its_value(path, hidden):
    """A variable that holds a secret by its name may stand there, and nowhere else."""
    assert hides(path) is hidden
    assert misplaced("a-${DB_PASSWORD}", path) == (None if hidden else "DB_PASSWORD")
    assert misplaced("${HOST}", path) is None


@pytest.mark.parametrize(
    ("word", "found"),
    [
        *((word, True) for word in ("password", "sasl.password", "passwrod", "sasl.passwrd", "hash_key", "hashkey")),
        *(
            (word, True)
            for word in ("token", "tokn", "api_key", "apikey", "signing_key", "singing_keys", "autorization")
        ),
        *((word, True) for word in ("access_key_id", "acces_key_id", "headers", "secret_headers")),
        *((word, True) for word in ("basic_auth", "basicauth", "pass", "pwd", "passwd")),
        *((word, False) for word in ("key", "name", "from", "topics", "url", "match", "client_id", "request_headers")),
        *(
            (word, False)
            for word in ("header.x", "user", "session", "path", "class", "index", "x" * 100_000, "", "...")
        ),
    ],
)
def test_a_word_may_be_the_key_of_a_secret(word, found):
    """One that is spelt wrong is a key that is not known, and the line with its value is not shown either."""
    assert may_name_secret(word) is found
