"""Who called: a client id from an ordered list of sources, because no one field has always held it."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.core.enrich.address import compile_client_ip
from logrouter.core.enrich.sources import field_getter, plain_source, secret_getter
from logrouter.core.names import SUSPECT, TYPED_FROM, bounded_name
from logrouter.core.redact import holds_secret
from logrouter.core.text.addresses import replace_addresses
from logrouter.core.text.json_numbers import as_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from logrouter.model import Parsed

    ClientIdOf = Callable[[Parsed], tuple[str, str | None] | None]

MAX_ID: Final = 256
MAX_CACHED: Final = 8192

TYPED_PREFIXES: Final = frozenset({"jwt-sub", "user-agent", "x-provenance", "x-ua-contact", "x-client-ip"})
"""Ids that say themselves what kind they are: `jwt-sub:1234`."""

_IP_PREFIX: Final = "x-client-ip"
_IP_FIELD: Final = "http.client_ip"
_ABSENT: Final = (None, "", "-")


def compile_client_id(
    sources: Sequence[str],
    client_ip: Callable[[str], str | None] | None = None,
    typed_from: Collection[str] = TYPED_FROM,
    *,
    hashed: bool = False,
) -> Callable[[Parsed], tuple[str, str | None] | None]:
    """A function from a request to (id, type) by the first of *sources* that has one, None for an anonymous request.

    An id with one of `TYPED_PREFIXES` has that prefix as its type and stays whole, if it is of one of the sources
    *typed_from*; of another, whoever wrote it could pass for somebody else, so its colon becomes `%3A`. *client_ip*
    (`compile_client_ip`) is applied to addresses: ids of type `x-client-ip`, which the source `http.client_ip` gives
    too, and every address that stands in another id, so that none gets around the policy. An id that is too long,
    unprintable or holds a secret is cut and hashed. The request of an id that was changed gets the flag `suspect`.
    *hashed* says that ids go through `hash_client_id`, so that sources may be secrets (`Parsed.secrets`).

    Call it before the headers are reduced to the allowed ones, and read `parsed.flags` after it.
    """
    address = client_ip or compile_client_ip(1)
    trusted = {plain_source(source) for source in typed_from}
    kinds = [(plain == _IP_FIELD, plain in trusted) for source in sources for plain in [plain_source(source)]]
    caches: dict[tuple[bool, bool], dict[str, tuple[tuple[str, str | None] | None, bool]]] = {
        kind: {} for kind in kinds
    }
    getter = secret_getter if hashed else field_getter
    getters = [(getter(source), *kind, caches[kind]) for source, kind in zip(sources, kinds, strict=True)]

    def client_id(parsed: Parsed) -> tuple[str, str | None] | None:
        for get, is_address, may_type, cache in getters:
            value = get(parsed)
            if value is None:
                continue
            text = value if type(value) is str else _usable(value)
            if not text:
                continue
            known = cache.get(text)
            if known is None:
                known = _identify(text, address, is_address=is_address, may_type=may_type)
                if len(cache) >= MAX_CACHED:
                    cache.clear()
                if len(text) <= MAX_ID:
                    cache[text] = known
            found, suspect = known
            if found is not None:
                if suspect:
                    parsed.flags += (SUSPECT,)
                return found
        return None

    return client_id


def hash_client_id(client_id: ClientIdOf, key: bytes) -> ClientIdOf:
    """*client_id* with a hash in place of each id (BLAKE2b keyed by *key*, 32 hexadecimal digits); types stay."""
    mixed = blake2b(key).digest()

    def hashed(parsed: Parsed) -> tuple[str, str | None] | None:
        found = client_id(parsed)
        if found is None:
            return None
        return blake2b(found[0].encode("utf-8", "replace"), digest_size=16, key=mixed).hexdigest(), found[1]

    return hashed


def _identify(
    text: str, address: Callable[[str], str | None], *, is_address: bool, may_type: bool
) -> tuple[tuple[str, str | None] | None, bool]:
    """One text as (id, type) or None, and whether it is suspect."""
    usable = _usable(text)
    if usable is None:
        return None, False
    prefix, colon, rest = usable.partition(":")
    claimed = bool(colon) and prefix in TYPED_PREFIXES and not may_type and not is_address
    if claimed:  # another id than the one that it claims
        usable, colon = f"{prefix}%3A{replace_addresses(rest, address)}", ""
    if is_address or (colon and prefix == _IP_PREFIX):
        kept = address(usable if is_address else rest)
        return ((f"{_IP_PREFIX}:{kept}", _IP_PREFIX) if kept else None), False
    kind = prefix if colon and prefix in TYPED_PREFIXES else None
    if kind and not rest.strip():
        return None, False
    named = bounded_name(usable, MAX_ID, secret=holds_secret(usable))
    bounded = bounded_name(replace_addresses(named, address), MAX_ID)  # hashes may be longer
    return ((bounded, kind) if bounded not in _ABSENT else None), claimed or bounded != usable


def _usable(value: Any) -> str | None:
    """The text of an id: of a list, or of a list written as JSON in a string, the first that has one."""
    if type(value) is str:
        text = value.strip()
        if text[:1] == "[" and text[-1:] == "]":
            try:
                return _usable(orjson.loads(text))
            except ValueError:
                return text
        return text if text not in _ABSENT else None
    value = as_whole(value)
    if type(value) is int:
        return str(value)
    if type(value) is list:
        texts = (str(each).strip() for each in map(as_whole, value) if type(each) in (str, int))
        return next((text for text in texts if text not in _ABSENT), None)
    return None
