"""References to environment variables, and values that never print themselves.

${NAME}             the variable, which must be set
${NAME:-default}    the variable, or the default where it is unset or empty
$${                 a literal "${"
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

REDACTED: Final = "********"

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{[^}]*\}?")
_SECRET = re.compile(
    r"password|passphrase|secret|jaas|private\.key|key\.pem$|^sasl\.oauthbearer\.config$|(^|[._])token$|credential\w*$",
    re.IGNORECASE,
)

_SECRET_VARIABLE = re.compile(
    r"PASSW(?:OR)?D|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|JAAS|CONNECTION_?STRING|_(?:PASS|PWD?)$"
    r"|(?:API|ACCESS|PRIVATE|HASH|SIGNING|ENCRYPTION|MASTER)_?KEY",
    re.IGNORECASE,
)
_NO_SECRET_VARIABLE = re.compile(
    r"_(?:FILE|PATH|DIR|LOCATION|UR[IL]|ENDPOINT|ISSUER|AUDIENCE|NAME|SECONDS|TTL)$", re.IGNORECASE
)


class Secret:
    """A value that is passed on but never shown: only `reveal` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the client library's settings and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))


class FromEnv(str):
    """A text that came, at least in part, from the environment: messages do not repeat it.

    *literal* says whether some of it was written in the file, as text or as a default.
    """

    __slots__ = ("literal",)

    literal: bool

    def __repr__(self) -> str:
        return "a value from the environment"


def looks_secret(key: str) -> bool:
    """Whether a setting of this name holds a secret."""
    return _SECRET.search(key) is not None


def referenced(text: str) -> list[str]:
    """The variables that *text* refers to, in order."""
    return [match["name"] for match in _REFERENCE.finditer(text) if match["name"] is not None]


def suggests_secret(name: str) -> bool:
    """Whether an environment variable of this name holds a secret."""
    return _SECRET_VARIABLE.search(name) is not None and _NO_SECRET_VARIABLE.search(name) is None


def expand(text: str, env: Mapping[str, str]) -> tuple[str, list[str]]:
    """*text* with references replaced, a `FromEnv` if there were any, and a message for each wrong reference."""
    wrong: list[str] = []
    found = literal = False

    def value_of(match: re.Match[str]) -> str:
        nonlocal found, literal
        if match[0] == "$${":
            literal = True
            return "${"
        name, default = match["name"], match["default"]
        if name is None:
            wrong.append("a reference is written ${NAME} or ${NAME:-default}")
            return ""
        found = True
        value = env.get(name, "")
        if value or (name in env and default is None):
            return value
        if default is None:
            wrong.append(f"environment variable {name} is not set")
        literal = literal or bool(default)
        return default or ""

    result = _REFERENCE.sub(value_of, text)
    if not found:
        return result, wrong
    expanded = FromEnv(result)
    expanded.literal = literal or bool(_REFERENCE.sub("", text).strip())
    return expanded, wrong
