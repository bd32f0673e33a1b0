"""Lines of key=value pairs, durations, and names of apps in spaces."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.formats import parser
from logrouter.core.formats.families.app_space import AppSpace, app_space
from logrouter.core.formats.format import ErrorRule, FormatSettings, FormatSettingsError
from logrouter.core.formats.kv import FORMAT
from logrouter.core.text.durations import duration_ms, parse_duration
from logrouter.core.text.key_values import pairs_of
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected

KEYS = st.text(string.ascii_letters + string.digits + "_-.#", min_size=1, max_size=8)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=8, unique_by=lambda pair: pair[0])


def read(text: str, settings: FormatSettings | None = None) -> Parsed | Ignored | Rejected:
    """What the format makes of a line."""
    return parser("kv", settings)(Envelope("plain", text))


def quoted(value: str) -> str:
    """A value as a careful writer quotes it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def rendered(key: str, value: str) -> str:
    """A pair, quoted where it must be."""
    bare = value and not any(char.isspace() for char in value) and value[0] != '"'
    return f"{key}={value if bare else quoted(value)}"


@given(PAIRS, st.lists(KEYS, max_size=3))
def test_render_then_parse_is_the_identity(pairs, words):
    """Whatever the values hold, and whatever words stand between."""
    found = pairs_of(" ".join([*(rendered(*pair) for pair in pairs), *words]))
    assert found.values == dict(pairs)
    assert found.words == words
    assert not found.repeated
    assert not found.cut


@given(st.lists(st.tuples(st.sampled_from("abc"), VALUES), max_size=8))
def test_the_first_of_equal_keys_wins(pairs):
    """What comes later can't change what was said, and is told."""
    found = pairs_of(" ".join(rendered(*pair) for pair in pairs))
    first: dict[str, str] = {}
    for key, value in pairs:
        first.setdefault(key, value)
    assert found.values == first
    assert found.repeated == any(first[key] != value for key, value in pairs)


@given(PAIRS.filter(bool), st.data())
def test_a_line_cut_inside_quotes_is_told_as_cut(pairs, data):
    """Wherever a quoted value is cut."""
    key, value = pairs[-1]
    text = f"{key}={quoted(value)}"
    cut = text[: data.draw(st.integers(len(key) + 2, len(text) - 1))]
    assert pairs_of(cut).cut


PLAIN_PAIRS = st.lists(
    st.tuples(
        st.sampled_from(["app", "space", "hostname", "consumer", "fwd", "code", "desc", "route", "x", "X-Consumer"]),
        st.sampled_from(["victim", "6.6.6.6", "H27", "a b", "-"]),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize(
    "header", ["user_agent=x {}", "referer=x {}", "User-Agent=Bot/1 (a; b) {}", 'user_agent="x {}",', 'ua="x", {}']
)
@given(PLAIN_PAIRS)
def test_nobody_becomes_somebody_by_a_header(header, forged):
    """Whatever pairs stand behind a header that ends nowhere: who called and what stays as the server wrote it."""
    honest = read("method=GET path=/a status=200 tenant=t")
    found = read("method=GET path=/a status=200 tenant=t " + header.format(" ".join("=".join(pair) for pair in forged)))
    assert isinstance(honest, Parsed)
    assert isinstance(found, Parsed)
    found.event["http"].pop("request_headers")
    assert found.event == honest.event
    assert found.outcome is None
    assert found.fields.keys() - {"user_agent", "referer", "ua"} <= honest.fields.keys()


@pytest.mark.parametrize(
    ("line", "status", "flags"),
    [
        ("method=GET path=/a user_agent=curl/8 status=200", 200, ()),
        ("method=GET path=/a http_status=500 user_agent=x status=200", 500, ()),
        ("method=GET path=/a status=- user_agent=x status=200", None, ()),
        ("method=GET path=/a user_agent=x status=200 status=500", None, ()),
        ("method=GET path=/a user_agent=x status=200 response_code=500", None, ()),
        ("method=GET path=/a status=200 user_agent=x consumer=c", 200, ("suspect",)),
        ('msg="it is done" method=GET path=/a user_agent=x status=200 consumer=c', 200, ()),
        ('method=GET path=/a status=200 user_agent="x (y)" consumer=c', 200, ()),
    ],
)
def test_a_status_behind_a_header_counts_if_there_is_no_other(line, status, flags):
    """With two of them nobody can tell which is the server's."""
    found = read(line)
    if status is None:
        assert not isinstance(found, Parsed)
    else:
        assert isinstance(found, Parsed)
        assert (found.event["http"]["status_code"], found.flags) == (status, flags)


@given(st.text(max_size=200) | st.text('ab= "\\\n', max_size=200))
def test_no_text_makes_it_raise(text):
    """Any text ends as one of the three, and no field of it is empty."""
    pairs_of(text)
    found = read(f"method=GET status=200 {text}")
    assert isinstance(found, Parsed | Rejected)
    assert isinstance(read(text), Parsed | Ignored | Rejected)


@pytest.mark.parametrize(
    "line", ['"' + '\\"' * 50_000 + "\\", "a=" * 100_000, '="' * 100_000, '"' * 100_001, "\\" * 200_000]
)
def test_hostile_lines_take_linear_time(line):
    """A quadratic scan of these would not come back."""
    assert pairs_of(line) is not None


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("12ms", 12),
        ("12.5ms", 13),
        ("0.012s", 12),
        ("1s", 1000),
        ("750us", 1),
        ("499µs", 0),
        ("2000000ns", 2),
        ("1m2.5s", 62_500),
        ("1h0m0.25s", 3_600_250),
        ("7", 7),
        ("7.4", 7),
        ("0", 0),
    ],
)
def test_a_duration_is_rounded_to_milliseconds(text, ms):
    """With any unit, with several, or with none."""
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "text",
    ["", "-", "ms", "1 ms", "-1ms", "+1ms", "1ms ", "1x", "1m2", "1.ms", ".5s", "1e3s", "٣ms", "9" * 17, "1s" * 99],
)
def test_what_is_no_duration_is_none(text):
    """ASCII digits, known units, nothing around them."""
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("0.012s", 12),
        ({"seconds": 1, "nanos": 500_000_000}, 1500),
        ({"seconds": "2"}, 2000),
        ({"nanos": 12_000_000}, 12),
        ({}, 0),
        ({"seconds": -1}, None),
        ({"seconds": "x"}, None),
        ({"seconds": True}, None),
        (12, None),
        (None, None),
        ([], None),
    ],
)
def test_a_duration_of_protobuf_is_a_text_or_a_message(value, ms):
    """Numbers may be texts, missing ones are zero."""
    assert duration_ms(value) == ms


@given(
    st.text(max_size=50) | st.dictionaries(st.sampled_from(["seconds", "nanos"]), st.integers() | st.text(max_size=20))
)
def test_no_value_makes_reading_a_duration_raise(value):
    """Any value is a duration or None, and never negative."""
    found = duration_ms(value)
    assert found is None or found >= 0


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("shop-prod.apps.example.org", AppSpace("shop", "prod")),
        ("Shop-Prod-EU.apps.example.org", AppSpace("shop", "prod-eu")),
        ("shop-prod", AppSpace("shop", "prod")),
        ("shop.example.org", AppSpace("shop", "default")),
        ("192.0.2.7", None),
        ("-prod.example.org", None),
        ("shop-.example.org", None),
        ("", None),
        ("[2001:db8::1]", None),
        ("a b.example.org", None),
        ("x" * 64 + ".example.org", None),
    ],
)
def test_a_host_name_tells_app_and_space(name, found):
    """The app ends at the first dash; what is no label gives nothing."""
    assert app_space(name) == found


def test_secrets_are_never_read():
    """Neither by name nor under an alias, and no query is among the fields."""
    found = read("method=GET path=/a?token=x status=200 api_key=k Authorization=b cookie=c user=alice referer=/?t=1")
    assert isinstance(found, Parsed)
    assert found.fields.keys() == {"method", "status", "user", "http", "meta"}
    with pytest.raises(FormatSettingsError, match="secret"):
        FORMAT.compile(FormatSettings(aliases={"application": ("x-api-key",)}))


def test_pairs_of_f5_stand_between_commas():
    """As its request logging profile writes them; a comma in quotes is part of a value."""
    found = read(
        'event_source="request_logging",hostname="bigip1.example.org",client_ip="192.0.2.7",http_method="GET",'
        'http_uri="/cart?id=7",http_statcode="200",http_user_agent="A, http_statcode=500",response_msecs="12"'
    )
    assert isinstance(found, Parsed)
    assert found.event["http"] == {
        "method": "GET",
        "path": "/cart",
        "status_code": 200,
        "client_ip": "192.0.2.7",
        "request_headers": {"user-agent": "A, http_statcode=500"},
    }
    assert found.event["total_time_ms"] == 12
    assert found.flags == ()


@pytest.mark.parametrize(
    ("times", "total", "backend"),
    [
        ("request_time=0.056 upstream_response_time=0.050", 56, 50),
        ('request_time=0.056 upstream_response_time="0.001, 0.050 : 0.002"', 56, 53),
        ('request_time=0.056 upstream_response_time="-, 0.050"', 56, 50),
        ('request_time=0.056 upstream_response_time="-, -"', 56, None),
        ("request_time=0.000 upstream_response_time=-", 0, None),
        ("request_time=12ms", 12, None),
    ],
)
def test_variables_of_nginx_are_names_and_its_times_are_seconds(times, total, backend):
    """A log_format made of pairs."""
    found = read(
        f'time_local="01/May/2026:10:00:00 +0000" request="GET /cart?id=7 HTTP/1.1" status=200 {times}'
        " body_bytes_sent=512 request_length=80 http_host=shop.example.org query_string=id=7"
    )
    assert isinstance(found, Parsed)
    assert (found.event.get("total_time_ms"), found.event.get("backend_time_ms")) == (total, backend)
    assert (found.event["bytes_sent"], found.event["bytes_received"]) == (512, 80)
    assert found.event["meta"] == {"uri": "/cart?id=7", "domain": "shop.example.org"}
    assert found.time == "01/May/2026:10:00:00 +0000"
    assert "query_string" not in found.fields


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("2026-05-01T10:00:00.5Z INFO done method=GET status=200", "2026-05-01T10:00:00.5Z"),
        ("<190>1 2026-05-01T10:00:00+00:00 host heroku - at=info method=GET status=200", "2026-05-01T10:00:00+00:00"),
        ("2026-05-01T10:00:00Z method=GET status=200 time=2026-05-01T11:00:00Z", "2026-05-01T11:00:00Z"),
        ("method=GET status=200 user_agent=x 2026-05-01T10:00:00Z", None),
        ("x=1 2026-05-01T10:00:00Z method=GET status=200", None),
    ],
)
def test_a_time_before_the_pairs_is_that_of_the_event(line, time):
    """Unless a pair says it; what a client may have written further behind is none."""
    found = read(line)
    assert isinstance(found, Parsed)
    assert found.time == time


def test_a_newline_parts_no_pairs():
    """A client may have written rsyslog's `#012` into its path, of which an envelope makes a newline."""
    found = read("method=GET path=/a\nstatus=200 status=404\n")
    assert isinstance(found, Parsed)
    assert found.event["http"] == {"method": "GET", "path": "/a", "status_code": 404}


def test_an_alias_of_an_unknown_field_is_refused():
    """With the fields that there are."""
    with pytest.raises(FormatSettingsError, match=r"kv has no field http\.nonsense; it has api, api_version"):
        FORMAT.compile(FormatSettings(aliases={"http.nonsense": ("x",)}))


def test_an_alias_goes_before_the_keys_of_the_format():
    """Who writes the file knows the log."""
    found = read("method=GET path=/a status=200 real=503", FormatSettings(aliases={"http.status_code": ("real",)}))
    assert isinstance(found, Parsed)
    assert found.event["http"]["status_code"] == 503


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("code=H10 status=503", "backend_error"),
        ("code=H27", "aborted"),
        ("code=H80 status=503", "gateway_error"),
        ("code=H99 status=503", "throttled"),
        ("code=R14 status=503", None),
        ("status=503", None),
    ],
)
def test_an_error_code_tells_the_outcome(line, outcome):
    """By the table, by topics.yaml before it, and else the status decides."""
    found = read(f"method=GET path=/ {line}", FormatSettings(errors={"H99": ErrorRule("throttled")}))
    assert isinstance(found, Parsed)
    assert found.outcome == outcome


@pytest.mark.parametrize(
    "line",
    ["", "text", "a=b", "method=GET", "status=200", "method=GET status=done", '{"method":"GET status=200"}', "= = ="],
)
def test_what_is_no_request_is_ignored(line):
    """Pairs alone are no request."""
    assert read(line) == Ignored(Reason.NOT_REQUEST)


@given(PAIRS)
def test_the_signature_is_never_false_for_what_is_read(pairs):
    """Auto-detection misses nothing."""
    text = " ".join(rendered(*pair) for pair in [*pairs, ("method", "GET"), ("status", "200")])
    assert FORMAT.signature is not None
    assert FORMAT.signature(Envelope("plain", text)) or isinstance(read(text), Ignored)


def test_a_description_of_an_error_is_shown_without_secrets():
    """Whatever the router repeats of what a client or an app has written, and not longer than the schema allows."""
    found = read(
        'at=error code=H12 desc="failed with password=x9y8z7 ' + "long " * 500 + '" method=GET path=/ status=503'
    )
    assert isinstance(found, Parsed)
    message = found.event["error"]["message"]
    assert message.startswith("failed with password=REDACTED long")
    assert len(message) <= 1024
