"""The line of a router, written from a parsed request in the form of Heroku's router.

at=error code=H12 method=GET path="/cart" host=shop.example.org request_id=0a1b fwd="192.0.2.0" dyno=web.1
connect=1ms service=30ms status=503 bytes=5 protocol=https
"""

from __future__ import annotations

import re
from typing import Any, Final

_PLAIN: Final = re.compile(r"[!#-<>-\[\]-~]+")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ESCAPED: Final = re.compile(r'(["\\])')


def describe_request(event: dict[str, Any]) -> str:
    """The line of an event of canonical names, without what it does not tell."""
    http, meta, error, backend = (_part(event, name) for name in ("http", "meta", "error", "backend"))
    total, service = event.get("total_time_ms"), event.get("backend_time_ms")
    if isinstance(total, int) and isinstance(service, int) and total >= service:
        times = [("connect", f"{total - service}ms"), ("service", f"{service}ms")]
    else:
        times = [(name, f"{took}ms") for name, took in (("service", service), ("total", total)) if type(took) is int]
    said = (
        ("at", "error" if "code" in error else None),
        ("code", error.get("code")),
        ("desc", error.get("message")),
        ("method", http.get("method")),
        ("path", meta.get("uri") or http.get("path")),
        ("host", meta.get("domain")),
        ("request_id", meta.get("request_id")),
        ("fwd", http.get("client_ip")),
        ("dyno", backend.get("instance")),
        *times,
        ("status", http.get("status_code")),
        ("bytes", event.get("bytes_sent")),
        ("protocol", http.get("protocol")),
    )
    return " ".join(f"{key}={_written(key, value)}" for key, value in said if type(value) in (str, int))


def _part(event: dict[str, Any], name: str) -> dict[str, Any]:
    part = event.get(name)
    return part if type(part) is dict else {}


def _written(key: str, value: object) -> str:
    text = str(value)
    if key not in ("path", "fwd") and _PLAIN.fullmatch(text) is not None:
        return text
    return '"' + _ESCAPED.sub(r"\\\1", _CONTROLS.sub(" ", text)) + '"'
