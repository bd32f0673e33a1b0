"""A drain as the API shows it: logshuttle's fields, then ours. Never a password, a query, a certificate or a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logrouter.core.text.timestamps import rfc3339

if TYPE_CHECKING:
    from logrouter.core.drains.registration import Registration


def show_drain(registration: Registration) -> dict[str, Any]:
    """The JSON object of a drain. Of certificates and keys it says only that, and how many, there are.

    *token* is Heroku's: it names the drain in what is delivered, and lets nobody in.
    """
    drain = registration
    return {
        "addon": {"id": drain.addon_id, "name": drain.addon_name},
        "created_at": rfc3339(drain.created_ms),
        "id": drain.id,
        "token": drain.token,
        "updated_at": rfc3339(drain.updated_ms),
        "url": show_url(drain.url),
        "form": drain.form.value,
        "framing": drain.framing,
        "max_message_bytes": drain.max_message_bytes,
        "private_ca": bool(drain.ca),
        "match": drain.match,
        "request": drain.request,
        "sample": drain.sample,
        "signing_keys": len(drain.signing_keys),
        "challenge": drain.challenge,
        "state": drain.state.value,
        "reason": drain.reason,
    }


def show_url(url: str) -> str:
    """*url* without user, password, query and fragment, any of which may be a secret."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
