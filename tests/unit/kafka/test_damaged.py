"""Where a damaged batch ends, found by fetches that fail inside it and succeed behind it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from logrouter.kafka.damaged import search_readable_offset


@given(damaged=st.integers(0, 10**6), records=st.integers(1, 10**6), behind=st.integers(0, 10**6))
@example(damaged=10, records=1, behind=0)
@example(damaged=10, records=1, behind=5)
@example(damaged=10, records=10, behind=0)
def test_the_end_is_exact_and_found_in_few_fetches(damaged, records, behind):
    """Not one readable record is passed over, and not one is asked for that isn't there."""
    readable, end = damaged + records, damaged + records + behind
    asked = []

    def probe(offset: int) -> int | None:
        assert damaged < offset < end
        asked.append(offset)
        return offset if offset >= readable else None

    assert search_readable_offset(damaged, end, probe) == readable
    assert len(asked) <= 2 * records.bit_length() + 1
