"""Why a change of registrations is not made."""

from __future__ import annotations


class DrainLimitError(Exception):
    """The owner has as many drains as it may have: *limit*."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are {limit} drains already, which is the limit")
        self.limit = limit


class RegistryUnavailableError(Exception):
    """The cluster does not answer in time. The text is for the operator.

    *may_be_stored* is false if nothing has changed, nor will; true if nobody can tell while the cluster is away. Asking
    for the same again is safe: an `add` of the same URL finds what the one before has stored.
    """

    def __init__(self, text: str, *, may_be_stored: bool = False) -> None:
        super().__init__(text)
        self.may_be_stored = may_be_stored
