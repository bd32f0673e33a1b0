"""Which OAuth consumer a request says it comes from, out of what formats drop: the header `Authorization`.

    Authorization: OAuth oauth_consumer_key="4f5d6e7f", oauth_signature="…", …     OAuth 1.0a, RFC 5849
    Authorization: Bearer <header>.<claims>.<signature>                            a JSON web token, RFC 7519
    GET /w/api.php?oauth_consumer_key=4f5d6e7f&oauth_signature=…                   OAuth 1.0a in the query

A consumer key and the claims about who holds a token are made to be shown, unlike what stands beside them, of which
nothing leaves this module. Nothing is verified here: the server has done that, unless it answered 401.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import orjson

from logrouter.core.redact import names_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logrouter.model import Parsed

CONSUMER_KEY: Final = "consumer_key"
"""The source `oauth:consumer_key` is a parameter of OAuth 1.0a; any other name is that of a claim."""

_HEADER: Final = ("header:authorization", "authorization")
"""Where formats put the header among what they drop; the second is of lines that write headers as keys of their own."""

_REFUSED: Final = 401
_MAX_HEADER: Final = 16_384
_MAX_PARAMETERS: Final = 64
_SCHEME: Final = re.compile(r"\s*+(oauth|bearer)\s++", re.IGNORECASE | re.ASCII)
_PARAMETER: Final = re.compile(r'\s*+([\w.~%-]++)\s*+=\s*+(?:"([^"]*+)"|([^",\s]*+))\s*+(?:,|$)', re.ASCII)
_JWT: Final = re.compile(r"[\w-]++\.([\w-]++)\.[\w-]*+\s*+", re.ASCII)
_KEY: Final = "oauth_consumer_key"
_SIGNATURE: Final = "oauth_signature"


def oauth_getter(name: str) -> Callable[[Parsed], Any]:
    """A function that reads `oauth:<name>` from a request: the consumer key, or the claim *name* of a bearer token.

    It gives None where there is none, where the name is that of a secret, and for a request that the server has refused
    with 401, as anybody may have sent it.
    """
    if names_secret(name):
        return lambda _parsed: None
    find = _consumer_key if name == CONSUMER_KEY else lambda parsed: _claim(parsed, name)

    def get(parsed: Parsed) -> Any:
        http = parsed.event.get("http")
        return None if http is not None and http.get("status_code") == _REFUSED else find(parsed)

    return get


def _authorization(parsed: Parsed, scheme: str) -> str:
    """What stands behind this scheme in the header, "" if it has another or is not known."""
    secrets = parsed.secrets
    if secrets is None:
        return ""
    text = next((text for place in _HEADER if type(text := secrets.get(place)) is str), "")
    match = _SCHEME.match(text)
    return text[match.end() : _MAX_HEADER] if match is not None and match[1].lower() == scheme else ""


def _consumer_key(parsed: Parsed) -> str | None:
    found = _signed_by(_parameters_of_header(_authorization(parsed, "oauth")))
    if found is not None:
        return found
    meta = parsed.event.get("meta")
    uri = meta.get("uri") if meta is not None else None
    return _signed_by(_parameters_of_query(uri)) if type(uri) is str and _KEY in uri else None


def _signed_by(parameters: Iterator[tuple[str, str]]) -> str | None:
    """The consumer key among the parameters of a signed request; None if there are two, of which either may count."""
    keys: set[str] = set()
    signed = False
    for name, value in parameters:
        if name == _KEY:
            keys.add(value)
        signed = signed or name == _SIGNATURE
    return unquote(keys.pop()) if signed and len(keys) == 1 else None


def _parameters_of_header(text: str) -> Iterator[tuple[str, str]]:
    """Names and values, still percent-encoded, up to the first thing that is no parameter."""
    at = 0
    for _ in range(_MAX_PARAMETERS):
        match = _PARAMETER.match(text, at) if at < len(text) else None
        if match is None:
            return
        yield match[1], match[2] or match[3] or ""
        at = match.end()


def _parameters_of_query(uri: str) -> Iterator[tuple[str, str]]:
    query = uri.partition("?")[2].partition("#")[0][:_MAX_HEADER]
    for parameter in query.split("&", _MAX_PARAMETERS)[:_MAX_PARAMETERS]:
        name, _, value = parameter.partition("=")
        yield name, value.replace("+", " ")


def _claim(parsed: Parsed, name: str) -> Any:
    """A claim of the token: a text, a number, or a list of such, for who makes an id of it to look at."""
    match = _JWT.fullmatch(_authorization(parsed, "bearer"))
    if match is None:
        return None
    try:
        claims = orjson.loads(urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)))
    except ValueError:
        return None
    return claims.get(name) if type(claims) is dict else None
