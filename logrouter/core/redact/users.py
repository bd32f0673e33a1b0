r"""Names of users in lines that are shown where no event is made of them, by the places where gateways write them.

    192.0.2.7 - ann [01/May/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 12      before the time
    END_USER_NAME="ann@example.org", user=ann, user: ann                      behind a name
    {"userName":"ann"}  {\"userName\":\"ann\"}  <user>ann</user>             in a document, or one that is a string

Where only its place tells a name, as in columns between commas, it is found if it looks like an e-mail address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logrouter.core.redact.names import REDACTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NAMES: Final = (
    *("user", "username", "user_name", "userArn", "user_arn", "remote_user", "caller"),
    *("END_USER_NAME", "ClientUsername", "user_text", "lgname"),
)
"""What gateways, and the patterns that operators write for them, call the user; in any case."""

_ABSENT: Final = frozenset({"", "-", "null", "N/A", "UNKNOWN"})
_MAX_HEAD: Final = 4096
_TIME: Final = re.compile(r" \[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:")
_QUOTED_CHAIN: Final = re.compile(r'"[^"]{0,2000}" {1,4}')
_IPV6: Final = r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.[0-9]{1,3}){0,3}"
_ONE_ADDRESS: Final = rf"\[?(?:[0-9]{{1,6}}(?:\.[0-9]{{1,6}}){{1,3}}|{_IPV6})\]?(?::[0-9]{{1,5}})?"
# Addresses, and figures with a point; names may be of hexadecimal digits alone, like ada.
_ADDRESS: Final = re.compile(rf"(?:{_ONE_ADDRESS},)*+(?:{_ONE_ADDRESS})?|unknown,?")
# A line may be cut inside of one.
_EMAIL: Final = re.compile(
    r"(?<![\w.+-])[\w.+-]++(?:@|%40)(?:[0-9A-Za-z-]{1,63}(?:\.[0-9A-Za-z-]{1,63}){1,8}+|[0-9A-Za-z.-]{0,255}+\Z)"
)


def compile_user_mask(more: Iterable[str] = ()) -> Callable[[str], str]:
    """A function that hides names of users in a line, in linear time; *more* are keys besides `NAMES`."""
    names = "|".join(re.escape(name) for name in sorted({*NAMES, *more}, key=len, reverse=True))
    # A quote may be escaped any number of times, and the value ends at the next one that is escaped as often.
    member = re.compile(
        rf'((?<!\\)(\\{{0,15}})"(?:[\w$-]{{1,40}}\.){{0,4}}(?:{names})\2"\s{{0,8}}:\s{{0,8}}\2")((?:(?!(?<!\\)\2").)++)',
        re.IGNORECASE | re.DOTALL,
    )
    number = re.compile(
        rf'((?<!\\)(\\{{0,15}})"(?:[\w$-]{{1,40}}\.){{0,4}}(?:{names})\2"\s{{0,8}}:\s{{0,8}})-?[0-9][0-9.eE+-]*+',
        re.IGNORECASE,
    )
    quoted = re.compile(
        rf'((?<![\w-])(?:{names})\s?[=:]\s?(\\{{0,15}})")((?:(?!(?<!\\)\2"(?:\W|\Z)).)++)', re.IGNORECASE | re.DOTALL
    )
    # A domain may stand before a name: CORP\ann. A quote that is escaped ends it.
    bare = re.compile(
        rf'((?<![\w-])(?:{names})(?:=|: ?)(?P<none>))((?:[^\s,;&"\\<>{{}}\[\]]|\\++(?!"))++)', re.IGNORECASE
    )
    tag = re.compile(rf"(<(?P<none>)(?:{names})>)([^<]++)", re.IGNORECASE)
    # Of a condition that does not hold, as `core.match.conditions` tells why.
    why = re.compile(
        rf'(\bfield\.(?P<none>)(?:[\w-]{{1,40}}\.){{0,4}}(?:{names})\b[^\n]{{0,500}}?: it is ")(.+)(?=")',
        re.IGNORECASE | re.DOTALL,
    )

    def hide(match: re.Match[str]) -> str:
        return match[0] if match[3].strip() in _ABSENT else f"{match[1]}{REDACTED}"

    def mask(text: str) -> str:
        text = number.sub(rf'\1\2"{REDACTED}\2"', _without_column(text))
        for each in (member, quoted, bare, tag, why):
            text = each.sub(hide, text)
        return _EMAIL.sub(REDACTED, text) if "@" in text or "%40" in text else text

    return mask


def _without_column(text: str) -> str:
    """A line in columns without the names that stand between its first column and a time in brackets."""
    chain = _QUOTED_CHAIN.match(text, 0, _MAX_HEAD)
    begin = chain.end() if chain is not None else 0
    quote = text.find('"', begin, _MAX_HEAD)
    # The last one before the request: a client may have written one into its name.
    time = None
    for time in _TIME.finditer(text, begin, quote if quote >= 0 else _MAX_HEAD):  # noqa: B007 - the last is used
        pass
    if time is None:
        return text
    head = text[begin : time.start()]
    if "{" in head:
        return text
    first, *words = head.split(" ")
    kept = [word if word in _ABSENT or _ADDRESS.fullmatch(word) else REDACTED for word in words]
    return text if kept == words else f"{text[:begin]}{' '.join((first, *kept))}{text[time.start() :]}"
