"""No secret of a line comes out anywhere: topics, keys, headers, dead letters, partial sums, labels, logs, commands.

Lines come from `secret_places`, for every format of the registry, so that a new one is included by itself.
"""

from __future__ import annotations

import dataclasses
import io
import os
from base64 import b64encode
from typing import TYPE_CHECKING

import orjson
import pytest
from click.testing import CliRunner

from logrouter import config
from logrouter.cli import cli
from logrouter.config.options.kafka import SecretReference
from logrouter.config.options.sinks import SINK_TYPES
from logrouter.config.yaml.kinds import ListOf, MappingOf, Section, declared_options
from logrouter.core import event
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.core.dryrun.plan import Comparison, Side, compare_tables
from logrouter.core.formats import FORMATS
from logrouter.core.redact.disclosure import Disclosure
from logrouter.model import RawRecord
from logrouter.route.batch import BatchProcessor
from logrouter.telemetry.log import configure_logging
from tests.fake_kafka.messages import START, Message

from .secret_places import ADDRESS, Marks, Planted, cases_of, leaks, plant, spoilt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from logrouter.core.routing import RouteTable

HEADERS = "[user-agent, referer, origin, x-forwarded-uri, x-forwarded-for, host, x-note, accept]"
HASHED = "[x-api-key, authorization, cookie, x-auth-token, api_key, apikey, token, password, secret, session]"
PLAIN = f"request_headers: {HEADERS}"
OPTIONS = {
    "plain": PLAIN,
    "keep": f"{PLAIN}, query: keep, client_ip: keep",
    "refused": f"{PLAIN}, schema: refusing.json",
    "passed": f"{PLAIN}, schema: refusing.json, on_invalid: pass, query: keep",
    "unmatched": "match: {text: {contains: nothing-has-this}}",
    "hashed": f"{PLAIN}, enrich: {{client_id: {{from: {HASHED}, hashed: true}}}}",
    "unwanted": "match: {looks_like: request}, request: {method: BREW}",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a schema that refuses every event."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refusing.json").write_text('{"$id": "/refusing/1.0.0", "type": "object", "required": ["nothing"]}')
    return tmp_path


def secret_options(of: type, path: str = "") -> Iterator[str]:
    """The paths of all options of a class that hold secrets, in its sections, lists and mappings too."""
    for _, option in declared_options(of):
        at = f"{path}.{option.key}" if path else option.key
        match option.kind:
            case SecretReference():
                yield at
            case ListOf(of=SecretReference()):
                yield f"{at}[]"
            case MappingOf(of=SecretReference()):
                yield f"{at}.x-any"
            case Section():
                yield from secret_options(option.kind.of, at)


def file_of(name: str, options: str, more: str = "") -> str:
    """A topics.yaml with one route of this format."""
    case = next(iter(cases_of(name, 1)))
    written = orjson.dumps({"name": name, **case.options}).decode()
    return f"""version: 1
sources: {{s: {{topics: t, envelope: {case.envelope}, max_record_bytes: 4096}}}}
routes: [{{name: r, from: s, to: out, tables: [clients, apis, urls], format: {written}, {options}}}]
{more}"""


def published(table: RouteTable, records: Iterable[bytes]) -> Iterator[bytes]:
    """Everything that a batch of these records gives to Kafka and to the metrics."""
    processor = BatchProcessor(
        table, cluster="c", rollup_partitions=1, dead_letters=DeadLetterSettings("dead", 65_536), clock_ms=lambda: START
    )
    output = processor.process([Message(value, n, topic="t") for n, value in enumerate(records)])
    for topic, value, key in output.events:
        yield from (topic.encode(), value, key or b"")
    for key, value, headers in output.dead_letters:
        yield from (key, value, orjson.dumps([[name, str(text)] for name, text in headers]))
    yield from (value for _, value in output.rollup)
    yield from (value for _, _, value in output.held_lines)
    yield orjson.dumps([list(map(str, labels)) for labels in (*output.counts, *output.copies)])


def found_in(table: RouteTable, lines: Iterable[Planted], *, addresses: bool = True, whole: bool = False) -> list[str]:
    """What of the lines is published and must not be, each with the line that it was planted in.

    Each line as it is, and spoilt in one way, the next line in the next; *whole* spoils each in all ways.
    """
    found = []
    for number, planted in enumerate(lines):
        ways = list(spoilt(planted.record))
        for how, record in (("as it is", planted.record), *(ways if whole else [ways[number % len(ways)]])):
            for shown in published(table, [record]):
                marks = leaks(shown) | (set(ADDRESS.findall(shown.decode("utf-8", "replace"))) if addresses else set())
                if marks:
                    found.append(f"{how}: {sorted(marks)} of {planted.what}\n  in {shown[:2000]!r}\n  from {record!r}")
    return found


@pytest.mark.parametrize(
    ("option", "whole"),
    [*((option, False) for option in OPTIONS), pytest.param("plain", True, marks=pytest.mark.long)],
)
@pytest.mark.parametrize("name", FORMATS)
def test_no_topic_key_header_letter_sum_or_label_has_a_secret(name, option, whole, folder):
    """Of lines that are read, refused, cut, damaged, too large, and of no route."""
    more = "privacy: {hash_key: '${KEY}'}\n" if option == "hashed" else ""
    table = config.parse(file_of(name, OPTIONS[option], more).encode(), {"KEY": "k" * 40}, folder=folder).table
    lines = list(plant(name, Marks()))[:: 1 if option == "plain" else 11]
    assert found_in(table, lines, addresses=option != "keep", whole=whole or option != "plain")[:3] == []


@pytest.mark.parametrize("name", FORMATS)
def test_explain_shows_no_secret(name, folder):
    """Neither to people nor as JSON, of lines that are read and of those that are not."""
    (folder / "topics.yaml").write_text(file_of(name, f"{PLAIN}, request: {{method: GET}}"))
    lines = [planted.record.replace(b"\n", b" ") for planted in plant(name, Marks(), most=1)][::3]
    lines += [record[: len(record) // 2] for record in lines[::5]]
    for form in ((), ("--json",)):
        result = CliRunner().invoke(cli, ["explain", *form], input=b"\n".join(lines))
        assert result.exit_code == 0
        assert [line for line in result.output.splitlines() if leaks(line) or ADDRESS.search(line)] == []


def test_a_comparison_of_two_files_shows_no_secret(folder):
    """What `logrouter plan` says of records that fare differently."""
    name = "nginx"
    old, new = (
        config.parse(file_of(name, OPTIONS[each]).encode(), {}, folder=folder).table for each in ("keep", "refused")
    )
    comparison = Comparison(samples=1000)
    records = [RawRecord("t", 0, n, START, planted.record) for n, planted in enumerate(plant("nginx", Marks()))]
    compare_tables(records, Side(old, "c"), Side(new, "c"), comparison, now_ms=START, clock=lambda: 0.0)
    compare_tables(records, Side(new, "c"), Side(old, "c"), comparison, now_ms=START, clock=lambda: 0.0)
    assert comparison.samples
    assert leaks(repr(comparison.samples) + repr(comparison.rejections)) == set()


def test_check_shows_no_secret_of_the_environment(folder, monkeypatch):
    """Of a file with problems in the very sections that hold secrets."""
    marks = Marks()
    for name in ("SASL", "KEY", "TOKEN"):
        monkeypatch.setenv(name, marks.fill("@"))
    kafka = "kafka: {sasl.password: '${SASL}', sasl.username: '${SASL}', sasl.mechanism: '${SASL}', retries: '${KEY}'}"
    more = f"{kafka}\nprivacy: {{hash_key: '${{KEY}}'}}\nadmin: {{token: '${{TOKEN}}'}}\n"
    for file in (file_of("nginx", PLAIN, more), file_of("nginx", "client_ip: '${KEY}'", more)):
        (folder / "topics.yaml").write_text(file)
        for form in ((), ("--json",)):
            assert leaks(CliRunner().invoke(cli, ["check", *form]).output) == set()


SINKS = {name: [*secret_options(of)] for name, of in SINK_TYPES.items()}


def sink_of(kind: str, *paths: str, value: str = "${S}", more: str = "") -> str:
    """A sink of a type as JSON, which is YAML, with the same secret at each of these paths."""
    sink: dict = {"type": kind, "from": "out", "url": "https://h/x", **orjson.loads(f"{{{more}}}")}
    for path in paths:
        section, _, key = path.rpartition(".")
        holder = sink.setdefault(section, {}) if section else sink
        holder[key.removesuffix("[]")] = [value] if key.endswith("[]") else value
        holder.update({"user": "u"} if section == "basic_auth" else {"region": "r"} if section == "aws" else {})
    return orjson.dumps(sink).decode()


@pytest.mark.parametrize(("kind", "path"), [(kind, path) for kind, paths in SINKS.items() for path in paths])
def test_secrets_of_sinks_are_shown_nowhere(kind, path, folder, monkeypatch):
    """By a check with problems all around them, in the file or from the environment, and by what is loaded."""
    secret = Marks().fill("@@@@")
    monkeypatch.setenv("S", f"{secret} \n")
    wrong = ('"retry": 1', f'"{path}x": 1', f'"compression": "{path}"', '"type": "webhok"')
    for value, more in zip(("${S}", secret, secret, "${S}a"), wrong, strict=True):
        (folder / "topics.yaml").write_text(
            file_of("nginx", PLAIN, f"sinks: {{a: {sink_of(kind, path, value=value, more=more)}}}")
        )
        shown = [CliRunner().invoke(cli, ["check", *form]) for form in ((), ("--json",))]
        assert {result.exit_code for result in shown} == {2}
        assert [result.output for result in shown if leaks(result.output)] == []
    monkeypatch.setenv("S", "whsec_" + b64encode(secret.encode()).decode())
    needed = [
        each for each in SINKS[kind] if each in (path, "token") or each.partition(".")[0] == path.partition(".")[0]
    ]
    text = file_of("nginx", PLAIN, f"sinks: {{a: {sink_of(kind, *needed)}}}")
    loaded = config.parse(text.encode(), os.environ, folder=folder)
    assert os.environ["S"] not in repr(loaded) + str(loaded) + repr(loaded.sinks["a"])


def test_every_type_of_sinks_has_its_secrets_tested():
    """They are found by their declarations, also those in sections, lists and mappings."""
    assert {
        "eventgate": [],
        "opensearch": [
            *("basic_auth.password", "api_key", "aws.access_key_id", "aws.secret_access_key", "aws.session_token"),
        ],
        "webhook": ["signing_keys[]", "authorization", "secret_headers.x-any"],
        "splunk": ["token"],
        "syslog": [],
    } == SINKS


def test_a_bug_of_ours_does_not_write_the_line_into_the_log(folder):
    """A parser that raises with the line in its message: neither the letter nor the log has the secret."""

    def fails(envelope):
        raise ValueError(f"can't read {envelope.text}")

    table = config.parse(file_of("nginx", PLAIN).encode(), {}, folder=folder).table
    source = table.sources[0]
    route = dataclasses.replace(source.routes[0], parse=fails)
    table = dataclasses.replace(table, sources=(dataclasses.replace(source, routes=(route,)),))
    stream = io.StringIO()
    configure_logging(json=True, stream=stream)
    shown = list(published(table, [planted.record for planted in plant("nginx", Marks())]))
    assert b"internal" in b"".join(shown)
    assert "internal_error" in stream.getvalue()
    assert leaks(b"".join(shown)) | leaks(stream.getvalue()) == set()


@pytest.mark.parametrize("source", ["header:x-api", "field:named", "api"])
def test_nothing_that_any_key_says_is_the_name_of_a_row(source, folder):
    """A secret or an address that stands where the API is read from, by a rule or by the format."""
    rule = (
        f"enrich: {{client_id: http.client_ip, api: {{from: [{source}]}}}}" if source != "api" else "enrich: {api: []}"
    )
    fields = {"http.status_code": "s", "http.request_headers": "h", **({"api": "named"} if source == "api" else {})}
    written = orjson.dumps({"name": "json", "required": "s", "fields": fields, "extras": {"named": "named"}}).decode()
    options = "request_headers: [user-agent]"
    file = f"""version: 1
sources: {{s: {{topics: t, envelope: plain}}}}
routes: [{{name: r, from: s, to: out, tables: [clients, apis, urls], format: {written}, {rule}, {options}}}]"""
    (folder / "topics.yaml").write_text(file)
    table = config.parse(file.encode(), {}, folder=folder).table
    for name in ("198.51.100.237", "to 2001:db8:1:2::7", "Bearer x9Y8z7w6Q5", "t?access_token=x9Y8z7w6Q5"):
        line = orjson.dumps({"s": 200, "named": name, "h": {"x-api": name}})
        shown = b"".join(published(table, [line])).decode("utf-8", "replace")
        explained = CliRunner().invoke(cli, ["explain", "--json"], input=line + b"\n").output
        assert '"api":' in shown
        assert [each for each in ("237", ":2::7", "x9Y8z7") if each in shown + explained] == []


def test_the_canary_sings(folder, monkeypatch):
    """It finds secrets where nothing hides them: in letters, events and sums, and in `explain`."""
    table = config.parse(file_of("nginx", PLAIN).encode(), {}, folder=folder).table
    lines = list(plant("nginx", Marks()))[::9]
    assert found_in(table, lines) == []
    with monkeypatch.context() as patch:
        patch.setattr("logrouter.config.secret_options.may_name_secret", lambda _word: False)
        shown = sink_of("splunk", "token", value=Marks().fill("@"))
        (folder / "topics.yaml").write_text(file_of("nginx", PLAIN, f"sinks: {{a: {shown}}}"))
        assert leaks(CliRunner().invoke(cli, ["check"]).output)
    with monkeypatch.context() as patch:
        patch.setattr(Disclosure, "text", lambda _self, text: text)
        assert any("emitter_id" in each for each in found_in(table, lines))
    with monkeypatch.context() as patch:
        patch.setattr(event, "redact_uri", lambda uri, _query="drop": uri)
        assert any("weight" in each for each in found_in(table, lines))
