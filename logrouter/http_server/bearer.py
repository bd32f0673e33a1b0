"""Bearer tokens of an OAuth issuer (JWT): verified by PyJWT, and what their claims allow here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jwt

from logrouter.access.scopes import Via, client_scope, is_scope, make_caller
from logrouter.access.tokens import Refusal
from logrouter.core.rollup.cells import MAX_NAME
from logrouter.http_server.keys import FetchedKeys, GivenKeys, KeySet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from logrouter.access.policy import Jwt
    from logrouter.access.scopes import Caller
    from logrouter.http_server.keys import KeySource

_MAX_WHO: Final = 200
_ACCESS_TOKEN: Final = frozenset({"at+jwt", "jwt"})
_ABSENT: Final = "-"
"""The client of requests without an id: no bearer is that client, whatever its claim says."""

# A header or payload that is deeply nested, or a time that is no number, is not for the library alone to bear.
_NOT_VALID: Final = (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError)


class BearerVerifier:
    """Verifies the JWTs of one issuer."""

    def __init__(self, policy: Jwt, keys: KeySource | None = None) -> None:
        self._policy = policy
        self.keys: KeySource = keys or _keys(policy)

    async def find(self, token: str) -> Caller | Refusal:
        """The caller that a token authenticates, or why it does not. May wait for keys to be fetched."""
        try:
            header = jwt.get_unverified_header(token)
        except _NOT_VALID:
            return Refusal.INVALID
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._policy.algorithms or not isinstance(kid, str | None) or not _is_access_token(header):
            return Refusal.INVALID
        key = await self.keys.find(kid, algorithm)
        if key is None:
            return Refusal.INVALID if self.keys.known() else Refusal.NO_KEYS
        try:
            return self._caller(self._claims(token, key))
        except jwt.ExpiredSignatureError:
            return Refusal.EXPIRED
        except jwt.ImmatureSignatureError:
            return Refusal.EARLY
        except _NOT_VALID:
            return Refusal.INVALID

    def _claims(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=self._policy.issuer,
            audience=self._policy.audience,
            leeway=self._policy.leeway_seconds,
            options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
        )
        return claims

    def _caller(self, claims: dict[str, Any]) -> Caller:
        scopes = list(self._scopes(claims.get(self._policy.claim)))
        client = claims.get(self._policy.client_claim) if self._policy.client_claim else None
        if isinstance(client, str) and 0 < len(client) <= MAX_NAME and client != _ABSENT:
            scopes.append(client_scope(client))
        who = str(claims.get("sub") or client or "jwt")[:_MAX_WHO]
        who.encode()  # JSON can hold halves of characters, and then no other worker could be sent the caller
        return make_caller(who, Via.JWT, scopes)

    def _scopes(self, claim: Any) -> Iterator[str]:
        """What a claim grants: words with spaces between, as OAuth has it, or a list. Words of others grant nothing."""
        words = claim.split(" ") if isinstance(claim, str) else claim if isinstance(claim, list) else []
        for word in words:
            if not isinstance(word, str):
                continue
            if self._policy.scopes is not None:
                yield from self._policy.scopes.get(word, ())
            elif is_scope(word):
                yield word


def _is_access_token(header: Mapping[str, Any]) -> bool:
    """Whether a token's header lets it be one for an API: issuers sign other kinds with the same keys.

    RFC 9068 calls it `at+jwt`; many issuers say `JWT` or nothing (RFC 7519, 5.1). A name of a media type has no case,
    and may leave out `application/` (RFC 7515, 4.1.9).
    """
    kind = header.get("typ", "JWT")
    return isinstance(kind, str) and kind.lower().removeprefix("application/") in _ACCESS_TOKEN


def _keys(policy: Jwt) -> KeySource:
    if policy.url:
        return FetchedKeys(policy.url, policy.algorithms)
    return GivenKeys(KeySet(policy.keys, policy.algorithms))
