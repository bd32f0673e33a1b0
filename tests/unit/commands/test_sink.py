"""`logrouter sink test`: a marked event, what came of it, and exit codes."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest
from click.testing import CliRunner

from logrouter.cli import cli

FILE = """
version: 1
sources: {{in: {{topics: [in], envelope: plain}}}}
routes: [{{name: r, from: in, format: apache, to: events}}]
sinks:
  {name}:
    type: webhook
    from: events
    url: {url}
    timeout_seconds: 5
"""


class Target(ThreadingHTTPServer):
    """Answers every request with *status*, and keeps the bodies."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.bodies = []
        self.url = f"http://127.0.0.1:{self.server_port}/in"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        answer = b"said the target"
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def target():
    """A target on this machine."""
    server = Target()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def run(folder, url, *words, name="hook"):
    """The command on a file with one sink."""
    file = folder / "topics.yaml"
    file.write_text(FILE.format(url=url, name=name))
    return CliRunner().invoke(cli, ["sink", *words, "--config", str(file)], catch_exceptions=False)


def test_an_event_that_the_target_takes_ends_with_0(tmp_path, target):
    """Three lines: what went where, the answer, what that means."""
    done = run(tmp_path, target.url, "test", "hook")
    [body] = target.bodies
    event = orjson.loads(body)
    sent, answer, taken = done.stdout.splitlines()
    assert sent == f"sent     1 event, {len(body)} bytes, id {event['meta']['id']}, to {target.url}"
    assert answer.startswith("answer   status 200 after ")
    assert taken == "taken    the target has the event"
    assert done.exit_code == 0


def test_an_event_that_the_target_refuses_ends_with_1(tmp_path, target):
    """With the target's own words, as JSON for scripts."""
    target.status = 422
    done = run(tmp_path, target.url, "test", "hook", "--json")
    report = orjson.loads(done.stdout)
    assert (report["taken"], report["result"], report["status"]) == (False, "refused", 422)
    assert report["detail"] == "said the target"
    assert done.exit_code == 1


def test_a_target_that_is_away_ends_with_1(tmp_path, target):
    """Nothing listens any more."""
    target.shutdown()  # else a thread of it may still take a connection
    target.server_close()
    done = run(tmp_path, target.url, "test", "hook")
    assert "answer   connect after" in done.stdout
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["test"], "which sink is to be tested?"),
        (["hook", "more"], "one NAME is needed"),
        (["test", "hook", "more"], "one NAME is needed"),
        (["hook", "--json"], "--json goes with"),
        (["test", "other"], "has no sink 'other'; it has: hook"),
        (["other"], "has no sink 'other'; it has: hook"),
    ],
)
def test_wrong_usage_ends_with_2(tmp_path, words, said):
    """One sentence says what is wrong."""
    done = run(tmp_path, "http://127.0.0.1:1/", *words)
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert done.exit_code == 2


def test_no_sink_can_be_called_test(tmp_path):
    """The word has another meaning."""
    done = run(tmp_path, "http://127.0.0.1:1/", "test", "test", name="test")
    assert "is no name for a sink" in done.stderr
    assert done.exit_code == 2
