"""Faust's partition assignor, which here also says who holds standbys, not only who owns what.

The third module with private hooks into Faust, pinned by the same contract test as `transport`. If the leader of the
group runs an older version, standbys are not announced; workers then find them by asking all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faust.assignor.partition_assignor import PartitionAssignor

if TYPE_CHECKING:
    from collections.abc import Mapping

STANDBY: Final = "~standby"
"""Suffix of a changelog's name, for the partitions that a worker follows. No topic name can contain "~"."""


class Assignor(PartitionAssignor):
    """Assigns partitions as Faust does, and adds standbys to the map of URLs that every worker gets."""

    def _get_changelog_distribution(self, assignments: Any) -> Any:
        by_url = {url: dict(owned) for url, owned in super()._get_changelog_distribution(assignments).items()}
        for client, assignment in assignments.items():
            for topic in self._table_manager.changelog_topics:
                followed = list(assignment.standbys.get(topic, ()))
                if followed:
                    by_url[self._member_urls[client]][topic + STANDBY] = followed
        return by_url

    def owner_url(self, topic: str, partition: int) -> str | None:
        """Base URL of the worker that owns a partition of a changelog since the last rebalance; None if not known."""
        return next((url.rstrip("/") for url, held in self._by_url() if partition in held.get(topic, ())), None)

    def other_urls(self, topic: str, partition: int) -> list[str]:
        """Base URLs of all workers but the owner, those first that hold a standby."""
        others = [
            (partition not in held.get(topic + STANDBY, ()), url.rstrip("/"))
            for url, held in self._by_url()
            if partition not in held.get(topic, ())
        ]
        return [url for _, url in sorted(others)]

    def knows_group(self) -> bool:
        """Whether there has been a rebalance since the start."""
        return bool(self.changelog_distribution)

    def _by_url(self) -> list[tuple[str, Mapping[str, Any]]]:
        return list(self.changelog_distribution.items())
