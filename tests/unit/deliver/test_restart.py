"""Which options a running process of a sink follows, and that docs/operations.md says so of each."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from logrouter import config
from logrouter.config.options.file import RouteLaneOptions
from logrouter.config.options.sinks import SINK_TYPES, SinkOptions
from logrouter.config.yaml.kinds import declared_options
from logrouter.deliver.fixed_options import restart_needed
from logrouter.deliver.process import make_lane

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
SMALL = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: a, from: logs, format: envoy, to: out}, {name: b, from: logs, format: envoy, to: more}]
"""
SINK = "{type: webhook, from: out, url: 'https://h/x'}"


@cache
def parsed(sink: str = SINK, more: str = "") -> config.Settings:
    """Settings with one sink, `s`."""
    return config.parse(f"{SMALL}{more}sinks: {{s: {sink}}}\n".encode(), {"TOKEN": "x" * 20})


def described() -> dict[str, dict[str, bool]]:
    """What the page's table says: by type, "" for all types, each option and whether a running process follows it."""
    found: dict[str, dict[str, bool]] = {}
    table = PAGE.split("| option of a sink | a running process |\n")[1].split("\n\n")[0]
    for named, what in re.findall(r"^\| ([^|]*`[^|]*) \| ([^|]*) \|$", table, re.MULTILINE):
        kind = named.partition(":")[0] if ":" in named else ""
        found.setdefault(kind, {}).update(dict.fromkeys(re.findall(r"`([^`]+)`", named), what.startswith("follows")))
    return found


def follows(of: type) -> dict[str, bool]:
    """The options of a class by key, and whether a process goes on when one is another."""
    options = SimpleNamespace(**dict.fromkeys((name for name, _ in declared_options(of)), None))
    found = {}
    for name, option in declared_options(of):
        changed = SimpleNamespace(**{**vars(options), name: 1})
        both = [
            replace(parsed(), sinks={"s": SimpleNamespace(group=(each.group or "g"), options=each)})
            for each in (options, changed)
        ]
        found[option.key] = restart_needed(*both, "s") == []
    return found


def test_the_page_has_every_option_with_what_a_running_process_does():
    """None is missing, and none says what is not so; the type is the class itself."""
    common = follows(SinkOptions)
    own = {kind: {key: it for key, it in follows(of).items() if key not in common} for kind, of in SINK_TYPES.items()}

    assert described() == {"": {"type": False, **common}, **own}


@pytest.mark.parametrize(
    ("sink", "more", "paths"),
    [
        (SINK, "", []),
        (SINK.replace("h/x", "h/y"), "", []),
        (SINK.replace("out", "[out, more]"), "", ["sinks.s.from"]),
        (SINK.replace("type", "group: g, begin: latest, metrics: {port: 1}, type"), "", ["begin", "group", "metrics"]),
        (SINK.replace("webhook", "eventgate"), "", ["sinks.s.type"]),
        (SINK, "outputs: {dead_letter: {max_raw_bytes: 1}}\n", ["outputs.dead_letter"]),
        (SINK, "outputs: {retention_ms: 86400000}\n", []),
        (SINK, "kafka: {client.rack: a}\n", ["kafka.client.rack"]),
        (SINK, "tables_lane: {group: other}\n", []),
    ],
)
def test_options_that_need_a_restart_are_named(sink, more, paths):
    """By their paths in the file."""
    wanted = [path if "." in path else f"sinks.s.{path}" for path in paths]

    assert restart_needed(parsed(), parsed(sink, more), "s") == wanted


@pytest.mark.parametrize("option", [option.key for _, option in declared_options(RouteLaneOptions)])
def test_options_of_the_route_lane_that_count_for_sinks(option):
    """What makes a process's identity in the cluster; the page names them."""
    old = parsed()
    new = replace(old, route_lane=replace(old.route_lane, **{option: 1}))
    counts = restart_needed(old, new, "s") == [f"route_lane.{option}"]

    assert counts is (
        f"`{option}`" in PAGE.split("`kafka`, `outputs.dead_letter` and, of `route_lane`")[1].split(".")[0]
    )


def test_a_route_lane_that_is_changed_otherwise_changes_no_process_of_a_sink():
    """Each option that is named is one that the lane's settings are made of, and no other is."""
    old = parsed()
    lane = make_lane(old, "s", "host", stopping=lambda: True)
    for _, option in declared_options(RouteLaneOptions):
        value = {"session_timeout_ms": 1, "transaction_timeout_ms": 1, "static_membership": True, "instance": "i"}
        if option.key not in value:
            continue
        new = replace(old, route_lane=replace(old.route_lane, **{option.key: value[option.key]}))
        other = make_lane(new, "s", "host", stopping=lambda: True)
        assert replace(lane.versions.version.settings, open_delivery=None) != replace(
            other.versions.version.settings, open_delivery=None
        )
