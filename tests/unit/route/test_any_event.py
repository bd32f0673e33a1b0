"""Events that only an operator's own schema lets pass: whatever their fields hold, tables count them."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.rollup.accumulator import Accumulator
from logrouter.core.rollup.counting import add_event
from logrouter.core.rollup.records import decode_record, pack_records
from logrouter.model import Accepted

START = 1_777_888_800_000
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FIELDS = ("client_id", "api", "outcome", "weight", "bytes_received", "bytes_sent", "total_time_ms")
EVENTS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(FIELDS, ANYTHING)
    | {
        "http": ANYTHING | st.fixed_dictionaries({}, optional={"status_code": ANYTHING, "path": ANYTHING}),
        "meta": ANYTHING | st.fixed_dictionaries({}, optional={"request_id": ANYTHING}),
        "error": ANYTHING | st.fixed_dictionaries({}, optional={"code": ANYTHING, "message": ANYTHING}),
    },
)


@given(st.lists(EVENTS, min_size=1, max_size=5))
def test_an_event_with_any_fields_is_counted(events):
    """What has another type than our own schema says is absent; nothing raises, and every event counts once."""
    sums = Accumulator()
    for event in events:
        tables = ("clients", "apis", "urls")
        add_event([], sums, Accepted("r", "clean", None, b"", event, START, tables))

    subjects = [each for _, value in pack_records(sums.take(), 1) for each in decode_record(value)]

    for kind in "ca":
        assert sum(cell.count for subject, cells in subjects for cell in cells if subject[0] == kind) == len(events)


def test_figures_of_another_type_are_absent():
    """A latency in quotes, bytes with a fraction, a flag for a status: zeros and no latency, and the event is there."""
    event = {"total_time_ms": "12", "bytes_sent": 1.5, "http": {"status_code": True}, "api": 7, "client_id": "c"}
    sums = Accumulator()
    add_event([], sums, Accepted("r", "clean", None, orjson.dumps(event), event, START, ("clients", "apis")))

    cells = {subject: cells[0] for subject, cells in sums.take()}

    assert cells.keys() == {"cc", "a-"}
    assert (cells["cc"].count, cells["cc"].bytes_out, cells["cc"].latency_count, cells["cc"].status) == (1, 0, 0, {})
