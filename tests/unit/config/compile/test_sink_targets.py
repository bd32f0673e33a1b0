"""What a sink's options say about its target: where the guard lets it connect, and how it speaks TLS."""

from __future__ import annotations

import pytest

from logrouter import config
from logrouter.config import ConfigError

HEAD = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: a, from: logs, format: envoy, to: out}]
"""


def parse(sink, folder, env=()):
    """The sink `hook` of a file in *folder*, with these options."""
    text = f"{HEAD}sinks: {{hook: {{type: webhook, from: out, {sink}}}}}\n"
    return config.parse(text.encode(), dict(env), folder=folder).sinks["hook"]


def problems(sink, folder, env=()):
    """The problems of such a file, each after its place."""
    with pytest.raises(ConfigError) as caught:
        parse(sink, folder, env)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("url: 'https://t.example:8443/', guard: {}", "guard.ports: does not allow 8443, which the url needs"),
        ("url: 'https://t.example/', guard: {ports: [8443]}", "guard.ports: does not allow 443, which the url needs"),
        ("url: 'http://t.example/', guard: {}", "guard.schemes: does not allow http, which the url needs"),
        (
            "url: 'https://t.example/', guard: {networks: [10.0.0.1/8]}",
            "guard.networks[0]: is no network: 10.0.0.1/8 has host bits set",
        ),
    ],
)
def test_a_guard_that_refuses_its_own_url_is_a_mistake(tmp_path, options, expected):
    """It would be found out when the first event waits for ever."""
    assert problems(options, tmp_path) == [f"sinks.hook.{expected}"]


@pytest.mark.parametrize(
    "options",
    [
        "url: 'https://t.example/', guard: {}",
        "url: 'http://t.example/', guard: {schemes: [http], ports: [80]}",
        "url: 'https://t.example:8443/', guard: {ports: [443, 8443], networks: [10.0.0.0/8, 'fd12::/16']}",
    ],
)
def test_a_guard_that_allows_its_url_is_none(tmp_path, options):
    """By scheme and port; addresses are vetted when they are connected to."""
    assert parse(options, tmp_path).options.guard is not None
