"""What the demo's stream is made of: APIs, programs, user agents, status codes, and how often each is drawn."""

from __future__ import annotations

from typing import Final

APIS: Final = ("core", "search", "feed", "media", "metrics", "translate", "linter_root", "favicon")
API_WEIGHTS: Final = (40, 20, 12, 10, 8, 5, 3, 2)

STATUSES: Final = (200, 304, 404, 429, 401, 0, 503, 502, 500)
STATUS_WEIGHTS: Final = (800, 50, 60, 35, 20, 15, 8, 7, 5)

METHODS: Final = ("GET", "POST", "PUT", "HEAD")
METHOD_WEIGHTS: Final = (88, 8, 2, 2)

DOMAINS: Final = ("api.example.org", "api.example.net")
PROTOCOLS: Final = ("HTTP/2", "HTTP/1.1", "-")
PROTOCOL_WEIGHTS: Final = (70, 29, 1)

AGENTS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/137.0.0.0 Safari/537.36",
    "python-requests/2.32.3",
    "curl/8.12.1",
    "article-counter/3.1 (https://tools.example.org/counter; ops@example.org)",
    "Go-http-client/2.0",
    'odd "quoted" agent/1.0',
    "mobile-reader/7.0 (Android 15; 50 % battery)",
)

PATHS: Final = (
    "/{api}/v1/page/{word}",
    "/{api}/v1/page/{word}/html",
    "/{api}/v1/page/{word}/history?older_than={number}",
    "/{api}/v1/search?q={word}&limit={small}",
    "/{api}/v1/revision/{number}/compare/{number}",
    "/{api}/v1/page/{word}?access_token=eyJhbGciOiJub25lIn0.{number}.x",
    "/{api}/v1/edit?centralauthtoken={number}abcdef&title={word}",
    "/{api}/v1/page/{word}%20%C3%A9?redirect=no",
)
WORDS: Final = ("earth", "moon", "granite", "otter", "lighthouse", "violin", "glacier", "compass", "maple", "harbour")

GATEWAY_HOSTS: Final = ("node1011", "node1012", "node1013", "node2021")
OTHER_HOSTS: Final = ("web1301", "web1302", "db1107", "cache3050", "build2002", "node1015")

# The gateway's own application log and its sidecars: in the same stream, and not requests.
GATEWAY_LOGS: Final = (
    "[<<spd>>][7][info][main] [source/server/server.cc:995] starting main dispatch loop",
    "[<<spd>>][18][warning][config] gRPC config stream to xds_cluster closed since 12s ago: 14, connection reset",
    "[<<spd>>][24][info][lua] script log: ratelimit class anon, status_code pending",
    '[<<micro>>] "GET /stats/prometheus HTTP/1.1" 200 - 0 81234 5 - "10.64.0.9" "Prometheus/2.53.0" "-" "-" "-"',
    'time="<<micro>>" level=warning msg="request over limit" domain=api-gateway key=anon hits=61 limit=60',
    '{"level":"info","ts":"<<micro>>","logger":"tls-proxy","msg":"certificate reloaded","serial":"4f:a1"}',
)

# Foreign programs: most of a mixed topic.
_QUEUE: Final = (
    "Queue: 12 documents for index content_1734, 38 ms, memory 41.2 MiB of 512 MiB; 1093 more wait, the oldest 2.4 s,"
    " retry 0 of 3, host pool a, shard 5, key <<word>>:<<offset>>, and the previous run ended without an error"
)
_CATALOG: Final = (
    "Applied catalog in <<small>>.41 seconds; resources 1834 in sync, 0 failed, 2 changed, 0 skipped, environment"
    " production, configuration version <<offset>>"
)
_CACHE: Final = (
    "-   BerespHeader   X-Cache-Status: hit-front <<word>> 200 backend be_<<small>> ttl 86400 grace 3600 keep 0 object"
    " <<offset>> restarts 0 esi 0 streamed; client 10.64.16.<<small>> tls 1.3"
)
_FLOOD: Final = "[<<offset>>.118273] TCP: Possible SYN flooding on port 0.0.0.0:443. Sending cookies."
FOREIGN: Final = (
    ("web", "info", _QUEUE),
    ("sshd", "info", "Connection closed by authenticating user root 198.51.100.<<small>> port <<offset>> [preauth]"),
    ("kernel", "warning", _FLOOD),
    ("puppet-agent", "notice", _CATALOG),
    ("varnish", "notice", _CACHE),
    ("CRON", "info", "(root) CMD (/usr/local/bin/sync-<<word>> --quiet >/dev/null 2>&1)"),
)
FOREIGN_SERVICES: Final = ("mathoid", "eventstreams", "citoid", "mobileapps")
SERVICE_LOG: Final = (
    '{"name":"<<word>>","pid":19,"level":30,"msg":"GET /en/v1/<<word>>/<<offset>> 200 in <<small>> ms",'
    '"time":"<<micro>>","levelPath":"info/request","trace":"<<offset>>","worker":<<small>>,"v":0}'
)

# An application that logs objects has them merged into the envelope.
MERGED: Final = {"channel": "api", "wiki": "wiki_<<word>>", "reqId": "<<offset>>", "normalized_message": "slow parse"}
