"""What only the transport knows about a line, such as the app and its space, for routes that ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from logrouter.core.enrich.sources import ENVELOPE_PREFIX, field_getter
from logrouter.core.envelopes.fields import FIELD_NAMES, FIELD_PREFIXES, getter
from logrouter.core.names import bounded_name
from logrouter.model import Parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from logrouter.model import Envelope, Ignored, Parser, Rejected

MAX_TENANT: Final = 256
ENVELOPE_NAMES: Final = FIELD_NAMES - {"text"}
"""Fields of the envelope that can be a source; so can those with one of `FIELD_PREFIXES`."""


def is_envelope_field(source: str) -> bool:
    """Whether the source `envelope:<name>` names a field that envelopes have."""
    name = source.removeprefix(ENVELOPE_PREFIX)
    return name in ENVELOPE_NAMES or any(name.startswith(prefix) and name != prefix for prefix in FIELD_PREFIXES)


def with_transport(parse: Parser, sources: Iterable[str], tenant: Sequence[str]) -> Parser:
    """A parser that adds what *sources* read from the envelope to the line's fields, and sets the tenant.

    *sources* are all that the route reads; those without the prefix `envelope:` are fields of the line itself. The
    tenant is the first of *tenant* that has a value, else what the format found. A parser with nothing to add is
    returned unchanged.
    """
    getters = {
        source: getter(source.removeprefix(ENVELOPE_PREFIX))
        for source in (*sources, *tenant)
        if source.startswith(ENVELOPE_PREFIX)
    }
    tenants = [field_getter(source) for source in tenant]
    if not getters and not tenants:
        return parse

    def read(envelope: Envelope) -> Parsed | Ignored | Rejected:
        found = parse(envelope)
        if not isinstance(found, Parsed):
            return found
        known = {source: value for source, get in getters.items() if (value := get(envelope)) is not None}
        parsed = replace(found, fields={**found.fields, **known})
        for get in tenants:
            value = get(parsed)
            if type(value) is str and value not in ("", "-"):
                parsed.event["tenant"] = bounded_name(value, MAX_TENANT)
                break
        return parsed

    return read
