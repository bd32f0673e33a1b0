"""Formats: what gateways write, read from an envelope into canonical names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.formats import envoy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.model import Envelope, Ignored, Parsed, Rejected

    Parser = Callable[[Envelope], Parsed | Ignored | Rejected]

FORMATS: Final[Mapping[str, Parser]] = {"envoy": envoy.parse}
