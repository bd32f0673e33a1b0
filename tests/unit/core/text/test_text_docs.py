"""docs/adding-a-dialect.md names the text tools that there are."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[4]
TABLE = (ROOT / "docs" / "adding-a-dialect.md").read_text(encoding="utf-8").split("\n## The text tools\n")[1]
TOOL = re.compile(r"^\| `([a-z_]+)(?:\.([a-z_]+))?`", re.MULTILINE)


def test_every_module_of_text_tools_has_a_row_and_every_named_tool_exists():
    """A new module says when it is used; a renamed function is renamed on the page."""
    named = TOOL.findall(TABLE)
    modules = {path.stem for path in (ROOT / "logrouter" / "core" / "text").glob("[a-z]*.py")}

    assert {module for module, _ in named} == modules
    assert [
        f"{module}.{tool}"
        for module, tool in named
        if tool and not hasattr(import_module(f"logrouter.core.text.{module}"), tool)
    ] == []
