"""What has gone wrong with TLS, in a line for the operator that says what to do and shows nothing of a key."""

from __future__ import annotations

import re
import ssl
from typing import Final

_MAX_TEXT: Final = 200
_MAX_CAUSES: Final = 8
_BY_TARGET: Final = "the target has refused the connection"
_OWN: Final = "see tls.certificate and tls.key of this sink"
_CA: Final = "name its CA in tls.ca of this sink"

# Codes of OpenSSL's X509_verify_cert_error_string(3).
_CERTIFICATE: Final = {
    9: "is not valid yet: compare the clocks",
    10: "has expired",
    18: f"is self-signed: {_CA}",
    19: f"is of a CA that is not trusted: {_CA}",
    20: f"is of a CA that is not trusted: {_CA}",
    21: f"is of a CA that is not trusted: {_CA}",
    62: "is for another name than the url's host",
    64: "is for another address than the url's host",
}
_REASONS: Final = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": f"{_BY_TARGET}: it asks for a client certificate: {_OWN}",
    "TLSV1_ALERT_UNKNOWN_CA": f"{_BY_TARGET}: it does not know the CA of our certificate: {_OWN}",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": f"{_BY_TARGET}: our certificate has expired: {_OWN}",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": f"{_BY_TARGET}: our certificate is revoked: {_OWN}",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": f"{_BY_TARGET}: it does not accept our certificate: {_OWN}",
    "SSLV3_ALERT_BAD_CERTIFICATE": f"{_BY_TARGET}: it does not accept our certificate: {_OWN}",
    "TLSV1_ALERT_ACCESS_DENIED": f"{_BY_TARGET}: our certificate has no access: {_OWN}",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the target speaks no TLS 1.2 or 1.3",
    "UNSUPPORTED_PROTOCOL": "the target speaks no TLS 1.2 or 1.3",
    "WRONG_VERSION_NUMBER": "the target does not speak TLS at this port: is it http?",
    "HTTP_REQUEST": "the target does not speak TLS at this port: is it http?",
    "TLSV1_UNRECOGNIZED_NAME": f"{_BY_TARGET}: it does not know the url's host name",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": f"{_BY_TARGET}: no cipher in common, or it asks for a client certificate: {_OWN}",
}


def find_tls_error(error: BaseException) -> ssl.SSLError | None:
    """The error of TLS that is the cause of *error*, however deep; None if there is none."""
    cause: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if cause is None or isinstance(cause, ssl.SSLError):
            return cause
        cause = cause.__cause__
    return None


def describe_tls_trouble(error: BaseException) -> str:
    """One line about an error of TLS, or about any other one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = _CERTIFICATE.get(error.verify_code, f"is not accepted: {error.verify_message}")
        return f"the target's certificate {why}"[:_MAX_TEXT]
    reason = getattr(error, "reason", None)
    if isinstance(reason, str) and reason in _REASONS:
        return _REASONS[reason]
    if isinstance(reason, str) and reason:
        return reason.replace("_", " ").lower()[:_MAX_TEXT]
    # Python's own words end in the place in its source that raised.
    text = re.sub(r"\s*\(_ssl\.c:\d+\)$", "", str(error)) if error.args else ""
    return (text or type(error).__name__)[:_MAX_TEXT]
