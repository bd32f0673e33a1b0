"""Files of tokens, keys and certificates: taken when they change, and left alone when they are wrong."""

import asyncio
import json
import re
import socket
import ssl

import aiohttp
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import CollectorRegistry

from logrouter.access.policy import OPEN
from logrouter.access.tokens import hash_token, make_token
from logrouter.config import load
from logrouter.config.settings import SettingsError
from logrouter.http_server import server
from logrouter.http_server.answering import AUTHENTICATOR
from logrouter.http_server.credentials import AccessFiles, CredentialFollower, TlsFiles
from logrouter.query.memory import MemoryReader, MemoryTables
from logrouter.tables.app import App, BootStrategy
from logrouter.tables.http import base_url
from logrouter.tables.settings import from_settings
from logrouter.telemetry.metrics import ACCESS_VALID
from logrouter.web import app
from tests.certificates import certificate
from tests.conftest import HANG_SECONDS

ONE, TWO = make_token(bytes(32)), make_token(b"2" * 32)
REST = "sources: {s: {topics: [lines], envelope: rsyslog}}\nroutes: [{name: r, from: s, format: envoy, to: out}]\n"


def entry(token, name):
    """A line of a tokens file."""
    return f"- {{name: {name}, hash: '{hash_token(token)}', scopes: usage:read}}\n"


def settings(folder, access, more="", env=None, **given):
    """The tables lane of a small topics.yaml in *folder*."""
    file = folder / "topics.yaml"
    file.write_text(f"version: 1\naccess: {access}\n{more}{REST}")
    return from_settings(load(file, {}), env=env or {}, **given)


class Running:
    """A table view with its follower, in the loop of the test."""

    def __init__(self, access, files, tls=None):
        self.access, self.files, self.tls = access, files, tls

    async def __aenter__(self):
        context = self.tls.server() if self.tls else None
        built = app.build_app(
            MemoryReader(MemoryTables(1), mine=frozenset({0})), access=self.access, registry=CollectorRegistry()
        )
        self.runner = await server.start(built, "127.0.0.1", 0, tls=context)
        self.authenticator = built[AUTHENTICATOR]
        self.follower = CredentialFollower(self.authenticator, self.files, self.tls, context)
        self.follower.start(asyncio.get_running_loop())
        host, self.port = self.runner.addresses[0][:2]
        self.url = base_url(host, self.port, encrypted=self.tls is not None)
        self.http = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_):
        self.follower.stop()
        await self.http.close()
        await self.runner.cleanup()

    async def status(self, token):
        """How a question with this token is answered."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.get(f"{self.url}/v1/whoami", headers=headers) as reply:
            return reply.status


async def until(check, message):
    """Asks again until *check* holds."""
    async with asyncio.timeout(HANG_SECONDS):
        while not await check():  # noqa: ASYNC110 - another thread has to see that a file has changed
            await asyncio.sleep(0.02)
    assert await check(), message


def test_tokens_are_rotated_without_a_restart(tmp_path):
    """A new one is let in, one that was taken out is not; a file with a mistake changes nothing and is told about."""
    file = tmp_path / "tokens.yaml"
    file.write_text(entry(ONE, "one"))
    made = settings(tmp_path, "{tokens_file: tokens.yaml}")

    async def main():
        async with Running(made.access, made.access_files) as view:
            assert (await view.status(ONE), await view.status(TWO)) == (200, 401)

            async def rotated():
                return (await view.status(ONE), await view.status(TWO)) == (401, 200)

            file.write_text(entry(TWO, "two"))
            await until(rotated, "the new file is in force")
            assert ACCESS_VALID._value.get() == 1
            file.write_text("- {name: three")

            async def told():
                return ACCESS_VALID._value.get() == 0

            await until(told, "the broken file is refused")
            assert await rotated()
            file.unlink()
            (tmp_path / "new").write_text(entry(ONE, "one"))
            (tmp_path / "new").rename(file)

            async def back():
                return (await view.status(ONE), await view.status(TWO)) == (200, 401)

            await until(back, "a file renamed into place is taken")

            async def mended():
                return ACCESS_VALID._value.get() == 1

            await until(mended, "the gauge follows")

    asyncio.run(main())


def test_tokens_of_topics_yaml_stay_beside_those_of_the_file(tmp_path):
    """Both are let in, and a change of the file leaves the others alone."""
    (tmp_path / "tokens.yaml").write_text("")
    inline = entry(ONE, "one").strip().removeprefix("- ")
    made = settings(tmp_path, f"{{tokens_file: tokens.yaml, tokens: [{inline}]}}")

    async def main():
        async with Running(made.access, made.access_files) as view:

            async def both():
                return (await view.status(ONE), await view.status(TWO)) == (200, 200)

            (tmp_path / "tokens.yaml").write_text(entry(TWO, "two"))
            await until(both, "the file is taken")

    asyncio.run(main())


def test_keys_of_an_issuer_are_rotated_without_a_restart(tmp_path):
    """What the new key signed is believed, what the old one signed is not."""
    old, new = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def publish(key):
        found = jwt.get_algorithm_by_name("ES256").to_jwk(key.public_key(), as_dict=True)
        (tmp_path / "jwks.json").write_text(json.dumps({"keys": [found]}))

    def bearer(key):
        return jwt.encode({"iss": "i", "aud": "a", "exp": 9_999_999_999, "sub": "s"}, key, "ES256")

    publish(old)
    made = settings(tmp_path, "{jwt: {issuer: i, audience: a, jwks_file: jwks.json}}")

    async def main():
        async with Running(made.access, made.access_files) as view:
            assert (await view.status(bearer(old)), await view.status(bearer(new))) == (200, 401)

            async def rotated():
                return (await view.status(bearer(old)), await view.status(bearer(new))) == (401, 200)

            publish(new)
            await until(rotated, "the new keys are in force")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("access", "http", "names"),
    [
        ("{mode: open}", "{host: 127.0.0.1}", {"localhost"}),
        ("{mode: open, hosts: [Usage.example.org]}", "{host: 127.0.0.1}", {"localhost", "usage.example.org"}),
        ("{mode: open, open_to_network: true}", "{host: 0.0.0.0}", None),
        (
            "{mode: open, open_to_network: true, hosts: [usage.example.org]}",
            "{host: node-1, advertise: 'http://worker-1:6066'}",
            {"localhost", "worker-1", "node-1", socket.gethostname().lower(), "usage.example.org"},
        ),
    ],
)
def test_names_by_which_an_open_worker_answers(tmp_path, access, http, names):
    """On loopback few, on a network any until some are named: then these and the workers' own."""
    assert settings(tmp_path, access, f"tables_lane: {{http: {http}}}\n").access.hosts == names


@pytest.mark.parametrize(
    ("access", "files", "message"),
    [
        ("{tokens_file: missing.yaml}", {}, "missing.yaml can't be read"),
        ("{tokens_file: tokens.yaml}", {"tokens.yaml": "- {name: a}"}, "lacks `hash`"),
        (
            f"{{tokens_file: tokens.yaml, tokens: [{{name: a, hash: '{hash_token(ONE)}', scopes: admin}}]}}",
            {"tokens.yaml": entry(TWO, "a")},
            "the name a is in access.tokens",
        ),
        (
            f"{{tokens_file: tokens.yaml, tokens: [{{name: a, hash: '{hash_token(ONE)}', scopes: admin}}]}}",
            {"tokens.yaml": entry(ONE, "b")},
            "a hash is in access.tokens",
        ),
        ("{jwt: {issuer: i, audience: a, jwks_file: k}}", {"k": "[]"}, "is no JWKS"),
        ("{jwt: {issuer: i, audience: a, jwks_file: k}}", {"k": '{"keys": []}'}, "has no key for RS256, ES256"),
    ],
)
def test_a_worker_does_not_start_with_files_that_it_cannot_use(tmp_path, access, files, message):
    """Said at once and by name; it would let in nobody, or not whom one thinks."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=message):
        settings(tmp_path, access)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "node-1", "::ffff:127.0.0.1"])  # noqa: S104 - named
def test_a_worker_that_is_open_does_not_listen_on_a_network_unless_told_to(tmp_path, host):
    """Neither by the file nor by `--host`; with `open_to_network` it does."""
    lane = f"tables_lane: {{http: {{host: '{host}'}}}}\n"
    says = (
        f"access.mode: open lets everybody who reaches {host} read all usage of everybody: listen on loopback "
        "(tables_lane.http.host: 127.0.0.1), or name who may read (docs/access-control.md), or say "
        "access.open_to_network: true"
    )
    for given in ({"more": lane}, {"host": host}):
        with pytest.raises(SettingsError, match=re.escape(says)):
            settings(tmp_path, "{mode: open}", **given)
        assert settings(tmp_path, "{mode: open, open_to_network: true}", **given).access.open
    assert settings(tmp_path, "{mode: open}", lane, host="127.0.0.1").access.open
    assert not settings(tmp_path, "{mode: callers}", lane).access.open


def test_a_certificate_is_replaced_without_a_restart_and_a_broken_one_is_not_taken(tmp_path):
    """New connections see the new one; those that are open go on."""
    first = certificate(tmp_path, "first")
    tls = TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem")

    async def main():
        async with Running(OPEN, AccessFiles(), tls) as view:

            async def served():
                # Whichever certificate is there now: it is the server that is asked, not the client's trust.
                pem = await asyncio.to_thread(
                    ssl.get_server_certificate, ("127.0.0.1", view.port), timeout=HANG_SECONDS
                )
                return x509.load_pem_x509_certificate(pem.encode()).serial_number

            assert await served() == first
            (tmp_path / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")

            async def told():
                return ACCESS_VALID._value.get() == 0

            await until(told, "the broken certificate is refused")
            assert await served() == first
            second = certificate(tmp_path, "second")

            async def replaced():
                return await served() == second

            await until(replaced, "the new certificate is served")

    asyncio.run(main())


def test_workers_ask_each_other_by_https_and_check_who_answers(tmp_path):
    """A worker whose certificate is signed by nobody that is trusted is not asked."""
    certificate(tmp_path, "worker")
    trusting = TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "cert.pem")
    strict = TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem")

    async def status(client):
        tables = MemoryTables(1)
        holder = MemoryReader(tables, mine=frozenset({0}))
        asked = MemoryReader(tables, owners={})
        options = {"access": OPEN, "registry": CollectorRegistry()}
        one = await server.start(app.build_app(holder, **options), "127.0.0.1", 0, tls=trusting.server())
        two = await server.start(app.build_app(asked, peer_tls=client, **options), "127.0.0.1", 0)
        asked.owners[0] = base_url(*one.addresses[0][:2], encrypted=True)
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{base_url(*two.addresses[0][:2])}/v1/clients/x") as reply,
        ):
            found = (reply.status, (await reply.json(content_type=None))["type"].rpartition(":")[2])
        await two.cleanup()
        await one.cleanup()
        return found

    assert asyncio.run(status(trusting.client())) == (404, "unknown-subject")
    assert asyncio.run(status(strict.client())) == (503, "owner-away")


@pytest.mark.parametrize("broken", ["cert.pem", "key.pem", "ca.pem"])
def test_files_of_https_that_cannot_be_used_are_one_clear_line(tmp_path, broken):
    """Missing, or something else."""
    certificate(tmp_path, "worker")
    (tmp_path / "ca.pem").write_bytes((tmp_path / "cert.pem").read_bytes())
    lane = "tables_lane: {http: {tls: {cert: cert.pem, key: key.pem, ca: ca.pem}}}\n"
    assert settings(tmp_path, "{mode: open}", lane).tls.ca == tmp_path / "ca.pem"
    (tmp_path / broken).write_text("x")
    with pytest.raises(SettingsError, match="cannot be used"):
        settings(tmp_path, "{mode: open}", lane)
    (tmp_path / broken).unlink()
    with pytest.raises(SettingsError, match="cannot be used"):
        settings(tmp_path, "{mode: open}", lane)


def test_a_key_with_a_pass_phrase_is_refused_and_nobody_is_asked_for_it(tmp_path):
    """A daemon has no terminal to answer at."""
    certificate(tmp_path, "worker")
    key = ec.generate_private_key(ec.SECP256R1())
    phrase = serialization.BestAvailableEncryption(b"phrase")
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, phrase)
    )
    with pytest.raises(SettingsError, match="cannot be used"):
        TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem").server()


def test_the_server_of_the_stream_library_is_never_started():
    """It would show the tables at /table to whoever reaches its port."""
    assert App.BootStrategy is BootStrategy
    assert BootStrategy(None).web_server() == ()
