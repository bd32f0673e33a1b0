"""A request as its drains may see it: what conditions of drains read, and what the line of a router is written from.

A condition on what is hidden would be a way to find it out, a character at a time. So these read the request after
redaction, unlike the conditions of routes, which are the operator's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from logrouter.core.enrich import allow_headers, replace_in_headers
from logrouter.core.redact import redact_uri
from logrouter.core.request_fields import Request
from logrouter.model import Parsed

if TYPE_CHECKING:
    from logrouter.core.redact.disclosure import Disclosure
    from logrouter.core.routing import Route


class KnownRequest(Struct, frozen=True):
    """Client and API that have been found already, and an address that is as it may be shown."""

    client: tuple[str, str | None] | None
    called: tuple[str, str | None] | None

    def client_id(self, _parsed: Parsed) -> tuple[str, str | None] | None:
        """The client's id and its type."""
        return self.client

    def api(self, _parsed: Parsed) -> tuple[str, str | None] | None:
        """The API and its version."""
        return self.called

    @property
    def address(self) -> type[str]:
        """Addresses stay as they are."""
        return str


def shown_request(parsed: Parsed, route: Route, disclosure: Disclosure) -> Request:
    """The request as *route* publishes it, and no more of it than *disclosure* shows."""
    known = KnownRequest(route.client_id(parsed), route.api(parsed))
    event, fields = dict(disclosure.record(parsed.event)), dict(disclosure.record(parsed.fields))
    for name, protect in (("http", _show_http), ("meta", _show_meta)):
        if type(parsed.event.get(name)) is dict:
            event[name] = protect(parsed.event[name], dict(event[name]), route, disclosure)
            if name in fields:  # formats put the parts of the event among the fields as well
                fields[name] = event[name]
    return Request(replace(parsed, event=event, fields=fields, secrets=None), known)


def _show_http(written: dict[str, Any], http: dict[str, Any], route: Route, disclosure: Disclosure) -> dict[str, Any]:
    address, headers = written.get("client_ip"), written.get("request_headers")
    http.pop("client_ip", None)
    http.pop("request_headers", None)
    kept = route.client_ip(address) if type(address) is str else None
    if kept and disclosure.address is not None and disclosure.strictness > route.disclosure.strictness:
        kept = disclosure.address(kept)
    if kept:
        http["client_ip"] = kept
    if type(headers) is dict:
        allowed = allow_headers(headers, route.headers, _query(disclosure))
        if route.address_headers and disclosure.address is not None:
            replace_in_headers(allowed, route.address_headers, disclosure.address)
        http["request_headers"] = allowed
    return http


def _show_meta(written: dict[str, Any], meta: dict[str, Any], _route: Route, disclosure: Disclosure) -> dict[str, Any]:
    uri = written.get("uri")
    if type(uri) is str:
        meta["uri"] = disclosure.text(redact_uri(uri, _query(disclosure)) or "/")
    return meta


def _query(disclosure: Disclosure) -> str:
    return "keep" if disclosure.keeps_query else "drop"


def published_request(event: dict[str, Any]) -> Request:
    """The request of a clean event, which is as it may be shown."""
    client, api, outcome = (_text(event.get(name)) for name in ("client_id", "api", "outcome"))
    known = KnownRequest(
        (client, _text(event.get("client_type"))) if client else None,
        (api, _text(event.get("api_version"))) if api else None,
    )
    return Request(Parsed(event, event, outcome=outcome), known)


def _text(value: object) -> str | None:
    return value if type(value) is str else None
