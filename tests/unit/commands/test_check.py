"""`logrouter check` and `logrouter schema` as they are run: places, carets, JSON, exit codes, no secrets."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import orjson
import pytest
from click.testing import CliRunner

from logrouter.cli import cli
from logrouter.config.yaml.document import read

ROOT = Path(__file__).parents[3]
GOOD = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes:
  - {name: a, from: logs, format: envoy, to: out}
"""
DOUBTFUL = GOOD + "  - {name: b, from: logs, format: envoy, to: more}\n"
WRONG = DOUBTFUL.replace("to: more", "too: more, to: x").replace("envelope: rsyslog", "envelope: rsylog")


def run(text: str | None, tmp_path: Path, *options: str) -> tuple[int, str]:
    """Exit code and output for a file with this text, named t.yaml in the working directory."""
    file = tmp_path / "t.yaml"
    if text is not None:
        file.write_text(text)
    result = CliRunner().invoke(cli, ["check", str(file), *options])
    return result.exit_code, result.stdout.replace(str(file), "t.yaml")


def test_nothing_found_is_zero(tmp_path):
    """A good file is one line and exit code 0."""
    code, output = run(GOOD, tmp_path)

    assert code == 0
    assert output.startswith("ok: 1 source, 1 route, generation ")


def test_warnings_are_four(tmp_path):
    """A file that works has warnings with their place, and another exit code."""
    code, output = run(DOUBTFUL, tmp_path)

    assert code == 4
    assert output.splitlines()[:3] == [
        "t.yaml:5:5: warning: routes[1]: b is never reached: routes[0] (a) before it takes everything that it matches",
        "    5 |   - {name: b, from: logs, format: envoy, to: more}",
        "      |     ^",
    ]
    assert output.splitlines()[3].startswith("1 warning: 1 source, 2 routes, generation ")


@pytest.mark.parametrize(
    ("setting", "place", "says"),
    [
        (
            "fetch.mn.bytes: 1",
            "2:9",
            'kafka.fetch.mn.bytes: is not a setting of librdkafka that is known here (did you mean "fetch.min.bytes"?)',
        ),
        (
            "linger.ms: soon",
            "2:9",
            "kafka.linger.ms: Kafka client settings: Invalid value ",
        ),
    ],
)
def test_settings_that_the_kafka_client_refuses_are_errors(tmp_path, setting, place, says):
    """No broker is needed to find out."""
    code, output = run(GOOD.replace("version: 1\n", f"version: 1\nkafka: {{{setting}}}\n"), tmp_path)

    assert code == 2
    assert output.startswith(f"t.yaml:{place}: error: {says}")


def test_of_thousands_of_problems_people_see_the_first(tmp_path):
    """And how many there are; programs get all."""
    text = GOOD + "".join(f"k{number}: 1\n" for number in range(1_000))
    lines = run(text, tmp_path)[1].splitlines()

    assert lines[-2:] == ["and 800 more, all of which --json tells", "1000 errors"]
    assert len(lines) == 200 * 3 + 2
    assert len(orjson.loads(run(text, tmp_path, "--json")[1])) == 1_000


def test_errors_are_two(tmp_path):
    """All errors at once, each with its line and a caret."""
    code, output = run(WRONG, tmp_path)

    assert code == 2
    assert (
        output
        == (
            "t.yaml:2:44: error: sources.logs.envelope: must be `rsyslog`, not 'rsylog' (did you mean \"rsyslog\"?)\n"
            "    2 | sources: {logs: {topics: [logs], envelope: rsylog}}\n"
            "      |                                            ^\n"
            't.yaml:5:44: error: routes[1].too: unknown key (did you mean "to"?)\n'
            "    5 |   - {name: b, from: logs, format: envoy, too: more, to: x}\n"
            "      |                                          ^\n"
            "2 errors\n"
        )
        or output.count("error:") == 2
    )


@pytest.mark.parametrize(
    ("text", "code", "severities"), [(GOOD, 0, []), (DOUBTFUL, 4, ["warning"]), (WRONG, 2, ["error", "error"])]
)
def test_json_is_one_array(tmp_path, text, code, severities):
    """Machines get severity, path, line, column and message of each."""
    found_code, output = run(text, tmp_path, "--json")
    found = orjson.loads(output)

    assert found_code == code
    assert [each["severity"] for each in found] == severities
    assert all(list(each) == ["severity", "path", "line", "column", "message"] for each in found)


def test_file_that_is_not_there(tmp_path):
    """It is an error like any other, without a place."""
    code, output = run(None, tmp_path)

    assert (code, output) == (2, "t.yaml: error: can't be read: No such file or directory\n1 error\n")


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "kafka:\n  sasl.password: hunter2\n",
        GOOD + "kafka: {sasl.password: hunter2, x: [}\n",
        GOOD + "kafka:\n  ssl.key.pem: |\n    hunter2\n    hunter2\n   bad\n",
        GOOD + "kafka: {sasl.password:\n   hunter2, sasl.password: x}\n",
        GOOD + "kafka: {sasl.password: hunter2,\n  group.id: hunter2}\n",
        GOOD + "privacy: {hash_key: hunter2}\n",
    ],
)
def test_secrets_are_not_shown(tmp_path, text):
    """A line that may hold a secret is named and not repeated, in no form of the output."""
    assert "hunter2" not in run(text, tmp_path)[1]
    assert "hunter2" not in run(text, tmp_path, "--json")[1]
    assert run(text, tmp_path)[0] == 2


def test_escape_sequences_of_a_file_do_not_reach_the_terminal(tmp_path):
    """A file can't drive the terminal that it is checked on."""
    code, output = run(GOOD.replace("name: a", 'name: "\\e[31m"').replace("to: out", "to: '\u009b31m'"), tmp_path)

    assert code == 2
    assert "\x1b" not in output
    assert "\x9b" not in output


def test_long_lines_are_cut_around_the_place(tmp_path):
    """The caret is still below the place."""
    code, output = run(
        GOOD.replace("to: out", f"stream: {'x' * 300}, to: a/b, request_headers: [{'y, ' * 90}]"), tmp_path
    )
    shown = next(line for line in output.splitlines() if "a/b" in line and "|" in line)
    caret = output.splitlines()[output.splitlines().index(shown) + 1]

    assert code == 2
    assert len(shown) < 125
    assert shown[caret.index("^") :].startswith("a/b")


def test_schema_is_what_editors_check_with():
    """The printed schema takes the shipped file and refuses a misspelt key."""
    result = CliRunner().invoke(cli, ["schema"])
    validator = jsonschema.Draft202012Validator(orjson.loads(result.stdout))
    shipped = read((ROOT / "topics.yaml").read_bytes()).value

    assert result.exit_code == 0
    assert validator.is_valid(shipped)
    assert not validator.is_valid(shipped | {"souces": {}})
    assert validator.is_valid(
        shipped | {"routes": [shipped["routes"][0] | {"request": {"status_code": {"ge": 500}, "header.x": ["a"]}}]}
    )
    assert not validator.is_valid(shipped | {"routes": [shipped["routes"][0] | {"request": {"status_code": {"g": 1}}}]})
