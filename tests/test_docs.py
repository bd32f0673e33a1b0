"""The documentation is true: examples parse, commands and metrics exist, links lead somewhere, Python runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import click
import pytest
from ruamel.yaml import YAML

from logrouter import cli, config
from logrouter.commands import exit_codes
from logrouter.config.compile.schemas import packaged_schemas
from logrouter.config.options.sinks import SINK_TYPES
from logrouter.core.validate import Validator
from logrouter.telemetry import metrics
from tests.test_architecture import ALLOWED

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ENVIRONMENT = {"KAFKA_PASSWORD": "x", "LOGROUTER_HASH_KEY": "x"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE_COMMAND = re.compile(r"`((?:logrouter|make) [^`]+)`")
METRIC = re.compile(r"\blogrouter_[a-z_]+[a-z]\b")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
FILE = re.compile(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|js|json|lock)|(?:bench|docs|fuzz|tests)/[a-z_0-9/.]+)`")
PLANNED = (
    "core/kernel.py",
    "core/ledger.py",
)
"""Files that docs/design.md names before there are any."""
MADE_UP = ("tollgate", "client_traffic", "granary")
"""What docs/adding-a-dialect.md, docs/adding-a-report.md and docs/adding-a-sink.md add."""


class Block(NamedTuple):
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """All blocks of these languages, in all pages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(page, line, match[1], match[2]))
    return [block for block in found if block.language in languages]


def commands() -> list[tuple[str, str]]:
    """Every `logrouter …` and `make …` command line, with where it stands."""
    found = [(str(block), line.strip()) for block in blocks("sh") for line in block.text.splitlines()]
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found += [(page.name, match[1]) for match in INLINE_COMMAND.finditer(text)]
    return [(place, line) for place, line in found if line.startswith(("logrouter ", "make "))]


def test_every_block_has_a_known_language():
    """A block that is not checked says so by being `text`, or a drawing without a language."""
    known = {"sh", "json", "yaml", "python", "text", ""}
    assert {match[1] for page in PAGES for match in FENCE.finditer(page.read_text())} <= known


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_parses_and_events_are_valid(block):
    """JSON examples are JSON, and those of events satisfy the schema that they name."""
    document = json.loads(block.text)
    schemas = {json.loads(data)["$id"]: json.loads(data) for data in packaged_schemas().values()}
    # Lines as a gateway writes them name a schema, too, and need not be valid events.
    if isinstance(document, dict) and document.get("$schema", "").startswith("/logrouter/"):
        validator = Validator(schemas[document["$schema"]])
        assert validator.is_valid(document), validator.explain(document)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_parses_and_topics_yaml_loads(block):
    """YAML examples are YAML; whole topics.yaml files pass the loader, and parts of one do in a whole one."""
    document = YAML(typ="safe").load(block.text)
    if isinstance(document, dict) and document.get("version") == 1:
        config.parse(block.text.encode(), ENVIRONMENT, folder=ROOT)


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_shell_parses(block):
    """Shell examples are accepted by bash."""
    checked = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("page", sorted({block.page for block in blocks("python")}), ids=lambda page: page.name)
def test_python_runs(page, monkeypatch):
    """Python examples run, those of one page one after the other in one module."""
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)
    for block in blocks("python"):
        if block.page == page:
            exec(compile(block.text, str(block), "exec"), vars(module))  # noqa: S102  our own documentation


@pytest.mark.parametrize(("place", "line"), commands())
def test_commands_exist(place, line):
    """Every command that is named exists, with every option that is given to it."""
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        targets = {word for word in words[1:] if "=" not in word}
        makefile = (ROOT / "Makefile").read_text()
        assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets), place
        return
    name = next((word for word in words[1:] if not word.startswith("-")), None)
    command = cli.cli.get_command(click.Context(cli.cli), name) if name else cli.cli
    assert isinstance(command, click.Command), f"{place}: no command {name}"
    known = {option for param in [*command.params, *cli.cli.params] for option in param.opts}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert given - known <= {"--help", "--version"}, place


def test_metrics_exist():
    """Every metric that a page names is one that a process serves."""
    served = set()
    for family in metrics.REGISTRY.collect():
        served |= {family.name, *(family.name + suffix for suffix in ("_total", "_bucket", "_sum", "_count"))}
    named = {name for page in PAGES for name in METRIC.findall(page.read_text())}
    assert named - served == set()


def test_exit_codes_are_those_of_the_command():
    """The exit codes in operations.md are those of the command."""
    page = (ROOT / "docs" / "operations.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert listed == {0, *(code for name, code in vars(exit_codes).items() if name.startswith("EXIT_"))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Relative links point at files of the repository."""
    for target in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_exist(page):
    """Files that a page names are there, from the root or in the package."""
    named = {name for name in FILE.findall(page.read_text()) if not name.startswith(PLANNED)}
    named -= {name for name in named if any(made_up in name for made_up in MADE_UP)}
    above = (ROOT, ROOT / "logrouter")

    assert [name for name in sorted(named) if not any((folder / name).exists() for folder in above)] == []


def test_reliability_names_tests_that_exist():
    """Every row of a table in docs/reliability.md ends with tests, and each of them is there."""
    rows = [line for line in (ROOT / "docs" / "reliability.md").read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| what happens |")]
    named = {row: re.findall(r"`(\S+?\.py)::(\w+)`", row.rsplit(" | ", 1)[-1]) for row in rows}

    assert [row for row, tests in named.items() if not tests] == []
    assert len({row.split(" | ")[0] for row in rows}) == len(rows), "what happens is there twice"
    missing = {
        f"{file}::{function}"
        for tests in named.values()
        for file, function in tests
        if not re.search(rf"^(?:    )?(?:async )?def {function}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE)
        and not re.search(rf"^{function}\b.* = ", (ROOT / "tests" / file).read_text(), re.MULTILINE)
    }
    assert missing == set()


def test_sinks_page_names_every_type():
    """docs/sinks/README.md has a row for each type of sink that topics.yaml knows, with its page."""
    page = (ROOT / "docs" / "sinks" / "README.md").read_text()
    rows = page.split("\n## Types\n")[1].split("\n## ")[0]

    assert re.findall(r"^\| \[`(\w+)`\]\((\w+)\.md\)", rows, re.MULTILINE) == [(name, name) for name in SINK_TYPES]


def test_design_names_every_room_and_dependency():
    """docs/design.md has a row for each room of the package and gives a reason for each dependency."""
    page = (ROOT / "docs" / "design.md").read_text()
    package = ROOT / "logrouter"
    rooms = {path.parent.relative_to(package).as_posix() for path in package.glob("*/**/__init__.py")}
    rows = "".join(re.findall(r"^\| `.*?\|", page, re.MULTILINE))
    missing = {room for room in {*rooms, "model.py", "cli.py"} if f"`{room}`" not in rows}
    project = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|broker|geoip|useragent|dev) = \[(.*?)\]$", project, re.DOTALL | re.MULTILINE)
    names = {name for text in lists for name in re.findall(r'"([A-Za-z0-9-]+(?:\.[a-z]+)?)', text)}
    assert missing | {name for name in names if f"`{name}`" not in page} == set()


def test_design_says_what_each_room_may_import():
    """The last column of the table of rooms is the import contract, rooms of other parts by their part."""
    page = (ROOT / "docs" / "design.md").read_text()
    rows = re.findall(r"^\| `([a-z_/]+)(?:\.py)?` \|.*\| ([^|]*) \|$", page, re.MULTILINE)
    listed = {room: set(re.findall(r"`([a-z_/]+)`", allowed)) for room, allowed in rows if room in ALLOWED}

    def written(room: str, entry: str) -> str:
        part, _, _ = entry.partition("/")
        within = entry.rpartition("/")[0] if entry.endswith(".py") else entry
        return within if part == room.partition("/")[0] else part

    assert listed == {
        room: {written(room, entry) for entry in entries} - {room, "__init__"}
        for room, entries in ALLOWED.items()
        if room != "__init__"
    }
