"""`logrouter usage`: what it prints, for people and for scripts, and what its exit code says."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys

import orjson
import pytest
from click.testing import CliRunner

from logrouter.access.policy import Policy
from logrouter.access.scopes import Via, make_caller
from logrouter.access.tokens import Token, digest_of, hash_token, make_token
from logrouter.cli import cli
from logrouter.commands import humanise
from logrouter.commands.view_options import view_address
from tests.browser import stage
from tests.certificates import certificate
from tests.conftest import HANG_SECONDS

TOKEN = make_token(b"reader".ljust(32))


@pytest.fixture(scope="module")
def site():
    """A table view with ordinary requests, and one from a client with a name that would drive a terminal."""
    with stage.site(*stage.ordinary(), stage.request("\x1b[31mred\n", "a\x1b]0;b", ago=stage.HOUR)) as made:
        yield made


def usage(*arguments, code=0, token=None):
    """Standard output and error of `logrouter usage`."""
    env = {"LOGROUTER_TOKEN": token, "LOGROUTER_URL": None}
    done = CliRunner().invoke(cli, ["usage", *arguments], env=env)
    assert done.exit_code == code, done.stderr
    return done.stdout, done.stderr


def test_people_read_a_table(site):
    """Numbers against the day before, by API and status, errors; no colours in a pipe."""
    out, _ = usage("client-1", "--url", site.address)
    words = [line.split() for line in out.splitlines()]

    assert words[0] == ["client-1", "last", "24", "hours"]
    assert ["requests", "12", "▲", "100", "%", "more"] in words
    assert ["failed", "3", "25", "%", "none", "before"] in words
    assert ["API", "requests", "failed", "200", "304", "404", "500", "503"] in words
    assert ["core", "11", "18", "%", "8", "1", "1", "1"] in words
    assert ["E7", "no", "backend", "1"] in words
    assert ["18", "requests", "since", "2026-09-20", "03:13:20", "UTC"] in words
    assert "\x1b" not in out


def test_scripts_read_one_object(site):
    """With the figures of the window, those before, of the lifetime, and where they come from."""
    out, _ = usage("client-1", "--url", site.address + "/", "--window", "7d", "--json")
    answer = orjson.loads(out)

    assert (answer["client_id"], answer["window"]["count"], answer["previous"]["count"]) == ("client-1", 18, 0)
    assert [(row["api"], row["count"]) for row in answer["apis"]] == [("core", 17), ("feed/v1", 1)]
    assert answer["recent"][0]["request_id"] == "r-404"
    assert answer["freshness"]["partitions"]


def test_all_of_its_life(site):
    """There is nothing before it."""
    out, _ = usage("client-1", "--url", site.address, "--window", "life", "--json")
    answer = orjson.loads(out)

    assert answer["window"]["count"] == answer["lifetime"]["count"] == 18
    assert "previous" not in answer
    out, _ = usage("client-1", "--url", site.address, "--window", "life")
    assert out.splitlines()[1] == "up to 2026-09-21 14:13:20 UTC"


def test_names_cannot_drive_the_terminal(site):
    """Control characters are written out."""
    out, _ = usage("\x1b[31mred\n", "--url", site.address)

    assert "\x1b" not in out
    assert r"\x1b[31mred\n" in out
    assert r"a\x1b]0;b" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nobody"], 5, ""),
        ([".."], 5, ""),
        (["client-1", "--window", "1y"], 2, "--window"),
        (["client-1", "--window", "401d"], 2, "window"),
        (["client-1", "--url", "ftp://x"], 2, "no URL of a table view"),
        (["client-1", "--url", "http://a:b@127.0.0.1"], 2, "give a token"),
        (["client-1", "--url", "http://[::1"], 2, "no URL of a table view"),
        (["client-1", "--url", "http://localhost:port"], 2, "no URL of a table view"),
        (["client-1", "--url", "http://localhost:99999"], 2, "no URL of a table view"),
        (["client-1", "--url", "http://localhost:0"], 2, "no URL of a table view"),
        (["client-1", "--url", "http://127.0.0.1:1"], 1, "http://127.0.0.1:1 does not answer: Connection refused"),
        ([""], 2, "not empty"),
        (["caf\udce9"], 2, "must be a client id: UTF-8"),
    ],
)
def test_exit_codes(site, arguments, code, said):
    """Each kind of failure has its own, and one clear line on standard error."""
    where = [] if "--url" in arguments else ["--url", site.address]
    out, err = usage(*arguments, *where, code=code)

    assert out == ""
    assert said in " ".join(err.split())
    assert "Traceback" not in err


def test_a_token_comes_from_a_file_or_the_environment(tmp_path):
    """Never from the command line; it is not repeated when it is refused."""
    policy = Policy(tokens=(Token(make_caller("reader", Via.TOKEN, ["usage:read"]), digest_of(hash_token(TOKEN))),))
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    wrong = tmp_path / "wrong"
    wrong.write_text("not a\ttoken")
    with stage.site(*stage.ordinary(), access=policy) as guarded:
        given = ["client-1", "--url", guarded.address, "--json"]
        _, err = usage(*given, code=1)
        assert "token" in err
        assert orjson.loads(usage(*given, "--token-file", str(file))[0])["window"]["count"] == 12
        assert orjson.loads(usage(*given, token=TOKEN)[0])["window"]["count"] == 12
        _, err = usage(*given, token=TOKEN[:-1] + "x", code=1)
        assert TOKEN[:-1] not in err
        _, err = usage(*given, "--token-file", str(wrong), code=2)
        assert "no token can hold" in err


def test_a_certificate_must_be_trusted_and_can_be_named(tmp_path):
    """Nothing is sent to who cannot be verified, and the message says what to do."""
    certificate(tmp_path, "worker")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    def run(address, **environment):
        command = [sys.executable, "-m", "logrouter", "usage", "client-1", "--url", address, "--json"]
        env = {**os.environ, "LOGROUTER_TOKEN": TOKEN, **environment}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)

    with stage.site(*stage.ordinary(), tls=tls) as encrypted:
        refused = run(encrypted.address)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "its certificate is not trusted (self-signed certificate); SSL_CERT_FILE can name" in refused.stderr
        done = run(encrypted.address, SSL_CERT_FILE=str(tmp_path / "cert.pem"))
        assert orjson.loads(done.stdout)["window"]["count"] == 12


def test_something_else_than_a_table_view_is_told_apart(tmp_path):
    """A page of another program is no answer."""
    program = (
        "import http.server as h\ns = h.ThreadingHTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler)\n"
        "print(s.server_port, flush=True)\ns.serve_forever()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path
    ) as other:
        try:
            port = other.stdout.readline().strip()
            _, err = usage("client-1", "--url", f"http://127.0.0.1:{port}", code=1)
        finally:
            other.kill()
    assert "is no table view" in " ".join(err.split())


def test_a_window_whose_last_minute_is_running_is_compared_with_as_long_a_time():
    """Four and a half minutes of steady requests beside five full ones are no decline."""
    now = {"from": "2026-09-21T09:22:00.000Z", "to": "2026-09-21T09:26:30.000Z", "count": 270}
    before = {"from": "2026-09-21T09:17:00.000Z", "to": "2026-09-21T09:22:00.000Z", "count": 300, "errors": 10}
    then = humanise.as_long_as(now, before | {"bytes": {"in": 0, "out": 1000}})
    assert (then["count"], then["errors"], then["bytes"]) == (270, 9, {"in": 0, "out": 900})
    assert humanise.change(now["count"], then["count"]) == "= as before"


def test_numbers_as_people_read_them():
    """At the edges of each unit."""
    assert [humanise.size(n) for n in (0, 999, 1000, 123_456, 10**18)] == ["0 B", "999 B", "1 kB", "123 kB", "1 EB"]
    assert [humanise.millis(n) for n in (None, 0.5, 12.3, 999, 1500, 90_000)] == [
        *("-", "0.5 ms", "12 ms", "999 ms", "1.5 s", "90 s")
    ]
    assert [humanise.percent(n, 1000) for n in (0, 1, 12, 500, 1000)] == ["0 %", "0.1 %", "1.2 %", "50 %", "100 %"]
    assert [humanise.change(*pair) for pair in ((3, 0), (0, 0), (100, 100), (150, 100), (50, 100), (2000, 100))] == [
        *("none before", "none before either", "= as before", "▲ 50 % more", "▼ 50 % less", "▲ 20 times as much")
    ]
    assert [humanise.window_words(w) for w in ("1h", "24h", "15m", "life")] == [
        *("last hour", "last 24 hours", "last 15 minutes", "all time")
    ]


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://logs.example.org:6066", "logs.example.org"),
        ("http://192.0.2.7:6066", "192.0.2.7"),
        ("HTTP://[2001:db8::1]:6066", "2001:db8::1"),
        ("https://logs.example.org:6066", None),
        ("http://localhost:6066", None),
        ("http://127.0.0.1:6066", None),
        ("http://[::1]:6066", None),
    ],
)
def test_a_token_that_would_travel_in_the_clear_is_warned_of(capsys, tmp_path, url, warned):
    """From a variable or a file; without a token there is nothing to warn of."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    says = (
        f"logrouter: warning: the token goes to {warned} without encryption: whoever is on the way can use it; ask by"
    )

    for path, env in ((file, {}), (None, {"LOGROUTER_TOKEN": TOKEN})):
        assert view_address(url, path, env).token == TOKEN
        found = capsys.readouterr()
        assert found.out == ""
        assert TOKEN not in found.err
        assert found.err == ("" if warned is None else f"{says} https\n")
    view_address(url, None, {})
    assert capsys.readouterr().err == ""
