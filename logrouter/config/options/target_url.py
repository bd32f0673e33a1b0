"""The kind of an option that is the URL of a target: over HTTP, or as a type of sink says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from logrouter.config.yaml.kinds import INVALID
from logrouter.config.yaml.problems import quote_value
from logrouter.config.yaml.secrets import FromEnv
from logrouter.core.text.host_names import is_host_name, is_ipv6, is_numeric, is_plain_ipv4

if TYPE_CHECKING:
    from logrouter.config.yaml.problems import Problems

_MAX: Final = 2000
_AUTHORITY_PATTERN: Final = r"://[^\s/?#@\\]+"
_PATH_PATTERN: Final = r"(/[^\s?#\\]*)?"
_REST: Final = re.compile(r"[!-.0-9:;=A-Z_a-z~\[\]]++(?:/[!-~]*+)?")
_AUTHORITY: Final = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)(?:%(?!25)[A-Za-z0-9._-]+)?\]|(?P<host>[A-Za-z0-9._-]+))(?::\d*)?"
)


@dataclass(frozen=True, slots=True)
class TargetUrl:
    """An absolute URL. User, query and fragment may hold secrets: they are neither taken nor repeated."""

    example: str = "https://host:9200/path"
    schemes: tuple[str, ...] = ("http", "https")
    schemes_pattern: str = "https?"
    """A regular expression for *schemes*."""
    has_path: bool = True

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The URL as it is written; one from the environment is told from others still, as its path may be a secret."""
        why = self._why_refused(value)
        if why:
            problems.add(path, why)
            return INVALID
        return value if isinstance(value, FromEnv) else str(value)

    def schema(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string", "maxLength": _MAX, "minLength": 1, "pattern": f"^(?:{self._pattern})$"}

    @property
    def _pattern(self) -> str:
        return self.schemes_pattern + _AUTHORITY_PATTERN + (_PATH_PATTERN if self.has_path else "")

    def describe(self) -> str:
        """What it looks like."""
        return f"a URL like `{self.example}`, without user{' or' if self.has_path else ', path or'} query"

    def _why_refused(self, value: Any) -> str:
        if isinstance(value, str) and ("@" in value.partition("://")[2] or "@" in value.partition("/")[0]):
            return "must not name a user or a password: give them in options of their own"
        if isinstance(value, str) and ("?" in value or "#" in value):
            return "must not have a query or a fragment: secrets stand in options of their own"
        wanted = f"must be {self.describe()}"
        if not isinstance(value, str) or not value.startswith(tuple(f"{scheme}://" for scheme in self.schemes)):
            return f"{wanted}, not {quote_value(value)}"
        if len(value) > _MAX:
            return f"has {len(value)} characters, at most {_MAX} are allowed"
        if not _REST.fullmatch(value.partition("://")[2]) or "\\" in value:
            return f"{wanted}: it has a character that no URL has as it is"
        try:
            parts = urlsplit(value)
            if not parts.hostname or parts.port == 0:
                return f"{wanted}: it lacks a host, or its port is 0"
            if parts.path and not self.has_path:
                return f"{wanted}: it has a path"
        except ValueError:
            return f"{wanted}: its host or its port can't be read"
        return "" if _is_authority(parts.netloc) else f"{wanted}: its host or its port can't be read"


def _is_authority(text: str) -> bool:
    """Whether host and port are such that every client reads them alike: a name, or an address in the usual notation.

    A zone of an IPv6 address stands behind `%` as it is.
    """
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return False
    if found["host"] is None:
        return is_ipv6(found["v6"])
    host = found["host"].lower()
    return is_plain_ipv4(host) if is_numeric(host) else is_host_name(host)
