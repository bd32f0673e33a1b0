"""The `access:` section: who may read the table view."""

from __future__ import annotations

from logrouter.config.kinds import Choice, options
from logrouter.config.kinds import option as opt


@options
class Access:
    """Who may read the table view. Without anybody in it every request for figures is refused."""

    mode: str = opt(
        Choice(("callers", "open")),
        "`callers` lets in whom this section names. `open` lets in everybody who reaches the port: for a worker that "
        "listens on loopback.",
        default="callers",
    )
