"""What a command imports before it has done its work: that, and nothing else, makes the short ones quick."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import HANG_SECONDS

ROOT = Path(__file__).parents[3]

ASYNC = ("aiohttp", "aiokafka", "asyncio", "faust", "mode", "textual", "yarl")
CONFIGURATION = ("jsonschema", "jsonschema_rs", "logrouter.config", "logrouter.core.pipeline", "re2", "ruamel")
HELP_ONLY = ("rich.console", "rich.table")
MARKDOWN = ("markdown_it", "pygments")
SERVICES = ("confluent_kafka", "jgo", "jwt", "prometheus_client", "rocksdict", *ASYNC, *MARKDOWN)

PROGRAM = """
import sys
try:
    from logrouter.cli import main
    main()
finally:
    sys.stdout.flush()
    print(*sys.modules, file=sys.stderr)
"""


def modules(*arguments: str, code: int = 0, **environment: str) -> set[str]:
    """What is imported when `logrouter` ends, called with *arguments*."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert ran.returncode == code, ran.stderr
    return set(ran.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "never"),
    [
        (["--version"], (*SERVICES, *CONFIGURATION, *HELP_ONLY)),
        (["--help"], (*SERVICES, *CONFIGURATION)),
        (["check", "--help"], (*SERVICES, *CONFIGURATION)),
        (["usage", "--help"], (*SERVICES, *CONFIGURATION)),
        (["route", "--help"], (*SERVICES, *CONFIGURATION)),
        (["completion", "bash"], (*SERVICES, *CONFIGURATION, *HELP_ONLY)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help_and_version_load_no_configuration_and_no_clients(arguments, never):
    """A command's options and its help need neither topics.yaml nor Kafka nor an event loop."""
    assert modules(*arguments) & set(never) == set()


@pytest.mark.parametrize("words", ["logrouter ex", "logrouter explain --so", "logrouter usage --"])
def test_completion_of_commands_and_options_loads_no_configuration(words):
    """The shell asks at every press of the tabulator."""
    at = str(words.count(" "))
    environment = {"_LOGROUTER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": at}

    assert modules(**environment) & {*SERVICES, *CONFIGURATION, *HELP_ONLY} == set()


def test_only_the_command_that_is_called_is_imported():
    """The list of commands is declared."""
    of_commands = {name for name in modules("completion", "bash") if name.startswith("logrouter.commands.")}

    assert "logrouter.commands.completion" in of_commands
    assert (
        of_commands & {f"logrouter.commands.{name}" for name in ("check", "explain", "route", "top", "usage")} == set()
    )


def test_check_loads_what_it_checks_with_and_no_more():
    """Options of Kafka are checked by its client, which loads asyncio; metrics and HTTP are of the lanes."""
    loaded = modules("check", "topics.yaml")

    assert {"logrouter.config.lint", "confluent_kafka", "ruamel.yaml"} <= loaded
    assert loaded & {*SERVICES, "jsonschema"} <= {"confluent_kafka", "asyncio"}
