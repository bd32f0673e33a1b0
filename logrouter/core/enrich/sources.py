"""Sources: where a client id, an API or a tenant is read from in a parsed line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.core.redact import redact_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.model import Parsed

ENVELOPE_PREFIX: Final = "envelope:"
"""Begins sources that `core.enrich.from_envelope` puts among the fields of a line under their whole name."""


def field_getter(source: str) -> Callable[[Parsed], Any]:
    """A function that reads a source from a request; None where it is missing.

    `header:<name>` is a request header, `field:<name>` a field of the line, `envelope:<name>` one of the transport.
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
    if colon:
        raise ValueError(f"no kind of source {kind!r} in {source!r}; there are header:, field: and envelope:")
    return _header_getter(source.lower()) if "-" in source else _nested_getter(source)


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


def allow_headers(headers: Mapping[str, Any], allowed: frozenset[str]) -> dict[str, Any]:
    """The headers whose lower-case names are in *allowed*, in their order; a referer without its query."""
    kept = {name: value for name, value in headers.items() if name in allowed}
    if "referer" in kept:
        referer = kept["referer"]
        kept["referer"] = redact_uri(referer) if type(referer) is str else referer
        if kept["referer"] == "":  # there was nothing but a query
            del kept["referer"]
    return kept
