"""Write the committed lists anew: `make surface`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.surface.sections import SECTIONS, lines

FOLDER = Path(__file__).parent / "lists"


def path_of(section: str) -> Path:
    """Where the list of a section is."""
    return FOLDER / f"{section}.txt"


def main() -> None:
    """Write every list, and say which."""
    FOLDER.mkdir(exist_ok=True)
    for section in SECTIONS:
        found = lines(section)
        path_of(section).write_text("".join(f"{line}\n" for line in found), encoding="utf-8")
        sys.stdout.write(f"{section}: {len(found)} lines\n")


if __name__ == "__main__":
    main()
