"""The tests that a topics.yaml carries: what they compare, and what they say when they fail."""

import pytest
from click.testing import CliRunner

from logrouter import config
from logrouter.cli import cli
from logrouter.config.cases import Difference, run

FILE = """
version: 1
sources: {{app: {{topics: [t], envelope: rsyslog}}}}
routes:
  - {{name: r, from: app, match: {{program: api-gateway, looks_like: request}}, format: envoy, to: clean}}
tests:
  - line: '{line}'
    expect: {expect}
"""
REQUEST = (
    '{"program":"api-gateway","message":"{\\\\"http\\\\":{\\\\"method\\\\":\\\\"GET\\\\",\\\\"status_code\\\\":404}}"}'
).replace("\\\\", "\\")


def differences(line: str, expect: str) -> tuple[Difference, ...]:
    """What the one test of a file says."""
    return run(config.parse(FILE.format(line=line, expect=expect).encode(), {}))[0].differences


@pytest.mark.parametrize(
    ("line", "expect", "expected"),
    [
        (REQUEST, "{outcome: accepted, route: r, event: {http: {status_code: 404}, status_class: 4xx}}", ()),
        (REQUEST, "{event: {http: {status_code: 200}}}", (Difference("event.http.status_code", 200, 404),)),
        (REQUEST, "{event: {http: {status_code: true}}}", (Difference("event.http.status_code", True, 404),)),
        (REQUEST, "{event: {api: core}}", (Difference("event.api", "core", None),)),
        ("{}", "{outcome: ignored, reason: unmatched}", ()),
        (
            "{}",
            "{outcome: accepted, route: r}",
            (Difference("outcome", "accepted", "ignored"), Difference("route", "r", "_unmatched")),
        ),
        ('{"program":"api-gateway', "{outcome: rejected, stage: decode, reason: invalid_json}", ()),
    ],
)
def test_case_compares_only_what_it_names(line, expect, expected):
    """A test passes when all it names is so; every other thing it names is one difference."""
    assert expected == differences(line, expect)


def test_case_has_headers():
    """A condition on record headers can be tested, too."""
    text = FILE.replace("program: api-gateway,", "header.env: prod,").format(line=REQUEST, expect="{outcome: accepted}")
    with_header = text + "    headers: {env: prod}\n"

    assert [run(config.parse(each.encode(), {}))[0].passed for each in (text, with_header)] == [False, True]


PAIRED = """
version: 1
sources: {gateway: {topics: [t], envelope: plain}}
routes: [{name: r, from: gateway, match: {looks_like: request}, format: wso2_access, pair: 60, to: clean}]
tests:
  - line: &end >-
      2026-05-01T10:00:00.200+0000 [][t]{APIAccessLog.AccessLogWriter}[] INFO  Event="REQUEST_COMPLETE",
      MessageID="m2", ResponseTo="m1", StatusCode="200"
    expect: {outcome: held, route: r, event: {http: {status_code: 200}}}
  - line: *end
    after:
      - >-
        2026-05-01T10:00:00.080+0000 [][t]{APIAccessLog.AccessLogWriter}[] INFO  Event="INCOMING_REQUEST",
        MessageID="m1", RequestInURL="/tides/1"
    expect: {outcome: accepted, event: {total_time_ms: 120, http: {status_code: 200, path: /tides/1}}}
  - line: *end
    after: [*end]
    expect: {outcome: held}
"""


def test_case_may_have_both_lines_of_a_request():
    """The first is given as read before; without it the line waits, and a line is not the other one of itself."""
    assert [result.differences for result in run(config.parse(PAIRED.encode(), {}))] == [(), (), ()]


def test_command_exits_with_one_when_a_test_fails(tmp_path):
    """`logrouter test` shows what was expected and what was found, and fails for a script."""
    file = tmp_path / "topics.yaml"
    file.write_text(FILE.format(line=REQUEST, expect="{event: {http: {status_code: 200}}}"))
    done = CliRunner().invoke(cli, ["test", str(file)])

    assert done.exit_code == 1
    assert "event.http.status_code: expected 200, found 404" in done.output
    assert "0 passed, 1 failed" in done.output


def test_shipped_file_passes_its_own_tests():
    """The default topics.yaml is right about itself."""
    done = CliRunner().invoke(cli, ["test"])

    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "3 passed, 0 failed")
