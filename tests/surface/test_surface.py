"""The public surface is what the committed lists say: nothing of it changes by accident."""

from __future__ import annotations

import pytest

from tests.surface.sections import SECTIONS, lines
from tests.surface.write import FOLDER, path_of

HOW = "If that is intended: `make surface` writes the lists anew; say in CHANGELOG.md what changes for whom."


def changes(committed: list[str], found: list[str]) -> str:
    """What differs, as one reads it in a diff; empty if nothing does."""
    removed = [f"  - {line}" for line in committed if line not in set(found)]
    added = [f"  + {line}" for line in found if line not in set(committed)]
    return "\n".join(sorted([*removed, *added], key=lambda line: line[4:]))


@pytest.mark.parametrize("section", SECTIONS)
def test_nothing_public_has_changed(section: str) -> None:
    """What the program shows of a section now is what its list says."""
    differences = changes(path_of(section).read_text(encoding="utf-8").splitlines(), lines(section))

    if differences:
        pytest.fail(f"the public surface ({section}) has changed:\n{differences}\n{HOW}", pytrace=False)


def test_every_list_has_its_section() -> None:
    """No list is left that nothing is compared with."""
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(SECTIONS)
