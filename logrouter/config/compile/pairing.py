"""Checks of the option `pair`: a format with two lines per request, and conditions that hold for both or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.config.options.outputs import PairingOptions
from logrouter.config.yaml.problems import join_path, list_names
from logrouter.core.formats import FORMATS
from logrouter.core.formats.auto import NAME as AUTO
from logrouter.core.formats.auto import default_order
from logrouter.core.match.conditions import fields_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logrouter.config.options.outputs import OutputsOptions
    from logrouter.config.options.route import RouteOptions
    from logrouter.config.yaml.problems import Problems

_KNOWN_AT_ONCE: Final = frozenset({"api", "api_version", "domain", "method", "path", "protocol", "request_id"})
"""Fields that both lines of a request have with the same value, so that a condition holds for both or for neither."""


def pairing_options(outputs: OutputsOptions, routes: Iterable[RouteOptions]) -> PairingOptions | None:
    """The options of the pairing topics: those of the file, else defaults if a route pairs, else None."""
    if outputs.pairing is not None:
        return outputs.pairing
    return PairingOptions() if any(route.pair is not None for route in routes) else None


def pairing_changelog(topic: str) -> str:
    """The name of the changelog of a pairing topic."""
    return f"{topic}.state"


def check_pair(options: RouteOptions, path: str, problems: Problems) -> None:
    """Note options of a route that can't be combined with `pair`."""
    at = join_path(path, "pair")
    tried = options.format.formats or default_order(FORMATS)
    names = tried if options.format.name == AUTO else (options.format.name,)
    if not any(FORMATS[name].two_lines for name in names):
        knowing = [name for name, kind in FORMATS.items() if kind.two_lines]
        problems.add(
            at, f"the format {options.format.name} writes one line per request; `pair` is for {list_names(knowing)}"
        )
    if options.rate_limit is not None:
        problems.add(at, "can't be together with `rate_limit`, which might drop one of the two lines of a request")
    if options.request is not None:
        later = sorted(fields_of(options.request) - _KNOWN_AT_ONCE)
        if later:
            problems.add(
                join_path(path, "request"),
                f"uses {', '.join(later)}; with `pair` only fields that both lines have: {list_names(_KNOWN_AT_ONCE)}",
            )
