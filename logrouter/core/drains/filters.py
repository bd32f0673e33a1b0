"""Which of an owner's lines a drain gets: conditions on the envelope and on the request, and a share of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.drains.lines import OwnedLine
    from logrouter.core.match.conditions import Condition


@dataclass(frozen=True, slots=True)
class LineFilter:
    """A compiled filter. A condition about what a line has not, such as one on the request of no request, fails.

    *sample* says by a line's id whether the line belongs to the share; None keeps all.
    """

    match: Condition | None = None
    request: Condition | None = None
    sample: Callable[[str], bool] | None = None

    def accepts(self, line: OwnedLine) -> bool:
        """Whether the drain gets the line. The cheapest question comes first; the answer is the same on a replay."""
        if self.sample is not None and not self.sample(line.id):
            return False
        if self.request is not None:
            request = line.request
            if request is None or not self.request.test(request):
                return False
        if self.match is not None:
            envelope = line.envelope
            return envelope is not None and self.match.test(envelope)
        return True
