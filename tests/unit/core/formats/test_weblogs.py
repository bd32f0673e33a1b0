"""nginx and Apache: every line that a server could write is the request that it served."""

from __future__ import annotations

import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.enrich import compile_client_ip
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats import FORMATS, parser
from logrouter.core.formats.families.weblog import count_of, millis_of, split_request
from logrouter.core.formats.format import FormatSettings, FormatSettingsError
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected, Stage
from tests.unit.core.text.test_line_patterns import as_apache, as_json, as_nginx

TEXT = st.text(max_size=20) | st.sampled_from(['" 200 5 "-" "x', "a [01/May/2020:00:00:00 +0000] b", "\\x22", "\\"])
PRESENT = TEXT.filter(lambda text: text not in ("", "-", '""'))
COLUMN = re.compile(r"-|\||[0-9][0-9.]*|[A-Za-z0-9.:-]*[.:][A-Za-z0-9.:-]*")
USERS = PRESENT.filter(
    lambda text: not text.startswith('"') and (" " not in text or not any(map(COLUMN.fullmatch, text.split(" "))))
)
"""Names of users. One of several words is refused if a word could be a column more: a figure, a host, an address."""
PATHS = st.from_regex(r"/[a-z/ .~\"\\-]{0,20}", fullmatch=True)
ADDRESSES = st.ip_addresses().map(str)
REQUESTS = st.fixed_dictionaries(
    {
        "address": ADDRESSES,
        "user": st.none() | USERS,
        "method": st.sampled_from(["GET", "POST", "PROPFIND", "M-SEARCH"]),
        "path": PATHS,
        "protocol": st.sampled_from(["HTTP/1.0", "HTTP/1.1", "HTTP/2.0"]),
        "status": st.just(0) | st.integers(100, 999),
        "bytes": st.none() | st.integers(0, 10**12),
        "agent": st.none() | PRESENT,
    }
)
COMBINED = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "-" "$http_user_agent"'
ESCAPES = {"nginx": as_nginx, "apache": as_apache}


def line(text):
    """A line in the plainest envelope."""
    return Envelope("plain", text)


def render(request, escape):
    """The request in the combined log format."""
    seen = {name: "-" if value is None else value for name, value in request.items()}
    return (
        f"{seen['address']} - {escape(seen['user'])} [01/May/2026:10:00:00 +0000] "
        f'"{escape("{method} {path} {protocol}".format(**seen))}" {seen["status"]:03d} {seen["bytes"]} "-" '
        f'"{escape(seen["agent"])}"'
    )


def told(parsed):
    """What of a request is in its event and fields."""
    http = parsed.event["http"]
    return {
        "address": http["client_ip"],
        "user": parsed.fields.get("remote_user"),
        "method": http["method"],
        "path": parsed.event["meta"]["uri"],
        "protocol": http["protocol"],
        "status": http["status_code"],
        "bytes": parsed.event.get("bytes_sent"),
        "agent": http.get("request_headers", {}).get("user-agent"),
    }


@given(REQUESTS, st.sampled_from(sorted(ESCAPES)))
def test_render_then_parse_is_identity_for_the_combined_format(request, server):
    """Whatever a client puts into path, user or agent, it can't become another field."""
    parsed = parser(server)(line(render(request, ESCAPES[server])))
    assert isinstance(parsed, Parsed)
    assert told(parsed) == request
    assert parsed.time == "01/May/2026:10:00:00 +0000"


@pytest.mark.parametrize("user", ["0 ", "ann 12.5", "- x", "shop.example ann", "::1 ann"])
@pytest.mark.parametrize("server", sorted(ESCAPES))
def test_a_user_of_words_that_could_be_columns_is_refused(user, server):
    """Which of them the server wrote can't be told."""
    request = {"address": "192.0.2.7", "user": user, "method": "GET", "path": "/", "protocol": "HTTP/1.1"}
    text = render({**request, "status": 200, "bytes": 1, "agent": None}, ESCAPES[server])
    assert parser(server)(line(text)).reason is Reason.MALFORMED


@given(REQUESTS)
def test_a_pattern_that_says_the_default_reads_the_same(request):
    """The two ways agree on everything but what the pattern leaves out."""
    text = render(request, as_nginx)
    plain, patterned = parser("nginx")(line(text)), parser("nginx", FormatSettings(pattern=COMBINED))(line(text))
    assert isinstance(plain, Parsed)
    assert isinstance(patterned, Parsed)
    assert told(plain) == told(patterned)


@given(REQUESTS)
def test_render_then_parse_is_identity_for_json(request):
    """As text, and as an object that a transport has taken apart."""
    members = {
        "address": "$remote_addr",
        "user": "$remote_user",
        "path": "$request_uri",
        "method": "$request_method",
        "protocol": "$server_protocol",
        "agent": "$http_user_agent",
    }
    body = ",".join(f'"{name}":"{variable}"' for name, variable in members.items())
    pattern = f'escape=json {{{body},"status":$status,"bytes":$bytes_sent}}'
    parse = parser("nginx", FormatSettings(pattern=pattern))
    seen = {name: "" if value is None else value for name, value in request.items()}
    text = "{" + ",".join(f'"{name}":"{as_json(seen[name])}"' for name in members)
    text += f',"status":{seen["status"]:03d},"bytes":{seen["bytes"]}}}'
    document = {**request, "host": "gw1"}
    for envelope in (line(text), Envelope("cee", "", document)):
        parsed = parse(envelope)
        assert isinstance(parsed, Parsed)
        assert told(parsed) == request


CLIENT: str = "192.0.2.7"
FORGED = st.lists(
    st.sampled_from(["", "-", "a", "6.6.6.6", "6.6.6.6,", "6.6.6.6 - -", "[6.6.6.6]", "x.example", "10", '"', "["]),
    min_size=1,
    max_size=6,
).map(" ".join)


@given(FORGED | st.none(), st.sampled_from(["", '"']), FORGED | st.none(), st.sampled_from(sorted(ESCAPES)))
def test_no_client_can_choose_the_address_that_the_server_has_seen(forwarded, quote, user, server):
    """Whatever stands in X-Forwarded-For, which comes first here, and in the user: the line is right, or refused."""
    escape = ESCAPES[server]
    first = f"{quote}{escape(forwarded)}{quote} " if forwarded is not None else ""
    who = f"{first}{CLIENT} - {escape('-' if user is None else user)}"
    found = parser(server)(line(f'{who} [01/May/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "x"'))
    if isinstance(found, Parsed):
        assert compile_client_ip(1)(found.event["http"]["client_ip"]) == CLIENT
        blanks_taken_out = " ".join((user or "").split())
        assert found.fields.get("remote_user") in (None, user, blanks_taken_out)
    else:
        assert (found.stage, found.reason) == (Stage.PARSE, Reason.MALFORMED)


@given(st.sampled_from(["nginx", "apache"]), st.text(max_size=80))
def test_no_text_makes_parsing_raise(server, text):
    """Any text ends as one of the three."""
    for pattern in ("", COMBINED if server == "nginx" else '%h %l %u %t "%r" %>s %{%F %T}t'):
        assert isinstance(parser(server, FormatSettings(pattern=pattern))(line(text)), Parsed | Ignored | Rejected)


def test_a_cut_line_of_a_user_who_is_a_blank_is_told_as_cut():
    """Also where blanks that are too many are taken out to read it."""
    parsed = parser("apache")(line('1.1.1.1 -   [01/May/2026:10:00:00 +0000] "GET /a'))
    assert (parsed.stage, parsed.reason) == (Stage.PARSE, Reason.TRUNCATED)


@given(REQUESTS, st.sampled_from(sorted(ESCAPES)), st.data())
def test_a_cut_line_is_told_as_cut(request, server, data):
    """Wherever a transport cuts a line behind its time, no other request comes of it."""
    text = render(request, ESCAPES[server])
    cut = text[: data.draw(st.integers(text.rindex("+0000] ") + 8, len(text) - 1))]
    parsed = parser(server)(line(cut))
    if isinstance(parsed, Parsed):  # cut where the common format ends, or in a figure
        assert told(parsed)["path"] == request["path"]
    else:
        assert (parsed.stage, parsed.reason) == (Stage.PARSE, Reason.TRUNCATED)


@given(st.text(max_size=60), st.sampled_from(["nginx", "apache"]))
def test_the_signature_never_misses_a_line_that_is_read(text, server):
    """It may be true of lines that are none."""
    signature = FORMATS[server].signature
    for each in (text, f'h - "" [01/May/2026:10:00:00 +0000] "{text}" 200 5', f"{text} {COMBINED}"):
        assert signature(line(each)) or not isinstance(parser(server)(line(each)), Parsed)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("GET / HTTP/1.1", ("GET", "/", "HTTP/1.1")),
        ("GET /a b HTTP/1.1", ("GET", "/a b", "HTTP/1.1")),
        ("GET  HTTP/1.1", ("GET", None, "HTTP/1.1")),
        ("GET /a", ("GET", "/a", None)),
        ("GET /a HTTP/11", ("GET", "/a HTTP/11", None)),
        ("GET a", (None, None, None)),
        ("GET", (None, None, None)),
        ("", (None, None, None)),
        ("\x16\x03\x01 / HTTP/1.1", (None, None, None)),
    ],
)
def test_a_request_line_is_split_from_both_ends(text, parts):
    """A path may hold spaces; what is no request line has no parts."""
    assert split_request(text) == parts


@pytest.mark.parametrize(
    ("text", "ms"), [("0.012", 12), ("1", 1000), ("1.5", 1500), ("-", None), ("", None), ("1.x", None), ("²", None)]
)
def test_seconds_become_milliseconds(text, ms):
    """Servers write three decimals or none."""
    assert millis_of(text) == ms


def test_figures_are_bounded():
    """A figure that no 64-bit float holds exactly is none."""
    assert count_of("9" * 15) == 10**15 - 1
    assert count_of("9" * 16) is None


@pytest.mark.parametrize(
    ("server", "pattern", "words"),
    [
        ("nginx", "$remote_addr$remote_user", "at character 13: nothing stands between $remote_addr and $remote_user"),
        ("nginx", "$http_a $http_b", "at character 9"),
        ("nginx", "no variable", "no variable"),
        ("nginx", "cost: $ 5 $status", 'at character 7: "$"'),
        ("nginx", "log_format x '$status'; server {", "no argument of log_format"),
        ("apache", "%h%u", "at character 3: nothing stands between %h and %u"),
        ("apache", "%h %Z", "at character 4: '%Z'"),
        ("apache", "%h %", "at character 4: '%'"),
        ("apache", "%h %{weeks}T", "at character 4"),
        ("apache", "%h %{%c}t", "%c in a time"),
        ("apache", "%h %{%Y %Y}t", "%Y is there twice"),
        ("apache", '%h %t "%{A}i" %{B}i %{C}i', "at character 21"),
    ],
)
def test_a_pattern_that_cannot_be_read_back_says_where(server, pattern, words):
    """Found when topics.yaml is read, not when a line is."""
    with pytest.raises(FormatSettingsError) as raised:
        parser(server, FormatSettings(pattern=pattern))
    assert raised.value.option == "pattern"
    assert words in raised.value.detail


@pytest.mark.parametrize(
    "pattern",
    [
        '$remote_addr "$request" $status',
        "escape=default '$remote_addr \"$request\" $status'",
        "log_format a '$remote_addr '\n  '\"$request\" '\n  '$status';",
        'log_format a escape=json "$remote_addr \\"$request\\" ${status}";',
        'escape=json $remote_addr "$request" $status',
    ],
)
def test_nginx_patterns_may_be_pasted_as_they_are(pattern):
    """The format, with its escaping before it, or the whole directive."""
    parsed = parser("nginx", FormatSettings(pattern=pattern))(line('192.0.2.7 "GET / HTTP/1.1" 200'))
    assert parsed.event["http"]["status_code"] == 200


@pytest.mark.parametrize(
    "pattern",
    ['%h "%r" %>s', r"%h \"%r\" %>s", r'LogFormat "%h \"%r\" %>s" short', r"""CustomLog logs/a.log '%h "%r" %>s'"""],
)
def test_apache_patterns_may_be_pasted_as_they_are(pattern):
    """The format, escaped or not, or the whole directive."""
    parsed = parser("apache", FormatSettings(pattern=pattern))(line('192.0.2.7 "GET / HTTP/1.1" 200'))
    assert parsed.event["http"]["status_code"] == 200


INGRESS = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" '
    "$request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr "
    "$upstream_response_length $upstream_response_time $upstream_status $req_id"
)


def test_the_format_of_the_ingress_controller_is_read():
    """Brackets tell where the names of its objects end, as these hold none; two tries, or none."""
    parse = parser("nginx", FormatSettings(pattern=INGRESS))
    begin = '192.0.2.7 - - [01/May/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl" 80 0.012'
    tried = parse(line(f"{begin} [shop-web-80] [] 10.0.0.1:80, 10.0.0.2:80 0, 5 0.001, 0.010 502, 200 6f1c9a70"))
    alone = parse(line(f"{begin} [] [] - - - - 6f1c9a70"))

    assert (tried.event["total_time_ms"], tried.event["backend_time_ms"]) == (12, 11)
    assert tried.fields["proxy_upstream_name"] == "shop-web-80"
    assert alone.event["meta"]["request_id"] == "6f1c9a70"
    assert "backend_time_ms" not in alone.event


@pytest.mark.parametrize("path", ["/a", "/a|b", "/a|200|0.001"])
def test_columns_between_bars_are_told_apart(path):
    """Neither an address nor a method holds a bar, and the status is searched from the end of the URI on."""
    parse = parser("nginx", FormatSettings(pattern="$remote_addr|$request_method|$request_uri|$status|$request_time"))
    parsed = parse(line(f"2001:db8::1|GET|{path}|404|0.250"))
    assert parsed.event["meta"]["uri"] == path
    assert (parsed.event["http"]["status_code"], parsed.event["total_time_ms"]) == (404, 250)


@pytest.mark.parametrize("server", sorted(ESCAPES))
def test_a_client_cannot_break_its_line_by_the_way_that_rsyslog_writes_a_newline(server):
    """Servers never write one, so `#012` is the client's own text, and is put back where the envelope undid it."""
    written = '192.0.2.7 - - [01/May/2026:10:00:00 +0000] "GET /a#012b HTTP/1.1" 200 5 "-" "x#012y"'
    envelope = ENVELOPES["rsyslog"].decode(orjson.dumps({"message": written, "program": server}))
    parsed = parser(server)(envelope)
    assert isinstance(parsed, Parsed)
    assert parsed.event["http"]["request_headers"]["user-agent"] == "x#012y"
    assert parsed.event["meta"]["uri"] == "/a#012b"


NGINX_SECRETS = ["$http_authorization", "$cookie_sid", "$http_x_api_key", "$arg_access_token", "$args", "$request_body"]
APACHE_SECRETS = ["%{Authorization}i", "%{Cookie}i", "%{sid}C", "%{X-Api-Key}i", "%{Set-Cookie}o", "%q"]


@pytest.mark.parametrize(
    ("server", "variable"),
    [("nginx", name) for name in NGINX_SECRETS] + [("apache", name) for name in APACHE_SECRETS],
)
def test_secrets_are_left_out_even_if_the_pattern_has_them(server, variable):
    """Neither the event nor the fields for client-id sources hold what a client proves itself with."""
    request = '"$request" $status' if server == "nginx" else '"%r" %>s'
    parse = parser(server, FormatSettings(pattern=f'{request} "{variable}"'))
    parsed = parse(line('"GET /core HTTP/1.1" 200 "hunter2"'))
    assert isinstance(parsed, Parsed)
    assert "hunter2" not in repr(parsed)
