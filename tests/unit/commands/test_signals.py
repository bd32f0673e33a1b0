"""SIGHUP, which asks daemons to read their configuration again, ends none of them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from logrouter.cli import cli
from logrouter.commands import run, tables
from logrouter.devkafka.broker import hangup

SHIPPED = Path(__file__).parents[3] / "topics.yaml"


@pytest.fixture(autouse=True)
def _handlers_as_before():
    """The commands take over signals of the process that they run in."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("command", "module"), [("tables", tables), ("run", run)])
def test_hangup_is_ignored_before_anything_is_loaded(monkeypatch, command, module):
    """The configuration is the first thing that they read."""
    heard = []

    def settings_of(*_, **_options):
        signal.raise_signal(signal.SIGHUP)
        heard.append(command)
        raise SystemExit(0)

    signal.signal(signal.SIGHUP, lambda *_: heard.append("not ignored"))
    monkeypatch.setattr(module, "settings_of", settings_of)
    CliRunner().invoke(cli, [command, "--config", str(SHIPPED)])
    assert heard == [command]


def test_broker_and_demo_end_with_their_terminal_but_not_under_nohup():
    """Whoever ignores SIGHUP for them wants them to stay."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert hangup() == (signal.SIGHUP,)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert hangup() == ()
