"""A target that refuses everything gets a few lines a minute in the log, and a count."""

from __future__ import annotations

from logrouter.deliver.refusal_log import RefusalLog
from logrouter.model import RawRecord
from logrouter.sinks.contract import Refused


def said(caplog):
    """The offsets that were logged, and how many more there were."""
    return [(record.fields.get("offset"), record.fields.get("more")) for record in caplog.records]


def test_a_minute_has_five_lines_and_then_a_count(caplog):
    """Seven are refused at once, one after a minute: nothing of that is said twice."""
    now = 100.0
    refusals = RefusalLog("hook", lambda: now)
    for offset in range(7):
        refusals.note(RawRecord("events", 0, offset, 0, b""), Refused(400))
    assert said(caplog) == [(0, None), (1, None), (2, None), (3, None), (4, None)]
    assert caplog.records[0].fields == {"sink": "hook", "topic": "events", "partition": 0, "offset": 0, "status": 400}

    caplog.clear()
    now += 59
    refusals.look()
    assert said(caplog) == []
    now += 1
    refusals.look()
    refusals.note(RawRecord("events", 0, 7, 0, b""), Refused(400))
    refusals.close()
    assert said(caplog) == [(None, 2), (7, None)]
