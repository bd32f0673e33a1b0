"""The section `sinks`: what it takes, every message about what it does not, and what editors are told of it."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yarl
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logrouter import config
from logrouter.cli import cli
from logrouter.config.options.kafka import SecretReference
from logrouter.config.options.sinks import SINK, SINK_TYPES, WebhookOptions
from logrouter.config.options.target_url import TargetUrl
from logrouter.config.reference import json_schema
from logrouter.config.settings import examine
from logrouter.config.yaml.document import read
from logrouter.config.yaml.kinds import INVALID, declared_options
from logrouter.config.yaml.problems import Problems
from tests.conftest import examples

SMALL = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: a, from: logs, format: envoy, to: out}]
"""
KEY = "whsec_" + "A" * 32
ENV = {"KEY": KEY, "TOKEN": "x" * 20, "SHORT": "s3cret", "LINES": "abc\n", "NOTHING": "", "UMLAUT": "pässword"}
URL = "url: 'https://h/x'"
BY_REFERENCE = "is a secret, so it must be a reference like ${NAME}, with no default and nothing around it"
LEAST = {
    "eventgate": f"{{type: eventgate, from: out, {URL}}}",
    "opensearch": f"{{type: opensearch, from: out, {URL}}}",
    "webhook": f"{{type: webhook, from: out, {URL}}}",
    "splunk": f"{{type: splunk, from: out, {URL}, token: '${{TOKEN}}'}}",
    "syslog": "{type: syslog, from: out, url: 'syslog://h:514'}",
}


def with_sinks(text: str) -> str:
    """The small file with a section `sinks`, which is its fourth line."""
    return f"{SMALL}sinks: {text}\n"


def least(kind: str, more: str) -> str:
    """One sink, `s`, of a type, with what it needs and more."""
    return f"{{s: {LEAST[kind][:-1]}, {more}}}}}"


def problems_of(text: str) -> list[str]:
    """Every problem of a file with these sinks, as it is printed."""
    with pytest.raises(config.ConfigError) as failed:
        config.parse(with_sinks(text).encode(), ENV)
    return [str(problem) for problem in failed.value.problems]


@pytest.mark.parametrize("kind", SINK_TYPES)
def test_a_sink_needs_a_type_topics_and_a_url(kind):
    """And Splunk a token; the rest has defaults."""
    sink = config.parse(with_sinks(f"{{s: {LEAST[kind]}}}").encode(), ENV).sinks["s"]

    assert isinstance(sink.options, SINK_TYPES[kind])
    url = "syslog://h:514" if kind == "syslog" else "https://h/x"
    assert (sink.options.topics, sink.options.url, sink.group) == (("out",), url, "logrouter-sink-s")
    assert sink.options.connections <= 40
    assert sink.options.retry.give_up_after_seconds is None


MESSAGES = [
    ("[]", "4:8: sinks: must be a mapping from name to: a mapping whose `type` is one of `eventgate`, "),
    (
        "{s: x}",
        "4:12: sinks.s: must be a mapping whose `type` is one of `eventgate`, `opensearch`, `webhook`, `splunk`",
    ),
    ("{s: {from: out}}", "4:9: sinks.s: lacks `type`, which is required"),
    ("{s: {typ: webhook}}", '4:13: sinks.s.typ: unknown key (did you mean "type"?)'),
    (
        "{s: {type: webhok}}",
        "4:19: sinks.s.type: must be one of `eventgate`, `opensearch`, `webhook`, `splunk`, `syslog`, ",
    ),
    ("{s: {type: webhok}}", '(did you mean "webhook"?)'),
    ("{s: {type: webhook, from: out}}", "4:9: sinks.s: lacks `url`, which is required"),
    (f"{{s: {{type: webhook, {URL}}}}}", "4:9: sinks.s: lacks `from`, which is required"),
    (f"{{s: {{type: splunk, from: out, {URL}}}}}", "4:9: sinks.s: lacks `token`, which is required"),
    ("{'a b': {type: webhook}}", "4:16: sinks.a b: must be a name (letters, digits, _ -; at most 40), not 'a b'"),
    (f"{{s: {{type: webhook, from: [], {URL}}}}}", "4:34: sinks.s.from: has 0 entries, 1 to 100 are allowed"),
    (f"{{s: {{type: webhook, from: [out, out], {URL}}}}}", "4:40: sinks.s.from[1]: 'out' is listed twice"),
    (least("webhook", "headerz: {}"), 'sinks.s.headerz: unknown key (did you mean "headers"?)'),
    (
        least("webhook", "data_stream: a"),
        "4:59: sinks.s.data_stream: is no option of `type: webhook`, but of opensearch",
    ),
    (
        least("webhook", "index: a"),
        "4:59: sinks.s.index: is no option of `type: webhook`, but of opensearch and splunk",
    ),
    (
        least("webhook", "connections: 41"),
        "4:72: sinks.s.connections: must be a whole number from 1 to 40, not 41",
    ),
    (
        least("webhook", "batch: {max_record: 1}"),
        '4:67: sinks.s.batch.max_record: unknown key (did you mean "max_records"?)',
    ),
    (
        least("webhook", "authorization: 'Bearer abc'"),
        "4:74: sinks.s.authorization: " + BY_REFERENCE,
    ),
    (
        least("webhook", "authorization: 'Bearer ${TOKEN}'"),
        "4:74: sinks.s.authorization: " + BY_REFERENCE,
    ),
    (
        least("webhook", "authorization: '${NOTHING}'"),
        "4:74: sinks.s.authorization: is empty: set the environment variable that it names",
    ),
    (
        least("webhook", "authorization: '${MISSING}'"),
        "4:74: sinks.s.authorization: environment variable MISSING is not set",
    ),
    (
        least("webhook", "authorization: '${LINES}'"),
        "4:74: sinks.s.authorization: must be printable ASCII text in one line, and what the environment has is not",
    ),
    (
        least("webhook", "secret_headers: {x-api-key: '${UMLAUT}'}"),
        "4:87: sinks.s.secret_headers.x-api-key: must be printable ASCII text in one line, and what the environment ",
    ),
    (
        least("opensearch", "basic_auth: {user: 'a:b', password: '${TOKEN}'}"),
        "4:81: sinks.s.basic_auth.user: must not have a colon: the password stands in an option of its own",
    ),
    (
        least("webhook", "signing_keys: ['${KEY}', '${KEY}', '${KEY}']"),
        "4:73: sinks.s.signing_keys: has 3 entries, 0 to 2 are allowed",
    ),
    (
        least("opensearch", "index: Upper"),
        "4:69: sinks.s.index: must be the name of an index (small letters, digits, . _ -; at most 100), not 'Upper'",
    ),
]


@pytest.mark.parametrize(("text", "message"), MESSAGES)
def test_message(text, message):
    """Where it is, what is wrong, and what would be right."""
    found = problems_of(text)
    assert [each for each in found if message in each] != [], found


def test_a_variable_that_is_not_set_is_one_problem():
    """Nobody is told besides that it has to be a reference."""
    assert len(problems_of(least("webhook", "authorization: '${MISSING}'"))) == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("h:9200", "must be a URL like `https://host:9200/path`, without user or query, not 'h:9200'"),
        ("", "must be a URL like `https://host:9200/path`, without user or query, not empty"),
        ("ftp://h/", "must be a URL like `https://host:9200/path`, without user or query, not 'ftp://h/'"),
        ("https://u:hunter2@h/", "must not name a user or a password: give them in options of their own"),
        ("https://h/a@b:hunter2", "must not name a user or a password: give them in options of their own"),
        ("u:hunter2@h", "must not name a user or a password: give them in options of their own"),
        ("https://h/?token=hunter2", "must not have a query or a fragment: secrets stand in options of their own"),
        ("https://h/#hunter2", "must not have a query or a fragment: secrets stand in options of their own"),
        ("https://h:99999/", "its host or its port can't be read"),
        ("https://h:x/", "its host or its port can't be read"),
        ("https://h:0/", "it lacks a host, or its port is 0"),
        ("https://:443/", "it lacks a host, or its port is 0"),
        ("https://[::1/", "its host or its port can't be read"),
        ("https://[::1]]/", "its host or its port can't be read"),
        ("https://[::1]x/", "its host or its port can't be read"),
        ("https://[1.2.3.4]/", "its host or its port can't be read"),
        ("https://[fe80::1%25eth0]/", "its host or its port can't be read"),
        ("https://a..b/", "its host or its port can't be read"),
        ("https://-a.b/", "its host or its port can't be read"),
        (f"https://{'a' * 64}.b/", "its host or its port can't be read"),
        (f"https://{'a.' * 130}b/", "its host or its port can't be read"),
        ("https://127.1/", "its host or its port can't be read"),
        ("https://0x7f.0.0.1/", "its host or its port can't be read"),
        ("https://256.1.1.1/", "its host or its port can't be read"),
        ("https://a=b/", "its host or its port can't be read"),
        ("https://h /x", "it has a character that no URL has as it is"),
        ("https://hö/x", "it has a character that no URL has as it is"),
        ("https://h\\\\evil/x", "it has a character that no URL has as it is"),
        (f"https://h/{'x' * 2000}", "has 2010 characters, at most 2000 are allowed"),
    ],
)
def test_url_of_a_target(url, says):
    """What may hold a secret is not repeated, neither in the message nor in the line below it."""
    problems = Problems()

    assert TargetUrl().read(url.replace("\\\\", "\\"), "url", problems) is INVALID
    [problem] = problems.errors
    assert says in problem.message
    assert "hunter2" not in problem.message


@pytest.mark.parametrize("host", ["h.example.:9200", "h.", "h.example", "_a.b-c:", "[fe80::1%eth0]:9200", "8.8.8.8"])
def test_hosts_that_are_taken(host):
    """A name may end with a full stop: then it is whole, and no search list is tried, as in Kubernetes."""
    problems = Problems()

    assert TargetUrl().read(f"https://{host}/x", "url", problems) == f"https://{host}/x"
    assert problems.errors == []


@given(st.text(st.sampled_from("htps:/[]@?#%.a1\\ \n\x00é"), max_size=30).map(lambda text: f"https://{text}"))
def test_a_url_is_taken_by_loading_only_if_editors_take_it(url):
    """The schema is never stricter than the loader, and nothing raises."""
    taken = TargetUrl().read(url, "url", Problems()) is not INVALID

    assert not taken or jsonschema.Draft202012Validator(TargetUrl().schema()).is_valid(url)


AUTHORITIES = st.lists(
    st.sampled_from([*"[]:.%-_=;~,!$a0", "127", "::1", "25", "443", "example", "ffff", "xn--a", "x" * 63, "@"]),
    max_size=6,
)


@given(st.one_of(AUTHORITIES.map("".join), st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map("[{}]".format)))
@example("h.example.:9200")
@example("[fe80::1%eth0]:9200")
@example("_a.b-c:")
def test_a_url_that_is_taken_is_read_by_the_client_as_well(authority):
    """The same host and port, and none that the client refuses when the first event waits."""
    url = f"https://{authority}/x"
    if TargetUrl().read(url, "url", Problems()) is INVALID:
        return
    [read, theirs] = urlsplit(url), yarl.URL(url)
    host = theirs.raw_host
    assert (theirs.port, theirs.path) == (read.port or 443, "/x")
    assert meaning_of(host) == meaning_of(read.hostname)
    assert host.encode("idna")
    assert not re.fullmatch(r"[\d.]+", host) or ip_address(host)


def meaning_of(host: str) -> object:
    """A host, by what it means."""
    try:
        return ip_address(host)
    except ValueError:
        return host.lower()


def test_a_secret_of_another_system_may_be_short():
    """Its length is not ours to choose, and so nothing to warn of."""
    data = with_sinks(least("opensearch", "basic_auth: {user: u, password: '${SHORT}'}")).encode()
    found = examine(data, ENV)

    assert found.problems.warnings == []
    assert found.settings.sinks["s"].options.basic_auth.password.reveal() == "s3cret"


WHOLE = """\
{
  a: {type: eventgate, from: out, url: 'https://h/v1/events', stream: x, per_client: {events_per_second: 5},
      blocked_clients: ["a*"], tls: {}, guard: {}},
  b: {type: opensearch, from: [out], url: '${WHERE}', index: {name: i, rotation: week_us, by: arrival},
      basic_auth: {user: '${USER}', password: '${TOKEN}'}, document: firehose, timeout_seconds: '${SECONDS}'},
  c: {type: webhook, from: out, url: 'http://127.0.0.1:1', signing_keys: '${KEY}', headers: {x-tenant: '${USER}'},
      secret_headers: {x-api-key: '${TOKEN}'}, metrics: {port: '${SECONDS}'}, compression: none},
  d: {type: splunk, from: out, url: 'https://h:8088', token: '${TOKEN}', acknowledge: true, events_per_second: 0.5},
  e: {type: opensearch, from: out, url: 'https://h', aws: {region: eu-west-1, access_key_id: '${TOKEN}',
      secret_access_key: '${TOKEN}'}, index: i, retry: {give_up_after_seconds: 600}}
}"""


def test_editors_take_what_loading_takes():
    """References to the environment too, at any depth."""
    text = with_sinks(WHOLE)
    env = {**ENV, "WHERE": "https://h:9200", "USER": "u", "SECONDS": "9"}
    loaded = config.parse(text.encode(), env)

    assert [*loaded.sinks] == ["a", "b", "c", "d", "e"]
    assert loaded.sinks["b"].options.timeout_seconds == 9.0
    assert loaded.sinks["e"].options.index.name == "i"
    validator = jsonschema.Draft202012Validator(json_schema())
    assert [error.message for error in validator.iter_errors(read(text.encode()).value)] == []


@pytest.mark.parametrize(
    "sink",
    [
        {},
        {"type": "webhook", "from": "out"},
        {"type": "kafka", "from": "out", "url": "https://h/"},
        {"type": "webhook", "from": "out", "url": "h"},
        {"type": "webhook", "from": "out", "url": "https://h/", "token": "${T}"},
        {"type": "splunk", "from": "out", "url": "https://h/"},
        {"type": "splunk", "from": "out", "url": "https://h/", "token": "plain"},
        {"type": "splunk", "from": "out", "url": "https://h/", "token": "${T:-plain}"},
        {"type": "webhook", "from": "out", "url": "https://h/", "connections": 41},
    ],
)
def test_editors_refuse_what_loading_refuses(sink: dict[str, Any]):
    """As far as a schema can say."""
    value = read(SMALL.encode()).value | {"sinks": {"s": sink}}

    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(value)


def test_check_tells_machines_where_it_is(tmp_path):
    """Severity, path, line, column and message of each, as `logrouter check --json`."""
    file = tmp_path / "topics.yaml"
    file.write_text(with_sinks("\n  hook:\n    type: webhook\n    from: other\n    url: https://h/\n    tokn: x"))
    result = CliRunner().invoke(cli, ["check", "--json", str(file)])

    assert result.exit_code == 2
    assert [(found["line"], found["column"], found["path"]) for found in json.loads(result.output)] == [
        (7, 11, "sinks.hook.from"),
        (9, 5, "sinks.hook.tokn"),
    ]


@pytest.mark.parametrize(
    "more",
    [
        "basic_auth: 'elastic:hunter2'",
        "basic_auth: [elastic, hunter2]",
        "basic_auth:\n      'elastic:hunter2'",
        "basic_auth: {user: 'elastic:hunter2', password: '${TOKEN}'}",
        "basic_auth:\n      usr: elastic\n      pass: hunter2",
        "aws: {region: a, pwd: hunter2}",
        "secret_headers: ['x-api-key: hunter2']",
        "secret_headers: 'x-api-key: hunter2'",
        "headers: 'x-api-key: hunter2'",
        "authorization:\n      Bearer hunter2",
        "api_key: {id: a, key: hunter2}",
        "signing_keys: {key: hunter2}",
    ],
)
@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_secret_in_a_wrong_shape_is_shown_nowhere(tmp_path, more, how):
    """As other tools take it: neither in the message nor in the line of the file below it."""
    kind = "webhook" if "headers" in more or "auth" in more[:5] or "sign" in more else "opensearch"
    file = tmp_path / "topics.yaml"
    file.write_text(with_sinks(f"\n  s:\n    type: {kind}\n    from: out\n    {URL}\n    {more}"))
    result = CliRunner().invoke(cli, ["check", *how, str(file)], env=ENV)

    assert result.exit_code == 2
    assert "sinks.s." in result.output
    assert "hunter2" not in result.output


def test_no_key_is_a_secret_of_one_type_and_plain_in_another():
    """A sink whose type is spelt wrong must not show what another type hides."""
    kinds: dict[str, set[bool]] = {}
    for of in SINK_TYPES.values():
        for _, option in declared_options(of):
            kinds.setdefault(option.key, set()).add(isinstance(option.kind, SecretReference))

    assert {key for key, found in kinds.items() if len(found) > 1} == set()
    assert SINK.of["webhook"] is WebhookOptions


KEYS = sorted({option.key for of in SINK_TYPES.values() for _, option in declared_options(of)})
VALUES = st.recursive(
    st.sampled_from(
        [None, True, 0, -1, 1e9, "", "out", "x", "https://h/", "${KEY}", "${TOKEN}", "${MISSING}", "http://"]
    ),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(st.sampled_from(["name", "user", "password", "ca", "networks", "x-api-key", "region"]), below),
    ),
    max_leaves=6,
)


@settings(max_examples=examples(150))
@given(st.sampled_from([*SINK_TYPES, "other"]), st.dictionaries(st.sampled_from([*KEYS, "other"]), VALUES, max_size=8))
def test_any_section_is_settings_or_problems_with_their_places(kind, options):
    """Whatever is written in it: nothing raises, and no message has what came from the environment."""
    found = examine(with_sinks(json.dumps({"s": {"type": kind, **options}})).encode(), ENV)

    assert (found.settings is None) is bool(found.problems.errors)
    assert all(problem.line == 4 and problem.path.startswith("sinks.s") for problem in found.problems.errors)
    assert not any(ENV["KEY"] in str(problem) or ENV["TOKEN"] in str(problem) for problem in found.problems.errors)
