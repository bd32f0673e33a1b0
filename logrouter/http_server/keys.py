"""The public keys of a token issuer: a JWKS given as text, or one that is fetched from its URL and kept."""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp
import jwt
import orjson

from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from ssl import SSLContext

FETCH_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 30.0
"""At most one fetch in so long, whatever tokens name as their key."""
FRESH_SECONDS: Final = 600.0
"""After so long keys are fetched again, so that one that the issuer took back is not believed for ever."""
MAX_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 100

_FITS: Final = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Kind and curve of the key that an algorithm takes: the token's header never decides that."""


class KeySetError(ValueError):
    """A text is not a JWKS. The message repeats nothing of the text."""


class KeySet:
    """The keys of one JWKS that verify signatures by the *algorithms* allowed; all others are left out.

    Raises:
        KeySetError: the text is not a JWKS.
    """

    def __init__(self, text: bytes, algorithms: Iterable[str]) -> None:
        self._keys: dict[tuple[str | None, str], jwt.PyJWK] = {}
        self._only: dict[str, list[jwt.PyJWK]] = {}
        for found in _entries(text):
            for algorithm in algorithms:
                key = _key(found, algorithm)
                if key is not None:
                    kid = found.get("kid")
                    self._keys.setdefault((kid if isinstance(kid, str) else None, algorithm), key)
                    self._only.setdefault(algorithm, []).append(key)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key with the id *kid* for an algorithm, or without an id the only one for it; None if there is none."""
        if kid is not None:
            return self._keys.get((kid, algorithm))
        fitting = self._only.get(algorithm, [])
        return fitting[0] if len(fitting) == 1 else None


def _entries(text: bytes) -> list[dict[str, Any]]:
    try:
        content = orjson.loads(text)
        found = content["keys"]
    except (ValueError, KeyError, TypeError):
        raise KeySetError('is no JWKS: a JSON object with a list "keys"') from None
    if not isinstance(found, list) or len(found) > MAX_KEYS:
        msg = f"is no JWKS of at most {MAX_KEYS} keys"
        raise KeySetError(msg)
    return [entry for entry in found if isinstance(entry, dict)]


def _key(entry: dict[str, Any], algorithm: str) -> jwt.PyJWK | None:
    kind, curve = _FITS[algorithm]
    if entry.get("kty") != kind or (curve is not None and entry.get("crv") != curve):
        return None
    if entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        return jwt.PyJWK(entry, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None  # one key of another kind or make must not keep the others from being used


class KeySource(Protocol):
    """Where the public keys of an issuer come from."""

    async def open(self) -> None:
        """Start. Called once, in the loop that serves, before anything else."""

    async def close(self) -> None:
        """Stop. Called once, in the same loop."""

    async def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key with the id *kid* for an algorithm, or None. Takes a bounded time and never raises."""

    def known(self) -> bool:
        """Whether there are any keys: False before the first fetch has succeeded."""


class GivenKeys(KeySource):
    """Keys that topics.yaml or a file holds."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """As `KeySource` says."""
        return self._keys.find(kid, algorithm)

    def known(self) -> bool:
        """Always true."""
        return True


class FetchedKeys(KeySource):
    """Keys that are fetched from *url*. The last good ones stay in use while fetches fail."""

    def __init__(
        self,
        url: str,
        algorithms: Iterable[str],
        *,
        clock: Callable[[], float] = monotonic,
        tls: SSLContext | None = None,
    ) -> None:
        self._url = url
        self._algorithms = tuple(algorithms)
        self._clock = clock
        self._tls = tls
        self._keys: KeySet | None = None
        self._tried_at = self._fetched_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Start to fetch, without waiting for it."""
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=FETCH_SECONDS),
            connector=aiohttp.TCPConnector(limit=1, ssl=self._tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        self._refresh()

    async def close(self) -> None:
        """Cancel a fetch that is running, and close the connection."""
        if self._fetching is not None:
            self._fetching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._fetching
        if self._http is not None:
            await self._http.close()

    async def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """As `KeySource` says. An unknown id causes a fetch, at most one per `RETRY_SECONDS`."""
        found = self._keys.find(kid, algorithm) if self._keys is not None else None
        if found is not None and self._clock() - self._fetched_at < FRESH_SECONDS:
            return found
        running = self._refresh()
        if found is not None or running is None:
            return found
        # Shielded: whoever stops waiting does not end it for the others.
        await asyncio.shield(running)
        return self._keys.find(kid, algorithm) if self._keys is not None else None

    def known(self) -> bool:
        """Whether a fetch has succeeded."""
        return self._keys is not None

    def _refresh(self) -> asyncio.Task[None] | None:
        """The running fetch, started now if need be; None if the last one began less than `RETRY_SECONDS` ago."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._clock() - self._tried_at < RETRY_SECONDS:
            return None
        self._tried_at = self._clock()
        self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            keys = KeySet(await self._get(), self._algorithms)
        except (aiohttp.ClientError, OSError, TimeoutError, KeySetError) as exc:
            log(Log.ISSUER_AWAY, url=self._url, error=str(exc) or type(exc).__name__)
            return
        self._keys, self._fetched_at = keys, self._clock()
        log(Log.ISSUER_KEYS, url=self._url, keys=len(keys))

    async def _get(self) -> bytes:
        assert self._http is not None, "fetched before it was opened"  # noqa: S101 - a bug of ours
        async with self._http.get(self._url, allow_redirects=False) as response:
            if response.status != 200:
                msg = f"answered with status {response.status}"
                raise KeySetError(msg)
            parts, size = [], 0
            async for part in response.content.iter_any():
                parts.append(part)
                size += len(part)
                if size > MAX_BYTES:
                    msg = f"is larger than {MAX_BYTES} bytes"
                    raise KeySetError(msg)
            return b"".join(parts)
