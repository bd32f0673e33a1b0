"""The lines that a release is recorded with: fixed ones, a few of each kind whose traces outlive a process.

Some wait for another line when the lane stops; `REST` is what these wait for.
"""

from __future__ import annotations

import base64
import gzip
from typing import Any, Final, NamedTuple

import orjson

START_MS: Final = 1_777_888_800_000
"""2026-05-04T10:00:00Z: when the first request was made."""
NOW_MS: Final = START_MS + 90 * 60_000 + 5_000
"""What the clock says when the table view is asked."""


class Fed(NamedTuple):
    """One record of a source: *topic* without what all names begin with."""

    topic: str
    partition: int
    value: bytes | None


def _syslog(number: int, *, api: str = "core", client: str | None = "alice", status: int = 200) -> bytes:
    """A request of an Envoy gateway as rsyslog writes it, slashes escaped."""
    inner: dict[str, Any] = _request(number) | {"client_id": client, "route": api}
    inner["meta"]["uri"] = f"/{api}/v1/thing/{number % 3}?n={number}"
    inner["http"] |= {"status_code": status, "client_ip": "192.0.2.7, 10.0.0.1"}
    if status >= 500:
        inner["response_flags"] = "UF"
    return _outer(orjson.dumps(inner).decode())


def _outer(message: str, program: str = "api-gateway") -> bytes:
    outer = {"timestamp": _time(0), "host": "gw1", "program": program, "severity": "notice", "message": message}
    return orjson.dumps(outer).replace(b"/", rb"\/")


def _request(number: int) -> dict[str, Any]:
    """A request, a minute later for each number."""
    meta = {"uri": f"/files/{number}", "request_id": str(number), "dt": _time(number)}
    return {"meta": meta, "http": {"method": "GET", "status_code": 200}, "total_time_ms": 5 + number}


def _time(minute: int) -> str:
    return f"2026-05-04T{10 + minute // 60:02d}:{minute % 60:02d}:00Z"


def _cri(text: str, tag: str) -> bytes:
    return f"2026-05-04T10:00:00.000000001Z stdout {tag} {text}".encode()


def _pod(text: str, tag: str) -> bytes:
    about = {"namespace_name": "prod", "pod_name": "shop-6b7", "container_name": "shop", "pod_id": "0c1d"}
    return orjson.dumps({"log": text, "stream": "stdout", "logtag": tag, "kubernetes": about})


def _access(event: str, number: int, second: float, *, api: str = "Tides", **more: str) -> bytes:
    """One of the two lines of a request in the API Access Log of WSO2."""
    names = {"Event": event, "MessageID": f"m{number}"}
    if event == "REQUEST_COMPLETE":
        names |= {"MessageID": f"c{number}", "ResponseTo": f"m{number}"}
    names |= {"API": f"jo--{api}:v1.0", "RequestInURL": f"/tides/1.0/{number}", "RequestInMethod": "GET", **more}
    pairs = ", ".join(f'{name}="{value}"' for name, value in names.items())
    return f"2026-05-04T10:05:{second:06.3f}+0000 [][sor]{{D_APIAccessLog.AccessLogWriter}}[] INFO  {pairs}".encode()


def _opening(number: int, **more: str) -> bytes:
    return _access("INCOMING_REQUEST", number, number, UserAgent="curl/8", **more)


def _closing(number: int, status: int = 200) -> bytes:
    return _access("REQUEST_COMPLETE", number, number + 0.25, StatusCode=str(status), APPLICATION_NAME="tide-app")


def _cloudwatch(*messages: Any) -> bytes:
    """Lines as CloudWatch Logs packs them: gzip in base64."""
    events = [
        {"id": f"{number:056d}", "timestamp": START_MS + number, "message": text if type(text) is str else _json(text)}
        for number, text in enumerate(messages)
    ]
    about = {"messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "/apigw/orders/prod"}
    payload = about | {"logStream": "0a1b2c", "subscriptionFilters": ["all"], "logEvents": events}
    return base64.b64encode(gzip.compress(orjson.dumps(payload), mtime=0))


def _json(value: Any) -> str:
    return orjson.dumps(value).decode() + "\n"


def _aws(number: int, status: int) -> dict[str, str]:
    return {
        "requestId": f"6f1c9a7{number}",
        "ip": "192.0.2.7",
        "requestTimeEpoch": str(START_MS + number * 1000),
        "httpMethod": "GET",
        "resourcePath": "/orders/{id}",
        "status": str(status),
        "protocol": "HTTP/1.1",
        "responseLength": "512",
        "responseLatency": "41",
        "apiKeyId": "key-7",
    }


def _nginx(path: str, status: int) -> bytes:
    return f'192.0.2.7 - ann [04/May/2026:10:20:00 +0000] "GET {path} HTTP/1.1" {status} 512 "-" "App/1"'.encode()


CUT: Final = orjson.dumps(_request(70)).decode()
"""A request that is written to a container's file in pieces."""
LONG: Final = orjson.dumps(_request(71)).decode()

FIRST: Final = (
    *(Fed("syslog", n % 2, _syslog(n, client=("alice", "bob", None, "zoë/1")[n % 4])) for n in range(24)),
    *(Fed("syslog", n % 2, _syslog(n, api="feed", status=503, client="bob")) for n in range(24, 28)),
    *(Fed("syslog", 0, _syslog(n, api="feed", status=404)) for n in (28, 29)),
    Fed("syslog", 0, _outer("job 7 done", "cron")),
    Fed("syslog", 1, None),
    Fed("syslog", 1, b'{"program": "api-gateway", "message": "cut'),
    Fed("syslog", 1, _outer('{"meta": {"uri": "/core/v1", "dt": "2026-05-04T10:00:00Z"}, "http": {"method": "GE')),
    Fed("files", 0, _cri(orjson.dumps(_request(72)).decode(), "F")),
    Fed("files", 0, _cri(LONG[:40], "P")),
    Fed("files", 0, _cri(LONG[40:80], "P")),
    Fed("files", 0, _cri(LONG[80:], "F")),
    Fed("files", 0, _cri(CUT[:30], "P")),
    Fed("files", 0, _cri(CUT[30:60], "P")),
    Fed("pods", 1, _pod(orjson.dumps(_request(73)).decode(), "F")),
    Fed("pods", 1, _pod(CUT[:50].replace('"70"', '"74"'), "P")),
    *(Fed("wso2", 0, _opening(n)) for n in range(4)),
    *(Fed("wso2", 1, _closing(n, 200 + 100 * n)) for n in range(2)),
    Fed("wso2", 1, _closing(4)),
    Fed("wso2", 1, _access("INCOMING_REQUEST", 9, 9, api="Soon")),
    Fed("wso2", 1, b'like Gecko) Example/1.0", RemoteIP="192.0.2.7"'),
    Fed(
        "cloudwatch", 0, _cloudwatch(_aws(0, 200), '{"requestId":"6f1c9a79","ip":"192.0.2.9","requestTi', _aws(1, 500))
    ),
    Fed("cloudwatch", 1, b"H4sIAAAAAAAAA6tWyk0tLk5MT1WyUnIJ"),
    Fed("servers", 0, _nginx("/core/v1/page?token=s3", 200)),
    Fed("servers", 1, _nginx("/nowhere", 404)),
)
"""What the lane has read when it stops."""

PIECES: Final = {("files", 0): [4, 5], ("pods", 1): [1]}
"""Where the pieces are that then wait: offsets by topic and partition."""

REST: Final = (
    Fed("files", 0, _cri(CUT[60:], "F")),
    Fed("pods", 1, _pod(CUT[50:], "F")),
    Fed("wso2", 0, _closing(2, 429)),
    Fed("wso2", 1, _closing(3)),
    Fed("wso2", 0, _opening(4)),
)
"""What comes when the lane runs again: each of these completes one event."""

QUESTIONS: Final = (
    "/v1/totals?from=2026-05-04T10:00:00Z&to=2026-05-04T11:30:00Z",
    "/v1/totals/series?step=hour&from=2026-05-04T09:00:00Z&to=2026-05-04T12:00:00Z",
    "/v1/clients?window=life",
    "/v1/clients?window=life&sort=errors&limit=2",
    "/v1/clients?from=2026-05-04T10:00:00Z&to=2026-05-04T11:00:00Z&sort=bytes",
    "/v1/clients/bob?window=life",
    "/v1/clients/-?window=life",
    "/v1/clients/zo%C3%AB%2F1?window=life",
    "/v1/clients/alice/series?step=minute&from=2026-05-04T10:00:00Z&to=2026-05-04T10:20:00Z",
    "/v1/clients/bob/apis?window=life",
    "/v1/clients/bob/urls?window=life",
    "/v1/clients/bob/errors?window=life",
    "/v1/apis?window=life",
    "/v1/apis/feed?from=2026-05-04T10:00:00Z&to=2026-05-04T11:00:00Z",
    "/v1/apis/feed/clients?window=life",
    "/v1/apis/core/urls?from=2026-05-04T10:00:00Z&to=2026-05-04T11:00:00Z",
    "/v1/apis/feed/errors?window=life",
    "/v1/reports/calls?step=hour&from=2026-05-04T09:00:00Z&to=2026-05-04T12:00:00Z",
    "/v1/reports/outcomes?window=life",
    "/v1/reports/unmatched?window=life",
)
