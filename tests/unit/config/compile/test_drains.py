"""The section `drains`: what it reads, which topics are its own, and every way in which it can be wrong."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from logrouter import config
from logrouter.config import lint
from logrouter.core.formats.families.app_space import AppSpace
from logrouter.route import process

SMALL = """\
version: 1
sources: {apps: {topics: [apps, '^.*$'], envelope: kubernetes}, web: {topics: [web], envelope: plain}}
routes: [{name: a, from: apps, format: envoy, to: out}, {name: b, from: web, format: kv, to: more}]
"""


def parsed(drains: str, more: str = "", env: dict[str, str] | None = None) -> config.Settings:
    """The settings of the small file with this section in YAML's flow style."""
    return config.parse(f"{SMALL}drains: {{{drains}}}\n{more}".encode(), env or {})


def problems_of(drains: str, more: str = "") -> list[str]:
    """Every problem of the small file with this section."""
    with pytest.raises(config.ConfigError) as failed:
        parsed(drains, more)
    return [str(problem) for problem in failed.value.problems]


def test_without_the_section_there_are_no_drains():
    """Neither settings nor topics."""
    settings = config.parse(SMALL.encode(), {})

    assert settings.drains is None
    assert not [topic for topic in process.wanted_topics(settings) if "drains" in topic.name]


def test_an_empty_section_is_about_all_events():
    """Lines of apps need the names of their sources."""
    drains = parsed("").drains

    assert drains.events == ("more", "out")
    assert drains.options.sources == ()
    assert drains.networks == ()
    assert drains.options.http.host == "127.0.0.1"
    assert drains.options.http.port == 5000


def test_topics_are_made_and_are_never_read():
    """Two are compacted; lines are kept for as long as they may wait, by the broker's clock."""
    settings = parsed("from: apps, topics: {partitions: 3, retention_ms: 7200000}")
    made = {topic.name: topic for topic in process.wanted_topics(settings)}
    own = {"logrouter.drains": 1, "logrouter.drains.retry": 3, "logrouter.drains.status": 3}

    assert {name: made[name].partitions for name in own} == own
    assert {made[name].config["cleanup.policy"] for name in ("logrouter.drains", "logrouter.drains.status")} == {
        "compact"
    }
    assert made["logrouter.drains.retry"].config == {
        "cleanup.policy": "delete",
        "retention.ms": "7200000",
        "retention.bytes": "-1",
        "message.timestamp.type": "LogAppendTime",
    }
    assert [settings.table.source_of(name) for name in own] == [None, None, None]
    assert settings.table.source_of("anything") is not None


def test_what_no_route_takes_is_shown_without_secrets_queries_and_whole_addresses():
    """Unless the file says otherwise; what `redact` names is hidden in any case."""
    text = "from 192.0.2.77 /a?b=c password=hunter22 CUST-1"
    shown = [
        parsed(f"redaction: {{{options}}}", "redact: {patterns: ['CUST-[0-9]']}\n").drains.policy.disclosure.text(text)
        for options in ("", "queries: keep, addresses: keep")
    ]

    assert shown == [
        "from 192.0.2.0 /a?REDACTED password=REDACTED REDACTED",
        "from 192.0.2.77 /a?b=c password=REDACTED REDACTED",
    ]


def test_apps_that_get_their_lines_as_they_are_written_are_named_by_both_names():
    """An app and its space, as `shop-prod` may be two of them."""
    assert parsed("redaction: {raw_for: [shop/prod]}").drains.policy.raw_for == {AppSpace("shop", "prod")}
    assert len(problems_of("redaction: {raw_for: [shop-prod]}")) == 1


def test_networks_are_allowed_by_name():
    """And only those."""
    assert parsed("guard: {networks: [10.1.0.0/16]}").drains.networks == (ip_network("10.1.0.0/16"),)


@pytest.mark.parametrize(
    ("drains", "message"),
    [
        ("from: app", "4:16: drains.from: there is no source 'app' (did you mean \"apps\"?); there are apps, web"),
        (
            "from: [apps, ap]",
            "4:23: drains.from[1]: there is no source 'ap' (did you mean \"apps\"?); there are apps, web",
        ),
        ("events: mor", '4:18: drains.events: no route writes to mor (did you mean "more"?)'),
        ("events: [out, apps]", "4:24: drains.events[1]: no route writes to apps"),
        ("events: []", "4:9: drains: reads nothing: name sources (`from`) or topics of events (`events`)"),
        (
            "group: logrouter",
            "4:17: drains.group: logrouter is the group of route_lane as well: each would get half of the records",
        ),
        ("topics: {retry: out}", "3:51: routes[0].to: out is drains.topics.retry as well: events need their own topic"),
        (
            "topics: {status: logrouter.drains}",
            "4:27: drains.topics.status: logrouter.drains is drains.topics.registrations as well",
        ),
        ("topics: {retry: web}", "2:80: sources.web.topics[0]: web is written by logrouter or by Kafka itself"),
        ("topics: {retry: _x}", '4:26: drains.topics.retry: topics that begin with "_" are Kafka\'s own'),
        (
            "topics: {retry: logrouter.rollup}",
            "4:26: drains.topics.retry: logrouter.rollup is outputs.rollup.topic as well",
        ),
        ("guard: {networks: [10.0.0.1/8]}", "4:29: drains.guard.networks[0]: is no network: 10.0.0.1/8 has host bits"),
        (
            "guard: {schemes: [ssh]}",
            "4:28: drains.guard.schemes[0]: must be one of `https`, `http`, `syslog+tls`, `syslog+tcp`, `syslog+udp`",
        ),
        ("guard: {ports: [0]}", "4:26: drains.guard.ports[0]: must be a whole number from 1 to 65535, not 0"),
        (
            "waiting: {max_bytes: 70000, max_total_bytes: 65536}",
            "4:55: drains.waiting.max_total_bytes: is less than max_bytes, which one drain may take",
        ),
        ("redaction: {addresses: hash}", "4:33: drains.redaction.addresses: `hash` needs `privacy.hash_key`"),
        ("app_domains: Example.org", "4:23: drains.app_domains: must be a domain in small letters"),
        ("patience_seconds: 0", "4:28: drains.patience_seconds: must be a number from 0.1 to 600, not 0"),
        ("secrets: keep", "4:10: drains.secrets: unknown key"),
    ],
)
def test_a_mistake_is_named_with_its_place(drains: str, message: str):
    """One problem each, none of which hides another."""
    [found] = problems_of(drains)

    assert found.startswith(message)


def test_a_group_is_nobody_elses():
    """Not a sink's either."""
    sinks = "sinks: {s: {type: webhook, from: out, url: 'https://h/', group: g}}\n"

    assert problems_of("group: g", sinks) == [
        "4:17: drains.group: g is the group of a sink as well: each would get half of the records"
    ]


def test_a_mistake_elsewhere_hides_what_depends_on_it_and_nothing_else():
    """The route that could not be read may be the one that writes to the topic."""
    broken = SMALL.replace("to: out", "to: ''") + "drains: {events: out, group: logrouter}\n"
    with pytest.raises(config.ConfigError) as failed:
        config.parse(broken.encode(), {})

    assert [problem.path for problem in failed.value.problems] == ["routes[0].to", "drains.group"]


def test_a_source_of_drains_is_not_read_for_nothing(tmp_path):
    """`logrouter check` warns of sources that nobody reads, and of keys that nobody uses."""
    file = tmp_path / "topics.yaml"
    sources = "sources: {apps: {topics: [apps], envelope: kubernetes}, web: {topics: [web], envelope: plain}}"
    routes = "routes: [{name: b, from: web, match: {program: x}, format: kv, to: more}]"
    key = "privacy: {hash_key: '${KEY}'}"
    warned = []
    for drains in ("", "drains: {from: apps, redaction: {addresses: hash}}"):
        file.write_text(f"version: 1\n{sources}\n{routes}\n{key}\n{drains}\n")
        warned.append([problem.path for problem in lint.check(file, {"KEY": "k" * 32}).problems])

    assert warned == [["sources.apps", "privacy.hash_key"], []]
