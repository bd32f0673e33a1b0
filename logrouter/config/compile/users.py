"""The route's option `user` as a wrapper of its parser, and as a mask of what is shown of its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.config.compile.field_changes import forbids_field
from logrouter.config.compile.formats import build_pattern_user_masks
from logrouter.config.yaml.kinds import usable
from logrouter.config.yaml.problems import join_path
from logrouter.core.enrich.user import keep_user, with_user
from logrouter.core.formats import FORMATS, auto
from logrouter.core.redact import ip_policy
from logrouter.core.redact.users import compile_user_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from logrouter.config.options.formats import FormatOptions
    from logrouter.config.options.privacy import PrivacyOptions
    from logrouter.config.options.route import RouteOptions
    from logrouter.config.yaml.problems import Problems
    from logrouter.core.routing import ClientIpOf
    from logrouter.model import Parser

USER: Final = "user"
"""The field of the event, which a route with the format `json` may read from a key of its lines."""


def names_of(options: FormatOptions) -> dict[str | None, tuple[str, ...]]:
    """The fields that hold the user in lines of a format: by the format that `auto` finds, or by None."""
    if options.name != auto.NAME:
        return {None: FORMATS[options.name].users}
    return {name: each.users for name, each in FORMATS.items()}


def reads_user(options: FormatOptions) -> bool:
    """Whether lines of a format may say who the user is."""
    return USER in (options.fields or {}) or any(names_of(options).values())


def build_user_reader(
    options: RouteOptions,
    privacy: PrivacyOptions,
    client_ip: ClientIpOf | None,
    schema: Mapping[str, Any],
    path: str,
    problems: Problems,
) -> Callable[[Parser], Parser]:
    """A wrapper of the route's parser that gives its events the user, or takes it away, as the route says.

    Where the route says nothing it changes nothing: the event has a user only if a key of the line is mapped to it.
    """
    at = join_path(path, USER)
    if options.user is None or not usable(privacy) or client_ip is None:
        return lambda parse: parse
    names = names_of(options.format)
    if options.user == "drop":
        return lambda parse: with_user(parse, names, None) if USER in (options.format.fields or {}) else parse
    if forbids_field(schema, (USER,)):
        problems.add(at, f"the schema allows no field {USER}")
    if options.user == "keep":
        return lambda parse: with_user(parse, names, keep_user(client_ip))
    if privacy.hash_key is None:
        problems.add(at, "`hash` needs `privacy.hash_key`")
        return lambda parse: parse
    hashed = ip_policy("hash", privacy.hash_key.reveal().encode())
    return lambda parse: with_user(parse, names, lambda name: (hashed(name), False))


def build_user_masks(options: RouteOptions) -> tuple[Callable[[str], str], ...]:
    """What hides users in lines of the route where no event is made of them, unless the route publishes their names."""
    mapped = (options.format.fields or {}).get(USER)
    if options.user == "keep" or not reads_user(options.format) or (options.user is None and mapped is not None):
        return ()
    keys = () if mapped is None else tuple(key.rpartition(".")[2].rpartition("/")[2] for key in mapped.key)
    return (*build_pattern_user_masks(options.format), compile_user_mask(filter(None, keys)))
