"""Faust's assignor, telling every worker who holds standbys, not only who owns what.

The third module with private hooks into Faust, pinned by the same contract test as `transport`. A group whose leader
does not know this yet tells nobody; workers then find standbys by asking all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faust.assignor.partition_assignor import PartitionAssignor

if TYPE_CHECKING:
    from collections.abc import Mapping

STANDBY: Final = "~standby"
"""Behind the name of a changelog: the partitions of it that a worker follows. No topic can be called so."""


class Assignor(PartitionAssignor):
    """Deals out partitions as Faust does, and adds the standbys to what all workers are told."""

    def _get_changelog_distribution(self, assignments: Any) -> Any:
        told = {url: dict(owned) for url, owned in super()._get_changelog_distribution(assignments).items()}
        for client, assignment in assignments.items():
            for topic in self._table_manager.changelog_topics:
                followed = list(assignment.standbys.get(topic, ()))
                if followed:
                    told[self._member_urls[client]][topic + STANDBY] = followed
        return told

    def owner_url(self, topic: str, partition: int) -> str | None:
        """Base URL of the worker that owns a partition of a changelog, as of the last rebalance."""
        return next((url.rstrip("/") for url, told in self._told() if partition in told.get(topic, ())), None)

    def other_urls(self, topic: str, partition: int) -> list[str]:
        """Base URLs of the workers that do not own it, those first that follow it."""
        others = [
            (partition not in told.get(topic + STANDBY, ()), url.rstrip("/"))
            for url, told in self._told()
            if partition not in told.get(topic, ())
        ]
        return [url for _, url in sorted(others)]

    def knows_group(self) -> bool:
        """Whether there has been a rebalance since the start."""
        return bool(self.changelog_distribution)

    def _told(self) -> list[tuple[str, Mapping[str, Any]]]:
        return list(self.changelog_distribution.items())
