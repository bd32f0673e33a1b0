"""Batches are bounded by number, bytes and age."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from logrouter.deliver.batching import BatchBounds, Batcher


def test_a_batch_is_complete_at_its_number_or_its_bytes():
    """Three items, or ten bytes; one that is larger goes alone."""
    batcher, complete = Batcher(BatchBounds(3, 10, 1.0)), []
    for item, size in (("a", 1), ("b", 1), ("c", 1), ("d", 4), ("e", 7), ("f", 50), ("g", 1)):
        complete += batcher.add(item, size, now=0)
    assert complete == [["a", "b", "c"], ["d"], ["e"], ["f"]]
    assert batcher.take() == ["g"]


def test_a_batch_waits_from_its_first_item_on():
    """Not from its last one; an empty one waits for nothing."""
    batcher = Batcher(BatchBounds(10, 100, 2.0))
    assert batcher.seconds_left(0) == math.inf
    assert not [*batcher.add("a", 1, now=5), *batcher.add("b", 1, now=6)]
    assert (batcher.seconds_left(6), batcher.seconds_left(9)) == (1, 0)


@given(st.lists(st.integers(0, 30)), st.integers(1, 5), st.integers(1, 40))
def test_nothing_is_lost_and_no_bound_is_crossed(sizes, records, size):
    """All items come out in their order, and only an item alone may be larger than a batch."""
    batcher, batches = Batcher(BatchBounds(records, size, 1)), []
    for item in enumerate(sizes):
        batches += batcher.add(item, item[1], now=0)
    batches.append(batcher.take())
    assert [item for batch in batches for item in batch] == [*enumerate(sizes)]
    assert all(len(b) <= records and (len(b) == 1 or sum(s for _, s in b) <= size) for b in batches)
