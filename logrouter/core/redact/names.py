"""The one table of names under which secrets stand: in headers, keys, parameters, elements, columns, anywhere.

Names are compared in lower case, with or without `-`, `_` and `.` between their words, and percent-decoded.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote

REDACTED: Final = "REDACTED"

_KEYS: Final = (
    "api|access|private|priv|subscription|functions?|signing|encryption|master|shared|account|storage|auth|ssh|rsa|hmac"
    "|licen[cs]e|security|webhook|rapidapi|instrumentation"
)
# "-" stands for an optional separator.
_PARTS: Final = (
    "token|secret|passw|pass-?phrase|pass-?code|pwd|signature|credential|authori[sz]ation|session|sess-?id|jwt"
    f"|assertion|cookie|csrf|xsrf|saml-?re(?:sponse|quest)|connection-?string|one-?time|user-?pass|sms-?otp|(?:code|oauth)-?verifier|(?:{_KEYS})-?key"
)
SECRET_PARTS: Final = _PARTS.replace("-?", "[-_.]?")
"""Words that make a name a secret's wherever they stand in it: an expression for lower case."""

HINTS: Final = (
    *("token", "secret", "pass", "pwd", "signature", "credential", "authori", "sess", "jwt", "assertion", "cookie"),
    *("csrf", "xsrf", "saml", "connection", "one", "code", "key", "verifier"),
)
"""One of these is in every match of `SECRET_PARTS`."""

LAST_WORDS: Final = ("auth", "cvc", "cvv", "otp", "pass", "passwd", "pin", "psk", "pw", "sas", "sid", "sig", "totp")
"""Words that make a name a secret's if they are all of it, or its last: `user_pass`, `smsOtp`."""

WHOLE_NAMES: Final = ("code", "key", "ticket")
"""Names of secrets that are common words: they count only where nothing else is in the name."""

HEADER_KEY: Final = (
    r"x[-_](?!(?:idempotency|cache|partition|routing|request|correlation|trace|surrogate)[-_])"
    r"(?:[a-z0-9]{1,30}[-_]){1,4}key"
)
"""Headers such as `x-functions-key`, whatever product they are of."""

BULK: Final = r"payload|re(?:quest|sponse)[-_]?body"
"""What is nobody's business and too much besides; names of fields with these words in them are no secrets."""

_QUERIES: Final = frozenset(
    {
        *(
            "args",
            "arguments",
            "csuriquery",
            "httpquery",
            "multivaluequerystringparameters",
            "query",
            "queryparameters",
        ),
        *("queryparams", "querystring", "querystringparameters", "rawquerystring", "requestquery"),
        *("requestquerystring", "urlquery"),
    }
)

_MAX_NAMES: Final = 4096
_MAX_NAME: Final = 64
_LONGEST: Final = 512
_MAX_ENCODED: Final = 4

_SECRET: Final = re.compile(
    rf"{SECRET_PARTS}|(?:^|[^a-z0-9])(?:{'|'.join(LAST_WORDS)})$|^(?:.*[^\w-])?(?:{'|'.join(WHOLE_NAMES)})$|^{HEADER_KEY}$",
    re.DOTALL,
)
_CAMEL: Final = re.compile(rf"[a-z](?:{'|'.join(word.title() for word in LAST_WORDS)})$")
_BULK: Final = re.compile(BULK)
_SEPARATORS: Final = str.maketrans("", "", "-_.")


class NameKind(Enum):
    """What a name says of the value that it stands for."""

    PLAIN = auto()
    QUERY = auto()
    BULK = auto()
    SECRET = auto()


# Lines of one source have the same names; hostile input can only make these start over.
_secret_names: dict[str, bool] = {}
_kinds: dict[str, NameKind] = {}


def kind_of(name: str) -> NameKind:
    """What the value of a field of this name is: a secret, a body, a query string, or none of these."""
    known = _kinds.get(name)
    if known is None:
        if names_secret(name):
            known = NameKind.SECRET
        elif _BULK.fullmatch(name.lower().rpartition(".")[2]):
            known = NameKind.BULK
        elif name.lower().translate(_SEPARATORS).removeprefix("$") in _QUERIES:
            known = NameKind.QUERY
        else:
            known = NameKind.PLAIN
        if len(_kinds) >= _MAX_NAMES:
            _kinds.clear()
        if len(name) <= _MAX_NAME:
            _kinds[name] = known
    return known


def names_secret(name: str) -> bool:
    """Whether a field of this name holds a secret: `authorization`, `http.x-api-key`, `code`, `%61ccess_token`."""
    known = _secret_names.get(name)
    if known is None:
        known = _decide(name)
        if len(_secret_names) >= _MAX_NAMES:
            _secret_names.clear()
        if len(name) <= _MAX_NAME:
            _secret_names[name] = known
    return known


def percent_decoded(text: str) -> str:
    """The text without percent-encoding, however often it was encoded, up to `_MAX_ENCODED` times."""
    for _ in range(_MAX_ENCODED):
        if "%" not in text:
            break
        plain = unquote(text, errors="replace")
        if plain == text:
            break
        text = plain
    return text


def _decide(name: str) -> bool:
    text = percent_decoded(name[:_LONGEST]).strip().rstrip("[]")
    return _SECRET.search(text.lower()) is not None or _CAMEL.search(text) is not None
