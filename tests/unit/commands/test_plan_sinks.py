"""What `plan` says of sinks: which are new, gone or changed, and whose processes have to be restarted."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from logrouter.cli import cli
from logrouter.commands.plan_sinks import compare_sinks, describe_change, read_file

SMALL = """\
version: 1
sources: {logs: {topics: [logs], envelope: plain}}
routes: [{name: a, from: logs, format: kv, to: out}, {name: b, from: logs, format: kv, to: more}]
"""
HOOK = "hook: {type: webhook, from: out, url: 'https://h/'}"
SECRET = "hunter2-hunter2-hunter2"  # noqa: S105 - it is none


def planned(tmp_path, monkeypatch, old: str, new: str, *, token: bool = True) -> list[str]:
    """What is said of two files with these sinks."""
    monkeypatch.setenv("OTHER", SECRET)
    if token:
        monkeypatch.setenv("HOOK_TOKEN", SECRET)
    files = []
    for name, sinks in (("old.yaml", old), ("new.yaml", new)):
        (tmp_path / name).write_text(f"{SMALL}{sinks}\n")
        files.append(read_file(tmp_path / name, None))
    found = compare_sinks(*files)
    lines = [describe_change(change) for change in found["changes"]]
    assert SECRET not in repr(found) + repr(lines)
    return [*([found["unread"].replace(str(tmp_path), "")] if found["unread"] else []), *lines]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (HOOK, HOOK, []),
        ("", HOOK, ["sink hook: new, start its processes (logrouter sink hook; logrouter run does so by itself)"]),
        (HOOK, "", ["sink hook: gone, stop its processes: they refuse the file (logrouter run stops them by itself)"]),
        (
            HOOK,
            HOOK.replace("h/'", "i/', batch: {max_records: 5}"),
            ["sink hook: changed (url, batch), comes into force by itself"],
        ),
        (
            HOOK,
            HOOK.replace("out", "[out, more], connections: 2"),
            ["sink hook: changed (from, connections), restart its processes for sinks.hook.from"],
        ),
        (
            HOOK,
            HOOK.replace("webhook", "eventgate"),
            ["sink hook: changed (type), restart its processes for sinks.hook.type"],
        ),
        (
            HOOK.replace("h/'", "h/', authorization: '${HOOK_TOKEN}'"),
            HOOK,
            ["sink hook: changed (authorization), comes into force by itself"],
        ),
    ],
)
def test_a_sink_that_differs_is_one_line(tmp_path, monkeypatch, old, new, says):
    """What changes by the names of options, never by their values, and what has to be done."""
    both = (f"sinks: {{{text}}}" if text else "" for text in (old, new))

    assert planned(tmp_path, monkeypatch, *both) == says


@pytest.mark.parametrize(("first", "second", "named"), [("x", "x", ()), ("x", "y", ("a", "b")), ("x", "y", ("a", "a"))])
def test_keys_of_aws_in_a_file_are_no_matter_of_tls(tmp_path, monkeypatch, first, second, named):
    """Whether another file is named, or the same one holds something else by the time the new one is read."""
    name, other = named or ("a", "a")
    aws = "aws: {region: r, credentials_file: NAME}"
    text = f"{SMALL}sinks: {{s: {{type: opensearch, from: out, url: 'https://h', {aws}}}}}\n"
    found = []
    for file, keys in ((name, first), (other, second)):
        (tmp_path / file).write_text(f"[default]\naws_access_key_id = {keys}\naws_secret_access_key = {keys}\n")
        (tmp_path / "topics.yaml").write_text(text.replace("NAME", file))
        found.append(read_file(tmp_path / "topics.yaml", None))

    changes = [describe_change(change) for change in compare_sinks(*found)["changes"]]
    assert changes == (["sink s: changed (aws), comes into force by itself"] if named else [])


def test_what_all_processes_share_is_a_reason_to_restart(tmp_path, monkeypatch):
    """The cluster, dead letters, and what makes the process a member of its group."""
    new = f"sinks: {{{HOOK}}}\noutputs: {{dead_letter: {{topic: d}}}}\nroute_lane: {{session_timeout_ms: 6000}}"

    [found] = planned(tmp_path, monkeypatch, f"sinks: {{{HOOK}}}", new)

    assert found.startswith("sink hook: changed (what its processes share), restart its processes for ")
    assert found.endswith(" for outputs.dead_letter, route_lane.session_timeout_ms")


def test_without_the_secrets_of_sinks_the_rest_is_planned(tmp_path, monkeypatch):
    """Whoever plans has them seldom; it is said that they are left out, and why."""
    sinks = f"sinks: {{{HOOK[:-1]}, authorization: '${{HOOK_TOKEN}}'}}}}"

    assert planned(tmp_path, monkeypatch, "", sinks, token=False) == [
        "/new.yaml:4:76: sinks.hook.authorization: environment variable HOOK_TOKEN is not set"
    ]


def test_any_other_mistake_ends_the_command(tmp_path):
    """Before the cluster is asked."""
    (tmp_path / "old.yaml").write_text(SMALL)
    (tmp_path / "new.yaml").write_text(SMALL.replace("kv", "kw") + "sinks: {hook: {}}\n")
    done = CliRunner().invoke(cli, ["plan", str(tmp_path / "new.yaml"), "--config", str(tmp_path / "old.yaml")])

    assert done.exit_code == 2
    assert "routes[0].format" in done.output
