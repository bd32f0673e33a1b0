"""Warnings about sinks that are valid and will hardly do what was meant."""

from __future__ import annotations

import pytest

from logrouter.config.lint import check

SMALL = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes:
  - {name: a, from: logs, format: envoy, to: out, match: {program: a}}
  - {name: b, from: logs, format: envoy, to: more}
"""
URL = "url: 'https://h/x'"


def warnings_of(tmp_path, sinks: str, more: str = "") -> list[str]:
    """Path and message of every finding about a file with these sinks, none of which is an error."""
    file = tmp_path / "topics.yaml"
    file.write_text(f"{SMALL}{more}sinks:\n{sinks}\n")
    found = check(file, {"TOKEN": "x" * 20})
    assert found.settings is not None, found.problems
    assert all(problem.line is not None for problem in found.problems)
    return [f"{problem.path}: {problem.message}" for problem in found.problems]


def webhook(more: str = "", *, topics: str = "out", url: str = URL) -> str:
    """A webhook in the flow style of YAML."""
    return f"{{type: webhook, from: {topics}, {url}{', ' if more else ''}{more}}}"


TOKEN = "'${TOKEN}'"  # noqa: S105 - a reference


@pytest.mark.parametrize(
    ("sinks", "more", "warning"),
    [
        (
            f"  s: {webhook()}\n  t: {webhook('connections: 2', topics='[more, out]')}",
            "",
            "sinks.t: delivers out to where sinks.s does already",
        ),
        (
            "  s: {type: syslog, from: out, url: 'syslog+udp://h', framing: newline}",
            "",
            "sinks.s.framing: is for streams: over UDP each message is a datagram of its own",
        ),
        (
            "  s: {type: syslog, from: out, url: 'syslog://h'}\n  t: {type: syslog, from: out, url: 'syslog://h'}",
            "",
            "sinks.t: delivers out to where sinks.s does already",
        ),
        (
            f"  s: {webhook('retry: {give_up_after_seconds: 5}')}",
            "",
            "sinks.s.retry.give_up_after_seconds: is shorter than timeout_seconds (30): ",
        ),
        (
            f"  s: {webhook('retry: {give_up_after_seconds: 40}')}",
            "",
            "sinks.s.retry.give_up_after_seconds: is shorter than longest_pause_ms (60000): one ",
        ),
        (
            f"  s: {webhook('retry: {give_up_after_seconds: 864000}')}",
            "",
            "sinks.s.retry.give_up_after_seconds: is longer than outputs.retention_ms (604800000): events ",
        ),
        (
            f"  s: {webhook('body: lines, waiting: {max_records: 999}')}",
            "",
            "sinks.s.waiting.max_records: is less than batch.max_records (1000): no batch becomes full",
        ),
        (
            f"  s: {webhook('body: array, waiting: {max_bytes: 1024}')}",
            "",
            "sinks.s.waiting.max_bytes: is less than batch.max_bytes (4194304): no batch becomes full",
        ),
        (
            f"  s: {webhook()}",
            "outputs: {retention_ms: 3600000}\n",
            "outputs.retention_ms: keeps events for 1 h: what a sink has not delivered ",
        ),
        *(
            (f"  s: {text}", "", "sinks.s.url: sends secrets without encryption: use https")
            for text in (
                webhook(f"authorization: {TOKEN}", url="url: http://h/"),
                webhook(f"secret_headers: {{x-api-key: {TOKEN}}}", url="url: http://h/"),
                f"{{type: splunk, from: out, url: http://h:8088, token: {TOKEN}}}",
                f"{{type: opensearch, from: out, url: http://h:9200, api_key: {TOKEN}}}",
                f"{{type: opensearch, from: out, url: http://h:9200, basic_auth: {{user: u, password: {TOKEN}}}}}",
            )
        ),
    ],
)
def test_warning(tmp_path, sinks, more, warning):
    """One doubtful thing gives one warning, with its path."""
    [found] = warnings_of(tmp_path, sinks, more)

    assert found.startswith(warning)


@pytest.mark.parametrize(
    "sinks",
    [
        f"  s: {webhook()}\n  t: {webhook(topics='more')}",
        f"  s: {webhook()}\n  t: {webhook(url='url: https://h/y')}",
        f"  s: {webhook()}\n  t: {{type: splunk, from: out, {URL}, token: {TOKEN}}}",
        "\n".join(f"  {name}: {{type: opensearch, from: out, {URL}, index: {name}}}" for name in "st"),
        f"  s: {webhook('retry: {give_up_after_seconds: 600}, events_per_second: 1')}",
        f"  s: {webhook(f'authorization: {TOKEN}', url='url: http://127.0.0.1:1/')}",
        f"  s: {webhook(f'authorization: {TOKEN}', url='url: http://localhost:1/')}",
        f"  s: {webhook(url='url: http://h/')}",
        f"  s: {webhook('waiting: {max_records: 999}')}",
        f"  s: {{type: eventgate, from: out, {URL}}}",
    ],
)
def test_nothing_to_complain_about(tmp_path, sinks):
    """Whatever may be meant so."""
    assert warnings_of(tmp_path, sinks) == []


def test_topics_that_keep_their_records_for_ever_lose_nothing(tmp_path):
    """-1 is no short time."""
    sinks = f"  s: {webhook('retry: {give_up_after_seconds: 864000}')}"

    assert warnings_of(tmp_path, sinks, "outputs: {retention_ms: -1}\n") == []
