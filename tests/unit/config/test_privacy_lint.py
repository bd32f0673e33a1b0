"""Warnings about what a route publishes, and the options that hide more of it."""

from __future__ import annotations

import pytest

from logrouter import config
from logrouter.config.lint import check
from logrouter.core import ids
from logrouter.core.dryrun.explain import explain_record
from logrouter.core.pipeline import process
from logrouter.model import Accepted, RawRecord, Rejected

LINE = (
    b'192.0.2.7 - - [01/May/2026:10:00:00 +0000] "GET /of/CUST-12345678/a?to=ann@shop.example.org HTTP/1.1" 200 5 '
    b'"-" "curl (ann@shop.example.org)"'
)
NOW = 1_777_630_000_000


def file_of(options: str, more: str = "") -> str:
    """A topics.yaml with one route of nginx lines."""
    route = f"{{name: r, from: s, to: out, format: nginx, {options}}}"
    return f"version: 1\nsources: {{s: {{topics: t, envelope: plain}}}}\nroutes: [{route}]\n{more}"


def warnings_of(tmp_path, options: str, more: str = "") -> list[str]:
    """Path and message of each warning."""
    file = tmp_path / "topics.yaml"
    file.write_text(file_of(options, more))
    return [f"{each.path}: {each.message}" for each in check(file, {"KEY": "k" * 40}).problems]


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        (
            "request_headers: [user-agent, Authorization]",
            "routes[0].request_headers[1]: Authorization holds credentials and is never published: leave it out",
        ),
        (
            "enrich: {client_id: [x-user-id, 'header:x-api-key']}",
            (
                "routes[0].enrich.client_id.from[1]: header:x-api-key is called like a secret, which formats "
                "drop: say `hashed: true` to publish a keyed hash of it"
            ),
        ),
        (
            "enrich: {client_id: [oauth:aud, 'oauth:session_id']}",
            (
                "routes[0].enrich.client_id.from[1]: oauth:session_id is called like a secret, and such claims are "
                "never read"
            ),
        ),
        (
            "query: keep",
            (
                "routes[0].query: publishes the query strings of all requests; only parameters with names of secrets "
                "are redacted"
            ),
        ),
    ],
)
def test_what_is_rarely_meant_to_be_published_is_warned_of(tmp_path, options, warning):
    """At the place where it stands, with what to do."""
    assert warnings_of(tmp_path, options) == [warning]


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ("request_headers: [user-agent, referer, x-request-id]", ""),
        ("enrich: {client_id: {from: [x-api-key], hashed: true}}", "privacy: {hash_key: '${KEY}'}\n"),
        ("query: drop", ""),
        ("enrich: {client_id: [oauth:consumer_key, 'oauth:http://example.org/claims/application']}", ""),
        ("enrich: {client_id: [apiKeyId, dynamic_metadata_jwt_authn_payload_sub]}", ""),
    ],
)
def test_what_is_usual_is_not_warned_of(tmp_path, options, more):
    """Ordinary headers, hashed keys, the id of a key, a claim of a token, and the default for queries."""
    assert warnings_of(tmp_path, options, more) == []


def outcome_of(file: str, line: bytes = LINE):
    """What becomes of a line."""
    table = config.parse(file.encode(), {"KEY": "k" * 40}).table
    source = table.source_of("t")
    (found,) = process(source, RawRecord("t", 0, 0, NOW, line), NOW, ids.for_partition("c", "t", 0))
    return table, source, found


def explained_of(table, line: bytes):
    """What `logrouter explain --json` says of it."""
    record = RawRecord("t", 0, 0, NOW, line)
    return explain_record(table, record, now_ms=NOW, event_id=lambda _offset, _index: "id").as_dict()


def test_own_patterns_and_addresses_of_mail_are_hidden_in_events():
    """In what clients write: the path, the kept query and headers; the client's address is none of it."""
    more = "redact: {patterns: ['CUST-[0-9]{8}'], emails: true}\n"
    found = outcome_of(file_of("query: keep", more))[2]
    assert isinstance(found, Accepted)
    assert found.event["http"]["path"] == "/of/REDACTED/a"
    assert found.event["meta"]["uri"] == "/of/REDACTED/a?to=REDACTED"
    assert found.event["http"]["request_headers"] == {"user-agent": "curl (REDACTED)"}
    assert found.event["http"]["client_ip"] == "192.0.2.0"
    assert found.key is None


def test_own_patterns_are_hidden_in_letters_and_explanations():
    """As they are in events."""
    file = file_of("query: keep", "redact: {patterns: ['(?i)cust-[0-9]{8}'], emails: true}\n")
    table, source, found = outcome_of(file, LINE[:-10] + b"x")
    assert isinstance(found, Rejected)
    shown = source.disclosure_of("r").text(LINE.decode())
    explained = explained_of(table, LINE)
    for text in (shown, str(explained)):
        assert "CUST-1" not in text
        assert "ann@" not in text
        assert "REDACTED" in text


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?=a)", "is not a regular expression of RE2"),
        ("a*", "matches the empty text"),
        ("a{600}b{600}", "steps"),
    ],
)
def test_a_pattern_that_can_not_be_used_is_a_problem(pattern, message):
    """With its place in the file."""
    with pytest.raises(config.ConfigError, match=r"redact\.patterns\[0\]") as raised:
        config.parse(file_of("query: drop", f"redact: {{patterns: ['{pattern}']}}\n").encode(), {})
    assert message in str(raised.value)


def test_a_hashed_client_id_is_nowhere_but_as_its_hash():
    """In the event, its key, and what `explain` tells of the sources; equal ids have equal hashes."""
    file = file_of(
        "enrich: {client_id: {from: [user-agent], hashed: true}}, request_headers: []",
        "privacy: {hash_key: '${KEY}'}\n",
    )
    line = LINE.replace(b"curl (ann@shop.example.org)", b"key-of-ann-4711")
    table, _, found = outcome_of(file, line)
    assert isinstance(found, Accepted)
    assert found.key == found.event["client_id"].encode() == outcome_of(file, line)[2].key
    assert len(found.key) == 32
    explained = explained_of(table, line)
    tried = [step for step in explained["steps"] if step.get("tried")]
    assert "key-of-ann" not in str(tried)
    with pytest.raises(config.ConfigError, match=r"privacy\.hash_key"):
        config.parse(file_of("enrich: {client_id: {from: [user-agent], hashed: true}}").encode(), {})


@pytest.mark.parametrize("source", ["apiKeyId", "api_key_id", "header:x-api-key-id"])
def test_the_id_of_a_key_is_no_key(tmp_path, source):
    """Amazon API Gateway logs it, as the key itself is never to be logged."""
    assert warnings_of(tmp_path, f"enrich: {{client_id: ['{source}']}}") == []
