"""Records of topics that have just left the subscription and still come, until the group has taken them away.

The new table does not take from them, so they are neither routed nor ignored: they count as not read. Whoever gets the
topic next begins at the committed offset; if that is us before the partition has ever left, we have to go back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from logrouter.core.routing import RouteTable
    from logrouter.kafka.records import Message, Partition


class UnsubscribedRecords:
    """Knows which topics are subscribed, and which was the first record set aside of each partition that is not."""

    def __init__(self, table: RouteTable) -> None:
        self.active = False
        """False until the subscription has changed: nothing can be set aside before."""
        self._table = table
        self._state_topics: frozenset[str] = frozenset()
        self._first: dict[Partition, int] = {}

    def set_aside(self, messages: Sequence[Message]) -> list[Message]:
        """The messages of topics that are subscribed; of the others, the first offsets are remembered."""
        ours = {topic: self._is_subscribed(topic) for topic in {m.topic() for m in messages}}
        if all(ours.values()):
            return list(messages)
        for m in messages:
            if not ours[m.topic()]:
                at = (m.topic(), m.partition())
                self._first[at] = min(m.offset(), self._first.get(at, m.offset()))
        return [m for m in messages if ours[m.topic()]]

    def change_subscription(self, table: RouteTable, state_topics: Collection[str] = ()) -> dict[Partition, int]:
        """What is subscribed now: the sources of *table*, and *state_topics*, from which no source takes.

        The offsets to go back to, in partitions of which records were set aside and that are ours again.
        """
        former, self._table, self._state_topics = self._table, table, frozenset(state_topics)
        if table.subscription() == former.subscription():
            return {}
        self.active = True
        back = {at: offset for at, offset in self._first.items() if self._is_subscribed(at[0])}
        for at in back:
            del self._first[at]
        return back

    def forget(self, at: Partition) -> None:
        """The partition has left."""
        self._first.pop(at, None)

    def _is_subscribed(self, topic: str) -> bool:
        return topic in self._state_topics or any(
            topic in source.topics or any(pattern.fullmatch(topic) for pattern in source.patterns)
            for source in self._table.sources
        )
