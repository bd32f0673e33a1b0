"""`logrouter callers`: what it prints, for people and for scripts, and what its exit code says."""

from __future__ import annotations

import orjson
import pytest
from click.testing import CliRunner

from logrouter.cli import cli
from tests.browser import stage


@pytest.fixture(scope="module")
def site():
    """A table view with ordinary requests, and one from a client with a name that would drive a terminal."""
    hostile = stage.request("\x1b[31mred\n", "feed/v1", path="/feed/v1/\x1b]0;b", ago=stage.HOUR)
    with stage.site(*stage.ordinary(), hostile) as made:
        yield made


def callers(*arguments, code=0):
    """Standard output and error of `logrouter callers`."""
    done = CliRunner().invoke(cli, ["callers", *arguments], env={"LOGROUTER_TOKEN": None, "LOGROUTER_URL": None})
    assert done.exit_code == code, done.stderr
    return done.stdout, done.stderr


def test_people_read_a_table(site):
    """Largest first, with what failed; names cannot drive the terminal."""
    out, _ = callers("FEED", "--url", site.address)
    words = [line.split() for line in out.splitlines()]

    assert words[0] == ["5", "requests,", "last", "24", "hours"]
    assert ["client-2", "/feed/v1/things", "3", "200"] in words
    assert ["client-1", "/feed/v1/gone", "1", "1", "404"] in words
    assert "\x1b" not in out
    assert r"\x1b[31mred\n" in out


def test_scripts_read_one_object_and_what_is_cut_off_is_said(site):
    """By status and pattern; `--limit` cuts."""
    answer = orjson.loads(callers("*/THINGS", "--url", site.address, "--status", "5xx", "--json")[0])
    assert [(row["client_id"], row["url"], row["count"]) for row in answer["callers"]] == [
        ("client-1", "/core/things", 2)
    ]
    assert "not listed has more requests than 1" in " ".join(
        callers("feed", "--limit", "1", "--url", site.address)[0].split()
    )
    assert callers("nothing-such", "--url", site.address)[0].split()[0] == "0"


def test_what_rows_may_have_dropped_is_in_no_exact_sum():
    """A client with more URLs than are kept: the sum of what is found is a lower bound, and said to be one."""
    many = [stage.request(path=f"/core/{word}{n}x") for n in range(150) for word in ("orders/o", "carts/c")]
    with stage.site(*many) as crowded:
        out, _ = callers("orders", "--url", crowded.address)
        answer = orjson.loads(callers("orders", "--url", crowded.address, "--json")[0])
        assert answer["count"] < 150
        assert out.splitlines()[0] == f"at least {answer['count']} requests, last 24 hours"
        assert callers("nothing-such", "--url", crowded.address)[0].startswith("none for sure, last 24 hours")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([""], 2, "not empty"),
        (["x", "--window", "1y"], 2, "--window"),
        (["x", "--status", "nine"], 2, "status"),
        (["x", "--limit", "0"], 2, "--limit"),
        (["x", "--url", "http://127.0.0.1:1"], 1, "does not answer"),
    ],
)
def test_exit_codes(site, arguments, code, said):
    """One clear line on standard error."""
    where = [] if "--url" in arguments else ["--url", site.address]
    out, err = callers(*arguments, *where, code=code)

    assert out == ""
    assert said in err
    assert "Traceback" not in err
