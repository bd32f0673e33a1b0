"""The topics.yaml that ships does what its own `tests:` say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from logrouter import config
from logrouter.core.pipeline import process
from logrouter.model import Accepted, RawRecord, Rejected

SETTINGS = config.load(Path(__file__).parents[3] / "topics.yaml", {})
NOW_MS = 1_777_888_800_000


def part_of(wanted: Any, got: Any) -> bool:
    """Whether all that is wanted is there; objects may hold more."""
    if isinstance(wanted, dict):
        return isinstance(got, dict) and all(key in got and part_of(item, got[key]) for key, item in wanted.items())
    return bool(wanted == got)


@pytest.mark.parametrize("case", SETTINGS.tests, ids=lambda case: case.expect.outcome)
def test_shipped_case(case: Any) -> None:
    """A line of the file's `tests:` ends as the file says."""
    source = SETTINGS.table.source_named(case.source, topic="rsyslog-notice")
    assert source is not None
    (got,) = process(source, RawRecord("rsyslog-notice", 0, 1, NOW_MS, case.line.encode()), NOW_MS, lambda *_: "id")

    assert type(got).__name__.lower() == case.expect.outcome
    assert case.expect.route in {"", got.route}
    assert case.expect.reason in {"", "" if isinstance(got, Accepted) else got.reason}
    assert case.expect.stage in {"", got.stage if isinstance(got, Rejected) else ""}
    assert case.expect.event is None or (isinstance(got, Accepted) and part_of(case.expect.event, got.event))


def test_shipped_sources_share_one_route() -> None:
    """The same gateway is found on a machine and in a cluster, and both sources are filtered by its name."""
    sources = [SETTINGS.table.source_of(topic) for topic in ("rsyslog-notice", "k8s-main")]

    assert [source.name for source in sources if source] == ["rsyslog", "kubernetes"]
    assert [[route.name for route in source.routes] for source in sources if source] == [["api-gateway"]] * 2
    assert [source.may_match(b"{}") for source in sources if source and source.may_match] == [False, False]
