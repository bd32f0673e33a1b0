"""The folders of the configuration import one way: yaml, then options, then compile, then the modules above them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import logrouter.config

ROOT = Path(logrouter.config.__file__).parent
ORDER = ["yaml", "options", "compile", "config"]


def layer_of(parts: tuple[str, ...]) -> str:
    """The layer of a module, by its path below `logrouter.config`."""
    return parts[0] if parts and parts[0] in ORDER else "config"


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_no_module_imports_from_a_layer_above_it(file):
    """Imports for types alone count as well."""
    allowed = ORDER[: ORDER.index(layer_of(file.relative_to(ROOT).parts[:-1])) + 1]
    imported = [
        node.module.split(".")[2:]
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("logrouter.config")
    ]
    assert [parts for parts in imported if layer_of(tuple(parts)) not in allowed] == []
