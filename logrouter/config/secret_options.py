"""Which options of topics.yaml are for secrets, as their declarations say: their values are shown nowhere."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from logrouter.config.options.file import FileOptions
from logrouter.config.options.kafka import SecretReference
from logrouter.config.yaml.kinds import ListOf, MappingOf, Section, declared_options
from logrouter.config.yaml.one_of import OneOf
from logrouter.config.yaml.secrets import looks_secret, referenced, suggests_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logrouter.config.yaml.kinds import OptionKind

_USERS: Final = frozenset(
    {"sasl.username", "sasl.oauthbearer.client.id", "sasl.oauthbearer.client.credentials.client.id"}
)
"""Settings that some providers call a key."""
_NAME: Final = r"[^.\[\]]+"
_INDEX: Final = r"(?:\[\d+\])?"
_MAX_WORD: Final = 40
_ALIKE: Final = 0.8


def secret_paths(kind: OptionKind, path: str = "", key: str = "") -> Iterator[tuple[str, str]]:
    """An expression for each place below *path* where a value of *kind* holds a secret, and the key there.

    *key* is the last key of *path*.
    """
    match kind:
        case SecretReference():
            yield path, key
        case Section():
            for _, option in declared_options(kind.of):
                below = rf"{path}\.{re.escape(option.key)}" if path else option.key
                yield from secret_paths(option.kind, below, option.key)
        case OneOf():
            for of in kind.of.values():
                yield from secret_paths(Section(of), path)
        case ListOf():
            yield from secret_paths(kind.of, path + _INDEX, key)
        case MappingOf():
            yield from secret_paths(kind.of, rf"{path}\.{_NAME}", key)


_PLACES: Final = dict(secret_paths(Section(FileOptions)))
_HIDDEN: Final = re.compile("|".join(_PLACES))
_KEYS: Final = frozenset(_PLACES.values())
_LIKELY: Final = _KEYS | {"password", "passphrase", "passwd", "pass", "pwd", "secret", "basic_auth"}
"""What people call a secret, and the option in which many tools want a user and a password with a colon between."""
_HEADERS: Final = "headers"
"""They are not for secrets, and have some all the same."""


def hides(path: str) -> bool:
    """Whether the option at *path*, its keys joined by dots, is for a secret: then its value is shown nowhere."""
    section, _, name = path.partition(".")
    if section == "kafka":
        return name in _USERS or looks_secret(name)
    return _HIDDEN.fullmatch(path) is not None


def misplaced(text: str, path: str) -> str | None:
    """The first variable in *text* that holds a secret by its name, where the option at *path* shows its value."""
    if hides(path):
        return None
    return next(filter(suggests_secret, referenced(text)), None)


@lru_cache(maxsize=4096)
def may_name_secret(word: str) -> bool:
    """Whether a word of the file is the key of a secret, or may be meant to be: also one that is spelt wrong."""
    if looks_secret(word) or word in _KEYS or word == _HEADERS:
        return True
    return any(
        len(part) <= _MAX_WORD and get_close_matches(part, _LIKELY, n=1, cutoff=_ALIKE) for part in word.split(".")
    )
