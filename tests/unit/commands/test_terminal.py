"""No text of anybody else drives the terminal: not of a line, a topics.yaml, a cluster, a server or a file name."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
import threading
from contextlib import contextmanager, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from logrouter.cli import COMMANDS, cli
from logrouter.commands import check, plan_report, topics, usage_report
from logrouter.commands.terminal import console, print_json
from logrouter.demo.screen import Screen
from logrouter.devkafka import broker
from logrouter.devkafka.broker import DevKafkaError
from logrouter.kafka.errors import ClientError
from logrouter.kafka.topics import TopicFinding
from logrouter.printable import escape, escape_lines, json_text
from logrouter.route import process
from logrouter.telemetry.log import Log, configure_logging, log

DRIVES = (
    "\x1b[31m",  # colour
    "\x1b]0;title\x07",  # the window's title
    "\x1b]8;;http://evil\x1b\\",  # a link
    "\x1b]52;c;ZXZpbA==\x07",  # the clipboard
    "\x9b2J\x9d0;title\x9c",  # the same by C1
    "\x7f\x08\r",  # over what is there
    "\x85\u2028",  # other ends of lines
    "\u202e\u2066\u200f",  # the direction of text
    "\u200b\ufeff\u00ad",  # no width
    "\U000e0041\ue000\U0001f1ff\U000f0000",  # tags, private characters
)
HOSTILE = "a" + "".join(DRIVES) + "z"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def yaml(text):
    """As a double-quoted scalar, whatever it holds."""
    return '"' + "".join(f"\\U{ord(char):08x}" for char in text) + '"'


SOURCES = "version: 1\nsources: {logs: {topics: [logs], envelope: lines}}\n"
GOOD = SOURCES + "routes: [{name: a, from: logs, format: kv, to: out}]\n"
BAD = (
    f"version: 1\n{yaml(HOSTILE)}: 1  # \u202e\u2066 \u200b\n"
    f"kafka: {{{yaml(HOSTILE)}: {yaml(HOSTILE)}, acks: [{yaml(HOSTILE)}]}}\n"
    f"sources: {{{yaml(HOSTILE)}: {{topics: [{yaml(HOSTILE)}], envelope: {yaml(HOSTILE)}}}}}\n"
    f"lookups: {{l: {{file: {yaml(HOSTILE + '.csv')}, key: {yaml(HOSTILE)}, fields: [a]}}}}\n"
    f"access: {{tokens_file: {yaml(HOSTILE)}, tokens: [{{name: {yaml(HOSTILE)}, hash: {yaml(HOSTILE)}, scopes: "
    f"[{yaml(HOSTILE)}]}}]}}\n"
    f"routes: [{{name: {yaml(HOSTILE)}, from: {yaml(HOSTILE)}, format: {yaml(HOSTILE)}, to: {yaml(HOSTILE)}, "
    f"schema: {yaml(HOSTILE)}, match: {{{yaml(HOSTILE)}: {yaml(HOSTILE)}, program: {{{yaml(HOSTILE)}: 1}}}}}}]\n"
)
MATCHING = (
    SOURCES + f"routes:\n- {{name: b, from: logs, format: kv, to: out, match: {{program: {yaml(HOSTILE)}, "
    f"text: {{contains: {yaml(HOSTILE)}}}}}}}\n"
    f"- {{name: c, from: logs, format: kv, to: out, match: {{field.x: {yaml(HOSTILE)}}}}}\n"
    f"- {{name: a, from: logs, format: kv, to: out, fields: {{set: {{x: {yaml(HOSTILE)}}}}}, schema: open.json}}\n"
)
FAILING = (
    GOOD + f"tests: [{{line: {yaml('method=GET path=/x status=200 client=' + HOSTILE)}, "
    f"expect: {{outcome: accepted, event: {{api: {yaml(HOSTILE)}}}}}}}]\n"
)
LINES = (
    f'method=GET path="/{HOSTILE}" status=200 client={HOSTILE} user_agent="{HOSTILE}"\n'
    f"method=GET path=/ status={HOSTILE}\n{HOSTILE}\n"
)
MESSAGE = orjson.dumps({"host": HOSTILE, "program": HOSTILE, "message": HOSTILE, HOSTILE: HOSTILE}).decode()


def assert_harmless(text, *, colours=False):
    """*text* holds nothing but what shows itself and line feeds; with *colours* those of our own besides."""
    shown = COLOURS.sub("", text) if colours else text
    assert [char for char in shown if not char.isprintable() and char != "\n"] == []


@contextmanager
def server(status, body):
    """The address of a server that answers everything with *body*."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with the files that the table names; one has a name that drives a terminal."""
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("good.yaml", GOOD),
        ("bad.yaml", BAD),
        ("failing.yaml", FAILING),
        ("lines", LINES),
        ("matching.yaml", MATCHING),
    ):
        (tmp_path / name).write_text(text)
    (tmp_path / "open.json").write_text("{}")
    name = HOSTILE.replace("/", "")
    (tmp_path / name).write_text(BAD)
    return name


FILE = object()
"""Stands for the name of the hostile file in a row of the table."""
ROWS = [
    (["check", "bad.yaml"], 2),
    (["check", "bad.yaml", "--json"], 2),
    (["check", FILE], 2),
    (["check", "matching.yaml"], 0),
    (["explain", "--config", "matching.yaml", "lines"], 0),
    (["explain", "--config", "matching.yaml", "lines", "--json"], 0),
    (["check", "no" + HOSTILE.replace("/", "")], 2),
    (["check", "--" + HOSTILE], 2),
    (["explain", "--config", "good.yaml", "lines"], 0),
    (["explain", "--config", "good.yaml", "lines", "--json"], 0),
    (["explain", "--config", "good.yaml", "--topic", HOSTILE], 0),
    (["explain", "--config", "good.yaml", "--topic", HOSTILE, "--json"], 0),
    (["explain", "--config", "good.yaml", "--source", HOSTILE], 2),
    (["explain", "--config", "good.yaml", "x" + HOSTILE], 2),
    (["explain", "--config", "bad.yaml"], 2),
    (["explain", "--config", FILE], 2),
    (["plan", "bad.yaml"], 2),
    (["test", "failing.yaml"], 1),
    (["test", "failing.yaml", "--json"], 1),
    (["test", "bad.yaml"], 2),
    (["topics", "--config", FILE], 2),
    (["route", "--config", "bad.yaml"], 2),
    (["tables", "--config", FILE], 2),
    (["run", "--config", "bad.yaml"], 2),
    (["sink", HOSTILE, "--config", "good.yaml"], 2),
    (["sink", "test", HOSTILE, "--config", "good.yaml"], 2),
    (["sink", HOSTILE, HOSTILE, "--config", "good.yaml"], 2),
    (["sink", "a", "--config", "bad.yaml"], 2),
    (["sink", "test", "a", "--config", FILE, "--json"], 2),
    (["token", HOSTILE, "--scope", "usage:read"], 2),
    (["token", "a", "--scope", HOSTILE], 2),
    (["token", "a", "--client", HOSTILE], 0),
    (["token", "a", "--client", HOSTILE, "--json"], 0),
    (["token", "a", "--scope", "usage:read", "--expires", HOSTILE], 2),
    (["usage", HOSTILE, "--url", HOSTILE], 2),
    (["usage", "a", "--url", f"http://127.0.0.1:1/{HOSTILE}"], 1),
    (["usage", "a", "--window", HOSTILE], 2),
    (["usage", "a", "--token-file", FILE], 2),
    (["callers", "x", "--url", HOSTILE], 2),
    (["callers", HOSTILE, "--url", f"http://127.0.0.1:1/{HOSTILE}"], 1),
    (["callers", "x", "--window", HOSTILE], 2),
    (["callers", "x", "--limit", HOSTILE], 2),
    (["top", "--url", HOSTILE], 2),
    (["top", "--window", HOSTILE], 2),
    (["drains", "list", HOSTILE], 2),
    (["drains", "list", f"app={HOSTILE}/prod", "--url", f"http://127.0.0.1:1/{HOSTILE}"], 1),
    (["drains", "list", "api=a", "--url", HOSTILE], 2),
    (["drains", "list", "api=a", "--token-file", FILE], 2),
    (["drains", "add", "api=a", HOSTILE, "--url", "http://127.0.0.1:1"], 1),
    (["drains", "add", "api=a", "syslog://h", "--ca", FILE, "--url", "http://127.0.0.1:1"], 2),
    (["drains", "add", "api=a", "syslog://h", "--form", HOSTILE], 2),
    (["drains", "test", "api=a", HOSTILE, "--url", "http://127.0.0.1:1"], 1),
    (["drains", "rm", "api=a", HOSTILE, "--url", "http://127.0.0.1:1"], 1),
    (["broker", "--port", HOSTILE], 2),
    (["demo", "--lines", HOSTILE], 2),
    (["completion", HOSTILE], 2),
    (["schema", HOSTILE], 2),
    ([HOSTILE], 2),
    (["--log-format", HOSTILE], 2),
]


def test_the_table_has_every_command():
    """A command that is added must be added here."""
    assert COMMANDS.keys() <= {row[0][0] for row in ROWS}


@pytest.mark.parametrize("colours", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize(("arguments", "code"), ROWS)
def test_what_a_command_prints_drives_nothing(folder, arguments, code, colours):
    """On a terminal there are colours of our own, and nothing else that is not printable."""
    given = [folder if word is FILE else word for word in arguments]
    env = {"FORCE_COLOR": "1" if colours else None, "NO_COLOR": None, "LOGROUTER_URL": None, "LOGROUTER_TOKEN": None}

    done = CliRunner().invoke(cli, given, env=env, input=f"{LINES}{MESSAGE}\n")

    assert done.exit_code == code, done.output
    assert "Traceback" not in done.stderr
    assert_harmless(done.stdout, colours=colours)
    assert_harmless(done.stderr, colours=colours)


def test_a_key_cannot_make_up_another_problem(folder, tmp_path):
    """A line feed in a key is shown, so that what follows it is not taken for a line of ours."""
    (tmp_path / "t.yaml").write_text(GOOD + '"x\\nt.yaml:1:1: error: fake": 1\n')

    for arguments in (["check", "t.yaml"], ["explain", "--config", "t.yaml"]):
        done = CliRunner().invoke(cli, arguments)
        assert r"x\nt.yaml:1:1: error: fake" in done.output
        assert "\nt.yaml:1:1: error: fake" not in done.output


def test_json_keeps_what_it_escapes(folder):
    """Whoever reads the JSON gets what was there."""
    done = CliRunner().invoke(cli, ["check", "bad.yaml", "--json"])

    assert HOSTILE in {problem["path"] for problem in orjson.loads(done.stdout)}


FIGURES = {
    "count": 1,
    "weighted": 1,
    "errors": 1,
    "bytes": {"in": 1, "out": 1},
    "latency_ms": None,
    "from": HOSTILE,
    "to": HOSTILE,
    "status": {HOSTILE: 1, "": 1},
}
ANSWER = {
    "client_id": HOSTILE,
    "lifetime": {"count": 1, "first_seen": HOSTILE},
    "window": FIGURES,
    "previous": FIGURES,
    "apis": [{"api": HOSTILE, **FIGURES}],
    "errors": [{"error": HOSTILE, "count": 1}],
    "recent": [{HOSTILE: HOSTILE}],
    "freshness": {"partitions": [], "missing": [HOSTILE], HOSTILE: HOSTILE},
}
NOTHING_LIKE_IT = [{}, {**ANSWER, "window": HOSTILE}, {**ANSWER, "apis": [HOSTILE]}, {**ANSWER, "freshness": None}]


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (200, ANSWER, 0),
        (404, {"type": HOSTILE, "title": HOSTILE, "detail": HOSTILE}, 1),
        (500, HOSTILE, 1),
        *((200, answer, None) for answer in NOTHING_LIKE_IT),
    ],
)
def test_what_a_server_says_drives_nothing(status, answer, code, options):
    """A table view that is none, or that has such names; what is not as documented is one sentence."""
    with server(status, orjson.dumps(answer)) as url:
        done = CliRunner().invoke(cli, ["usage", "a", "--url", url, *options])

    assert done.exit_code == code if code is not None else done.exit_code in (0, 1)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert_harmless(done.stdout)
    assert_harmless(done.stderr)


DRAIN = {"id": HOSTILE, "url": HOSTILE, "form": HOSTILE, "state": HOSTILE, "reason": HOSTILE, HOSTILE: HOSTILE}


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (200, [DRAIN], 0),
        (404, {"type": HOSTILE, "title": HOSTILE, "detail": HOSTILE}, 2),
        (500, HOSTILE, 1),
        *((200, answer, None) for answer in ({}, [HOSTILE], [{**DRAIN, "url": None}], HOSTILE)),
    ],
)
def test_what_a_drains_api_says_drives_nothing(status, answer, code, options):
    """Names and reasons come from whoever has made a drain."""
    with server(status, orjson.dumps(answer)) as url:
        done = CliRunner().invoke(cli, ["drains", "list", "api=a", "--url", url, *options])

    assert done.exit_code == code if code is not None else done.exit_code in (0, 1)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert_harmless(done.stdout)
    assert_harmless(done.stderr)


def test_what_a_cluster_says_drives_nothing(folder, monkeypatch):
    """Names of topics, and errors of the client."""
    monkeypatch.setattr(process, "ensure_topics", lambda *_a, **_k: [TopicFinding(HOSTILE, "drift", HOSTILE)])
    for options in ([], ["--json"]):
        done = CliRunner().invoke(cli, ["topics", "--config", "good.yaml", *options])
        assert (done.exit_code, done.stderr) == (3, "")
        assert_harmless(done.stdout)

    def fails(*_arguments, **_options):
        raise ClientError(HOSTILE)

    monkeypatch.setattr(process, "ensure_topics", fails)
    assert_harmless(CliRunner().invoke(cli, ["topics", "--config", "good.yaml"]).stderr)


def test_what_the_embedded_kafka_says_drives_nothing(monkeypatch):
    """Its own words may be of a Java tool."""

    def fails(*_arguments):
        raise DevKafkaError(HOSTILE)

    monkeypatch.setattr(broker, "serve", fails)

    done = CliRunner().invoke(cli, ["broker"])

    assert done.exit_code == 1
    assert_harmless(done.stderr)


def printed(show):
    """What *show* prints on standard output."""
    with redirect_stdout(io.StringIO()) as out:
        show()
    return out.getvalue()


def test_a_comparison_drives_nothing():
    """The report of `plan`, all of whose texts are from records, topics and files."""
    side = {"file": HOSTILE, "generation": HOSTILE}
    report = {
        "old": side,
        "new": side,
        "records": 1,
        "bytes": 1,
        "topics": {name: [HOSTILE] for name in ("read", "only_old", "only_new", "missing")},
        "routes": {HOSTILE: {"old": None, "new": None}},
        "new_routes": [HOSTILE],
        "vanished_routes": [],
        "cardinality": {HOSTILE: {"old": 1, "new": 2}},
        "throughput": {"old_us_per_record": 1.0, "new_us_per_record": 1.0},
        "new_rejections": [
            {"route": HOSTILE, "stage": HOSTILE, "reason": HOSTILE, "pointer": HOSTILE, "count": 1},
        ],
        "samples": [
            {
                "effect": "lost",
                "record": HOSTILE,
                "old": HOSTILE,
                "new": HOSTILE,
                "changes": [{"at": HOSTILE, "old": HOSTILE, "new": {HOSTILE: HOSTILE}}],
            }
        ],
        "sinks": {
            "unread": HOSTILE,
            "changes": [
                {"sink": HOSTILE, "change": "changed", "options": [HOSTILE], "restart": [HOSTILE]},
                {"sink": HOSTILE, "change": "new", "options": [], "restart": []},
            ],
        },
        "differs": True,
        "effects": {"lost": 1},
    }

    assert_harmless(printed(lambda: plan_report.show(console(), report)))
    assert_harmless(printed(lambda: print_json(report)))


@pytest.mark.parametrize(
    "show",
    [
        lambda: console().print(HOSTILE),
        lambda: usage_report.show(console(), ANSWER, "24h"),
        lambda: topics._show([TopicFinding(HOSTILE, "present", HOSTILE)], as_json=False),
        lambda: check._show(console(), check_findings()),
        lambda: Screen().say(HOSTILE),
        lambda: Screen().print(HOSTILE),
    ],
)
def test_what_nobody_has_escaped_is_escaped_by_the_console(show):
    """So that a report that is added later is harmless, too."""
    assert_harmless(printed(show))


def check_findings():
    """What `check` found in a file of hostile name and content."""
    from logrouter.config.lint import Findings
    from logrouter.config.yaml.problems import Problem

    return Findings(HOSTILE, HOSTILE, [Problem(HOSTILE, HOSTILE, 1, 1)], None)


@pytest.mark.parametrize("as_json", [False, True])
def test_the_log_drives_nothing(as_json):
    """Events with such fields, what libraries log, and tracebacks; an event is one line, a JSON one always."""
    out, root = io.StringIO(), logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("logrouter").level
    configure_logging(json=as_json, stream=out)
    try:
        log(Log.KAFKA_CLIENT, error=HOSTILE, detail=f"x\n{HOSTILE}", more=[HOSTILE], other="half \ud800")
        logging.getLogger("aiokafka").warning("%s\nsecond %s", HOSTILE, HOSTILE)
        log(Log.INTERNAL_ERROR, exc_info=ValueError(HOSTILE))
    finally:
        root.handlers[:], root.level = before[0], before[1]
        logging.getLogger("logrouter").setLevel(before[2])

    lines = out.getvalue().splitlines()
    assert_harmless(out.getvalue())
    assert all(lines)
    if as_json:
        assert len(lines) == 3
        assert orjson.loads(lines[0].replace(r"\ud800", ""))["error"] == HOSTILE
    else:
        assert "kafka_client" in lines[0]
        assert "second" in lines[1]
        assert "internal_error" in lines[2]


def test_a_log_that_cannot_be_written_says_nothing(capsys):
    """Halves of characters are no reason for a traceback of the log itself."""
    out, root = io.StringIO(), logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging(json=True, stream=out)
    try:
        log(Log.KAFKA_CLIENT, detail="\udcff", big=2**70)
    finally:
        root.handlers[:], root.level = before

    assert capsys.readouterr().err == ""
    assert r"\udcff" in out.getvalue()


@given(st.text(st.characters(), max_size=30))
def test_escaped_text_is_printable(text):
    """Whatever it is; what is printable stays as it is."""
    assert escape(text).isprintable()
    assert escape_lines(text).replace("\n", "").isprintable()
    assert escape(text) == text or not text.isprintable()


def test_a_traceback_drives_nothing():
    """A bug shows where it is, in the main thread and in others, and nothing of what was in the text."""
    program = (
        "import sys, threading\n"
        "from logrouter.commands.terminal import harmless_tracebacks\n"
        "def fail(): raise ValueError(sys.argv[1])\n"
        "harmless_tracebacks()\n"
        "thread = threading.Thread(target=fail); thread.start(); thread.join()\n"
        "fail()\n"
    )

    done = subprocess.run([sys.executable, "-c", program, HOSTILE], capture_output=True, check=False)
    shown = done.stderr.decode()

    assert done.returncode == 1
    assert shown.count("ValueError: a\\x1b[31m") == 2
    assert_harmless(shown)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, st.booleans())
def test_json_says_the_same_and_is_printable(value, indent):
    """For any reader of JSON it is the same value."""
    import json

    text = json_text(value, indent=indent)

    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == value


def test_rich_on_a_terminal_keeps_its_colours(monkeypatch):
    """What is ours still has them: only text is escaped."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)

    shown = printed(lambda: console().print(f"{HOSTILE}", style="red"))

    assert COLOURS.search(shown)
    assert_harmless(shown, colours=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full, which takes no byte")
@pytest.mark.parametrize("arguments", [["schema"], ["--help"], ["check"]], ids=lambda a: a[0])
def test_output_that_nobody_takes_is_one_clear_line(arguments):
    """A full disk, say: exit 1, and no traceback, also not for what is left in a buffer at the end."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "logrouter", *arguments], stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert (done.returncode, done.stderr) == (1, b"logrouter: cannot write the output: No space left on device\n")
