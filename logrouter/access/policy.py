"""The access settings of one worker, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from logrouter.access.rates import Rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.access.tokens import Token

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Signatures that a public key verifies. There is no `none`, and no HMAC: its key would have to be published."""


@dataclass(frozen=True, slots=True)
class Jwt:
    """Which bearer tokens (JWT, RFC 7519) are accepted, and what they allow.

    Either *keys* is a JWKS as JSON or *url* is where one is fetched. The values of *claim* are scopes, translated by
    *scopes* if that is given; the value of *client_claim* names a client whose figures the bearer may read.
    """

    issuer: str
    audience: tuple[str, ...]
    keys: bytes = b""
    url: str = ""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    leeway_seconds: int = 30
    claim: str = "scope"
    scopes: Mapping[str, tuple[str, ...]] | None = None
    client_claim: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may read what. The default lets nobody in.

    With *open* everybody who reaches the port may read all usage; of the other settings only *hosts* counts then: the
    host names that requests may use (addresses always may), None for any. *metrics_open* lets everybody read /metrics.
    *rate* limits the requests of each caller, *rows* the table rows that are read for it, *strangers* the refused
    requests of each address. *audit* writes a log line for every
    question about usage.
    """

    open: bool = False
    hosts: frozenset[str] | None = None
    metrics_open: bool = False
    tokens: tuple[Token, ...] = ()
    jwt: Jwt | None = None
    rate: Rate = field(default_factory=lambda: Rate(100, 200))
    rows: Rate = field(default_factory=lambda: Rate(50_000, 500_000))
    strangers: Rate = field(default_factory=lambda: Rate(10, 50))
    audit: bool = True


CLOSED: Final = Policy()
OPEN: Final = Policy(open=True)
