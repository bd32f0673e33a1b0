"""The file that `access.tokens_file` names: a YAML list of tokens, read as strictly as topics.yaml itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.config.compile.access import check_tokens
from logrouter.config.options.access import TokenOptions
from logrouter.config.yaml import document
from logrouter.config.yaml.kinds import ListOf, Section, usable
from logrouter.config.yaml.problems import ConfigError, Problem, Problems

if TYPE_CHECKING:
    from logrouter.access.tokens import Token
    from logrouter.config.options.access import AccessOptions

MAX_TOKENS: Final = 1000


def inline_tokens(access: AccessOptions) -> tuple[Token, ...]:
    """The tokens in topics.yaml itself, whose section has no problems."""
    return check_tokens(access.tokens, "access.tokens", Problems())


def read_tokens(data: bytes, name: str) -> tuple[Token, ...]:
    """The tokens in the bytes of a file called *name*.

    Raises:
        ConfigError: with every problem. It repeats no hash and no token.
    """
    try:
        found = document.read(data)
    except document.DocumentError as error:
        raise ConfigError(name, [error.problem]) from None
    problems = Problems(found.values, found.keys)
    listed = ListOf(Section(TokenOptions), max_items=MAX_TOKENS, partial=True).read(
        [] if found.value is None else found.value, "", problems
    )
    tokens = check_tokens(listed, "", problems) if usable(listed) else ()
    if problems.errors:
        raise ConfigError(name, problems.errors)
    return tokens


def merge_tokens(one: tuple[Token, ...], other: tuple[Token, ...], name: str) -> tuple[Token, ...]:
    """The tokens of topics.yaml and those of the file called *name*; `ConfigError` if they share a name or a hash."""
    names = {token.caller.name for token in one} & {token.caller.name for token in other}
    digests = {token.digest for token in one} & {token.digest for token in other}
    if names or digests:
        what = f"the name {min(names)}" if names else "a hash"
        raise ConfigError(name, [Problem("", f"{what} is in access.tokens of topics.yaml as well")])
    return (*one, *other)
