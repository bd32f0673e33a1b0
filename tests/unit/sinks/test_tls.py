"""https with a target: whose certificates are taken, and the line that says why one is not."""

from __future__ import annotations

import asyncio
import ssl
import warnings

import pytest

from logrouter import config
from logrouter.model import RawRecord
from logrouter.sinks.contract import DELIVERED, NoAnswer, Trouble
from logrouter.sinks.delivery import Delivery
from logrouter.sinks.http_client import HttpBounds, HttpClient
from logrouter.sinks.http_messages import HttpRequest
from logrouter.sinks.http_sink import HttpSink
from logrouter.sinks.pacing import PaceLimits
from logrouter.sinks.target_guard import TargetGuard, parse_networks
from logrouter.sinks.tls_trouble import describe_tls_trouble, find_tls_error
from logrouter.sinks.webhook.protocol import WebhookProtocol
from tests.certificates import Authority, certificate
from tests.unit.sinks.loopback import OK, Names, refusing, serve

FILE = """\
version: 1
sources: {{logs: {{topics: [logs], envelope: rsyslog}}}}
routes: [{{name: a, from: logs, format: envoy, to: out}}]
sinks: {{hook: {{type: webhook, from: out, url: "https://target.example/", tls: {tls}}}}}
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    """A private CA; what it issues lies in its folder."""
    return Authority(tmp_path_factory.mktemp("tls"))


def server(files, **options) -> ssl.SSLContext:
    """How the target speaks TLS, with a certificate and its key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of old versions of TLS, which are the point
        for name, value in options.items():
            setattr(context, name, value)
    return context


def client(folder, tls="{ca: ca.pem}") -> ssl.SSLContext:
    """How a sink with these options speaks it."""
    found = config.parse(FILE.format(tls=tls).encode(), {}, folder=folder).sinks["hook"].tls
    assert found is not None
    return found


def send(ours, theirs, host="target.example", answer=OK):
    """What comes of a request to a server with the certificate of *theirs*, by a name that leads to it."""

    async def run():
        async with serve(answer, theirs) as heard:
            guard = TargetGuard(parse_networks(["127.0.0.0/8"]), ports=frozenset({heard.port}))
            names = Names(target_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
            http = HttpClient(HttpBounds(20), tls=ours, guard=guard, resolver=names)
            try:
                return await http.send(HttpRequest(f"https://{host}:{heard.port}/", b"{}", {})), heard
            finally:
                await http.close()

    return asyncio.run(run())


def shake(ours, theirs):
    """What comes of a request to a server that refuses the handshake."""

    async def run(port):
        http = HttpClient(HttpBounds(20), tls=ours)
        try:
            return await http.send(HttpRequest(f"https://127.0.0.1:{port}/", b"{}", {}))
        finally:
            await http.close()

    with refusing(theirs) as port:
        return asyncio.run(run(port))


def test_the_handshake_keeps_the_name(ca):
    """The name in the URL is asked for, found in the certificate, and said in the Host header."""
    answer, heard = send(client(ca.file.parent), server(ca.issue("named", ["target.example"])))
    assert answer.status == 200
    assert heard.names == ["target.example"]
    assert f"Host: target.example:{heard.port}\r\n" in heard.heads[0]


def test_an_address_may_be_in_a_certificate(ca):
    """Without a name there is none to ask for."""
    answer, heard = send(client(ca.file.parent), server(ca.issue("numbered")), host="127.0.0.1")
    assert (answer.status, heard.names) == (200, [None])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_our_certificate_is_shown(ca, version):
    """To targets that ask for one, in both versions of TLS."""
    theirs = server(ca.issue("asking", ["target.example"]), verify_mode=ssl.CERT_REQUIRED, maximum_version=version)
    theirs.load_verify_locations(ca.file)
    ca.issue("ours", ["client.example"])
    answer, _ = send(client(ca.file.parent, "{ca: ca.pem, certificate: ours.pem, key: ours.key}"), theirs)
    assert answer.status == 200


TRUST = "name its CA in tls.ca of this sink"
OWN = "see tls.certificate and tls.key of this sink"


@pytest.mark.parametrize(
    ("name", "hosts", "days", "tls", "line"),
    [
        ("expired", ["target.example"], -1, "{ca: ca.pem}", "has expired"),
        ("elsewhere", ["other.example"], 1, "{ca: ca.pem}", "is for another name than the url's host"),
        ("wild", ["*.target.example"], 1, "{ca: ca.pem}", "is for another name than the url's host"),
        ("unknown", ["target.example"], 1, "{ca: other.pem}", f"is of a CA that is not trusted: {TRUST}"),
        ("system", ["target.example"], 1, "{}", f"is of a CA that is not trusted: {TRUST}"),
    ],
)
def test_a_certificate_that_is_not_taken(ca, name, hosts, days, tls, line):
    """The line says what is wrong with it, and what to do."""
    Authority(ca.file.parent, "other")
    answer, heard = send(client(ca.file.parent, tls), server(ca.issue(name, hosts, days=days)))
    assert answer == NoAnswer(Trouble.TLS, f"the target's certificate {line}")
    assert heard.heads == []


def test_a_certificate_of_another_address_is_not_taken(ca):
    """A name in it does not help whoever connects by a number."""
    answer, _ = send(client(ca.file.parent), server(ca.issue("by-name", ["target.example"])), host="127.0.0.1")
    assert answer == NoAnswer(Trouble.TLS, "the target's certificate is for another address than the url's host")


def test_a_self_signed_certificate_is_not_taken(ca, tmp_path):
    """Unless it is the CA that was named."""
    certificate(tmp_path, "target.example")
    theirs = server((tmp_path / "cert.pem", tmp_path / "key.pem"))
    answer, _ = send(client(ca.file.parent), theirs, host="127.0.0.1")
    assert answer == NoAnswer(Trouble.TLS, f"the target's certificate is self-signed: {TRUST}")
    answer, _ = send(client(tmp_path, "{ca: cert.pem}"), theirs, host="127.0.0.1")
    assert answer.status == 200


def test_old_versions_of_tls_are_not_spoken(ca):
    """Whatever the machine's OpenSSL would accept."""
    old = ssl.TLSVersion.TLSv1_1
    theirs = server(ca.issue("old"), minimum_version=old, maximum_version=old)
    theirs.set_ciphers("ALL:@SECLEVEL=0")
    ours = client(ca.file.parent)
    ours.set_ciphers("ALL:@SECLEVEL=0")
    answer = shake(ours, theirs)
    assert answer == NoAnswer(Trouble.TLS, "the target speaks no TLS 1.2 or 1.3")


def test_a_target_without_tls_is_found_out(ca):
    """An http port in an https URL: it takes our handshake for a bad request."""

    async def talk(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def run():
        listening = await asyncio.start_server(talk, "127.0.0.1", 0)
        http = HttpClient(HttpBounds(20), tls=client(ca.file.parent))
        try:
            port = listening.sockets[0].getsockname()[1]
            return await http.send(HttpRequest(f"https://127.0.0.1:{port}/", b"{}", {}))
        finally:
            await http.close()
            listening.close()

    answer = asyncio.run(run())
    assert answer == NoAnswer(Trouble.TLS, "the target does not speak TLS at this port: is it http?")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("which", ["none", "of another CA"])
def test_a_target_that_wants_another_certificate_of_ours(ca, version, which):
    """It says so during the handshake or, in TLS 1.3, after it; the line is about our certificate all the same."""
    theirs = server(ca.issue("strict"), verify_mode=ssl.CERT_REQUIRED, maximum_version=version)
    theirs.load_verify_locations(ca.file)
    Authority(ca.file.parent, "foreign").issue("stranger", ["client.example"])
    more = "" if which == "none" else ", certificate: stranger.pem, key: stranger.key"
    answer = shake(client(ca.file.parent, f"{{ca: ca.pem{more}}}"), theirs)
    assert answer.trouble is Trouble.TLS
    assert answer.detail.endswith(OWN)


def test_a_target_that_hangs_up_during_the_handshake(ca):
    """Without an alert there is no reason, but it is known when it happened."""
    theirs = server(ca.issue("curt"), verify_mode=ssl.CERT_REQUIRED, maximum_version=ssl.TLSVersion.TLSv1_2)
    answer, _ = send(client(ca.file.parent), theirs, host="127.0.0.1")
    assert answer == NoAnswer(Trouble.TLS, "the target ended the connection during the handshake")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConnectionResetError(104, "reset"), None),
        (ssl.SSLError(1, "[SSL: X] words (_ssl.c:1006)"), "[SSL: X] words"),
        (ssl.SSLError(), "SSLError"),
    ],
)
def test_any_error_has_a_line(error, line):
    """What nobody has words for is said in OpenSSL's, without the place in Python's source."""
    found = find_tls_error(error)
    assert (None if found is None else describe_tls_trouble(found)) == line


def test_the_operator_is_told_once_and_the_reason_stays_in_readyz(ca, caplog):
    """One line in the log, however often it is tried; what waits arrives when the certificate is mended."""
    caplog.set_level("INFO", "logrouter")
    theirs = server(ca.issue("late", ["target.example"], days=-1))

    async def run():
        async with serve(OK, theirs) as heard:
            guard = TargetGuard(parse_networks(["127.0.0.0/8"]), ports=frozenset({heard.port}))
            names = Names(target_example=[["127.0.0.1"]])
            http = HttpClient(HttpBounds(20), tls=client(ca.file.parent), guard=guard, resolver=names)
            sink = HttpSink(WebhookProtocol(f"https://target.example:{heard.port}/"), http)
            delivery = Delivery("hook", sink, PaceLimits(1, 0.001, 0.001))
            task = asyncio.ensure_future(delivery.deliver([RawRecord("out", 0, 0, 0, b"{}")]))
            await names.wait_for_questions(4)
            why = delivery.why_waiting
            theirs.load_cert_chain(*ca.issue("mended", ["target.example"]))
            settled = await task
            await delivery.close()
            return why, settled, delivery.why_waiting

    why, settled, after = asyncio.run(run())
    assert why == "sink hook: tls: the target's certificate has expired, for 0 s"
    assert (settled, after) == ([DELIVERED], "")
    assert [record.message for record in caplog.records] == ["sink_down", "sink_up"]
