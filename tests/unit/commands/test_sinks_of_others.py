"""Commands that read no sink, or one: they need the secrets and files of no other."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from logrouter.cli import cli
from logrouter.kafka.topics import TopicFinding
from logrouter.route import process

FILE = """\
version: 1
sources: {logs: {topics: [logs], envelope: plain}}
routes: [{name: a, from: logs, format: kv, to: out}]
sinks:
  hook: {type: webhook, from: out, url: "https://h/", authorization: "${HOOK_TOKEN}", tls: {ca: nowhere.pem}}
  other: {type: splunk, from: out, url: "https://h/", token: "${SPLUNK_TOKEN}"}
tests: [{line: "not one", expect: {outcome: ignored, reason: not_request}}]
"""


@pytest.fixture
def file(tmp_path):
    """A topics.yaml whose sinks name variables that are not set, and a file that is not there."""
    path = tmp_path / "topics.yaml"
    path.write_text(FILE)
    return str(path)


@pytest.mark.parametrize("arguments", [["test"], ["explain", "--config"], ["topics", "--config"]])
def test_a_command_without_sinks_needs_nothing_of_them(file, arguments, monkeypatch):
    """Whoever tries a line, or creates topics, has not the credentials of targets."""
    monkeypatch.setattr(process, "ensure_topics", lambda settings, **_: [TopicFinding(settings.file, "present")])
    result = CliRunner().invoke(cli, [*arguments, file], input="method=GET\n")

    assert result.exit_code == 0, result.output


def test_check_reads_all_of_them(file):
    """Every problem of every sink."""
    result = CliRunner().invoke(cli, ["check", file])

    assert result.exit_code == 2
    assert "HOOK_TOKEN is not set" in result.output
    assert "SPLUNK_TOKEN is not set" in result.output


def test_a_sink_that_is_not_there_is_told_those_that_are(file):
    """Also where none of them could be opened."""
    result = CliRunner().invoke(cli, ["sink", "hok", "--config", file])

    assert result.exit_code == 2
    assert "has no sink 'hok'" in result.output.replace("\n", " ")
    assert "hook, other" in result.output.replace("\n", " ")
