"""Lines of several formats in one topic: the first format that can read a line reads it.

Every format has a signature that tests cheaply whether a line may be its own. Only the parsers whose signature fits are
called, in a declared order: the more specific a signature is, the earlier. Flags of the event say which format read it
(`format_nginx`), and whether only that one fitted (`detected`) or others as well (`guessed`).

Nothing is remembered from line to line: equal lines are read the same way every time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.core.formats.format import Format, FormatSettings, FormatSettingsError
from logrouter.model import NO_REQUEST, Ignored, Parsed, Reason, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logrouter.model import Envelope, Parser

NAME: Final = "auto"

ORDER: Final = (
    "wso2_apim_metrics",
    "wso2_api_log",
    "wso2_access",
    "wso2_correlation",
    "mediawiki",
    "traefik",
    "kong",
    "envoy",
    "aws_json",
    "istio",
    "aws_xml",
    "envoy_text",
    "haproxy",
    "aws_clf",
    "aws_pairs",
    "nginx",
    "apache",
    "wso2_http",
    "builds",
    "kv",
    "aws_csv",
)
"""Formats in the order they are tried in. Any other that has a signature comes behind these."""

DETECTED: Final = "detected"
GUESSED: Final = "guessed"


class _Candidate(NamedTuple):
    """A format to try."""

    name: str
    fits: Callable[[Envelope], bool]
    read: Parser


def default_order(formats: Mapping[str, Format]) -> tuple[str, ...]:
    """The names of the formats that are tried where topics.yaml names none, in order."""
    found = [name for name, each in formats.items() if each.signature is not None]
    return (*(name for name in ORDER if name in found), *(name for name in found if name not in ORDER))


def compile_auto(names: Sequence[str], formats: Mapping[str, Format], backend_query: str = "") -> Parser:
    """The parser that tries the formats called *names* in order; *formats* are all that there are, by name.

    *backend_query* is as in `FormatSettings`.

    Raises:
        FormatSettingsError: one of them has no signature.
    """
    tried: list[_Candidate] = []
    for index, name in enumerate(names):
        signature = None if name == NAME else formats[name].signature
        if signature is None:
            raise FormatSettingsError(f"formats[{index}]", f"{name} has no signature to be told by")
        tried.append(_Candidate(name, signature, formats[name].compile(FormatSettings(backend_query=backend_query))))

    def parse(envelope: Envelope) -> Parsed | Ignored | Rejected:
        fitting = [candidate for candidate in tried if candidate.fits(envelope)]
        refused: Rejected | None = None
        for name, _, read in fitting:
            found = read(envelope)
            if isinstance(found, Parsed):
                found.format = name
                found.flags += (f"format_{name}", DETECTED if len(fitting) == 1 else GUESSED)
                return found
            if isinstance(found, Rejected):
                refused = refused or found
            elif found.reason is not Reason.NOT_REQUEST:
                return found
        return refused or NO_REQUEST

    return parse


def format_over(formats: Mapping[str, Format]) -> Format:
    """The format `auto` over all the others, by name."""

    def compile_format(settings: FormatSettings) -> Parser:
        return compile_auto(settings.formats or default_order(formats), formats, settings.backend_query)

    return Format(compile_format, frozenset({"formats"}), backends=True)
