"""The section `redact` as a function that hides texts, in all that is shown and published of a route's lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.options.regex import RegexError, compile_mask
from logrouter.config.yaml.kinds import usable
from logrouter.core.redact import REDACTED
from logrouter.core.routing import OptionalSteps
from logrouter.core.transform import mask_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.config.options.privacy import RedactOptions
    from logrouter.config.yaml.problems import Problems
    from logrouter.core.routing import Route
    from logrouter.model import RawRecord

EMAIL: Final = r"[0-9A-Za-z._+-]{1,64}(?:@|%40)[0-9A-Za-z-]{1,63}(?:\.[0-9A-Za-z-]{1,63})+"
"""E-mail addresses as people have them; not all that RFC 5322 allows."""


def build_mask(options: RedactOptions, problems: Problems) -> Callable[[str], str] | None:
    """A function that hides what the section names; None if that is nothing, or wrong with the problems noted."""
    if not usable(options):
        return None
    for index, pattern in enumerate(options.patterns):
        try:
            compile_mask((pattern,), REDACTED)
        except RegexError as error:
            problems.add(f"redact.patterns[{index}]", str(error))
            return None
    patterns = (*options.patterns, *((EMAIL,) if options.emails else ()))
    return compile_mask(patterns, REDACTED) if patterns else None


def with_mask(route: Route, mask: Callable[[str], str]) -> Route:
    """The route with *mask* applied to its events and to what is shown of its lines."""
    extras = route.extras or OptionalSteps(key=_by_client)
    return replace(
        route,
        disclosure=replace(route.disclosure, own=mask),
        extras=replace(extras, after=(*extras.after, mask_texts(mask))),
    )


def _by_client(event: dict[str, Any], _record: RawRecord) -> bytes | None:
    client = event.get("client_id")
    return client.encode() if client is not None else None
