"""What only the text of the package tells: names that stand in it as constants. Read without importing anything."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import logrouter

ROOT = Path(logrouter.__file__).parent


@cache
def trees() -> list[ast.Module]:
    """Every file of the package; not read before a test asks: every worker of a test run imports this."""
    return [ast.parse(file.read_bytes()) for file in sorted(ROOT.rglob("*.py"))]


def texts() -> set[str]:
    """Every string constant, wherever it is."""
    nodes = (node for tree in trees() for node in ast.walk(tree))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def environment() -> set[str]:
    """Every environment variable of ours that code names."""
    return {text for text in texts() if re.fullmatch(r"LOGROUTER_[A-Z_]+", text)}


def exit_codes() -> set[int]:
    """Values of all constants that are named as exit codes."""
    found = set()
    for node in (node for tree in trees() for node in ast.walk(tree)):
        if isinstance(node, ast.AnnAssign | ast.Assign) and isinstance(node.value, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id.startswith("EXIT_") for target in targets):
                found.add(int(str(node.value.value)))
    return found


def fields_of(enumeration: str) -> dict[str, set[str]]:
    """Names of the fields that each member of *enumeration*, a log event, is written with: `log(Log.X, field=…)`."""
    found: dict[str, set[str]] = {}
    for call in (node for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args):
        fields = {keyword.arg for keyword in call.keywords if keyword.arg} - {"exc_info"}
        for node in ast.walk(call.args[0]):
            of = node.value if isinstance(node, ast.Attribute) else None
            if isinstance(node, ast.Attribute) and isinstance(of, ast.Name) and of.id == enumeration:
                found.setdefault(node.attr, set()).update(fields)
    return found
