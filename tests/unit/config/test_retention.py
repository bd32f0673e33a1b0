"""How long rows are kept: a coarser resolution never for less time than a finer one."""

import pytest

from logrouter import config

FILE = """
version: 1
tables_lane: {{retention: {{{retention}}}}}
sources: {{app: {{topics: [t], envelope: rsyslog}}}}
routes:
  - {{name: r, from: app, match: {{program: gw}}, format: envoy, to: clean}}
"""


@pytest.mark.parametrize(
    ("retention", "path"),
    [
        ("minute_hours: 48, hour_days: 1", "tables_lane.retention.hour_days"),
        ("hour_days: 35, day_days: 1", "tables_lane.retention.day_days"),
    ],
)
def test_coarser_rows_must_reach_as_far_back(retention, path):
    """Otherwise a list over a window would lack days without saying so: the file is refused."""
    with pytest.raises(config.ConfigError) as caught:
        config.parse(FILE.format(retention=retention).encode(), {})

    assert [problem.path for problem in caught.value.problems] == [path]


@pytest.mark.parametrize("kept", [-1, 0, 3_599_999])
def test_rollup_records_are_kept_for_an_hour_at_least(kept):
    """A tables worker that starts again, or a table that moves, must find what it has not folded."""
    with pytest.raises(config.ConfigError, match=r"outputs\.rollup\.retention_ms"):
        config.parse(f"{FILE.format(retention='')}outputs: {{rollup: {{retention_ms: {kept}}}}}\n".encode(), {})


def test_equal_retention_is_fine():
    """Equal stretches cover each other."""
    settings = config.parse(FILE.format(retention="minute_hours: 24, hour_days: 1, day_days: 1").encode(), {})

    assert settings.tables_lane.retention.day_days == 1
