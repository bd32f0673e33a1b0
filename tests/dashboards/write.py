"""Write boards and index templates anew: `make docs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from logrouter.sinks.opensearch.documents import DocumentForm
from logrouter.sinks.opensearch.rotation import IndexNames, Rotation
from logrouter.sinks.opensearch.templates import template_of
from tests.dashboards.contents import ALL
from tests.dashboards.saved_objects import saved_objects

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "docs" / "sinks"
DEFAULT_NAME = "api-gateway-request"


def path_of(form: str) -> Path:
    """The file with the boards for documents of a form."""
    return FOLDER / "dashboards" / f"{form}.ndjson"


def files() -> Iterator[tuple[Path, str]]:
    """Each file and what it holds: boards with an object on each line, and the templates of default indices."""
    for contents in ALL:
        yield path_of(contents.form), "".join(json.dumps(each) + "\n" for each in saved_objects(contents))
    for form in DocumentForm:
        template = template_of(IndexNames(DEFAULT_NAME, Rotation.DAY), form, is_data_stream=False)
        yield FOLDER / "templates" / f"{form}.json", json.dumps(template, indent=1) + "\n"


if __name__ == "__main__":
    for path, text in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
