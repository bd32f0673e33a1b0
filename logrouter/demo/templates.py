r"""Templates of log lines: every envelope shape around every kind of line, escaped once instead of once a line.

A template is bytes with `%(name)b` holes. What goes into a hole has been through `escape`, so filling is all that is
left to do a million times. Slashes are written `\/`, as rsyslog writes them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

SHAPES: Final = ("docker", "containerd", "plain", "ecs")
GENERATIONS: Final = ("G0", "G2", "G3", "G4", "G5")

_NUMBERS: Final = frozenset({"status", "total_ms", "backend_ms", "bytes_in", "bytes_out", "offset"})
_HOLE: Final = re.compile(r'(\\*")?<<(\w+)>>(\\*")?')
_SCHEMA: Final = "/api-gateway/request/1.0.0"
_STREAM: Final = "api-gateway.request"


def hole(name: str) -> str:
    """The placeholder of a hole in a document, until `compile_template`."""
    return f"<<{name}>>"


def escape(value: str, *, times: int) -> bytes:
    """*value* as it stands inside *times* JSON strings, one within the other."""
    for _ in range(times):
        value = json.dumps(value)[1:-1]
    return value.replace("/", "\\/").encode()


def compile_template(document: dict[str, Any]) -> bytes:
    """The template of an envelope document: bytes to be filled with `%`."""
    text = json.dumps(document, separators=(", ", ": ")).replace("/", "\\/").replace("%", "%%")
    return _HOLE.sub(_fill, text).encode()


def _fill(match: re.Match[str]) -> str:
    before, name, after = (part or "" for part in match.groups())
    mark = f"%({name})b"
    alone = before == after  # the whole of a string, not a part of one
    return mark if name in _NUMBERS and alone else before + mark + after


def request(generation: str, route: str, *, anonymous: bool) -> str:
    """One request as Envoy's access log prints it, with holes."""
    if generation == "G0":
        return json.dumps(_g0(anonymous=anonymous))
    document: dict[str, Any] = {
        "$schema": _SCHEMA,
        "meta": {"uri": hole("uri"), "request_id": hole("request_id"), "dt": hole("dt"), "domain": hole("domain")},
        "http": {
            "method": hole("method"),
            "protocol": hole("protocol"),
            "status_code": hole("status"),
            "client_ip": hole("xff"),
            "request_headers": {"user-agent": hole("agent")},
        },
        "total_time_ms": hole("total_ms"),
    }
    document["meta"]["stream"] = _STREAM
    if not anonymous:
        document["client_id"] = hole("client")
    document["route"] = route
    if generation == "G5":
        document["http"]["request_headers"] |= _g5_headers(anonymous=anonymous)
        document["ratelimit_key"] = "anon:" if anonymous else "authed-user:" + hole("user")
    if generation in ("G2", "G3"):
        if anonymous:
            document["client_id"] = None  # before G4 an unset field was printed as null
        document = _dotted(document)
    return json.dumps(document, separators=(",", ":"))


def _g5_headers(*, anonymous: bool) -> dict[str, str]:
    headers = {"x-is-browser": "0", "x-ua-contact": "ops.example.org", "x-provenance": "client=script"}
    if not anonymous:
        headers |= {"x-trusted-request": "B", "x-wmf-user-id": "jwt-sub:" + hole("user")}
    rate = "anon" if anonymous else "authed-user"
    return headers | {"x-wmf-ratelimit-class": rate, "x-wmf-ratelimit-policy": f"{rate}+1;global+1;"}


def _g0(*, anonymous: bool) -> dict[str, Any]:
    return {
        "start_time": hole("dt"),
        "req_method": hole("method"),
        "req_path": hole("uri"),
        "upstream_path": hole("uri"),
        "req_proto": hole("protocol"),
        "resp_code": hole("status"),
        "resp_flags": "-",
        "bytes_rx": hole("bytes_in"),
        "bytes_tx": hole("bytes_out"),
        "upstream_time": hole("backend_ms"),
        "req_x_forwarded_for": hole("xff"),
        "req_user_agent": hole("agent"),
        "req_request_id": hole("request_id"),
        "req_authority": hole("domain"),
        "upstream_host": "10.2.1.30:8080",
        "jwt_cid": None if anonymous else hole("client"),
        "duration": hole("total_ms"),
    }


def _dotted(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            flat |= _dotted(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def envelope(shape: str, host: str, program: str, text: str, *, severity: str = "notice") -> dict[str, Any]:
    """*text* as a line of *program* in one of the `SHAPES`; a container's program is its namespace."""
    match shape:
        case "docker":
            return _container(host, program) | {"log": text + "\n", "stream": "stdout", "time": hole("nano")}
        case "containerd":
            return _container(host, program) | {"msg": f"{hole('nano')} stdout F {text}"}
        case "ecs":
            return _ecs(host, program, text, severity)
        case _:
            return _transport(host, program, severity) | {"message": text}


def _transport(host: str, program: str, severity: str) -> dict[str, Any]:
    return {
        "timestamp": hole("micro"),
        "host": host,
        "logsource": host,
        "severity": severity,
        "facility": "local0",
        "program": program,
        "rsyslog.hostname": host,
        "rsyslog.programname": program,
    }


def _container(host: str, namespace: str) -> dict[str, Any]:
    pod = f"{namespace}-6d8f7c9b5-{host[-2:]}x7k"
    name = f"/var/log/containers/{pod}_{namespace}_main-0a1b2c3d.log"
    return {
        "timestamp": hole("micro"),
        "host": host,
        "severity": "notice",
        "facility": "local0",
        "program": "input-file-containers",
        "rsyslog.hostname": host,
        "metadata": {"filename": name, "fileoffset": hole("offset")},
        "kubernetes": {
            "namespace_name": namespace,
            "pod_name": pod,
            "container_name": "main",
            "labels": {"app": namespace, "release": "main"},
        },
    }


def _ecs(host: str, program: str, text: str, severity: str) -> dict[str, Any]:
    return {
        "@timestamp": hole("micro"),
        "host.name": host,
        "service.type": program,
        "log.level": severity.upper(),
        "log.syslog.severity.code": 5,
        "log.syslog.severity.name": severity,
        "log.syslog.facility.code": 16,
        "log.syslog.facility.name": "local0",
        "log.syslog.priority": 133,
        "ecs.version": "1.7.0",
        "message": text,
    }
