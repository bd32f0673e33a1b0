"""docs/drains-api.md says which problems there are."""

import re
from pathlib import Path

from logrouter.drains.api.problem_types import DRAIN_PROBLEM_TYPES
from logrouter.http_server.problems import PROBLEM_TYPES

PAGE = (Path(__file__).parents[4] / "docs" / "drains-api.md").read_text()


def test_every_type_of_problem_is_documented():
    """Slug and status are in the table, and nothing else is; none is one of the table view's."""
    documented = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", PAGE, re.MULTILINE)
    assert documented == [(kind.slug, str(kind.status)) for kind in DRAIN_PROBLEM_TYPES]
    assert {kind.slug for kind in DRAIN_PROBLEM_TYPES}.isdisjoint(kind.slug for kind in PROBLEM_TYPES)
