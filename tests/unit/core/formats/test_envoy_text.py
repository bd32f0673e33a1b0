"""Envoy's text formats: the defaults and patterns both ways, and what quotes in headers can't do."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.formats import FORMATS, parser
from logrouter.core.formats.envoy_text import DEFAULTS, without_port
from logrouter.core.formats.families.response_flags import FLAGS, flags_of, long_flags_of
from logrouter.core.formats.format import FormatSettings, FormatSettingsError
from logrouter.core.text.timestamps import epoch_ms
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected

VALUES = {
    "START_TIME": "2026-05-01T10:00:00.123Z",
    "REQ(:METHOD)": "GET",
    "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)": "/cart?x=1",
    "PROTOCOL": "HTTP/1.1",
    "RESPONSE_CODE": "200",
    "RESPONSE_FLAGS": "-",
    "RESPONSE_CODE_DETAILS": "via_upstream",
    "CONNECTION_TERMINATION_DETAILS": "-",
    "UPSTREAM_TRANSPORT_FAILURE_REASON": "-",
    "DYNAMIC_METADATA(istio.mixer:status)": "-",
    "BYTES_RECEIVED": "17",
    "BYTES_SENT": "512",
    "DURATION": "12",
    "RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)": "11",
    "REQ(X-FORWARDED-FOR)": "192.0.2.7",
    "REQ(USER-AGENT)": "curl/8",
    "REQ(X-REQUEST-ID)": "6f1c",
    "REQ(:AUTHORITY)": "shop.example.org",
    "UPSTREAM_HOST": "10.0.0.5:8080",
    "UPSTREAM_CLUSTER": "outbound|80||shop.prod.svc.cluster.local",
    "UPSTREAM_LOCAL_ADDRESS": "10.0.0.9:51032",
    "DOWNSTREAM_LOCAL_ADDRESS": "10.0.0.9:80",
    "DOWNSTREAM_REMOTE_ADDRESS": "198.51.100.7:40112",
    "REQUESTED_SERVER_NAME": "-",
    "ROUTE_NAME": "default",
}
# What a client can send in a header: no control character, and no blank at an end.
SENT = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_characters="\x7f") | st.sampled_from('" -[]:,'),
    min_size=1,
    max_size=40,
).map(lambda text: text.strip() or "x")
PLAIN = SENT.map(lambda text: text.replace('"', "'"))
PATHS = st.text("abc/?=%&;:.-[]\\", max_size=30).map("/{}".format)


def rendered(pattern: str, **values: str) -> str:
    """A line of a format as Envoy writes it."""
    for name, value in {**VALUES, **values}.items():
        pattern = pattern.replace(f"%{name}%", value)
    return pattern


def read(text: str, pattern: str = "") -> Parsed | Ignored | Rejected:
    """What a line is read as."""
    return parser("envoy_text", FormatSettings(pattern=pattern))(Envelope("plain", text))


@given(
    st.sampled_from(DEFAULTS),
    st.booleans(),
    PATHS,
    PLAIN,
    st.integers(100, 999),
    st.sampled_from(["-", *(flag.short for flag in FLAGS)]),
)
def test_render_then_parse_is_the_identity(pattern, given_pattern, path, agent, status, flag):
    """Every default, with its pattern and without; any path and agent without quotes."""
    line = rendered(
        pattern,
        **{
            "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)": path,
            "REQ(USER-AGENT)": agent,
            "RESPONSE_CODE": str(status),
            "RESPONSE_FLAGS": flag,
        },
    )
    found = read(line, pattern if given_pattern else "")

    assert isinstance(found, Parsed)
    assert found.flags == ()
    assert found.time == VALUES["START_TIME"]
    http, meta = found.event["http"], found.event["meta"]
    assert (http["method"], http["protocol"], http["status_code"]) == ("GET", "HTTP/1.1", status)
    assert meta == {"uri": path, "domain": "shop.example.org", "request_id": "6f1c"}
    assert http.get("request_headers", {}).get("user-agent", "-") == agent
    assert http["client_ip"] == "192.0.2.7"
    figures = [found.event[name] for name in ("total_time_ms", "backend_time_ms", "bytes_sent", "bytes_received")]
    assert figures == [12, 11, 512, 17]
    assert [each.short for each in flags_of(flag)] == ([] if flag == "-" else [flag])
    assert found.fields.get("response_flags", "-") == flag


@given(st.sampled_from(DEFAULTS), st.booleans(), PATHS | SENT.map("/{}".format), SENT, SENT)
def test_no_header_and_no_path_changes_what_envoy_knows(pattern, given_pattern, path, agent, forwarded):
    """Whatever they hold, quotes and all: the line is right, or says that it is doubtful, or is rejected."""
    line = rendered(
        pattern,
        **{
            "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)": path,
            "REQ(USER-AGENT)": agent,
            "REQ(X-FORWARDED-FOR)": forwarded,
            "RESPONSE_CODE": "404",
            "RESPONSE_FLAGS": "NR",
        },
    )
    found = read(line, pattern if given_pattern else "")

    if isinstance(found, Rejected):
        assert found.reason in (Reason.MALFORMED, Reason.TRUNCATED)
        assert '"' in path or " " in path
        return
    assert isinstance(found, Parsed)
    assert found.event["http"]["status_code"] == 404
    assert found.event["error"]["code"] == "NR"
    assert found.outcome == "not_found"
    assert found.event["bytes_sent"] == 512
    assert found.event["meta"].get("domain", "shop.example.org") == "shop.example.org"
    assert found.fields["upstream_host"] == VALUES["UPSTREAM_HOST"]
    assert found.fields.get("app", "shop") == "shop"
    assert ("suspect" in found.flags) == (" " in path or any('"' in text for text in (path, agent, forwarded)))


@given(st.sampled_from(DEFAULTS), st.data())
def test_a_cut_line_is_told_as_cut(pattern, data):
    """Behind the time, wherever it is cut: no other request comes of it."""
    line = rendered(pattern)
    cut = line[: data.draw(st.integers(line.index('"') + 1, len(line) - 1))]
    found = read(cut)

    if isinstance(found, Parsed):  # cut where a shorter format ends, or in a value at the end
        assert found.event["http"]["status_code"] == 200
        assert found.event["meta"]["uri"] == "/cart?x=1"
    else:
        assert isinstance(found, Rejected)
        assert found.reason is Reason.TRUNCATED


@given(st.text(max_size=200), st.text('%START_TIMEQ():?AZ abc"[]\\n', max_size=60))
def test_no_text_and_no_pattern_make_it_raise(text, pattern):
    """Any pattern is read or refused in a sentence; any line ends as one of the three."""
    for line in (text, f'[2026-05-01T10:00:00.123Z] "{text}', rendered(DEFAULTS[0], ROUTE_NAME=text)):
        assert isinstance(read(line), Parsed | Ignored | Rejected)
        signature = FORMATS["envoy_text"].signature
        assert signature is not None
        assert signature(Envelope("plain", line)) or not isinstance(read(line), Parsed)
    with contextlib.suppress(FormatSettingsError):
        assert isinstance(read(text, pattern), Parsed | Ignored | Rejected)


@pytest.mark.parametrize("unit", ['"', '" "', " ", "a ", "\\", "- ", '" - "', "1 "])
@pytest.mark.parametrize("pattern", ["", DEFAULTS[0]])
def test_hostile_lines_take_linear_time(unit, pattern):
    """A quadratic scan of these would not come back."""
    for start in ('[2026-05-01T10:00:00.123Z] "GET /', rendered(DEFAULTS[0]).rpartition("curl")[0]):
        assert read(start + unit * 100_000, pattern) is not None


@pytest.mark.parametrize(
    ("clock", "text", "ms"),
    [
        ("%Y-%m-%dT%H:%M:%S.%3fZ", "2026-05-01T10:00:00.123Z", "2026-05-01T10:00:00.123Z"),
        ("%Y/%m/%d %H:%M:%S.%f %z", "2026/05/01 12:00:00.123456789 +0200", "2026-05-01T10:00:00.123Z"),
        ("%d/%b/%Y:%T %z", "01/May/2026:10:00:00 +0000", "2026-05-01T10:00:00Z"),
        ("%s.%6f", "1777629600.123456", "2026-05-01T10:00:00.123Z"),
        ("%s", "1777629600", "2026-05-01T10:00:00Z"),
    ],
)
def test_a_time_by_strftime_is_put_together(clock, text, ms):
    """With Envoy's fractions, which strftime does not have."""
    found = read(f"{text} GET /a 200", f"%START_TIME({clock})% %REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE%")
    assert isinstance(found, Parsed)
    assert epoch_ms(found.time or "") == epoch_ms(ms)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("%REQ(:METHOD)", "begins no operator"),
        ("100% sure", "begins no operator"),
        ("nothing", "no variable"),
        ("%REQ(USER-AGENT)% %REQ(REFERER)%", "can't be told"),
        ("%REQ(:METHOD)%%PROTOCOL%", "nothing stands between"),
        ("%START_TIME(%Q)%", "%Q in a time"),
        ("%START_TIME(%f%f)%", "redefinition"),
        ("%START_TIME(%Y.%3f%Y)% %PROTOCOL%", "redefinition"),
    ],
)
def test_a_pattern_that_can_t_be_read_back_is_an_error_with_its_place(pattern, said):
    """The sentence names what is wrong, and where."""
    with pytest.raises(FormatSettingsError, match=said):
        parser("envoy_text", FormatSettings(pattern=pattern))


@pytest.mark.parametrize(
    "operator",
    [
        "REQ(AUTHORIZATION)",
        "REQ(COOKIE)",
        "REQ(X-API-KEY?X-TOKEN)",
        "REQUEST_HEADER(authorization)",
        "RESP(SET-COOKIE)",
        "RESP(LOCATION)",
        "QUERY_PARAM(access_token)",
        "QUERY_PARAMS",
        "DYNAMIC_METADATA(jwt:token)",
        "FILTER_STATE(api_key)",
        "DOWNSTREAM_PEER_CERT",
        "LOCAL_REPLY_BODY",
        "COOKIE(session)",
    ],
)
def test_secrets_are_read_by_no_name(operator):
    """Neither in the event nor among the fields for sources."""
    found = read('GET /a 200 "s3cret"', f'%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% "%{operator}%"')
    assert isinstance(found, Parsed)
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("operator", "field", "value"),
    [
        (
            "DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)",
            "dynamic_metadata_payload_sub",
            "u-7",
        ),
        ("METADATA(CLUSTER:istio:workload)", "metadata_workload", "front"),
        ("FILTER_STATE(wasm.tier:PLAIN)", "filter_state_wasm_tier_plain", "gold"),
        ("DOWNSTREAM_PEER_URI_SAN", "source_principal", "spiffe://cluster.local/ns/web/sa/front"),
        ("DOWNSTREAM_PEER_SUBJECT", "peer_subject", "CN=client 7,O=Example"),
        ("REQUESTED_SERVER_NAME", "requested_server_name", "shop.example.org"),
        ("RESP(GRPC-STATUS)", "resp_grpc_status", "14"),
        ("VIRTUAL_CLUSTER_NAME", "virtual_cluster_name", "other"),
    ],
)
def test_other_operators_are_fields(operator, field, value):
    """For sources of client ids and APIs."""
    found = read(f"GET /a 200 {value}", f"%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %{operator}%")
    assert isinstance(found, Parsed)
    assert found.fields[field] == value


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7:40112", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.7"),
        ("[2001:db8::7]:40112", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("unix:@/tmp/x", "unix:@/tmp/x"),
    ],
)
def test_an_address_has_no_port(text, address):
    """However Envoy writes it."""
    assert without_port(text) == address


def test_long_names_of_flags_are_known():
    """Those that Envoy spells differently in text, too; unknown ones are left out."""
    text = "UpstreamConnectionFailure,UnauthorizedExternalService,DnsResolutionFailed,OverloadManagerTerminated,Other"
    assert [flag.short for flag in long_flags_of(text)] == ["UF", "DF", "UAEX", "OM"]
