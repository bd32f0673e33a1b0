"""Certificates of a sink that are renewed on disk: in force without a restart, and never half of them."""

from __future__ import annotations

import pytest

from logrouter import config
from logrouter.deliver import process
from logrouter.reload import reloader as reloading
from logrouter.reload.versions import ReloadResult
from tests.certificates import Authority

FILE = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: a, from: logs, format: envoy, to: out}]
sinks:
  hook:
    {type: webhook, from: out, url: "https://t.example/", tls: {ca: ca.pem, certificate: ours.pem, key: ours.key}}
  archive:
    {type: syslog, from: out, url: "syslog+tls://t.example", tls: {ca: ca.pem, certificate: ours.pem, key: ours.key}}
  plain: {type: webhook, from: out, url: "http://t.example/"}
"""


class Followed:
    """The process of a sink, without threads and Kafka; `turn` lets it look at its files."""

    def __init__(self, folder, name):
        self.file = folder / "topics.yaml"
        self.file.write_text(FILE)
        settings = self.parse(FILE.encode())
        lane = process.make_lane(settings, name, "host", stopping=lambda: True)
        self.versions = lane.versions
        self.reloader = process.make_reloader(lane, settings, name, "host", parse=self.parse)
        self.turn()

    def parse(self, data):
        return config.parse(data, {}, name=str(self.file), folder=self.file.parent)

    def turn(self):
        """How the last reload went, and whether there is another version to deliver by."""
        self.reloader._watch.wait(0)
        self.reloader.check_file()
        return self.versions.report()["last_reload"]["result"], self.versions.activate() is not None


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A CA, what it has issued, and how to follow a sink."""
    monkeypatch.setattr(reloading, "QUIET_SECONDS", 0.001)
    made = []

    def follow(name):
        made.append(Followed(tmp_path, name))
        return made[-1]

    ca = Authority(tmp_path)
    ca.issue("ours")
    yield ca, follow
    for each in made:
        each.reloader.stop()


@pytest.mark.parametrize("name", ["hook", "archive"])
def test_a_renewed_certificate_is_used(world, name):
    """By another delivery, with connections of its own; the file's generation stays, as routes are the same."""
    ca, follow = world
    hook = follow(name)
    before = hook.versions.version
    ca.issue("ours")
    assert hook.turn()[1]
    after = hook.versions.version
    assert after.generation == before.generation
    assert after.settings.open_delivery is not before.settings.open_delivery
    hook.reloader.request_reload()
    assert hook.turn() == (ReloadResult.UNCHANGED, False)


def test_half_of_a_renewal_changes_nothing(world, tmp_path):
    """A key that is not yet the new certificate's: what was in force stays until both are there."""
    ca, follow = world
    hook = follow("hook")
    key = (tmp_path / "ours.key").read_bytes()
    new_key = ca.issue("ours")[1].read_bytes()
    (tmp_path / "ours.key").write_bytes(key)
    assert hook.turn() == (ReloadResult.INVALID, False)
    assert "the key is another certificate's" in hook.versions.report()["last_error"]
    (tmp_path / "ours.key").write_bytes(new_key)
    assert hook.turn()[1]


def test_a_renewed_ca_is_used(world):
    """As any other file of it."""
    _, follow = world
    hook = follow("hook")
    Authority(hook.file.parent)
    assert hook.turn()[1]


def test_another_sink_goes_on_as_it_is(world):
    """Its connections have nothing to do with these files."""
    ca, follow = world
    plain = follow("plain")
    ca.issue("ours")
    assert plain.turn() == (ReloadResult.UNCHANGED, False)


def test_who_asks_for_a_reload_is_answered_when_the_files_are_in_force(world):
    """Not before, though the generation to wait for is the one that there is."""
    ca, follow = world
    hook = follow("hook")
    ca.issue("ours")
    hook.reloader._watch.wait(0)
    hook.reloader.check_file()
    generation = hook.versions.version.generation
    assert hook.versions.wait_decided(generation, 0) is None
    hook.versions.activate()
    hook.versions.is_swap_due()
    assert hook.versions.wait_decided(generation, 0).result is ReloadResult.APPLIED
