"""The route process's HTTP port: who may ask for what."""

from __future__ import annotations

import orjson
import pytest

from logrouter.config import Secret
from logrouter.reload.versions import ReloadOutcome, ReloadResult
from logrouter.status_port.app import application

TOKEN = "tök en"  # noqa: S105 - of this test


def ask(method, path, authorization=None, *, outcome=None, token=TOKEN, unready=""):
    """Status code, body and headers of a request."""
    app = application(
        lambda: unready,
        config=lambda: {"generation": "g"},
        reload=lambda: outcome,
        token=lambda: Secret(token) if token else None,
    )
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path}
    if authorization is not None:
        environ["HTTP_AUTHORIZATION"] = authorization.encode().decode("latin-1")
    said = []
    body = b"".join(app(environ, lambda status, headers: said.extend([status, dict(headers)])))
    return int(said[0][:3]), body, said[1]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
        ("GET", "/v1/config", 200),
        ("HEAD", "/v1/config", 200),
        ("GET", "/", 404),
        ("GET", "/v1/admin/other", 404),
        ("POST", "/v1/config", 404),
        ("POST", "/metrics", 404),
    ],
)
def test_paths_answer(method, path, code):
    """What there is can be read by everybody, and written by nobody."""
    assert ask(method, path)[0] == code


def test_who_is_not_ready_says_why():
    """On one line, whatever a broker has put into it, and not without end."""
    why = "no right to read topic a\n: " + "x" * 10_000

    code, body, _ = ask("GET", "/readyz", unready=why)

    assert (code, body[:30], body.count(b"\n")) == (503, b"no right to read topic a\\n: xx", 1)
    assert len(body) < 1_000


def test_config_is_json():
    """What the lane reports goes out as it is."""
    code, body, headers = ask("GET", "/v1/config")

    assert (code, orjson.loads(body), headers["Content-Type"]) == (200, {"generation": "g"}, "application/json")


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", f"Bearer {TOKEN}x", "Bearer tök", TOKEN, f"Basic {TOKEN}", "Bearer \ud7ff"]
)
def test_without_the_token_nothing_is_reloaded(authorization):
    """Wrong, missing or otherwise given: 401."""
    code, _, headers = ask("POST", "/v1/admin/reload", authorization)

    assert (code, headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("authorization", [None, "Bearer ", f"Bearer {TOKEN}"])
def test_without_a_token_in_the_file_there_is_no_such_path(authorization):
    """Off by default, whatever a request brings along."""
    assert ask("POST", "/v1/admin/reload", authorization, token="")[0] == 404


@pytest.mark.parametrize(
    ("outcome", "code", "result"),
    [
        (ReloadOutcome(ReloadResult.APPLIED, "", "g"), 200, "applied"),
        (ReloadOutcome(ReloadResult.UNCHANGED, "", "g"), 200, "unchanged"),
        (ReloadOutcome(ReloadResult.INVALID, "1:1: x"), 422, "invalid"),
        (ReloadOutcome(ReloadResult.REFUSED, "x", "h"), 409, "refused"),
        (None, 202, "pending"),
    ],
)
def test_reload_tells_how_it_went(outcome, code, result):
    """By status code and in words."""
    status, body, _ = ask("POST", "/v1/admin/reload", f"Bearer {TOKEN}", outcome=outcome)

    assert (status, orjson.loads(body)["result"]) == (code, result)


def test_reload_is_asked_for_by_post_only():
    """A link that is followed does nothing."""
    code, _, headers = ask("GET", "/v1/admin/reload", f"bearer {TOKEN}")

    assert (code, headers["Allow"]) == (405, "POST")
