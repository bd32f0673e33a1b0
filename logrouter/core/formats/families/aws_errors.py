"""What response types of Amazon API Gateway mean, and what of its error messages may be published."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from logrouter.core.redact import REDACTED, redact_text

MAX_MESSAGE: Final = 1024


class GatewayFault(NamedTuple):
    """A fault that the gateway itself found: its response type, its kind in one word, and the outcome."""

    code: str
    kind: str
    outcome: str


_KINDS: Final = {
    ("auth", "auth"): (
        "ACCESS_DENIED EXPIRED_TOKEN INVALID_API_KEY INVALID_SIGNATURE MISSING_AUTHENTICATION_TOKEN UNAUTHORIZED"
    ),
    ("throttling", "throttled"): "THROTTLED QUOTA_EXCEEDED",
    ("routing", "not_found"): "RESOURCE_NOT_FOUND",
    ("request", "client_error"): ("BAD_REQUEST_BODY BAD_REQUEST_PARAMETERS REQUEST_TOO_LARGE UNSUPPORTED_MEDIA_TYPE"),
    ("configuration", "gateway_error"): "API_CONFIGURATION_ERROR AUTHORIZER_CONFIGURATION_ERROR",
    ("authorizer", "gateway_error"): "AUTHORIZER_FAILURE",
    ("integration", "backend_error"): "INTEGRATION_FAILURE INTEGRATION_TIMEOUT",
    # A firewall's block is a refusal like the others with status 403; the kind keeps it apart from them.
    ("waf", "auth"): "WAF_FILTERED",
}
_FAULTS: Final = {
    code: GatewayFault(code, kind, outcome) for (kind, outcome), codes in _KINDS.items() for code in codes.split()
}
WAF: Final = _FAULTS["WAF_FILTERED"]

# Messages name who was refused: a principal, or an address.
_PRINCIPAL = re.compile(r"\barn:[^\s\"']++|[^\s\"'@]{1,64}+@[^\s\"']++")


def fault_of(code: str | None) -> GatewayFault | None:
    """The fault that a response type stands for; None for a type that says no more than the status."""
    return _FAULTS.get(code) if code is not None else None


def harmless_message(text: str) -> str:
    """A gateway's message without quotes around it, secrets and principals; bounded."""
    short = text.strip('"')[: 4 * MAX_MESSAGE]
    if "@" in short or "arn:" in short:
        short = _PRINCIPAL.sub(REDACTED, short)
    return redact_text(short)[:MAX_MESSAGE]
