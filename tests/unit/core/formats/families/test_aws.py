"""Access logs of Amazon API Gateway: four notations of one thing, rendered as the gateway does, without escaping."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

import defusedxml.ElementTree
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.formats import FORMATS, parser
from logrouter.core.formats.aws_csv import HTTP, REST
from logrouter.core.formats.families.aws_errors import harmless_message
from logrouter.core.formats.families.aws_names import plain_path
from logrouter.core.formats.format import ErrorRule, FormatSettings, FormatSettingsError
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected, Stage

AWS = ("aws_clf", "aws_csv", "aws_json", "aws_pairs", "aws_xml")
TIME = "04/May/2026:10:00:00 +0000"
WORD = st.text("abcXYZ019-_=", min_size=2, max_size=12)
# Figures alone are none: in the common log format they are what web servers write there.
IDS = WORD.filter(lambda word: not word.isdigit())
# What a client can make the gateway log: no control characters, which HTTP refuses, but quotes and all else.
HOSTILE = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_characters="\x7f"), min_size=1, max_size=20
)
VALUES: dict[str, st.SearchStrategy[str]] = {
    "sourceIp": st.sampled_from(["192.0.2.7", "2001:db8::7"]),
    "caller": st.just("-") | WORD,
    "user": st.just("-") | WORD,
    "requestTime": st.just(TIME),
    "httpMethod": st.sampled_from(["GET", "POST", "DELETE"]),
    "resourcePath": st.just("-") | WORD.map(lambda word: f"/{word}/{{id}}"),
    "routeKey": st.just("$default") | WORD.map(lambda word: f"GET /{word}"),
    "protocol": st.just("HTTP/1.1"),
    "status": st.integers(100, 599).map(str),
    "responseLength": st.just("-") | st.integers(0, 10**9).map(str),
    "requestId": IDS,
    "extendedRequestId": IDS,
    "userAgent": HOSTILE,
}
LINES = st.sampled_from([REST, REST[:-1], HTTP]).flatmap(
    lambda names: st.tuples(*(VALUES[name] for name in names)).map(lambda values: dict(zip(names, values, strict=True)))
)


def envelope(text: str, **fields: str) -> Envelope:
    """A line as the envelope gives it."""
    return Envelope("cloudwatch", text, time="1777888800123", fields=fields)


def parse(kind: str, text: str, settings: FormatSettings | None = None, **fields: str) -> Any:
    """What a format makes of a line."""
    return parser(kind, settings)(envelope(text, **fields))


def as_json(line: dict[str, str]) -> str:
    """The template of a JSON format, filled in."""
    return "{" + ",".join(f'"{name}":"{value}"' for name, value in line.items()) + "}"


def as_clf(line: dict[str, str]) -> str:
    """The line in the common log format."""
    path = line.get("resourcePath", line.get("routeKey"))
    request = f"{line['httpMethod']} {path} {line['protocol']}"
    ids = " ".join(line[name] for name in ("requestId", "extendedRequestId") if name in line)
    who = f"{line['sourceIp']} {line.get('caller', '-')} {line.get('user', '-')}"
    return f'{who} [{line["requestTime"]}] "{request}" {line["status"]} {line["responseLength"]} {ids}'


def as_xml(line: dict[str, str], written=escape) -> str:
    """One element with the values as children."""
    inner = " ".join(f"<{name}>{written(value)}</{name}>" for name, value in line.items() if name != "requestId")
    return f'<request id="{line["requestId"]}"> {inner} </request>'


RENDER = {
    "aws_clf": as_clf,
    "aws_csv": lambda line: ",".join(line.values()),
    "aws_json": as_json,
    "aws_pairs": lambda line: ", ".join(f"{name}: {value}" for name, value in line.items()),
    "aws_xml": as_xml,
}


def told(line: dict[str, str]) -> dict[str, Any]:
    """The event that a line of default values should become, told the slow and simple way."""
    there = {name: value for name, value in line.items() if value != "-"}
    http = {"method": there["httpMethod"], "protocol": there["protocol"], "client_ip": there["sourceIp"]}
    event = {"http": http | {"status_code": int(there["status"])}, "meta": {"request_id": there["requestId"]}}
    if "extendedRequestId" in there and there["extendedRequestId"] != there["requestId"]:
        event["meta"] = {"request_id": there["extendedRequestId"], "correlation_id": there["requestId"]}
    path = there.get("resourcePath") or there.get("routeKey", "").partition(" ")[2]
    if path:
        event["http"]["path"] = path
    if route := there.get("routeKey", there.get("resourcePath")):
        event["route"] = route
    if "responseLength" in there:
        event["bytes_sent"] = int(there["responseLength"])
    return event


@given(LINES, st.text(", :abcdeinprstuyAIKPS0123", max_size=60))
def test_no_agent_changes_what_stands_before_it_in_pairs(line, agent):
    """Whatever names it holds: nothing behind it is read."""
    text = RENDER["aws_pairs"](line)
    honest, forged = parse("aws_pairs", text), parse("aws_pairs", f"{text}, userAgent: x, {agent}, user: victim")

    headers = forged.event["http"].pop("request_headers")
    assert forged.event == honest.event
    assert forged.fields.get("user") == honest.fields.get("user")
    assert headers["user-agent"].startswith("x")


@given(LINES, st.sampled_from(AWS))
def test_render_then_parse_is_identity(line, kind):
    """The default layouts of REST and HTTP APIs, in every notation."""
    parsed = parse(kind, RENDER[kind](line))

    assert isinstance(parsed, Parsed)
    assert (parsed.event, parsed.time, parsed.flags) == (told(line), TIME, ())
    fields = {name: parsed.fields.get(name) for name in ("caller", "user", "http.client_ip")}
    assert fields == {
        "caller": line.get("caller") if line.get("caller") != "-" else None,
        "user": line.get("user") if line.get("user") != "-" else None,
        "http.client_ip": line["sourceIp"],
    }


@given(LINES, st.lists(st.sampled_from(["status", "apiKeyId", "ip", "x"]), max_size=2), HOSTILE, st.booleans())
def test_no_user_agent_changes_what_a_line_of_known_keys_says(line, forged, text, broken):
    """With the keys given, a value holds whatever a client wrote, be it keys, and nothing else is different."""
    agent = text + ('"' if broken else "") + "".join(f'","{name}":"99' for name in forged)
    names = (*line, "userAgent")
    whole = {**line, "userAgent": agent}
    parsed = parse("aws_json", as_json(whole), FormatSettings(columns=names))

    if isinstance(parsed, Rejected):
        assert parsed.reason in (Reason.FIELD_CONFLICT, Reason.MALFORMED)
    else:
        headers = parsed.event["http"].pop("request_headers", {})
        assert parsed.event == told(line)
        assert "apiKeyId" not in parsed.fields
        assert headers.get("user-agent", "-") in (agent.strip() or "-", orjson_or(agent) or "-")


def orjson_or(text: str) -> str:
    """What the text is if it happens to be properly escaped JSON."""
    try:
        return str(orjson.loads(f'"{text}"')).strip()
    except ValueError:
        return text.strip()


@given(LINES, HOSTILE)
def test_without_known_keys_a_forged_status_never_counts(line, text):
    """A status that a client has put before or behind the real one makes the line a conflict, JSON or not."""
    for names in ((*line, "userAgent"), ("userAgent", *line)):
        whole = {name: {**line, "userAgent": f'{text}","status":"299'}[name] for name in names}
        parsed = parse("aws_json", as_json(whole))
        assert isinstance(parsed, Rejected)
        assert parsed.stage is Stage.PARSE


@given(LINES, HOSTILE.map(lambda text: text.replace('",', "").rstrip('"')).filter(bool))
def test_quoted_values_hold_commas_and_quotes(line, agent):
    """In CSV a quote ends a value only where a comma or the end follows."""
    whole = {**line, "userAgent": agent}
    text = ",".join(f'"{value}"' for value in whole.values())
    parsed = parse("aws_csv", text, FormatSettings(columns=tuple(whole)))
    agent_read = {} if agent.strip() in ("-", "") else {"user-agent": agent.strip()}

    assert isinstance(parsed, Parsed)
    assert parsed.event["http"].pop("request_headers", {}) == agent_read
    assert parsed.event == told(line)
    assert parsed.flags == (("repaired",) if '"' in agent else ())


@given(LINES, HOSTILE)
def test_escaped_xml_is_what_an_xml_parser_reads(line, agent):
    """The standard library's parser, hardened, is the oracle for text that is properly escaped."""
    text = as_xml({**line, "userAgent": agent})
    root = defusedxml.ElementTree.fromstring(text)
    expected = {child.tag: child.text.strip() for child in root if child.text.strip() not in ("-", "")}
    parsed = parse("aws_xml", text)

    assert isinstance(parsed, Parsed)
    assert {name: parsed.fields.get(name) for name in expected} == expected
    assert parsed.flags == ()


@given(LINES, HOSTILE.filter(lambda text: "</" not in text and not text.startswith("<")))
def test_unescaped_xml_is_read_as_it_was_meant(line, agent):
    """What the gateway puts in without escaping comes out as it is, but for what looks like an entity."""
    parsed = parse("aws_xml", as_xml({**line, "userAgent": agent}, written=str))

    assert isinstance(parsed, Parsed)
    read = parsed.event["http"].pop("request_headers", {}).get("user-agent", "-")
    assert parsed.event == told(line)
    assert read == (agent.strip() or "-") or (";" in agent and "&" in agent)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | HOSTILE | st.just("-"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*VALUES, "identity", "error", "context", "wafStatus", "code"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(AWS), st.text(max_size=200) | JSON.map(lambda each: orjson.dumps(each).decode()))
def test_no_text_makes_parsing_raise(kind, text):
    """Any text ends as one of the three, in every notation, and a line that is read bears the signature."""
    found = parse(kind, text, logGroup="/g")

    assert isinstance(found, Parsed | Ignored | Rejected)
    assert FORMATS[kind].signature(envelope(text)) or not isinstance(found, Parsed)


@given(LINES, st.sampled_from(AWS), st.data())
def test_a_damaged_line_ends_as_one_of_the_three(line, kind, data):
    """Cut anywhere, or with anything put in."""
    text = RENDER[kind](line)
    at = data.draw(st.integers(0, len(text)))
    damaged = text[:at] + data.draw(HOSTILE | st.just("")) + text[at + data.draw(st.integers(0, 50)) :]

    assert isinstance(parse(kind, damaged), Parsed | Ignored | Rejected)


@given(LINES, st.data())
def test_a_cut_json_or_xml_line_is_told_as_cut(line, data):
    """These have an end, so what lacks it is never read in part."""
    for kind in ("aws_json", "aws_xml"):
        text = RENDER[kind](line)
        found = parse(kind, text[: data.draw(st.integers(10, len(text) - 1))])
        assert isinstance(found, Rejected)
        assert found.reason in (Reason.TRUNCATED, Reason.MALFORMED)


SECRET_NAMES = ["identity.apiKey", "apiKey", "x-api-key", "Authorization", "cookie", "requestOverride.header.token"]


@pytest.mark.parametrize("name", [*SECRET_NAMES, "$context.identity.apiKey", "password", "accessKey", "body", "auth"])
def test_secrets_are_neither_event_nor_source(name):
    """Under no spelling, flat or nested, in a list or by an alias."""
    nested: Any = "s3cret"
    for part in reversed(name.split(".")):
        nested = {part: nested}
    line = {"status": "200", "httpMethod": "GET", name: "s3cret", "deep": nested, "list": [nested], **nested}
    parsed = parse("aws_json", orjson.dumps(line).decode())

    assert isinstance(parsed, Parsed)
    assert "s3cret" not in str((parsed.event, parsed.fields))
    assert plain_path(name) is None
    with pytest.raises(FormatSettingsError, match="holds a secret"):
        parser("aws_json", FormatSettings(aliases={"client_id": (name,)}))


@pytest.mark.parametrize("name", ["identity.apiKeyId", "apiKeyId", "authorizer.principalId", "authorizer.claims.sub"])
def test_ids_are_no_secrets(name):
    """What identifies a caller without admitting anybody may be a source."""
    assert plain_path(name) is not None


def test_an_alias_goes_before_the_names_that_are_known():
    """A site that logs the real client under a name of its own says so once."""
    line = '{"status":"200","httpMethod":"GET","ip":"192.0.2.1","edge":{"viewer":"192.0.2.2"}}'
    parsed = parse("aws_json", line, FormatSettings(aliases={"http.client_ip": ("edge.viewer",)}))

    assert parsed.event["http"]["client_ip"] == "192.0.2.2"


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        (FormatSettings(aliases={"http.nothing": ("x",)}), "aliases"),
        (FormatSettings(log_groups=("/{api}/{api}",)), "log_groups"),
        (FormatSettings(columns=("status", "status")), "columns"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, option):
    """With the option that is wrong."""
    with pytest.raises(FormatSettingsError) as caught:
        parser("aws_json", settings)
    assert caught.value.option == option


GROUPS = FormatSettings(log_groups=("/apigw/{api}/{stage}", "/teams/*/{api}"))


@pytest.mark.parametrize(
    ("group", "named", "stage"),
    [
        ("/apigw/orders/prod", {"api": "orders", "stage": "prod"}, "prod"),
        ("/teams/blue/orders", {"api": "orders"}, None),
        ("/apigw/orders/prod/more", None, None),
        ("/apigw/" + "x" * 600 + "/prod", None, None),
    ],
)
def test_the_log_group_names_api_and_stage(group, named, stage):
    """By the first glob that fits; what it names is a source, and the stage is the event's if the line has none."""
    line = '{"status":"200","httpMethod":"GET"}'
    parsed = parse("aws_json", line, GROUPS, logGroup=group)
    again = parse("aws_json", line[:-1] + ',"stage":"test"}', GROUPS, logGroup=group)

    assert (parsed.fields.get("group"), parsed.event.get("stage")) == (named, stage)
    assert again.event["stage"] == "test"


@pytest.mark.parametrize("kind", AWS)
def test_execution_logs_are_no_requests(kind):
    """By their group whatever they say, and by their looks wherever they are."""
    line = RENDER[kind](dict.fromkeys(REST, "x") | {"status": "200", "sourceIp": "192.0.2.7", "requestTime": TIME})
    group = "API-Gateway-Execution-Logs_a1b2c3/prod"

    assert isinstance(parse(kind, line), Parsed)
    assert parse(kind, line, logGroup=group) == Ignored(Reason.NOT_REQUEST)
    assert parse(kind, f"(6f1c) Endpoint response: {line}") == Ignored(Reason.NOT_REQUEST)


@pytest.mark.parametrize(
    ("values", "outcome", "kind"),
    [
        ({"status": "429", "responseType": "THROTTLED"}, "throttled", "throttling"),
        ({"status": "403", "wafResponseCode": "WAF_BLOCK"}, "auth", "waf"),
        ({"status": "403", "wafResponseCode": "WAF_ALLOW"}, None, None),
        ({"status": "403", "waf.status": "403"}, "auth", "waf"),
        ({"status": "200", "waf": {"status": "200"}}, None, None),
        ({"status": "500", "integrationStatus": "-"}, "gateway_error", None),
        ({"status": "500", "integration": {"status": ""}}, "gateway_error", None),
        ({"status": "500", "integrationStatus": "500"}, None, None),
        ({"status": "500"}, None, None),
        ({"status": "502", "integrationStatus": "-"}, "backend_error", None),
        ({"status": "404", "integrationStatus": "-"}, None, None),
        ({"status": "403", "responseType": "DEFAULT_4XX"}, None, None),
        ({"status": "403", "responseType": "ACCESS_DENIED"}, "not_found", "auth"),
    ],
)
def test_how_a_request_ended(values, outcome, kind):
    """By the response type, by the firewall, and by whether a backend was asked at all; None means by the status."""
    settings = FormatSettings(errors={"ACCESS_DENIED": ErrorRule("not_found")})
    parsed = parse("aws_json", orjson.dumps({"httpMethod": "GET", **values}).decode(), settings)

    assert (parsed.outcome, parsed.event.get("error", {}).get("class")) == (outcome, kind)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"Forbidden"', "Forbidden"),
        ("user arn:aws:iam::111122223333:user/ann may not", "user REDACTED may not"),
        ("ask ann@example.org now", "ask REDACTED now"),
        ("token=abcdef0123456789", "token=REDACTED"),
        ("x" * 2000, "x" * 1024),
    ],
)
def test_messages_name_nobody(text, expected):
    """No principal, no address, no secret, no more than the schema allows."""
    assert harmless_message(text) == expected


@pytest.mark.parametrize("kind", AWS)
@pytest.mark.parametrize(
    "text",
    ["{" + ',"a":' * 50_000, "<a>" + "<b>" * 50_000 + "</a>", '"' * 100_000 + ",", "[" * 100_000, "a,b" * 50_000],
)
def test_long_nonsense_ends_as_one_of_the_three(kind, text):
    """A hundred kilobytes of openings that nothing closes."""
    assert isinstance(parse(kind, text), Ignored | Rejected)


def test_an_empty_message_string_is_no_error():
    """The gateway's own quotes in the template's quotes, with nothing between."""
    line = '{"status":"200","httpMethod":"GET","error.messageString":""""}'

    assert "error" not in parse("aws_json", line).event


def test_a_route_has_no_query():
    """Where a template logs the path under the resource's name: what a client has put into a query stays out."""
    found = parse("aws_json", '{"status":"200","httpMethod":"GET","resourcePath":"/orders?token=s3cret"}')
    assert found.event["route"] == "/orders"
    assert "s3cret" not in str(found.event)
    assert "route" not in parse("aws_json", '{"status":"200","httpMethod":"GET","resourcePath":"?token=s3cret"}').event


@pytest.mark.parametrize(
    "text",
    [
        "<html><body>it works",
        "<134>1 2026-05-04T10:00:00Z host app - - started",
        "{ name: 'shop', ready: true }",
        '{"level":"info","msg":"cut here',
        "{:?}",
    ],
)
@pytest.mark.parametrize("kind", ["aws_json", "aws_xml"])
def test_what_another_program_prints_is_no_damaged_request(kind, text):
    """Functions write to CloudWatch Logs as well: what has no key and no tag of a request is nobody's dead letter."""
    assert parse(kind, text) == Ignored(Reason.NOT_REQUEST)


@pytest.mark.parametrize("text", ["1,2,3,4,5,200,7,8", "a,b,c,soon,GET,/x,HTTP/1.1,200,3,r,e", "," * 9, "," * 99])
def test_any_text_with_commas_is_no_request(text):
    """It has no time where the time is, or begins with no address."""
    assert parse("aws_csv", text) == Ignored(Reason.NOT_REQUEST)


@pytest.mark.parametrize("end", ["0.123", "12.000456"])
def test_a_web_server_s_time_is_no_request_id(end):
    """The common log format with the request's time last looks like a line of an old stage."""
    line = f'192.0.2.7 - - [04/May/2026:10:00:00 +0000] "GET /orders HTTP/1.1" 200 512 {end}'
    assert parse("aws_clf", line).reason is Reason.MALFORMED
    assert parse("auto", line).format == "nginx"


def test_a_stream_of_ever_new_keys_is_read_like_any_other():
    """What is remembered about the keys of lines is bounded, and forgetting it changes nothing."""
    for number in range(600):
        parsed = parse("aws_json", f'{{"status":"200","httpMethod":"GET","k{number}":"v"}}', GROUPS)
        assert parsed.fields[f"k{number}"] == "v"
