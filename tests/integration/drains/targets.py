"""Targets of drains for tests, each with what it has understood of the lines: real receivers, and checks of bodies."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import ssl
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from logrouter.core.drains.line import Line
from logrouter.core.drains.owner import Owner, OwnerKind
from logrouter.core.drains.registration import DrainForm, Registration
from logrouter.core.framing.octet_counting import CountedDecoder
from logrouter.devkafka.ports import claim_port
from logrouter.drains.connections import DrainBounds, DrainConnections
from logrouter.sinks.target_guard import TargetGuard, parse_networks
from tests.certificates import Authority
from tests.integration.sinks.syslog_receivers import SBIN, SEPARATOR, rsyslog, running, syslog_ng
from tests.unit.sinks.loopback import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

NGINX = shutil.which("nginx", path=SBIN)
_NGINX = """
daemon off; {user} pid {folder}/nginx.pid; error_log stderr; events {{ }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/receiver.pem; ssl_certificate_key {folder}/receiver.key;
    client_max_body_size 2k; location / {{ proxy_pass http://127.0.0.1:{behind}; }}
  }}
}}
"""
SCHEMES = frozenset({"syslog+tcp", "syslog+tls", "syslog+udp", "https", "http"})
TOKEN = "d.8f2e"  # noqa: S105 - of a drain that there is not


class Target(NamedTuple):
    """Where a drain leads, what it has to ask for, and the lines that have come, as they were understood."""

    url: str
    received: Callable[[], list[Line]]
    options: dict[str, Any]


def registration(url: str, **options: Any) -> Registration:
    """A drain of an app."""
    owner = Owner(OwnerKind.APP, "shop-prod")
    return Registration(id="1", token=TOKEN, owner=owner, url=url, created_ms=0, updated_ms=0, **options)


def line(number: int, text: str) -> Line:
    """A line that tells itself from others."""
    return Line(
        f'e-{number}"]\\', 1_764_000_000_123_456 + number, "shop-prod", "web.5d4f8", (3, 6)[number % 2], text.encode()
    )


def connections_to(*ports: int, **options: Any) -> DrainConnections:
    """Connections to these ports of loopback, and to no other place inside."""
    resolver = options.pop("resolver", None)
    networks = options.pop("networks", ("127.0.0.0/8",))
    guard = TargetGuard(parse_networks(networks), SCHEMES, frozenset(ports))
    return DrainConnections(guard, DrainBounds(**options), resolver=resolver)


def epoch_us(text: str) -> int:
    """Microseconds since the epoch, of RFC 3339."""
    at = datetime.fromisoformat(text)
    return int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond


@asynccontextmanager
async def rsyslog_target(folder: Path, transport: str, framing: str = "octet-counting") -> AsyncIterator[Target]:
    """rsyslog, which writes the fields of every message to a file."""
    options: dict[str, Any] = {"framing": framing}
    scheme = "syslog+tls" if transport.startswith("tls") else f"syslog+{transport}"
    if transport.startswith("tls"):
        options["ca"] = issue(folder)

    def understand(line: str) -> Line:
        _facility, severity, host, app_name, _msgid, own_id, time, text = line.split(SEPARATOR)
        return Line(own_id, epoch_us(time), host, app_name, int(severity), text.encode())

    with rsyslog(folder, transport, tells_time=True) as receiver:
        yield Target(
            f"{scheme}://127.0.0.1:{receiver.port}", lambda: [understand(line) for line in receiver.lines()], options
        )


def issue(folder: Path) -> str:
    """A certificate for 127.0.0.1 in *folder*, `receiver.pem`, and the CA that one has to trust for it."""
    authority = Authority(folder)
    authority.issue("receiver")
    return authority.file.read_text()


MESSAGE = re.compile(
    rb"<(?P<pri>\d+)>1 (?P<time>\S+) (?P<host>\S+) (?P<app>\S+) - - "
    rb'\[logrouter@32473 id="(?P<id>(?:[^"\]\\]|\\.)*)"\](?: (?P<text>[^\r\n\x00]*))?'
)


def read_message(message: bytes) -> Line:
    """A message of RFC 5424, as strict as its grammar."""
    found = MESSAGE.fullmatch(message)
    assert found, message
    facility, severity = divmod(int(found["pri"]), 8)
    assert facility == 1
    own_id = re.sub(r"\\(.)", r"\1", found["id"].decode())
    return Line(
        own_id,
        epoch_us(found["time"].decode()),
        found["host"].decode(),
        found["app"].decode(),
        severity,
        found["text"] or b"",
    )


def read_logplex(head: str, body: bytes) -> list[Line]:
    """A body of logplex' format 1, which its headers describe."""
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    assert headers["Content-Type"] == "application/logplex-1"
    assert headers["Logplex-Drain-Token"] == TOKEN
    assert re.fullmatch(r"[0-9A-F]{32}", headers["Logplex-Frame-Id"])
    messages = CountedDecoder(100_000).feed(body)
    assert len(messages) == int(headers["Logplex-Msg-Count"])
    assert all(message.endswith(b"\n") for message in messages)
    return [read_message(message[:-1]) for message in messages]


def read_ndjson(head: str, body: bytes) -> list[Line]:
    """Lines of JSON."""
    assert "Content-Type: application/x-ndjson" in head
    documents = [json.loads(line) for line in body.decode().splitlines()]
    return [
        Line(each["id"], epoch_us(each["time"]), each["host"], each["app"], each["severity"], each["message"].encode())
        for each in documents
    ]


READERS = {DrainForm.LOGPLEX: read_logplex, DrainForm.NDJSON: read_ndjson}


@asynccontextmanager
async def http_target(folder: Path, scheme: str, form: DrainForm) -> AsyncIterator[Target]:
    """A server that takes everything."""
    options: dict[str, Any] = {"form": form}
    tls = None
    if scheme == "https":
        options["ca"] = issue(folder)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "receiver.pem", folder / "receiver.key")
    async with serve(tls=tls) as heard:
        url = f"{scheme}://me:pa%40ss@127.0.0.1:{heard.port}/logs?key=%2f"
        yield Target(
            url,
            lambda: [line for each in zip(heard.heads, heard.bodies, strict=True) for line in READERS[form](*each)],
            options,
        )


@asynccontextmanager
async def nginx_target(folder: Path) -> AsyncIterator[Target]:
    """The same behind nginx, which speaks TLS and takes bodies of two kilobytes at most."""
    port, ca = claim_port(), issue(folder)
    async with http_target(folder, "http", DrainForm.LOGPLEX) as target:
        behind = int(target.url.split(":")[-1].split("/")[0])
        user = "user root;" if os.geteuid() == 0 else ""  # who may write into the folder
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, behind=behind, user=user))
        with running(folder, [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]):
            url = f"https://127.0.0.1:{port}/logs?key=%2f"
            yield target._replace(url=url, options={**target.options, "ca": ca})


@asynccontextmanager
async def syslog_ng_target(folder: Path, root: Path) -> AsyncIterator[Target]:
    """syslog-ng, which is strict in RFC 5424 and in octet counting."""

    def understand(line: str) -> Line:
        _facility, severity, host, app_name, _msgid, own_id, time, text = line.split(SEPARATOR)
        return Line(own_id, epoch_us(time), host, app_name, int(severity), text.encode())

    with syslog_ng(folder, root, tells_time=True) as receiver:
        yield Target(f"syslog://127.0.0.1:{receiver.port}", lambda: [understand(line) for line in receiver.lines()], {})


async def wait_for(condition: Callable[[], bool]) -> None:
    """Until *condition* holds; whoever calls guards against hangs."""
    while not condition():  # noqa: ASYNC110 - other processes tell nobody
        await asyncio.sleep(0.01)
