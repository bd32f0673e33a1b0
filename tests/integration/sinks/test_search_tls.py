"""A cluster behind TLS with a certificate of its owner's, and a password: as most clusters are."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from logrouter.devkafka.ports import claim_port
from logrouter.process.watchdog import Watchdog
from tests.certificates import certificate
from tests.conftest import HANG_SECONDS
from tests.integration.sinks.stack import ask_process, event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

pytestmark = [
    pytest.mark.broker,
    pytest.mark.long,
    pytest.mark.xdist_group("search"),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx)"),
]

CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{}}
http {{
  access_log off;
  client_max_body_size 100m;
  client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    auth_basic "search";
    auth_basic_user_file {folder}/users;
    location / {{ proxy_pass {node}; proxy_set_header Authorization ""; }}
  }}
}}
"""
PASSWORD = "correct horse"  # noqa: S105  of a server that lives for this test


class Front(NamedTuple):
    """Where nginx listens, and who has signed its certificate."""

    url: str
    ca: Path


@pytest.fixture
def front(node, tmp_path) -> Iterator[Front]:
    """Nginx in front of the node: TLS, and one user."""
    folder, port = tmp_path / "nginx", claim_port()
    folder.mkdir()
    certificate(folder, "search.example.org")
    digest = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()  # noqa: S324  what nginx reads
    (folder / "users").write_text(f"router:{{SHA}}{digest}\n")
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, port=port, node=node.url))
    with Watchdog() as watchdog, (folder / "out.log").open("wb") as log:
        command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        server = subprocess.Popen(command, stdout=log, stderr=log, process_group=0)
        watchdog.watch(server.pid)
        try:
            yield Front(f"https://127.0.0.1:{port}", folder / "cert.pem")
        finally:
            server.terminate()
            server.wait(HANG_SECONDS)


def why_not_ready(port: int, wanted: str) -> str:
    """What /readyz says if that is *wanted*, else nothing, and what it says is printed."""
    said = ask_process(port, "/readyz")[1]
    print(said)  # noqa: T201  shown if the test fails
    return said if wanted in said else ""


def test_events_arrive_once_certificate_and_password_are_right(make_sink, front, monkeypatch, eventually):
    """A CA that nobody trusts and a wrong password are said in /readyz and lose nothing; mended, all arrive."""
    monkeypatch.setenv("SEARCH_PASSWORD", "wrong")
    stack = make_sink(url=front.url, basic_auth={"user": "router", "password": "${SEARCH_PASSWORD}"})
    stack.publish(event(number) for number in range(200))
    process, port = stack.sink_with_port()
    eventually(lambda: why_not_ready(port, "tls: the target's certificate is self-signed"), "nobody trusts it")

    stack.configure(tls={"ca": str(front.ca)})  # comes into force by itself
    eventually(lambda: why_not_ready(port, "denied: 401"), "says that the password is wrong")
    assert process.stop() == 0
    assert "wrong" not in process.text()
    assert "Basic " not in process.text()

    monkeypatch.setenv("SEARCH_PASSWORD", PASSWORD)
    stack.sink()
    eventually(lambda: stack.count() == 200, "all documents")
    assert stack.refused() == []
