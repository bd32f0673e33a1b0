"""What the API needs of the process around it: where registrations lie, and who delivers by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from logrouter.core.drains.owner import Owner
    from logrouter.core.drains.registration import Registration
    from logrouter.core.drains.wanted import WantedDrain, WantedFault
    from logrouter.core.formats.families.app_space import AppSpace


class DrainRegistry(Protocol):
    """All registrations. Looking at them never waits; a change is there for every look that follows it here."""

    async def add(self, new: Registration) -> Registration:
        """Keep *new*; the one that is there already if its owner has one with the same URL.

        Raises:
            DrainLimitError: the owner has too many.
            RegistryUnavailableError: it could not be written.
        """

    async def remove(self, owner: Owner, drain_id: str) -> bool:
        """Remove the drain of this owner; whether there was one. Raises `RegistryUnavailableError`."""

    async def change(self, drain_id: str, edit: Callable[[Registration], Registration]) -> Registration | None:
        """Replace a drain by what *edit* makes of it; None if there is none. Raises `RegistryUnavailableError`."""

    def drains_of(self, owner: Owner) -> tuple[Registration, ...]:
        """The drains of exactly this owner."""

    def drain(self, drain_id: str) -> Registration | None:
        """The drain with this id."""

    def known_pairs(self, name: str) -> Collection[AppSpace]:
        """The pairs that *name* spells and lines or drains have."""


class DrainVetting(Protocol):
    """Decides on what only the edge knows: whether a target may be dialled, whether conditions can be compiled."""

    async def __call__(self, wanted: WantedDrain) -> tuple[WantedFault, ...]:
        """What is wrong with it; nothing if it may be kept. Details repeat nothing of the URL."""


class DrainReporter(Protocol):
    """Knows how drains fare. What it returns is JSON and shown as it is: no payload, no secret, coarse errors."""

    def status(self, drain: Registration) -> Mapping[str, Any]:
        """Lines delivered, retried and dropped, the lag, the last error."""

    async def send_test(self, drain: Registration) -> Mapping[str, Any]:
        """Send one line now and say what became of it, within some seconds."""
