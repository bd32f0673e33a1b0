"""The route's option `user`: what is published of users, and that nothing else shows them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from logrouter import config
from logrouter.cli import cli
from logrouter.config.yaml.problems import ConfigError
from logrouter.core import ids
from logrouter.core.dryrun.explain import explain_record
from logrouter.core.enrich import field_getter
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats import FORMATS, parser
from logrouter.core.formats.format import FormatSettings
from logrouter.core.pipeline import process
from logrouter.core.redact import ip_policy
from logrouter.model import Accepted, Parsed, RawRecord
from tests.unit.core.formats.test_corpus import CORPUS, cases, line_of, settings_of
from tests.unit.secret_places import spoilt
from tests.unit.test_secrets_canary import published

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logrouter.core.routing import RouteTable

KEY = "k" * 40
NOW = 1_777_630_000_000
HASH = ip_policy("hash", KEY.encode())
MARK = "zq7jdoe"
WITH_USERS = sorted(name for name, each in FORMATS.items() if each.users)
COMBINED = '192.0.2.7 - {} [01/May/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 12 "-" "curl/8"'
ACCESS = (
    "2026-05-01T10:00:00.118-0700 [][hMessageProcessor-56]{{D_APIAccessLog.AccessLogWriter}}[] INFO  "
    'Event="REQUEST_COMPLETE", MessageID="urn:uuid:1", StatusCode="200", END_USER_NAME="{}", RequestInURL="/a", '
    'RequestInMethod="GET"'
)


@cache
def table_of(options: str, *, form: str = "nginx", envelope: str = "plain", more: str = "") -> RouteTable:
    """The routes of a file with one."""
    file = f"""version: 1
sources: {{s: {{topics: t, envelope: {envelope}}}}}
privacy: {{hash_key: '${{KEY}}'}}
routes: [{{name: r, from: s, to: out, format: {form}, {options}}}]
{more}
"""
    return config.parse(file.encode(), {"KEY": KEY}).table


def event_of(line: str, options: str, **changes: str) -> dict:
    """The event of a line that is read."""
    table = table_of(options, **changes)
    (found,) = process(
        table.source_of("t"), RawRecord("t", 0, 0, NOW, line.encode()), NOW, ids.for_partition("c", "t", 0)
    )
    assert isinstance(found, Accepted), found
    return found.event


@pytest.mark.parametrize(
    ("option", "user"),
    [("key: none", None), ("user: drop", None), ("user: keep", "ann"), ("user: hash", HASH("ann"))],
)
@pytest.mark.parametrize(("form", "line"), [("nginx", COMBINED), ("wso2_access", ACCESS), ("wso2_http", COMBINED)])
def test_user_is_published_as_the_route_says(option, user, form, line):
    """Nothing without a word, the name, or the hash that an address would have with the same key."""
    assert event_of(line.format("ann"), option, form=form).get("user") == user


@pytest.mark.parametrize("option", ["key: none", "user: drop", "user: keep", "user: hash"])
@pytest.mark.parametrize("nobody", ["-", "null"])
def test_a_line_without_a_user_has_none(option, nobody):
    """What gateways write for nobody is no name, and has no hash."""
    assert "user" not in event_of(ACCESS.format(nobody), option, form="wso2_access")


@pytest.mark.parametrize(
    ("option", "user"),
    [("key: none", "ann"), ("user: keep", "ann"), ("user: hash", HASH("ann")), ("user: drop", None)],
)
def test_a_key_that_is_mapped_is_wish_enough(option, user):
    """Whoever maps a key to `user` gets it, until the option says otherwise."""
    form = "{name: json, fields: {http.status_code: status, user: login}}"

    assert event_of('{"status": 200, "login": "ann"}', option, form=form).get("user") == user


def test_the_format_that_was_found_says_where_the_user_stands():
    """`format: auto` reads many kinds of lines, and each has the user elsewhere."""
    assert event_of(ACCESS.format("ann"), "user: keep", form="auto")["user"] == "ann"
    assert event_of(COMBINED.format("bob"), "user: keep", form="auto")["user"] == "bob"


@given(st.text(st.characters(exclude_characters='"', exclude_categories=["Cs"]), min_size=1, max_size=400))
def test_a_kept_name_fits_into_the_event_and_a_hash_says_nothing(name: str) -> None:
    """Whatever an operator of the gateway has registered: printable, bounded, and the same every time."""
    line = ACCESS.format(name.replace("\n", " "))
    kept, hashed = (event_of(line, f"user: {each}", form="wso2_access") for each in ("keep", "hash"))

    assert ("user" in kept) == ("user" in hashed)
    assert len(kept.get("user", "")) <= 256
    assert kept.get("user", "").isprintable()
    assert len(hashed.get("user", "")) in (0, 16)
    assert event_of(line, "user: keep", form="wso2_access") == kept


def test_an_address_or_a_token_for_a_name_is_no_way_around_the_policies():
    """Addresses follow `client_ip`, and what is a token is cut and hashed; both are flagged."""
    address, token = (
        event_of(ACCESS.format(name), "user: keep", form="wso2_access")
        for name in ("192.0.2.77", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl")
    )

    assert address["user"] == "192.0.2.0"
    assert "eyJ" not in token["user"]
    assert "suspect" in address["flags"]
    assert "suspect" in token["flags"]


def envelope_of(name: str) -> str:
    """The envelope that the lines of a format are in."""
    named = CORPUS / name / "envelope"
    return named.read_text().strip() if named.exists() else "plain"


OF_AWS = {
    "aws_json": b'{"requestId":"r-1","ip":"192.0.2.7","caller":"AROA:'
    + MARK.encode()
    + b'","user":"'
    + MARK.encode()
    + b'",'
    b'"requestTime":"04/May/2026:10:00:00 +0000","httpMethod":"GET","resourcePath":"/a","status":"200"}',
    "aws_xml": b'<request id="r-1"> <ip>192.0.2.7</ip> <caller>' + MARK.encode() + b"</caller> <user>a</user> "
    b"<requestTime>04/May/2026:10:00:00 +0000</requestTime> <httpMethod>GET</httpMethod> <status>200</status> "
    b"<resourcePath>/a</resourcePath> <protocol>HTTP/1.1</protocol> <responseLength>512</responseLength> </request>",
    # Only its place tells a name there, so it is one that is known by its form.
    "aws_csv": b"192.0.2.7,-,"
    + MARK.encode()
    + b"@mail.example.org,04/May/2026:10:00:00 +0000,GET,/a,HTTP/1.1,200,512,r-1,x-1=",
}
"""Lines of formats whose cases in the corpus name nobody."""


@pytest.mark.parametrize(("option", "user"), [("keep", "REDACTED"), ("hash", HASH("ann7@example.org"))])
def test_what_redact_names_is_hidden_in_users_too(option, user):
    """Whoever wants no e-mail addresses gets none as a user; the digits of a hash are no number of anything."""
    more = "redact: {emails: true, patterns: ['[0-9]']}"

    assert event_of(ACCESS.format("ann7@example.org"), f"user: {option}", form="wso2_access", more=more)["user"] == user


def users_in(parsed: Parsed, name: str) -> list:
    """The users that are named by the fields of a line."""
    return [field_getter(f"field:{each}")(parsed) for each in FORMATS[name].users]


def planted(name: str) -> Iterator[bytes]:
    """Records of the corpus in which somebody is named, with a name that is known again."""
    yield from [OF_AWS[name]] if name in OF_AWS else []
    for case in cases(name):
        raw = (CORPUS / name / f"{case}.in").read_bytes()
        if (CORPUS / name / f"{case}.settings").exists():
            continue
        read = parser(name, settings_of(CORPUS / name / f"{case}.settings"))(line_of(name, case))
        users = users_in(read, name) if isinstance(read, Parsed) else []
        for user in users:
            if isinstance(user, str) and user.isascii() and '"' not in user and user.encode() in raw:
                yield re.sub(rb"(?<!\w)" + re.escape(user.encode()) + rb"(?![\w/\\])", MARK.encode(), raw)


@pytest.mark.parametrize("option", ["key: none", "user: hash", "user: drop, schema: api_request/1.0.0"])
@pytest.mark.parametrize("name", WITH_USERS)
def test_nothing_that_is_published_names_a_user(name, option):
    """Neither events nor dead letters, of lines that are read, cut, damaged or too large."""
    table = table_of(option, form=name, envelope=envelope_of(name))
    shown = [
        (record, each)
        for line in planted(name)
        for record in (line, *(spoiled for _, spoiled in spoilt(line)))
        for each in published(table, [record])
        if b"zq7jdoe" in each
    ]

    assert shown[:2] == []


@pytest.mark.parametrize("more", ["key: none", "user: hash", "request: {field.END_USER_NAME: bob}"])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_explain_names_no_user(more, form, tmp_path):
    """Neither of a line that is read, nor of one that is not, nor of one that the route does not want."""
    file = tmp_path / "topics.yaml"
    file.write_text(
        f"""version: 1
sources: {{s: {{topics: t, envelope: plain}}}}
privacy: {{hash_key: '${{KEY}}'}}
routes: [{{name: r, from: s, to: out, format: wso2_access, {more}}}]
"""
    )
    lines = [ACCESS.format("zq7jdoe"), ACCESS.format("zq7jdoe")[:-3], COMBINED.format("zq7jdoe")]

    result = CliRunner().invoke(
        cli, ["explain", *form, "--config", str(file)], input="\n".join(lines), env={"KEY": KEY}
    )

    assert result.exit_code == 0
    assert "zq7jdoe" not in result.output


@pytest.mark.parametrize("name", WITH_USERS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_explain_names_no_user_of_a_record_of_json(name, wrapped):
    """Neither in the line nor in what stands beside it, whole or cut."""
    table = table_of("user: hash", form=name, envelope="json" if wrapped else envelope_of(name))
    for line in planted(name):
        whole = orjson.dumps({"m": 1, "message": line.decode(errors="replace"), "user": MARK}) if wrapped else line
        for value in (whole, whole[:-3]):
            told = explain_record(table, RawRecord("t", 0, 0, NOW, value), now_ms=NOW, event_id=lambda *_: "i")
            assert MARK not in repr(told.as_dict())


@pytest.mark.parametrize("option", ["key: none", "user: hash", "user: drop"])
@pytest.mark.parametrize(
    ("form", "pattern", "line"),
    [
        ("nginx", '$remote_addr|"$remote_user"|"$request"|$status', '192.0.2.7|"ann zq7jdoe"|"GET / HTTP/1.1"|200'),
        (
            "nginx",
            '{"a":"$remote_addr","u":"$remote_user","r":"$request","s":$status}',
            '{"a":"192.0.2.7","u":"zq7jdoe","r":"GET / HTTP/1.1","s":200}',
        ),
        ("apache", '%h|"%u"|"%r"|%>s', '192.0.2.7|"zq7jdoe"|"GET / HTTP/1.1"|200'),
    ],
)
def test_a_name_in_a_place_of_the_operators_own_pattern_is_hidden(option, form, pattern, line):
    """Which no other server has there: in a line of the pattern, one that is cut, and one that goes on differently."""
    table = table_of(option, form=f"{{name: {form}, pattern: '{pattern}'}}")
    disclosure = table.source_of("t").routes[0].disclosure

    cut = line.index(MARK) + 4
    assert not any("zq7j" in disclosure.text(text) for text in (line, line[:-6], line[:cut], f"{line} x"))
    assert "GET / HTTP" in disclosure.text(f"{line} x")


def test_a_hash_needs_its_key_and_a_format_a_user():
    """One sentence each that says what to do."""
    with pytest.raises(ConfigError, match=r"`hash` needs `privacy\.hash_key`"):
        config.parse(
            b"version: 1\nsources: {s: {topics: t, envelope: plain}}\n"
            b"routes: [{name: r, from: s, to: out, format: nginx, user: hash}]\n",
            {},
        )


@pytest.mark.parametrize("name", WITH_USERS)
def test_each_format_has_lines_in_which_it_finds_its_user(name):
    """The names that a format gives are those of its fields: every user in its lines is known again."""
    read = FORMATS[name].compile(FormatSettings())
    envelope = ENVELOPES[envelope_of(name)]
    found = [parsed for line in planted(name) if isinstance(parsed := read(envelope.decode(line)), Parsed)]

    assert found
    assert all(MARK in str(users_in(parsed, name)) for parsed in found)
