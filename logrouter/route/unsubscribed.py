"""Records of topics that have just left the subscription and still come, until the group has taken them away.

The new table does not take from them, so they are neither routed nor ignored: they count as not read. Whoever gets the
topic next begins at the committed offset; if that is us before the partition has ever left, we have to go back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logrouter.core.routing import RouteTable
    from logrouter.kafka.records import Message


class UnsubscribedRecords:
    """Which topics are ours, and the first record set aside of each partition that no longer is."""

    def __init__(self, table: RouteTable) -> None:
        self.active = False
        """False until the subscription has changed: nothing can be held before."""
        self.besides = ""
        """A topic that is ours though no source takes from it."""
        self._table = table
        self._first: dict[tuple[str, int], int] = {}

    def without(self, messages: Sequence[Message]) -> list[Message]:
        """The messages of topics that are subscribed; the others are set aside."""
        ours = {topic: self._ours(topic) for topic in {m.topic() for m in messages}}
        if all(ours.values()):
            return list(messages)
        for m in messages:
            if not ours[m.topic()]:
                at = (m.topic(), m.partition())
                self._first[at] = min(m.offset(), self._first.get(at, m.offset()))
        return [m for m in messages if ours[m.topic()]]

    def released(self, table: RouteTable) -> list[tuple[str, int, int]]:
        """The subscription is now that of *table*; (topic, partition, offset) to go back to in what is ours again."""
        former, self._table = self._table, table
        if table.subscription() == former.subscription():
            return []
        self.active = True
        back = [(*at, offset) for at, offset in self._first.items() if self._ours(at[0])]
        for topic, partition, _ in back:
            del self._first[topic, partition]
        return back

    def forget(self, topic: str, partition: int) -> None:
        """The partition has left."""
        self._first.pop((topic, partition), None)

    def _ours(self, topic: str) -> bool:
        return topic == self.besides or any(
            topic in source.topics or any(pattern.fullmatch(topic) for pattern in source.patterns)
            for source in self._table.sources
        )
