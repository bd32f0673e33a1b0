"""Values in places that a pattern says are secret are not shown, whether a line fits the pattern or not."""

from __future__ import annotations

import pytest

from logrouter import config
from logrouter.core import ids
from logrouter.core.dryrun.explain import explain_record
from logrouter.model import RawRecord

NGINX = '$remote_addr [$time_local] "$request" $status key="$http_x_api_key" "$http_user_agent"'
BARE = '$remote_addr [$time_local] "$request" $status "$http_authorization" "$http_user_agent"'
APACHE = '%h %t "%r" %>s pin=%{X-Pin}i "%{User-Agent}i"'
ENVOY = '[%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% tok="%REQ(AUTHORIZATION)%"'
JSON = 'escape=json {"t":"$time_iso8601","r":"$request","s":$status,"who":"$http_x_api_key"}'
HEAD = '192.0.2.7 [01/May/2026:10:00:00 +0000] "GET /a HTTP/1.1"'


@pytest.mark.parametrize(
    ("format_", "pattern", "line"),
    [
        ("nginx", NGINX, f'{HEAD} 200 key="hush hush" "curl"'),
        ("nginx", NGINX, f'{HEAD} 2x0 key="hush hush" "curl"'),
        ("nginx", NGINX, f'{HEAD} 200 key="hush hus'),
        ("nginx", BARE, f'{HEAD} 200 "hush hush" "curl"'),
        ("nginx", BARE, f'{HEAD} 2x0 "hush hush" "curl"'),
        ("nginx", BARE, f'{HEAD} 200 "hush hush'),
        ("nginx", JSON, '{"t":"2026-05-01T10:00:00Z","r":"GET / HTTP/1.1","s":200,"who":"hush hush"}'),
        ("apache", APACHE, f'{HEAD} 200 pin=hush "curl"'),
        ("apache", APACHE, f'{HEAD} 2x0 pin=hush "curl"'),
        ("envoy_text", ENVOY, '[2026-05-01T10:00:00.000Z] "GET /a HTTP/1.1" 200 tok="hush hush"'),
        ("envoy_text", ENVOY, '[2026-05-01T10:00:00.000Z] "GET /a HTTP/1.1" 2x0 tok="hush hush"'),
    ],
)
def test_a_value_that_the_pattern_says_is_secret_is_not_shown(format_, pattern, line):
    """Neither in a dead letter nor by `explain`, of lines that fit and of lines that do not; the rest stays."""
    route = f"{{name: r, from: s, to: out, format: {{name: {format_}, pattern: {pattern!r}}}}}"
    table = config.parse(
        f"version: 1\nsources: {{s: {{topics: t, envelope: plain}}}}\nroutes:\n  - {route}\n".encode(), {}
    ).table
    source = table.source_of("t")
    letter = source.disclosure_of("r").text(line)
    record = RawRecord("t", 0, 0, 1_777_630_000_000, line.encode())
    explained = explain_record(table, record, now_ms=1_777_630_000_000, event_id=ids.for_partition("c", "t", 0))
    for shown in (letter, str(explained.as_dict())):
        assert "hush" not in shown
        assert "REDACTED" in shown
        assert "2026" in shown


def test_captured_cookies_of_haproxy_are_not_shown():
    """They stand between figures, with nothing before them that tells what they are."""
    route = "{name: r, from: s, to: out, format: haproxy}"
    file = f"version: 1\nsources: {{s: {{topics: t, envelope: plain}}}}\nroutes: [{route}]\n"
    begin = "192.0.2.7:51234 [01/May/2026:10:00:00.250] web core/app1 0/0/1/11/12 200 517"
    line = f'{begin} SRV=hush ID=hush ---- 1/1/0/0/0 0/0 "GET /a HTTP/1.1"'
    shown = config.parse(file.encode(), {}).table.source_of("t").disclosure_of("r").text(line)
    assert "hush" not in shown
    assert "0/0/1/11/12 200 517 REDACTED REDACTED ---- 1/1/0/0/0" in shown
