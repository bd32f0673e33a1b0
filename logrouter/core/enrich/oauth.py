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
    from collections.abc import Callable

    from logrouter.model import Parsed

CONSUMER_KEY: Final = "consumer_key"
"""The source `oauth:consumer_key` is a parameter of OAuth 1.0a; any other name is that of a claim."""

_HEADER: Final = ("header:authorization", "authorization")
"""Where formats put the header among what they drop; the second is of lines that write headers as keys of their own."""

_REFUSED: Final = 401
_REFUSED_CODES: Final = "mwoauth-"
"""How MediaWiki's error codes of such requests begin: its own events have no status of them."""
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
    with 401, or as MediaWiki does it, as anybody may have sent it.
    """
    if names_secret(name):
        return lambda _parsed: None
    find = _consumer_key if name == CONSUMER_KEY else lambda parsed: _claim(parsed, name)

    def get(parsed: Parsed) -> Any:
        return None if _is_refused(parsed.event) else find(parsed)

    return get


def _is_refused(event: dict[str, Any]) -> bool:
    http, error = event.get("http"), event.get("error")
    if http is not None and http.get("status_code") == _REFUSED:
        return True
    code = error.get("code") if error is not None else None
    return type(code) is str and code.startswith(_REFUSED_CODES)


def _authorization(parsed: Parsed, scheme: str) -> str:
    """What stands behind this scheme in the header, "" if it has another or is not known."""
    secrets = parsed.secrets
    if secrets is None:
        return ""
    text = next((text for place in _HEADER if type(text := secrets.get(place)) is str), "")
    match = _SCHEME.match(text)
    return text[match.end() :] if match is not None and match[1].lower() == scheme else ""


def _consumer_key(parsed: Parsed) -> str | None:
    """The key of a signed request. Servers take header and query together, so two keys in them are two."""
    parameters = _parameters_of_header(_authorization(parsed, "oauth"))
    if parameters is None:
        return None
    meta = parsed.event.get("meta")
    uri = meta.get("uri") if meta is not None else None
    if type(uri) is str and (_KEY in uri or (parameters and "%" in uri)):
        of_query = _parameters_of_query(uri)
        if of_query is None:
            return None
        parameters += of_query
    return _signed_by(parameters)


def _signed_by(parameters: list[tuple[str, str]]) -> str | None:
    """The consumer key among the parameters of a signed request; None if there are two, of which either may count."""
    keys: set[str] = set()
    signed = False
    for name, value in parameters:
        plain = unquote(name) if "%" in name else name
        if plain == _KEY:
            keys.add(value)
        signed = signed or plain == _SIGNATURE
    return unquote(keys.pop()) if signed and len(keys) == 1 else None


def _parameters_of_header(text: str) -> list[tuple[str, str]] | None:
    """Names and values, still percent-encoded; None if it goes on with something else, in which may be another key."""
    if len(text) > _MAX_HEADER:
        return None
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None or len(found) == _MAX_PARAMETERS:
            return None
        found.append((match[1], match[2] or match[3] or ""))
        at = match.end()
    return found


def _parameters_of_query(uri: str) -> list[tuple[str, str]] | None:
    """The same of a URI's query; None if there are so many that not all are looked at."""
    query = uri.partition("?")[2].partition("#")[0]
    if len(query) > _MAX_HEADER or query.count("&") >= _MAX_PARAMETERS:
        return None
    pairs = (parameter.partition("=") for parameter in query.split("&"))
    return [(name, value.replace("+", " ")) for name, _, value in pairs]


def _claim(parsed: Parsed, name: str) -> Any:
    """A claim of the token: a text, a number, or a list of such, for who makes an id of it to look at."""
    match = _JWT.fullmatch(_authorization(parsed, "bearer")[:_MAX_HEADER])
    if match is None:
        return None
    try:
        claims = orjson.loads(urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)))
    except ValueError:
        return None
    return claims.get(name) if type(claims) is dict else None
