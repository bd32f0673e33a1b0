"""Real producers: nginx serves requests, rsyslog ships its log to a real Kafka, and the router makes the events.

nginx ── syslog ──► rsyslog ── omkafka, JSON ─────────► <name>.json ──┐
      ── syslog, @cee JSON ──► mmjsonparse, omkafka ──► <name>.cee ───┼─► logrouter route ─► an event per request
      ── access.log ──► imfile, omkafka, the bare line ► <name>.plain ┘
"""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson
import pytest

from logrouter.devkafka.ports import claim_port
from logrouter.kafka.reader import read_committed
from logrouter.process.watchdog import Watchdog
from tests.conftest import HANG_SECONDS
from tests.integration.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
NGINX, RSYSLOGD = shutil.which("nginx", path=SBIN), shutil.which("rsyslogd", path=SBIN)
OMKAFKA = [*Path("/usr/lib").glob("*/rsyslog/omkafka.so"), *Path("/usr/lib64/rsyslog").glob("omkafka.so")]

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(
        not (NGINX and RSYSLOGD and OMKAFKA),
        reason="nginx, or rsyslogd with its Kafka output, is not installed (Debian: nginx rsyslog rsyslog-kafka)",
    ),
]

WAYS = ("json", "cee", "plain")

RSYSLOG = """
global(workDirectory="{folder}" preserveFQDN="off")
module(load="imudp")
module(load="imfile")
module(load="mmjsonparse")
module(load="omkafka")
input(type="imudp" address="127.0.0.1" port="{udp}" ruleset="syslog")
input(type="imfile" file="{folder}/access.log" tag="access:" ruleset="file")

template(name="json" type="list" option.jsonf="on") {{
  property(outname="timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="program" name="programname" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
template(name="cee" type="list") {{
  constant(value="{{")
  property(outname="timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  constant(value=",")
  property(outname="host" name="hostname" format="jsonf")
  constant(value=",")
  property(outname="program" name="programname" format="jsonf")
  constant(value=",")
  property(name="$!all-json" position.from="2")
}}
template(name="line" type="string" string="%msg%")

ruleset(name="syslog") {{
  if $programname == "nginxcee" then {{
    action(type="mmjsonparse")
    action(type="omkafka" broker=["{bootstrap}"] topic="{name}.cee" template="cee" partitions.auto="on")
  }} else {{
    action(type="omkafka" broker=["{bootstrap}"] topic="{name}.json" template="json" partitions.auto="on")
  }}
}}
ruleset(name="file") {{
  action(type="omkafka" broker=["{bootstrap}"] topic="{name}.plain" template="line" partitions.auto="on")
}}
"""

MEMBERS = (
    '{"time":"$time_iso8601","client":"$remote_addr","user":"$remote_user","request":"$request",'
    '"answer":{"status":$status,"bytes":$body_bytes_sent,"rt":$request_time},"agent":"$http_user_agent",'
    '"us":"$upstream_status"}'
)

NGINX_CONF = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{}}
http {{
  log_format members escape=json '@cee: {members}';
  client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
  server {{
    listen 127.0.0.1:{http};
    access_log syslog:server=127.0.0.1:{udp},tag=nginx combined;
    access_log syslog:server=127.0.0.1:{udp},tag=nginxcee members;
    access_log {folder}/access.log combined;
    location / {{ return 200 "ok"; }}
    location /moved {{ return 301 /; }}
    location /missing {{ return 404; }}
    location /limited {{ return 429; }}
    location /broken {{ return 500; }}
    location /proxied {{ proxy_pass http://127.0.0.1:{closed}; }}
  }}
}}
"""

ROUTES = """
sources:
  json: {{topics: [{name}.json], envelope: rsyslog}}
  cee: {{topics: [{name}.cee], envelope: rsyslog}}
  plain: {{topics: [{name}.plain], envelope: plain}}
routes:
  - name: json
    from: json
    match: {{program: nginx, looks_like: request}}
    format: nginx
    enrich: {{client_id: [remote_user]}}
    to: {name}.json.clean
  - name: cee
    from: cee
    match: {{program: nginxcee, looks_like: request}}
    format: {{name: nginx, pattern: 'escape=json {members}'}}
    enrich: {{client_id: [remote_user]}}
    to: {name}.cee.clean
  - name: plain
    from: plain
    match: {{looks_like: request}}
    format: nginx
    enrich: {{client_id: [remote_user]}}
    to: {name}.plain.clean
"""


class Request(NamedTuple):
    """What a client sends, and what of it must be in the event; *raw* where it is no HTTP."""

    method: str | None
    path: str | None
    status: int
    agent: str | None = "ExampleApp/1.0"
    user: str | None = None
    raw: bytes = b""

    def bytes(self) -> bytes:
        """As it goes over the wire."""
        if self.raw:
            return self.raw
        lines = [f"{self.method} {self.path}?token=s3cret HTTP/1.1", "Host: api.example.org", "Connection: close"]
        lines += [f"User-Agent: {self.agent}"] if self.agent is not None else []
        if self.user is not None:
            lines.append(f"Authorization: Basic {base64.b64encode(f'{self.user}:pw'.encode()).decode()}")
        return "\r\n".join([*lines, "", ""]).encode()


REQUESTS = [
    Request("GET", "/core/v1/page", 200),
    Request("POST", "/core/v1/page", 200, "curl/8.5.0", "ann"),
    Request("HEAD", "/moved", 301),
    Request("GET", "/missing", 404),
    Request("GET", "/limited", 429),
    Request("GET", "/broken", 500),
    Request("GET", "/proxied", 502),
    Request("GET", "/", 200, None),
    Request("GET", "/dash", 200, "-"),
    Request("GET", "/quotes", 200, 'Bot "one" \\ \'two\' \\" \\x22 \\n'),
    Request("GET", "/forged", 200, '" 200 5 "-" "x", "answer":{"status":404}, "y'),
    Request("GET", "/utf8", 200, "Zürich ☃"),
    Request("GET", "/tab", 200, "a\tb"),
    Request("GET", "/newline", 200, "a#012b#011c"),
    Request("GET", "/percent", 200, "100% %msg% $status ${x} {} @cee: [x]"),
    Request("GET", "/path/%22quoted%22/%0A/[x]", 200),
    Request("GET", "/user", 200, user='a [01/May/2020] "b" x'),
    Request("PROPFIND", "/other/method", 200),
    Request(None, None, 400, None, raw=b"\x16\x03\x01\x02\x00\x01\xfc\x03\x03\r\n\r\n"),
]
FOREIGN = "nginx: starting worker 7"
NO_AGENT = ("-", None)


class Producers(NamedTuple):
    """Where nginx and rsyslog listen."""

    stack: Stack
    http: int
    udp: int


@pytest.fixture
def producers(broker, tmp_path, unique) -> Iterator[Producers]:
    """Both producers, with ports and a folder of their own, and a stack that reads what they write."""
    stack = Stack(broker.bootstrap, tmp_path, unique("producers"))
    for way in WAYS:
        stack.create_topic(f"{stack.name}.{way}", 2)
    head = stack.config.read_text().partition("sources:")[0]
    stack.config.write_text(head + ROUTES.format(name=stack.name, members=MEMBERS))
    stack.command("topics")
    http, udp = claim_port(), claim_port()
    values = {
        "folder": tmp_path,
        "http": http,
        "udp": udp,
        "closed": claim_port(),
        "members": MEMBERS,
        "name": stack.name,
    }
    (tmp_path / "rsyslog.conf").write_text(RSYSLOG.format(bootstrap=broker.bootstrap, **values))
    (tmp_path / "nginx.conf").write_text(NGINX_CONF.format(**values))
    commands = [
        [RSYSLOGD, "-n", "-f", str(tmp_path / "rsyslog.conf"), "-i", str(tmp_path / "rsyslog.pid")],
        [NGINX, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
    ]
    with Watchdog() as watchdog, (tmp_path / "producers.log").open("wb") as log:
        started = [subprocess.Popen(command, stdout=log, stderr=log, process_group=0) for command in commands]
        for process in started:
            watchdog.watch(process.pid)
        try:
            yield Producers(stack, http, udp)
        finally:
            for process in started:
                process.terminate()
                process.wait(HANG_SECONDS)
            stack.close()


def ask(port: int, request: Request) -> int:
    """Send a request as it is; the status of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as connection:
        connection.sendall(request.bytes())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return int(answer.split(b" ", 2)[1])


def say(port: int, text: str) -> bool:
    """Send a line of another program to rsyslog."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"<14>May  1 10:00:00 gw1 {text}".encode(), ("127.0.0.1", port))
    return True


def records(stack: Stack, topic: str) -> list[bytes]:
    """What stands in a topic."""
    return [record.value or b"" for _, record in read_committed(stack.kafka, f"{stack.name}.{topic}")]


def listens(port: int) -> bool:
    """Whether somebody answers there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def told(event: dict) -> Request:
    """What an event says about its request."""
    http = event["http"]
    agent = http.get("request_headers", {}).get("user-agent")
    return Request(http.get("method"), http.get("path"), http["status_code"], agent, event.get("client_id"))


def test_every_request_that_nginx_served_is_one_event_whichever_way_it_came(producers, eventually):
    """Statuses, paths, users and agents are as the clients sent them; other lines on the way are left alone."""
    stack = producers.stack
    eventually(lambda: listens(producers.http), message="nginx listens")
    eventually(lambda: say(producers.udp, FOREIGN) and records(stack, "json"), message="rsyslog ships to Kafka")
    stack.route()

    assert [ask(producers.http, request) for request in REQUESTS] == [request.status for request in REQUESTS]

    expected = Counter(
        request._replace(raw=b"", agent=None if request.agent in NO_AGENT else request.agent) for request in REQUESTS
    )
    for way in WAYS:
        events = eventually(
            lambda way=way: len(found := records(stack, f"{way}.clean")) >= len(REQUESTS) and found,
            message=f"events by way of {way}",
        )
        found = [orjson.loads(event) for event in events]
        assert Counter(map(told, found)) == expected, way
        assert all("s3cret" not in event.decode() and "pw" not in event.decode() for event in events)
        assert {event["source"]["format"] for event in found} == {"nginx"}
    assert stack.dead_letters() == []
