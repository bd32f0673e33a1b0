"""Write the boards anew: `make docs`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.dashboards.contents import ALL
from tests.dashboards.saved_objects import saved_objects

FOLDER = Path(__file__).parents[2] / "docs" / "sinks" / "dashboards"


def path_of(form: str) -> Path:
    """The file with the boards for documents of a form."""
    return FOLDER / f"{form}.ndjson"


def text_of(objects: list[dict[str, object]]) -> str:
    """One object on each line."""
    return "".join(json.dumps(each) + "\n" for each in objects)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for contents in ALL:
        path_of(contents.form).write_text(text_of(saved_objects(contents)), encoding="utf-8")
