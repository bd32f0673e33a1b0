"""Sources: where a client id, an API or a tenant is read from in a parsed line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.enrich.oauth import oauth_getter
from logrouter.core.names import OAUTH_PREFIX
from logrouter.core.redact import names_secret, redact_text, redact_uri
from logrouter.core.text.addresses import holds_address, replace_addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.model import Parsed

ENVELOPE_PREFIX: Final = "envelope:"
"""Begins sources that `core.enrich.from_envelope` puts among the fields of a line under their whole name."""


URI_HEADERS: Final = frozenset(
    {
        *("referer", "referrer", "origin", "location", "content-location", "x-forwarded-uri", "x-forwarded-url"),
        *("x-forwarded-path", "x-original-uri", "x-original-url", "x-original-path", "x-rewrite-url", "x-request-uri"),
        *("x-envoy-original-path", "x-uri", "x-url", "x-wap-profile", "ping-to", "ping-from", "x-forwarded-prefix"),
    }
)
"""Request headers whose value is a URI, or a part of one."""

_FOR_ADDRESSES: Final = re.compile(
    r"forwarded(?!-(?:host|method|path|port|prefix|proto|scheme|server|ssl|ur[il]))|(?:ip|ipv[46]|addr|address)$|^via$"
)

MAX_KEPT: Final = 512
MAX_KEPT_VALUES: Final = 8192

known_values: Final[set[Any]] = set()
"""Values of other headers in which there is nothing to redact: most are those of few user agents."""

_known_uris: Final[dict[tuple[str, str], str]] = {}


def field_getter(source: str) -> Callable[[Parsed], Any]:
    """A function that reads a source from a request; None where it is missing.

    `header:<name>` is a request header, `field:<name>` a field of the line, `envelope:<name>` one of the transport,
    `oauth:<name>` the consumer key or a claim in the header `Authorization`.
    Without a prefix, a name with a dash is a header and any other a field. A field is looked up as one flat key first,
    then as a path of nested ones.

    Raises:
        ValueError: there is no such kind of source.
    """
    kind, colon, name = source.partition(":")
    if colon and kind == "header":
        return _header_getter(name.lower())
    if colon and kind == "field":
        return _nested_getter(name)
    if source.startswith(ENVELOPE_PREFIX):
        return lambda parsed: parsed.fields.get(source)
    if source.startswith(OAUTH_PREFIX):
        return oauth_getter(name)
    if colon:
        raise ValueError(f"no kind of source {kind!r} in {source!r}; there are header:, field:, envelope: and oauth:")
    return _header_getter(source.lower()) if "-" in source else _nested_getter(source)


def secret_getter(source: str) -> Callable[[Parsed], Any]:
    """`field_getter`, which also finds what the format has dropped because its name is a secret's.

    What it finds may be published as a keyed hash only.
    """
    public = field_getter(source)
    name = plain_source(source)
    key = name.removeprefix("header:")  # of lines that write headers as keys of their own
    if not names_secret(key):
        return public

    def get(parsed: Parsed) -> Any:
        secrets = parsed.secrets
        found = secrets.get(name, secrets.get(key)) if secrets is not None else None
        return found if found is not None else public(parsed)

    return get


def plain_source(source: str) -> str:
    """One name for all spellings of a source: `header:x-user` for `x-user` and `header:X-User`, `a` for `field:a`."""
    kind, colon, name = source.partition(":")
    if source.startswith((ENVELOPE_PREFIX, OAUTH_PREFIX)):
        return source
    is_header = kind == "header" if colon else "-" in source
    return f"header:{(name if colon else source).lower()}" if is_header else name if colon else source


def _header_getter(name: str) -> Callable[[Parsed], Any]:
    def get(parsed: Parsed) -> Any:
        http = parsed.event.get("http")
        headers = http.get("request_headers") if http is not None else None
        return headers.get(name) if headers is not None else None

    return get


def _nested_getter(name: str) -> Callable[[Parsed], Any]:
    def get(parsed: Parsed) -> Any:
        return _dig(parsed.fields, name)

    return get if "." in name else lambda parsed: parsed.fields.get(name)


def _dig(part: dict[str, Any], name: str) -> Any:
    value = part.get(name)
    if value is not None:
        return value
    head, dot, tail = name.partition(".")
    below = part.get(head)
    return _dig(below, tail) if dot and type(below) is dict else None


def allow_headers(headers: Mapping[str, Any], allowed: frozenset[str], query: str = "drop") -> dict[str, Any]:
    """The headers whose lower-case names are in *allowed*, in their order, without secrets in their values.

    Those that hold a URI lose its query unless *query* is "keep", and a referer in any case.
    """
    kept: dict[str, Any] = {}
    for name, value in headers.items():
        if name in allowed:
            clean = _clean_value(name, value, query) if type(value) is str else value
            if clean != "":  # there was nothing but a query
                kept[name] = clean
    return kept


def made_for_addresses(name: str) -> bool:
    """Whether a header of this lower-case name says through whom a request came: `x-forwarded-for`, `x-real-ip`."""
    return _FOR_ADDRESSES.search(name) is not None


def replace_in_headers(headers: dict[str, Any], names: frozenset[str], replace: Callable[[str], str]) -> None:
    """Put what *replace* makes of it in place of every address in the headers called *names*."""
    for name in names & headers.keys():
        value = headers[name]
        if type(value) is str:
            headers[name] = replace_addresses(value, replace)
            if not headers[name]:
                del headers[name]


def _clean_value(name: str, value: str, query: str) -> str:
    if name in URI_HEADERS:
        keep = "keep" if query == "keep" and name != "referer" else "drop"
        known = _known_uris.get((keep, value))
        if known is None:
            known = _without_secrets(redact_uri(value, keep))
            if len(_known_uris) >= MAX_KEPT_VALUES:
                _known_uris.clear()
            if len(value) <= MAX_KEPT:
                _known_uris[keep, value] = known
        return known
    if value in known_values:
        return value
    clean = _without_secrets(value)
    # Of what may be a URI or an address elsewhere, nothing is known by its value alone.
    if clean == value and len(value) <= MAX_KEPT and "?" not in value and "#" not in value and not holds_address(value):
        if len(known_values) >= MAX_KEPT_VALUES:
            known_values.clear()
        known_values.add(value)
    return clean


def _without_secrets(value: str) -> str:
    return redact_text(value)
