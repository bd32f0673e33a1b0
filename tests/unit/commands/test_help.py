"""Every command explains itself: examples, exit codes, completion; colours are for terminals that want them."""

from __future__ import annotations

import inspect
import os
import pty
import re
import shutil
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from logrouter.cli import COMMANDS, cli
from logrouter.commands.options import complete_sink
from tests.conftest import HANG_SECONDS

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3|4|9|10)[0-7](?:;\d+)*m")


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command with its path."""
    found: list[tuple[tuple[str, ...], click.Command]] = [(path, group)]
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found += commands(command, (*path, name)) if isinstance(command, click.Group) else [((*path, name), command)]
    return found


@pytest.mark.parametrize(
    ("path", "command"), commands(), ids=lambda value: "-".join(value) if isinstance(value, tuple) else None
)
def test_every_help_shows_examples_of_itself(path, command):
    """`--help` of every command works and has an example that begins with the command itself."""
    result = CliRunner().invoke(cli, [*path, "--help"])

    assert result.exit_code == 0
    assert re.search(r"\*\*Examples?\*\*", command.help)
    text = inspect.cleandoc(command.help).split("**Example", 1)[1]
    examples = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    assert any(" ".join(("logrouter", *path)) in example for example in examples)
    shown = [line.strip() for line in result.output.splitlines()]
    assert all(any(line and example.startswith(line) for line in shown) for example in examples), result.output
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize("name", COMMANDS)
def test_line_in_the_list_of_commands_is_that_of_the_command(name):
    """It is declared apart, so that listing commands imports none, and must be what the command's help begins with."""
    command = cli.get_command(click.Context(cli), name)

    assert command.name == name
    assert COMMANDS[name][1] == " ".join(inspect.cleandoc(command.help).partition("\n\n")[0].split())


def test_marks_of_help_are_not_shown():
    """Bold and code are styles; indented lines stay as they are, other line ends are for the reader of the source."""
    shown = CliRunner().invoke(cli, ["top", "--help"], terminal_width=100).output
    usage = CliRunner().invoke(cli, ["usage", "--help"], terminal_width=100).output

    assert "**" not in shown
    assert "`" not in shown
    assert "   logrouter usage client-7 --json | jq '.window | {count, errors}'" in usage
    assert "CLIENT is the client id exactly as it is counted; - is everybody without one." in " ".join(usage.split())


def test_without_a_command_there_is_help():
    """And it is no success: a script that forgot the command should notice."""
    done = CliRunner().invoke(cli, [])

    assert done.exit_code == 2
    assert "Commands" in done.output


def on_terminal(*arguments: str, **environment: str) -> str:
    """What a command prints on a terminal."""
    main, other = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS")}
    command = [sys.executable, "-m", "logrouter", *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=other,
        stderr=other,
        env=env | {"TERM": "xterm-256color"} | environment,
    ) as process:
        os.close(other)
        text = b""
        try:
            while part := os.read(main, 65536):
                text += part
        except OSError:  # the other end is closed: all is read
            pass
        os.close(main)
    assert process.returncode == 0
    return text.decode()


@pytest.mark.parametrize("arguments", [["--help"], ["explain", "LINES"]], ids=["help", "explain"])
def test_colours_are_for_terminals_only(arguments, tmp_path):
    """A terminal gets colours, unless NO_COLOR is set; a pipe gets none."""
    lines = tmp_path / "lines"
    lines.write_bytes(b'{"program":"sshd","message":"x"}\n')
    arguments = [str(lines) if argument == "LINES" else argument for argument in arguments]
    piped = subprocess.run(
        [sys.executable, "-m", "logrouter", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_SECONDS,
    )

    assert COLOUR.search(on_terminal(*arguments))
    assert not COLOUR.search(on_terminal(*arguments, NO_COLOR="1"))
    assert "\x1b" not in piped.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_of_each_shell(shell):
    """The script is there for each shell, asks the command by its own name, and the shell accepts it."""
    result = CliRunner().invoke(cli, ["completion", shell])

    assert result.exit_code == 0
    assert "_LOGROUTER_COMPLETE" in result.output
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=result.stdout, text=True, check=True, timeout=HANG_SECONDS)


def complete(words: str, at: int) -> list[str]:
    """What bash is given to complete word *at* of a command line."""
    done = subprocess.run(
        [sys.executable, "-m", "logrouter"],
        env={**os.environ, "_LOGROUTER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)},
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_SECONDS,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_completion_completes_commands_and_options():
    """What the scripts ask for is answered."""
    assert "explain" in complete("logrouter ex", 1)
    assert "--source" in complete("logrouter explain --so", 2)
    assert complete("logrouter explain --source kub", 3) == ["kubernetes"]


FILE = """
version: 1
kafka: {sasl.password: "${A_VARIABLE_THAT_NOBODY_HAS}"}
sources:
  gate: {topics: [gate], envelope: plain}
  gates: {topics: [], envelope: plain}
routes: [{name: gateway, from: gate, format: kv, to: requests}]
sinks:
  search: {type: opensearch, from: requests, url: "https://search:9200"}
  siem: {type: splunk, from: requests, url: "https://splunk:8088", token: "${A_VARIABLE_THAT_NOBODY_HAS}"}
"""


@pytest.mark.parametrize(
    ("words", "at", "found"),
    [
        ("logrouter sink --config {file} ", 4, ["search", "siem", "test"]),
        ("logrouter sink --config {file} test ", 5, ["search", "siem"]),
        ("logrouter sink --config {file} se", 4, ["search"]),
        ("logrouter explain --config {file} --source ga", 5, ["gate", "gates"]),
    ],
)
def test_names_are_completed_from_a_file_that_does_not_load(tmp_path, words, at, found):
    """Whoever types has not the secrets that the processes have, and may be in the middle of an edit."""
    file = tmp_path / "topics.yaml"
    file.write_text(FILE)

    assert complete(words.format(file=file), at) == found


@pytest.mark.parametrize("text", [None, "", "- a list", "version: 1\nsinks: 7", "version: 1", "a: {", "\0"])
def test_a_file_without_names_completes_nothing(tmp_path, text):
    """Nor does one that is not there, and nothing is said about it."""
    file = tmp_path / "topics.yaml"
    if text is not None:
        file.write_text(text)
    context = click.Context(click.Command("sink"))
    context.params["config_file"] = file

    assert complete_sink(context, click.Argument(["words"]), "s") == []


@pytest.mark.parametrize(("words", "found"), [((), ["test"]), (("test",), []), (("search",), []), (("a", "b"), [])])
def test_a_sink_or_its_test_is_named_once(tmp_path, words, found):
    """Nothing follows a name, whatever the file has."""
    context = click.Context(click.Command("sink"))
    context.params |= {"config_file": tmp_path / "none", "words": words}

    assert complete_sink(context, click.Argument(["words"]), "te") == found


@pytest.mark.parametrize("module", ["logrouter", "logrouter.cli"])
def test_the_command_can_be_run_as_a_module(module):
    """Neither does nothing and says nothing."""
    command = [sys.executable, "-m", module, "--version"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG_SECONDS)

    assert ran.stdout.startswith("logrouter")
