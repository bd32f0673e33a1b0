"""`logrouter topics`: how it shows what was found, and what its exit code says."""

from __future__ import annotations

import orjson
import pytest
from click.testing import CliRunner

from logrouter.cli import cli
from logrouter.kafka.errors import ClientError
from logrouter.kafka.topics import TopicFinding
from logrouter.route import process

PRESENT = TopicFinding("clean", "present", "6 partitions")
DRIFT = TopicFinding("rollup", "drift", "cleanup.policy is [compact]")
MISSING = TopicFinding("dead", "missing", "")


def topics(monkeypatch, findings, *arguments):
    """Result of the command where Kafka has these topics."""
    monkeypatch.setattr(process, "ensure_topics", lambda _settings, **_: findings)
    return CliRunner().invoke(cli, ["topics", *arguments])


@pytest.mark.parametrize(("findings", "code"), [([PRESENT], 0), ([PRESENT, DRIFT], 3), ([MISSING], 3)])
def test_exit_code_says_whether_all_is_as_it_should_be(monkeypatch, findings, code):
    """3 is for topics that differ or are missing."""
    assert topics(monkeypatch, findings).exit_code == code


def test_people_read_a_table(monkeypatch):
    """A topic per line, details as they are."""
    lines = topics(monkeypatch, [PRESENT, DRIFT]).stdout.splitlines()

    assert [line.split() for line in lines] == [
        ["topic", "state", "detail"],
        ["clean", "present", "6", "partitions"],
        ["rollup", "drift", "cleanup.policy", "is", "[compact]"],
    ]


def test_scripts_read_an_object_per_line(monkeypatch):
    """With the same three members."""
    done = topics(monkeypatch, [DRIFT], "--json")

    assert orjson.loads(done.stdout) == {"name": "rollup", "state": "drift", "detail": "cleanup.policy is [compact]"}


def test_kafka_that_does_not_answer_is_a_failure(monkeypatch):
    """With its reason, and no traceback."""

    def unanswered(_settings, *, dry_run):
        raise ClientError("no answer from [127.0.0.1:1]")

    monkeypatch.setattr(process, "ensure_topics", unanswered)
    done = CliRunner().invoke(cli, ["topics"])

    assert (done.exit_code, done.stderr) == (1, "logrouter: no answer from [127.0.0.1:1]\n")
