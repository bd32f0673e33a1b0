"""`logrouter top`: what is on the screen, and what the keys do, over a table view that really answers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from logrouter.access.policy import Policy
from logrouter.access.scopes import Via, client_scope, make_caller
from logrouter.access.tokens import Token, digest_of, hash_token, make_token
from logrouter.commands.view_client import ViewClient
from logrouter.commands.view_options import ViewAddress, ViewError
from tests.browser import stage
from tests.conftest import HANG_SECONDS

TOKEN = make_token(b"one".ljust(32))
topapp = pytest.importorskip("logrouter.commands.top_app", reason="needs Textual (the extra `top`)")


@pytest.fixture(scope="module")
def site():
    """A table view with ordinary requests and a client whose name is markup and control characters."""
    with stage.site(*stage.ordinary(), stage.request("[red]x[/]\x1b[1m", ago=2 * stage.HOUR)) as made:
        yield made


def play(address, script, window="24h", every=30.0, token=None):
    """Runs the application over the table view at *address* while *script* presses keys; what ended it."""

    async def main():
        async with ViewClient(ViewAddress(address, token)) as client:
            app = topapp.TopApp(client.get, window, every)
            async with app.run_test(size=(110, 40)) as pilot:
                await script(app, pilot)
            return app.return_value

    return asyncio.run(main())


async def until(pilot, condition):
    """Lets the application run until something is so."""
    async with asyncio.timeout(HANG_SECONDS):
        while not condition():
            await pilot.pause(0.02)


def cells(table):
    """The texts of a table."""
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


def test_the_busiest_clients_are_listed_and_the_rest_is_at_a_key(site):
    """Clients, APIs, another order, another window."""

    async def script(app, pilot):
        screen = app.screen
        await until(pilot, lambda: screen.table.row_count == 4)
        assert cells(screen.table)[0] == ["client-1", "12", "3 (25 %)", "25.2 kB", "143 ms"]
        assert cells(screen.table)[2][0] in ("- (no client id)", r"[red]x[/]\x1b[1m")
        assert "last 24 hours, by requests" in str(screen.heading.content)
        assert "up to date" in str(screen.status.content)
        await pilot.press("tab")
        await until(pilot, lambda: screen.names == ["core", "feed/v1", "-"])
        await pilot.press("s")
        await until(pilot, lambda: "by failed" in str(screen.heading.content))
        await pilot.press("w")
        await until(pilot, lambda: "last 7 days" in str(screen.heading.content))

    play(site.address, script)


def test_names_are_text(site):
    """Neither markup nor control characters of a name do anything."""

    async def script(app, pilot):
        await until(pilot, lambda: app.screen.table.row_count == 4)
        shown = [row[0] for row in cells(app.screen.table)]
        assert r"[red]x[/]\x1b[1m" in shown

    play(site.address, script)


def test_a_search_lists_what_begins_so_and_is_left_again(site):
    """The letters of other keys are letters while one types."""

    async def script(app, pilot):
        screen = app.screen
        await until(pilot, lambda: screen.table.row_count == 4)
        await pilot.press("slash", *"client-2")
        await until(pilot, lambda: screen.names == ["client-2"])
        await pilot.press("enter")
        assert screen.table.has_focus
        await pilot.press("escape")
        await until(pilot, lambda: len(screen.names) == 4)
        assert not screen.field.display

    play(site.address, script)


def test_nothing_is_asked_while_one_types(monkeypatch):
    """A list for each letter would be work for all workers, for answers that nobody waits for."""
    monkeypatch.setattr(topapp, "TYPING_SECONDS", 3600.0)
    asked = []

    async def get(*_path, **parameters):
        asked.append(parameters["prefix"])
        return {"clients": [], "freshness": {"partitions": []}}

    async def main():
        app = topapp.TopApp(get, "1h", 3600.0)
        async with app.run_test() as pilot:
            await until(pilot, lambda: "up to date" in str(app.screen.status.content))
            await pilot.press("slash", *"client")
            await until(pilot, lambda: app.screen.prefix == "client")
            assert set(asked) == {None}

    asyncio.run(main())


def test_one_client_is_opened_and_left(site):
    """Numbers against the day before, a line of requests, APIs and errors."""

    async def script(app, pilot):
        await until(pilot, lambda: app.screen.table.row_count == 4)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, topapp.DetailScreen))
        screen = app.screen
        await until(pilot, lambda: screen.peers.row_count == 2)
        assert "client client-1" in str(screen.heading.content)
        numbers = str(screen.numbers.content)
        assert "12" in numbers
        assert "▲ 100 % more" in numbers
        assert sum(screen.line.data) == 12
        assert cells(screen.peers) == [["core", "11"], ["feed/v1", "1"]]
        assert [row[0] for row in cells(screen.errors)] == ["404 client_error", "503 backend_error", "E7 no backend"]
        await pilot.press("escape")
        assert isinstance(app.screen, topapp.ListScreen)

    play(site.address, script)


def test_an_api_is_opened_by_name_with_a_slash(site):
    """Its clients instead of its APIs."""

    async def script(app, pilot):
        screen = app.screen
        await until(pilot, lambda: screen.table.row_count == 4)
        await pilot.press("tab")
        await until(pilot, lambda: screen.names[:1] == ["core"])
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, topapp.DetailScreen) and app.screen.peers.row_count == 2)
        assert cells(app.screen.peers) == [["client-2", "3"], ["client-1", "1"]]

    play(site.address, script)


def test_the_list_refreshes_by_itself_and_keeps_the_cursor_on_its_name():
    """New requests appear without a key; paused, nothing is asked."""
    with stage.site(stage.request("a"), stage.request("a"), stage.request("b")) as live:

        async def script(app, pilot):
            screen = app.screen
            await until(pilot, lambda: screen.names == ["a", "b"])
            await pilot.press("down")
            live.fold(*(stage.request("b") for _ in range(3)))
            await until(pilot, lambda: screen.names == ["b", "a"])
            assert screen.table.cursor_row == 0
            await pilot.press("p")
            assert "paused" in str(screen.status.content)
            asked = screen.workers
            live.fold(*(stage.request("c") for _ in range(9)))
            await until(pilot, lambda: all(worker.is_finished for worker in asked))
            assert screen.names == ["b", "a"]
            await pilot.press("r")
            await until(pilot, lambda: screen.names == ["c", "b", "a"])

        play(live.address, script, every=0.5)


def test_figures_stay_when_they_cannot_be_updated():
    """And the reason is told; it goes on when there is an answer again."""
    answers = {"clients": [], "freshness": {"partitions": []}}
    faults = []

    async def get(*_path, **_parameters):
        if faults:
            raise ViewError(faults[0], status=503)
        return answers

    async def main():
        app = topapp.TopApp(get, "1h", 3600.0)
        async with app.run_test() as pilot:
            await until(pilot, lambda: "up to date" in str(app.screen.status.content))
            faults.append("the tables are being recovered")
            await pilot.press("r")
            await until(pilot, lambda: "not updated: the tables are being recovered" in str(app.screen.status.content))
            faults.clear()
            await pilot.press("r")
            await until(pilot, lambda: "up to date" in str(app.screen.status.content))

    asyncio.run(main())


def test_without_a_first_answer_it_ends_with_the_reason():
    """Rather than show an empty screen for ever."""

    async def script(app, pilot):
        await until(pilot, lambda: not app.is_running or app.return_value is not None)

    assert "does not answer" in str(play("http://127.0.0.1:1", script))


def run(*arguments, **environment):
    """`logrouter top` without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "logrouter", "top", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_a_caller_of_one_client_stays_with_its_list():
    """APIs are not for it: the key says so and ends nothing."""
    policy = Policy(
        tokens=(Token(make_caller("one", Via.TOKEN, [client_scope("client-1")]), digest_of(hash_token(TOKEN))),)
    )

    async def script(app, pilot):
        screen = app.screen
        await until(pilot, lambda: screen.names == ["client-1"])
        await pilot.press("tab")
        await until(pilot, lambda: [note.message for note in app._notifications] == ["this token may not list APIs"])
        await until(pilot, lambda: screen.kind == "clients" and "up to date" in str(screen.status.content))
        assert screen.names == ["client-1"]
        assert "Clients" in str(screen.heading.content)

    with stage.site(*stage.ordinary(), access=policy) as guarded:
        assert play(guarded.address, script, token=TOKEN) is None


def test_it_wants_a_terminal():
    """A script is told what to use instead."""
    done = run()
    assert done.returncode == 2
    assert "logrouter usage" in done.stderr


def test_without_textual_it_says_what_to_install(tmp_path):
    """The extra is named; no traceback."""
    (tmp_path / "textual.py").write_text("raise ModuleNotFoundError('gone', name='textual')\n")
    program = (
        "import sys\nsys.stdin.isatty = sys.stdout.isatty = lambda: True\n"
        "from logrouter.cli import cli\ncli(['top'], prog_name='logrouter')\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert "run pip install '.[top]' in a checkout" in done.stderr


HOSTILE = "a\x1b]0;t\x07\x9b31m\x7f\r\u202e\u200bz"
FIGURES = {
    "count": 1,
    "errors": 1,
    "bytes": {"in": 1, "out": 1},
    "latency_ms": None,
}


def answering(*answers):
    """A function like `ViewClient.get` that gives the answers in turn, the last one from then on."""
    left = list(answers)

    async def get(*_path, **_parameters):
        return left.pop(0) if len(left) > 1 else left[0]

    return get


def test_a_hostile_server_drives_nothing():
    """Whatever it calls clients, APIs and errors."""
    answer = {
        "clients": [{"client_id": HOSTILE, **FIGURES}],
        "apis": [{"api": HOSTILE, **FIGURES}],
        "errors": [{"error": HOSTILE, "count": 1}],
        "window": FIGURES,
        "points": [],
        "freshness": {"partitions": [], "missing": [HOSTILE]},
    }

    async def main():
        app = topapp.TopApp(answering(answer), "24h", 3600.0)
        async with app.run_test(size=(110, 40)) as pilot:
            await until(pilot, lambda: app.screen.table.row_count == 1)
            await pilot.press("slash", *"ab", "enter")
            await pilot.press("enter")
            await until(pilot, lambda: getattr(app.screen, "errors", None) and app.screen.errors.row_count == 1)
            svg = app.export_screenshot()
            assert "&#27;" not in svg
            assert [char for char in svg if not char.isprintable() and char not in "\n\xa0"] == []

    asyncio.run(main())


@pytest.mark.parametrize("answer", [{}, {"clients": [{}]}, {"clients": [{"client_id": 1, "count": "x"}]}])
def test_what_is_no_table_view_ends_with_a_sentence(answer):
    """No traceback over the screen."""

    async def main():
        app = topapp.TopApp(answering(answer), "24h", 3600.0)
        async with app.run_test() as pilot:
            await until(pilot, lambda: app.return_value is not None)
        return app.return_value

    assert str(asyncio.run(main())) == "this is no table view: its answer is not as documented"
