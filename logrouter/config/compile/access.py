"""The section `access` as a policy, and checks of options against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from logrouter.access import rates
from logrouter.access.policy import Jwt, Policy
from logrouter.access.scopes import Via, make_caller
from logrouter.access.tokens import Token, digest_of
from logrouter.config.options.endpoint import is_loopback
from logrouter.config.yaml.kinds import usable
from logrouter.config.yaml.problems import join_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logrouter.config.options.access import AccessOptions, JwtOptions, TokenOptions
    from logrouter.config.yaml.problems import Problems


def check_access(access: AccessOptions, problems: Problems) -> None:
    """Note combinations of options that are wrong."""
    tokens = check_tokens(access.tokens, "access.tokens", problems) if usable(access.tokens) else ()
    jwt = access.jwt if usable(access.jwt) else None
    if access.mode == "open" and (tokens or jwt or access.tokens_file):
        problems.add("access.mode", "lets everybody in, so tokens, tokens_file and jwt would be of no use")
    if jwt is not None:
        _check_jwt(jwt, problems)


def why_not_open(access: AccessOptions, host: str) -> str | None:
    """Why a worker that listens on *host* may not be open to everybody; None if it may, or is not."""
    if access.mode != "open" or access.open_to_network or is_loopback(host):
        return None
    return (
        f"open lets everybody who reaches {host} read all usage of everybody: listen on loopback "
        "(tables_lane.http.host: 127.0.0.1), or name who may read (docs/access-control.md), or say "
        "access.open_to_network: true"
    )


def check_tokens(given: Iterable[TokenOptions], path: str, problems: Problems) -> tuple[Token, ...]:
    """The tokens of the list at *path* without those that are wrong, which are noted."""
    made: list[Token] = []
    names: set[str] = set()
    hashes: set[str] = set()
    for index, token in enumerate(given):
        at = f"{path}[{index}]"
        if not usable(token):
            continue
        if token.name in names:
            problems.add(
                join_path(at, "name"), f"another token is called {token.name}; the audit log must tell them apart"
            )
        if token.hash in hashes:
            problems.add(join_path(at, "hash"), "another token has this hash")
        if None not in (token.not_before, token.expires) and (token.not_before or 0) >= (token.expires or 0):
            problems.add(join_path(at, "expires"), "must be after not_before")
        names.add(token.name)
        hashes.add(token.hash)
        try:
            who = make_caller(token.name, Via.TOKEN, token.scopes)
        except ValueError as error:
            problems.add(join_path(at, "scopes"), str(error))
            continue
        made.append(Token(who, digest_of(token.hash), token.not_before, token.expires))
    return tuple(made)


def _check_jwt(jwt: JwtOptions, problems: Problems) -> None:
    if bool(jwt.jwks_file) == bool(jwt.jwks_url):
        problems.add("access.jwt", "needs either jwks_file or jwks_url")
    if jwt.jwks_url.startswith("http:") and not is_loopback(urlsplit(jwt.jwks_url).hostname or ""):
        problems.add("access.jwt.jwks_url", "must be https: whoever changes the keys on their way lets in anybody")


def build_policy(
    access: AccessOptions, tokens: tuple[Token, ...], keys: bytes, names: frozenset[str] | None = None
) -> Policy:
    """The policy of a section without problems.

    *tokens* and *keys* (a JWKS) are the content of its files. *names* are the host names by which an open worker on
    loopback is known anyway; None for a worker that listens on a network.
    """
    jwt = access.jwt
    return Policy(
        open=access.mode == "open",
        hosts=None if names is None else names | {name.lower() for name in access.hosts},
        metrics_open=access.metrics == "open",
        tokens=tokens,
        jwt=None
        if jwt is None
        else Jwt(
            issuer=jwt.issuer,
            audience=jwt.audience,
            keys=keys,
            url=jwt.jwks_url,
            algorithms=jwt.algorithms,
            leeway_seconds=jwt.leeway_seconds,
            claim=jwt.claim,
            scopes=jwt.scopes,
            client_claim=jwt.client_claim,
        ),
        rate=rates.Rate(access.rate.requests_per_second, access.rate.burst),
        rows=rates.Rate(access.rate.rows_per_second, access.rate.rows_burst),
        strangers=rates.Rate(access.strangers.requests_per_second, access.strangers.burst),
        audit=access.audit,
    )
