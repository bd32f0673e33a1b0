"""`logrouter explain` on lines: one answer per line, in order, whatever is in them."""

from __future__ import annotations

import orjson
import pytest
from click.testing import CliRunner

from logrouter.cli import cli
from logrouter.commands.records import Place, parse_place

REQUEST = orjson.dumps(
    {
        "host": "gw1",
        "program": "api-gateway",
        "message": orjson.dumps(
            {"meta": {"uri": "/core/v1?n=1"}, "http": {"method": "GET", "status_code": 200}, "client_id": "c1"}
        ).decode(),
    }
)
SSHD = b'{"host":"db1","program":"sshd","message":"Accepted publickey"}'
LINES = [REQUEST, b"", SSHD, b"\x00\xff\x1b[31m api-gateway \r", b"api-gateway" + b"x" * 10_000_000, REQUEST]
ENDS = [
    ("accepted", "api-gateway", None, None),
    ("ignored", "_unmatched", None, "empty"),
    ("ignored", "_unmatched", None, "unmatched"),
    ("rejected", "_unmatched", "decode", "invalid_utf8"),
    ("rejected", "_unmatched", "decode", "too_large"),
    ("accepted", "api-gateway", None, None),
]


def run(*arguments: str, stdin: bytes | None = None, code: int = 0) -> str:
    """What the command prints."""
    result = CliRunner().invoke(cli, ["explain", *arguments], input=stdin)
    assert result.exit_code == code, result.output
    return result.output


def ends(output: str) -> list[tuple[object, ...]]:
    """The outcome in each line of JSON."""
    found = map(orjson.loads, output.splitlines())
    return [tuple(one[name] for name in ("outcome", "route", "stage", "reason")) for one in found]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_one_object_per_line_in_order(end):
    """Lines on standard input give one JSON object each: empty, binary and huge ones, too."""
    output = run("--json", stdin=b"\n".join(LINES) + end)

    assert ends(output) == ENDS
    assert [event["client_id"] for event in orjson.loads(output.splitlines()[0])["events"]] == ["c1"]


def test_a_file_is_read_as_standard_input_is(tmp_path):
    """A file's lines give the same objects; "-" is standard input."""
    file = tmp_path / "lines.json"
    file.write_bytes(b"\n".join(LINES))

    assert ends(run(str(file), "--json")) == ends(run("-", "--json", stdin=file.read_bytes())) == ENDS


def test_no_input_gives_no_output():
    """Nothing in, nothing out."""
    assert run("--json", stdin=b"") == run(stdin=b"") == ""


def test_people_get_a_journey_without_control_characters():
    """Without --json there is a line per step and a verdict; what could drive the terminal is written out."""
    output = run(stdin=REQUEST.replace(b"gw1", rb"gw\u001b[31m1") + b"\n" + SSHD)

    assert "accepted by api-gateway" in output
    assert "ignored by _unmatched (unmatched)" in output
    assert 'program equals api-gateway: it is "sshd"' in output
    assert "\x1b" not in output
    assert r"gw\x1b[31m1" in output


def test_source_and_topic_are_the_users_to_name():
    """A source decides how lines are decoded, a topic finds its source; a pattern's source needs no topic."""
    by_source = orjson.loads(run("--source", "kubernetes", "--json", stdin=REQUEST))
    by_topic = orjson.loads(run("--topic", "k8s-main", "--json", stdin=REQUEST))

    assert (by_source["source"], by_source["record"]["topic"]) == ("kubernetes", "kubernetes")
    assert (by_topic["source"], by_topic["record"]["topic"]) == ("kubernetes", "k8s-main")
    assert by_source["outcome"] == by_topic["outcome"] == "accepted"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--source", "rsylog"], "there is no source 'rsylog'; there are rsyslog, kubernetes"),
        (["no-such-file"], "no-such-file is no file, no TOPIC:PARTITION:OFFSET and no event id"),
        (["--config", "no-such.yaml"], "can't be read"),
    ],
)
def test_wrong_usage_ends_with_2(arguments, says):
    """What can't be explained says why, and exits with 2."""
    assert says in run(*arguments, stdin=b"", code=2)


def test_places():
    """A place is a legal topic name and two numbers, and nothing else is."""
    assert parse_place("rsyslog-notice:0:4711") == Place("rsyslog-notice", 0, 4711)
    assert [parse_place(text) for text in ("a:b:1", "a:1", "a:1:-1", "a b:1:1", "")] == [None] * 5
