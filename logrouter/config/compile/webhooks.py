"""Checks of the options of webhooks: keys of signatures, and headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.config.yaml.kinds import usable
from logrouter.core.redact import holds_secret, names_secret
from logrouter.core.signing_keys import KEY_PREFIX, read_key

if TYPE_CHECKING:
    from logrouter.config.options.sinks import WebhookOptions
    from logrouter.config.yaml.problems import Problems
    from logrouter.config.yaml.secrets import Secret

_AUTHORIZATION: Final = "authorization"
_OWN_HEADERS: Final = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host"}
    | {"keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that say what is sent, or how the connection goes on."""
_SIGNED: Final = "webhook-"


def check_webhook(options: WebhookOptions, path: str, problems: Problems) -> None:
    """Note keys that can't sign, and headers that are the sink's own, or hold secrets where these are shown."""
    for index, key in enumerate(options.signing_keys if usable(options.signing_keys) else ()):
        if not _is_signing_key(key):
            at = f"{path}.signing_keys[{index}]"
            problems.add(at, f"must be {KEY_PREFIX} and 24 to 64 random bytes in base64")
    seen = {} if options.authorization is None else {_AUTHORIZATION: "the option `authorization`"}
    for section in ("headers", "secret_headers"):
        headers = getattr(options, section)
        for name, value in (headers or {}).items() if usable(headers) else ():
            at = f"{path}.{section}.{name}"
            lower = name.lower()
            if lower in _OWN_HEADERS or lower.startswith(_SIGNED):
                problems.add(at, "is set by the sink itself", at_key=True)
            elif section == "headers" and (names_secret(lower) or holds_secret(value)):
                option = _AUTHORIZATION if lower == _AUTHORIZATION else "secret_headers"
                problems.add(at, f"holds a secret: use the option `{option}`, with a reference", at_key=True)
            elif lower in seen:
                problems.add(at, f"is the same header as {seen[lower]}", at_key=True)
            seen.setdefault(lower, name)


def _is_signing_key(key: Secret) -> bool:
    try:
        read_key(key.reveal())
    except ValueError:
        return False
    return True
