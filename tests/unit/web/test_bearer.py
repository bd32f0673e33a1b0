"""Bearer tokens of an issuer: believed when everything about them is right, and never else."""

import asyncio
import base64
import json
import time

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from logrouter.access.policy import ALGORITHMS, Jwt, Policy
from logrouter.access.scopes import Caller, client_scope
from logrouter.access.tokens import Refusal
from logrouter.http_server import server
from logrouter.http_server.bearer import BearerVerifier
from logrouter.http_server.keys import FetchedKeys, KeySet, KeySetError

ISSUER, AUDIENCE = "https://login.example.org", "logrouter"
RSA, OTHER = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
SMALL = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it must be refused
EC, ED = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
P384 = ec.generate_private_key(ec.SECP384R1())


def jwk(key, **members):
    """The public half of a key as an issuer publishes it."""
    kinds = ((rsa.RSAPrivateKey, "RS256"), (ed25519.Ed25519PrivateKey, "EdDSA"), (ec.EllipticCurvePrivateKey, "ES256"))
    algorithm = next(name for kind, name in kinds if isinstance(key, kind))
    found = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**found, **members}


def jwks(*keys):
    """A JWKS."""
    return json.dumps({"keys": list(keys)}).encode()


KEYS = jwks(jwk(RSA, kid="r"), jwk(EC, kid="e"), jwk(ED, kid="d"), jwk(SMALL, kid="s"), jwk(P384, kid="p"))


def policy(**changes):
    """An issuer that is trusted."""
    base = {"issuer": ISSUER, "audience": (AUDIENCE,), "keys": KEYS, "algorithms": ALGORITHMS, "leeway_seconds": 5}
    return Jwt(**{**base, **changes})


def token(key=RSA, algorithm="RS256", kid="r", headers=None, **claims):
    """A signed token; a claim of None is left out."""
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "someone", "exp": now + 86_400, "scope": "usage:read", **claims}
    said = {name: value for name, value in said.items() if value is not None}
    # Not `jwt.encode`, which refuses to write what is wrong here.
    return jwt.PyJWS().encode(json.dumps(said).encode(), key, algorithm, {"kid": kid, **(headers or {})})


def find(text, **changes):
    """Whom a token lets in."""
    return asyncio.run(BearerVerifier(policy(**changes)).find(text))


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        (RSA, "RS256", "r"),
        (RSA, "RS512", "r"),
        (RSA, "PS256", "r"),
        (EC, "ES256", "e"),
        (P384, "ES384", "p"),
        (ED, "EdDSA", "d"),
    ],
)
def test_a_right_token_lets_in_its_subject(key, algorithm, kid):
    """By every kind of key."""
    found = find(token(key, algorithm, kid))
    assert (found.name, found.via, found.scopes) == ("someone", "jwt", ("usage:read",))


NOW = int(time.time())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (token(exp=NOW - 10), Refusal.EXPIRED),
        (token(nbf=NOW + 80_000), Refusal.EARLY),
        (token(exp=None), Refusal.INVALID),
        (token(iss="https://login.example.com"), Refusal.INVALID),
        (token(iss=None), Refusal.INVALID),
        (token(iss=[ISSUER]), Refusal.INVALID),
        (token(aud="other"), Refusal.INVALID),
        (token(aud=None), Refusal.INVALID),
        (token(aud=[]), Refusal.INVALID),
        (token(exp="soon"), Refusal.INVALID),
        (token(sub=7), Refusal.INVALID),
        (token(sub="half a character: \ud83d"), Refusal.INVALID),
        (token(OTHER), Refusal.INVALID),
        (token(kid="unknown"), Refusal.INVALID),
        (token(kid="e"), Refusal.INVALID),
        (token(headers={"crit": ["b64"], "b64": False}), Refusal.INVALID),
        (token()[:-2], Refusal.INVALID),
        (token() + "A", Refusal.INVALID),
        (token() + ".x", Refusal.INVALID),
    ],
)
def test_a_token_with_something_wrong_lets_nobody_in(text, why):
    """Times, issuer, audience, key or signature."""
    assert find(text) is why


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "application/jwt", None])
def test_an_access_token_is_believed(kind):
    """As RFC 9068 calls it, as most issuers call it, and without a kind."""
    assert isinstance(find(token(headers={} if kind is None else {"typ": kind})), Caller)


@pytest.mark.parametrize(
    "kind",
    ["logout+jwt", "secevent+jwt", "dpop+jwt", "rt+jwt", "JWE", "", "application/", "at+jwt ", 7, ["JWT"], None, {}],
)
def test_a_token_of_another_kind_lets_nobody_in(kind):
    """An issuer signs other things with the same keys, for the same audience (RFC 8725, 3.11)."""
    assert find(signed_with({"alg": "RS256", "kid": "r", "typ": kind})) is Refusal.INVALID


def signed_with(header):
    """A token that is right but for its header, which is written as it is."""
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "someone", "exp": now + 86_400, "scope": "usage:read"}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, said)]
    signature = RSA.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_the_header_that_is_written_here_is_the_only_thing_wrong():
    """With the right kind the same token lets in."""
    assert isinstance(find(signed_with({"alg": "RS256", "kid": "r", "typ": "at+jwt"})), Caller)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_key_that_is_too_short_is_not_believed():
    """Whoever can factor it could write any token."""
    assert find(token(SMALL, kid="s")) is Refusal.INVALID


def test_times_are_looked_at_with_the_leeway_given():
    """The issuer's clock may be a little off."""
    late = token(exp=int(time.time()) - 10)
    assert isinstance(find(late, leeway_seconds=30), Caller)
    assert find(late, leeway_seconds=0) is Refusal.EXPIRED


def forged(header, signature=b"", **claims):
    """A token with any header, unsigned."""
    parts = [
        json.dumps(header),
        json.dumps({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 86_400, "scope": "admin", **claims}),
    ]
    encoded = [base64.urlsafe_b64encode(part.encode()).rstrip(b"=") for part in parts]
    return b".".join([*encoded, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_neither_no_signature_nor_one_by_the_public_key_is_believed():
    """The two classic forgeries: `none`, and HMAC with the key that everybody can read."""
    public = jwk(RSA)["n"].encode()
    for header in (
        {"alg": "none"},
        {"alg": "None", "kid": "r"},
        {"alg": "", "kid": "r"},
        {"kid": "r"},
        {"alg": ["RS256"]},
    ):
        assert find(forged(header)) is Refusal.INVALID
    for secret in (public.ljust(64), b"x" * 64):
        assert find(jwt.encode({"iss": ISSUER}, secret, "HS256", headers={"kid": "r"})) is Refusal.INVALID


def test_a_secret_key_in_a_jwks_is_no_key():
    """An `oct` key would let in whoever can read the JWKS; an encryption key signs nothing."""
    secret = b"x" * 32
    oct_key = {"kty": "oct", "k": base64.urlsafe_b64encode(secret).decode(), "kid": "o", "alg": "HS256"}
    assert (
        find(jwt.encode({"iss": ISSUER}, secret, "HS256", headers={"kid": "o"}), keys=jwks(oct_key)) is Refusal.INVALID
    )
    assert find(token(), keys=jwks(jwk(RSA, kid="r", use="enc"))) is Refusal.INVALID


def test_a_key_is_used_for_the_algorithm_that_it_is_for():
    """The header of a token does not choose."""
    keys = jwks(jwk(RSA, kid="r", alg="RS256"))
    assert isinstance(find(token(), keys=keys), Caller)
    assert find(token(algorithm="PS256"), keys=keys) is Refusal.INVALID
    assert find(token(), algorithms=("ES256",)) is Refusal.INVALID


def test_a_token_without_a_key_name_needs_the_only_key():
    """Guessing among several would hide a mistake of the issuer's."""
    nameless = jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 86_400}, RSA, "RS256")
    assert isinstance(find(nameless, keys=jwks(jwk(RSA), jwk(EC))), Caller)
    assert find(nameless, keys=jwks(jwk(RSA), jwk(OTHER))) is Refusal.INVALID


@pytest.mark.parametrize(
    ("claims", "changes", "scopes"),
    [
        ({"scope": "openid usage:read usage:read"}, {}, ["usage:read"]),
        ({"scope": "openid"}, {}, []),
        ({"scope": None}, {}, []),
        ({"scope": {"usage:read": True}}, {}, []),
        ({"scope": ["usage:read", 7, None]}, {}, ["usage:read"]),
        (
            {"roles": ["analyst", "guest"]},
            {"claim": "roles", "scopes": {"analyst": ("usage:read", "metrics:read")}},
            ["metrics:read", "usage:read"],
        ),
        ({"scope": "usage:read admin"}, {"scopes": {"analyst": ("usage:read",)}}, []),
        ({"scope": "usage:read:api=pay*"}, {}, ["usage:read:api=pay*"]),
        (
            {"groups": ["payments"]},
            {"claim": "groups", "scopes": {"payments": ("usage:read:api=pay*",)}},
            ["usage:read:api=pay*"],
        ),
        ({"scope": None, "azp": "client-1"}, {"client_claim": "azp"}, ["usage:read:client=client-1"]),
        ({"scope": None, "azp": "a/b ü"}, {"client_claim": "azp"}, [client_scope("a/b ü")]),
        ({"scope": None, "azp": "-"}, {"client_claim": "azp"}, []),
        ({"scope": None, "azp": ""}, {"client_claim": "azp"}, []),
        ({"scope": None, "azp": ["client-1"]}, {"client_claim": "azp"}, []),
        ({"scope": None, "azp": "x" * 513}, {"client_claim": "azp"}, []),
        ({"scope": None, "azp": "client-1"}, {}, []),
    ],
)
def test_claims_become_scopes(claims, changes, scopes):
    """Words that mean nothing here grant nothing; nobody becomes the client of all who come without an id."""
    assert list(find(token(**claims), **changes).scopes) == scopes


def test_too_many_scopes_are_refused_rather_than_cut():
    """They must fit the header that carries them between workers."""
    assert find(token(scope=" ".join(client_scope(f"client-{n}") for n in range(400)))) is Refusal.INVALID


@given(st.one_of(st.text(), st.binary().map(lambda b: base64.urlsafe_b64encode(b).decode() + ".e30.x")))
def test_whatever_is_sent_lets_nobody_in_and_raises_nothing(text):
    """Headers hold anything."""
    assert find(text) is Refusal.INVALID


def test_a_header_nested_without_end_is_only_invalid():
    """It would exhaust the stack of a reader that trusts it."""
    deep = base64.urlsafe_b64encode(b"[" * 6000).decode().rstrip("=")
    assert find(f"{deep}.e30.x") is Refusal.INVALID


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"keys": {}}', b'{"keys": null}', jwks(*[{}] * 101)])
def test_what_is_no_jwks_is_an_error(text):
    """Said without a word of what was in it."""
    with pytest.raises(KeySetError, match="is no JWKS"):
        KeySet(text, ALGORITHMS)


def test_one_broken_key_does_not_spoil_the_others():
    """An issuer may publish kinds that nobody here knows."""
    broken = [{"kty": "RSA", "n": "!", "e": ""}, {"kty": "EC", "crv": "P-256"}, {"kty": "PQ"}, 7, {"kty": ["RSA"]}]
    assert isinstance(find(token(), keys=jwks(*broken, jwk(RSA, kid="r"))), Caller)


class Issuer:
    """A server of keys that counts how often it is asked."""

    def __init__(self):
        self.body, self.status, self.asked, self.headers = KEYS, 200, 0, {}

    async def start(self):
        """Serve, and say where."""

        async def handle(_):
            self.asked += 1
            return web.Response(body=self.body, status=self.status, headers=self.headers)

        app = web.Application()
        app.router.add_get("/keys", handle)
        self.runner = await server.start(app, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.runner.addresses[0][1]}/keys"


def with_issuer(steps):
    """Runs *steps* with an issuer, its keys as fetched, and a clock to turn."""

    async def main():
        issuer, now = Issuer(), [0.0]
        url = await issuer.start()
        keys = FetchedKeys(url, ALGORITHMS, clock=lambda: now[0])
        await keys.open()
        try:
            await steps(issuer, keys, now)
        finally:
            await keys.close()
            await issuer.runner.cleanup()

    asyncio.run(main())


def test_keys_are_fetched_once_and_kept():
    """However many tokens come, at the same time or later."""

    async def steps(issuer, keys, now):
        found = await asyncio.gather(*(keys.find("r", "RS256") for _ in range(50)))
        now[0] = 599.0
        assert await keys.find("r", "RS256") is found[0] is not None
        assert issuer.asked == 1

    with_issuer(steps)


def test_an_unknown_key_has_them_fetched_at_most_twice_a_minute():
    """So that a new key is found at once, and made-up names cost the issuer nothing."""

    async def steps(issuer, keys, now):
        await keys.find("r", "RS256")
        issuer.body = jwks(jwk(OTHER, kid="new"))
        now[0] = 29.0
        assert await keys.find("new", "RS256") is None
        now[0] = 30.0
        assert await keys.find("new", "RS256") is not None
        for n in range(100):
            assert await keys.find(f"made-up-{n}", "RS256") is None
        assert issuer.asked == 2
        assert await keys.find("r", "RS256") is None

    with_issuer(steps)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (500, KEYS, {}),
        (302, b"", {"Location": "/keys"}),
        (200, b"<html>", {}),
        (200, b" " * 300_000 + KEYS, {}),
        (204, b"", {}),
    ],
)
def test_the_last_good_keys_stay_when_the_issuer_fails(status, body, headers):
    """Down, redirecting, too large or something else altogether."""

    async def steps(issuer, keys, now):
        await keys.find("r", "RS256")
        issuer.status, issuer.body, issuer.headers = status, body, headers
        now[0] = 601.0
        assert await keys.find("r", "RS256") is not None
        assert await keys.find("unknown", "RS256") is None
        assert issuer.asked == 2
        assert await keys.find("r", "RS256") is not None

    with_issuer(steps)


def test_a_key_that_the_issuer_took_back_is_not_believed_for_long():
    """After ten minutes keys are looked for again."""

    async def steps(issuer, keys, now):
        await keys.find("r", "RS256")
        issuer.body = jwks(jwk(EC, kid="e"))
        now[0] = 601.0
        await keys.find("r", "RS256")  # answered by what is there, while new ones are fetched
        await keys.find("e", "ES256")
        await keys._fetching
        assert await keys.find("r", "RS256") is None

    with_issuer(steps)


def test_over_http_a_bearer_is_let_in_and_reads_its_own_client_only(fleet):
    """From the header to the figures, through the owner and through a stranger."""
    trusted = Policy(jwt=policy(client_claim="azp"))
    headers = {"Authorization": f"bearer {token(scope=None, azp='client-1')}"}

    async def main():
        async with fleet(2, access=trusted, secret=AUDIENCE) as workers:
            for worker in workers:
                assert (await worker.get("/v1/clients/client-1", **headers)).status == 200
                assert (await worker.get("/v1/clients/client-2", **headers)).status == 403
                late = await worker.get("/v1/whoami", Authorization=f"Bearer {token(exp=NOW - 100)}")
                assert (late.status, late.json["detail"]) == (401, "the token has expired")

    asyncio.run(main())


def test_without_any_keys_the_answer_is_503(fleet):
    """Nothing is wrong with the token: it is the issuer that is away."""
    trusted = Policy(jwt=policy(keys=b"", url="http://127.0.0.1:9/keys"))

    async def main():
        async with fleet(1, access=trusted) as (worker,):
            reply = await worker.get("/v1/whoami", Authorization=f"Bearer {token()}")
            assert (reply.status, reply.json["type"]) == (503, "urn:logrouter:problem:issuer-away")
            assert reply.headers["Retry-After"]

    asyncio.run(main())
