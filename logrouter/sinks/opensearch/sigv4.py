"""Signatures of AWS, version 4 ("Create a signed AWS API request", IAM User Guide). Pure: the time is an argument.

A request is put into a canonical form; its hash, the time and the scope (day, region, service) are signed with a key
that is derived from the secret one for this scope alone.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.sinks.http_messages import HttpRequest

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_UNRESERVED: Final = "-_.~"


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """Keys of an IAM user, or of a role with a *session_token*; *service* is `es` (domains) or `aoss` (collections)."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    region: str
    service: str = "es"
    session_token: str = field(default="", repr=False)

    def authorise(self, request: HttpRequest, now: float) -> HttpRequest:
        """The request with its time, the hash of its body, and the signature of all its headers; *now* in seconds."""
        moment = f"{datetime.fromtimestamp(int(now), UTC):%Y%m%dT%H%M%SZ}"
        digest = hashlib.sha256(request.body).hexdigest()
        added = {"X-Amz-Date": moment, "X-Amz-Content-Sha256": digest}  # aoss asks for the second
        if self.session_token:
            added["X-Amz-Security-Token"] = self.session_token
        kept = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
        headers = {**kept, **added}
        signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        signed["host"] = host_of(request.url)
        scope = f"{moment[:8]}/{self.region}/{self.service}/aws4_request"
        canonical = canonical_request(request.method, request.url, signed, digest)
        to_sign = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = _signing_key(self.secret_access_key, moment[:8], self.region, self.service)
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        headers["Authorization"] = (
            f"{_ALGORITHM} Credential={self.access_key_id}/{scope}, "
            f"SignedHeaders={';'.join(sorted(signed))}, Signature={signature}"
        )
        return request._replace(headers=headers)


def host_of(url: str) -> str:
    """What the header `Host` says: the port only if it is not the scheme's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    return host if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f"{host}:{port}"


def canonical_request(method: str, url: str, headers: Mapping[str, str], digest: str) -> str:
    """The canonical form of a request whose *headers*, by lower-case name, are all signed."""
    parts = urlsplit(url)
    lines = [method.upper(), _canonical_path(parts.path), _canonical_query(parts.query)]
    lines += [f"{name}:{headers[name]}" for name in sorted(headers)]
    lines += ["", ";".join(sorted(headers)), digest]
    return "\n".join(lines)


def _canonical_path(path: str) -> str:
    """The path without dot segments and empty ones, encoded once more than it is in the URL."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    end = "/" if segments and path.endswith("/") else ""
    return quote("/" + "/".join(segments) + end, safe="/" + _UNRESERVED)


def _canonical_query(query: str) -> str:
    """Parameters in the order of their encoded names and values, encoded in one way, however the URL has them."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    encoded = sorted((_encode(name), _encode(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _encode(text: str) -> str:
    return quote(unquote(text), safe=_UNRESERVED)


@lru_cache(maxsize=16)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
