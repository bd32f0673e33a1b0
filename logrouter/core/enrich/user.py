"""The user on whose behalf a client called, for routes that publish it: as it is, or as a keyed hash."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.enrich.sources import field_getter
from logrouter.core.names import SUSPECT, bounded_name
from logrouter.core.redact import holds_secret
from logrouter.core.text.addresses import replace_addresses
from logrouter.core.text.json_numbers import whole
from logrouter.model import Parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.model import Envelope, Ignored, Parser, Rejected

MAX_USER: Final = 256
_MAX_CACHED: Final = 8192
_ABSENT: Final = frozenset({"", "-", "null"})


def keep_user(client_ip: Callable[[str], str | None]) -> Callable[[str], tuple[str, bool]]:
    """A function from a user's name to the name as it may be published, and whether that is another one.

    A name that is too long, unprintable or holds a secret is cut and hashed, and *client_ip* (`compile_client_ip`) is
    applied to every address in it.
    """

    def publish(name: str) -> tuple[str, bool]:
        bounded = bounded_name(name, MAX_USER, secret=holds_secret(name))
        user = bounded_name(replace_addresses(bounded, client_ip), MAX_USER)  # hashes may be longer than addresses
        return user, user != name

    return publish


def with_user(
    parse: Parser,
    names: Mapping[str | None, tuple[str, ...]],
    publish: Callable[[str], tuple[str, bool]] | None,
) -> Parser:
    """A parser whose events have the `user` that *publish* makes of the name in the line; of None they have no user.

    The name is what the format has put into the event, else the first of *names* among the fields of the line. *names*
    are by the format that `format: auto` has found, or by None where the route says which format it is. *publish*
    returns the user, and whether the event gets the flag `suspect` because of it.
    """
    getters = {name: [field_getter(f"field:{source}") for source in sources] for name, sources in names.items()}
    remembered = None if publish is None else lru_cache(_MAX_CACHED)(publish)

    def read(envelope: Envelope) -> Parsed | Ignored | Rejected:
        parsed = parse(envelope)
        if not isinstance(parsed, Parsed):
            return parsed
        name = _text(parsed.event.pop("user", None))
        if publish is None or remembered is None:
            return parsed
        for get in getters.get(parsed.format, ()):
            name = name or _text(get(parsed))
        if not name:
            return parsed
        user, suspect = remembered(name) if len(name) <= MAX_USER else publish(name)
        if user:
            parsed.event["user"] = user
        if suspect:
            parsed.flags += (SUSPECT,)
        return parsed

    return read


def _text(value: Any) -> str:
    """The name in a field; "" for what is none."""
    if type(value) is not str:
        number = whole(value)
        return "" if number is None else str(number)
    name = value.strip()
    return "" if name in _ABSENT else name
