"""Formats that are in use, pasted as their owners have them, and lines that they have written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats import parser
from logrouter.core.formats.format import FormatSettings
from logrouter.model import Envelope, Parsed, Reason

CLIENT = "[Client 192.0.2.7]"
GET = '"GET /a b HTTP/1.1" 200'
TIME = "01/May/2026:10:00:00 +0000"
NPM_PROXY = """log_format proxy '[$time_local] $upstream_cache_status $upstream_status $status - $request_method \
$scheme $host "$request_uri" [Client $remote_addr] [Length $body_bytes_sent] [Gzip $gzip_ratio] [Sent-to $server] \
"$http_user_agent" "$http_referer"';"""
NPM_STANDARD = """log_format standard '[$time_local] $status - $request_method $scheme $host "$request_uri" \
[Client $remote_addr] [Length $body_bytes_sent] [Gzip $gzip_ratio] "$http_user_agent" "$http_referer"';"""
KONG = """log_format kong_log_format '$remote_addr - $remote_user [$time_local] '
    '"$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" '
    'kong_request_id: "$kong_request_id"';"""
UPSTREAM = (
    '[$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length '
    "$request_time [$proxy_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time "
    "$upstream_status"
)
APISIX = (
    '$remote_addr - $remote_user [$time_local] $http_host "$request" $status $body_bytes_sent $request_time '
    '"$http_referer" "$http_user_agent" $upstream_addr $upstream_status $upstream_response_time '
    '"$upstream_scheme://$upstream_host$upstream_uri"'
)
GITLAB = (
    '$remote_addr - $remote_user [$time_local] "$request_method $filtered_request_uri $server_protocol" $status '
    '$body_bytes_sent "$filtered_http_referer" "$http_user_agent" $gzip_ratio'
)
BY_SLASHES = (
    '$remote_addr [$time_local] "$request" $status $request_time/$upstream_response_time/$upstream_connect_time up'
)
BY_BLANKS = "$remote_addr - $remote_user [$time_local] $request_time $upstream_response_time $upstream_status "
BY_BLANKS += '"$request" $status'
TLS = '$remote_addr [$time_local] $ssl_protocol/$ssl_cipher "$request" $status'
JSON = """escape=json '{"time": "$time_iso8601", "rt": $request_time, "urt": $upstream_response_time, '
    '"us": $upstream_status, "request": "$request", "status": $status}'"""
MOD_SSL = '%t %h %{SSL_PROTOCOL}x %{SSL_CIPHER}x "%r" %>s %b'

LINES = {
    "npm": (
        NPM_PROXY,
        f'[{TIME}] - 200 200 - GET https a.example "/a b" {CLIENT} [Length 27] [Gzip 2.50] [Sent-to app] "x" "-"',
    ),
    "npm, two tries": (
        NPM_PROXY,
        f'[{TIME}] MISS 502, 200 200 - GET https a.example "/a b" {CLIENT} [Length 27] [Gzip -] [Sent-to b] "x" "-"',
    ),
    "npm, standard": (
        NPM_STANDARD,
        f'[{TIME}] 200 - GET https a.example "/a b" {CLIENT} [Length 27] [Gzip -] "x" "-"',
    ),
    "kong": (KONG, f'192.0.2.7 - - [{TIME}] {GET} 5 "-" "x" kong_request_id: "6f1c9a70"'),
    "apisix": (
        APISIX,
        f'192.0.2.7 - - [{TIME}] a.example {GET} 5 0.012 "-" "x" b:80, c:80 502, 200 0.002, 0.010 "http://b/c"',
    ),
    "gitlab": (GITLAB, f'192.0.2.7 - - [{TIME}] {GET} 5 "" "x" 2.50'),
    "ingress": (
        f"$the_real_ip - [$the_real_ip] - $remote_user {UPSTREAM} $req_id",
        f'192.0.2.7 - [192.0.2.7] - - [{TIME}] {GET} 5 "-" "x" 80 0.012 [a] b:80, c:80 0, 5 0.002, 0.010 502, 200 7d1f',
    ),
    "ingress, chain": (
        f"$remote_addr - [$proxy_add_x_forwarded_for] - $remote_user {UPSTREAM}",
        f'10.0.0.9 - [203.0.113.9, 192.0.2.7] - - [{TIME}] {GET} 5 "-" "x" 80 0.012 [ns-a-80] - - - -',
    ),
    "slashes": (BY_SLASHES, f"192.0.2.7 [{TIME}] {GET} 0.012/0.002, 0.010/0.000 up"),
    "blanks": (BY_BLANKS, f"192.0.2.7 - - [{TIME}] 0.012 0.002, 0.010 502, 200 {GET}"),
    "tls": (TLS, f"192.0.2.7 [{TIME}] TLSv1.3/TLS_AES_256_GCM_SHA384 {GET}"),
    "json": (
        JSON,
        (
            '{"time": "2026-05-01T10:00:00+00:00", "rt": 0.012, "urt": 0.002, 0.010, '
            '"us": 502, 200, "request": "GET /a b HTTP/1.1", "status": 200}'
        ),
    ),
    "json, absent": (
        JSON,
        (
            '{"time": "2026-05-01T10:00:00+00:00", "rt": 0.012, "urt": , "us": , '
            '"request": "GET /a b HTTP/1.1", "status": 200}'
        ),
    ),
}


@pytest.mark.parametrize("name", sorted(LINES))
def test_a_format_of_nginx_is_read_as_it_was_pasted(name):
    """Address, path and status, and the time that all tries took together."""
    pattern, text = LINES[name]
    parsed = parser("nginx", FormatSettings(pattern=pattern))(Envelope("plain", text))
    assert isinstance(parsed, Parsed)
    http = parsed.event["http"]
    assert (http["method"], http["path"], http["status_code"]) == ("GET", "/a b", 200)
    assert http.get("client_ip", "192.0.2.7").rpartition(", ")[2] == "192.0.2.7"
    assert parsed.event.get("total_time_ms", 12) == parsed.event.get("backend_time_ms", 12) == 12


def test_tls_words_of_apache_are_told_apart_by_a_slash():
    """Neither protocol nor cipher has one."""
    pattern = '%h %l %u %t %{SSL_PROTOCOL}x/%{SSL_CIPHER}x "%r" %>s'
    text = f"192.0.2.7 - - [{TIME}] TLSv1.3/TLS_AES_256_GCM_SHA384 {GET}"
    parsed = parser("apache", FormatSettings(pattern=pattern))(Envelope("plain", text))
    assert (parsed.fields["ssl_protocol"], parsed.fields["ssl_cipher"]) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")


def test_the_log_of_mod_ssl_is_read_as_it_was_pasted():
    """Protocol and cipher are words."""
    text = f'[{TIME}] 192.0.2.7 TLSv1.3 TLS_AES_256_GCM_SHA384 "GET /a HTTP/1.1" 200 5'
    parsed = parser("apache", FormatSettings(pattern=MOD_SSL))(Envelope("plain", text))
    assert parsed.fields["ssl_cipher"] == "TLS_AES_256_GCM_SHA384"
    assert parsed.event["http"]["client_ip"] == "192.0.2.7"


FORGED = st.lists(
    st.sampled_from([f"[{TIME}]", "0.012", "0.1,", "200", "502,", "-", "x", ", 1", "["]), min_size=1, max_size=7
)


@given(FORGED.map(" ".join))
def test_no_user_can_write_figures_of_the_server(user):
    """Behind the server's own time nothing is the client's, whatever the user looks like."""
    text = f'192.0.2.7 - {user} [{TIME}] 0.012 0.002, 0.010 502, 200 "GET /a HTTP/1.1" 200'
    parsed = parser("nginx", FormatSettings(pattern=BY_BLANKS))(Envelope("plain", text))
    assert isinstance(parsed, Parsed)
    assert parsed.fields.get("remote_user", "-") == user
    assert (parsed.event["total_time_ms"], parsed.event["backend_time_ms"]) == (12, 12)


@pytest.mark.parametrize("user", ["x, 192.0.2.7 - u", "6.6.6.6 - - x"])
def test_a_user_that_may_be_addresses_is_refused_where_these_come_first_without_quotes(user):
    """X-Forwarded-For may hold what looks like the columns up to the user, so such a line may be made up."""
    pattern = '$proxy_add_x_forwarded_for - $remote_user [$time_local] "$request" $status'
    found = parser("nginx", FormatSettings(pattern=pattern))(
        Envelope("plain", f'9.9.9.9 - {user} [{TIME}] "GET /a HTTP/1.1" 200')
    )
    assert found.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (
            '$remote_addr - $remote_user [$time_local] "$request" $status',
            f'192.0.2.7 - - [{TIME}] 0.003 "GET /a HTTP/1.1" 200',
        ),
        ('$remote_addr [$time_iso8601] "$request" $status', '192.0.2.7 [2026-05-01T10:00:00Z] x "GET /a HTTP/1.1" 200'),
        ('[$time_local] $status "$request"', f'[{TIME}] x "GET /a HTTP/1.1"'),
    ],
)
def test_a_line_that_begins_as_its_pattern_up_to_the_time_is_no_foreign_line(pattern, text):
    """The server's format has changed, and nobody has told the router: that is an error, and visible."""
    assert parser("nginx", FormatSettings(pattern=pattern))(Envelope("plain", text)).reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "text", ["192.0.2.7 - - [error] x", "192.0.2.7 - - []", "2026-05-01T10:00:00Z started", "[notice] x"]
)
def test_a_line_without_the_time_is_none(text):
    """An error log has addresses and brackets, too."""
    pattern = '$remote_addr - $remote_user [$time_local] "$request" $status'
    assert parser("nginx", FormatSettings(pattern=pattern))(Envelope("plain", text)).reason is Reason.NOT_REQUEST


def test_a_pattern_that_has_the_header_of_syslog_in_it_is_still_read():
    """The envelope takes the header off; a pattern from before it did still fits the whole."""
    pattern = '%{%b %d %H:%M:%S}t web1 httpd: %h "%r" %>s'
    envelope = ENVELOPES["plain"].decode(b'Nov 10 12:11:55 web1 httpd: 192.0.2.7 "GET /a HTTP/1.1" 200')
    assert isinstance(parser("apache", FormatSettings(pattern=pattern))(envelope), Parsed)
