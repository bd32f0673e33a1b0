"""The section `kafka`: which settings of librdkafka a topics.yaml may name, and that none runs or sends anything."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from confluent_kafka import cimpl
from hypothesis import given
from hypothesis import strategies as st

from logrouter.cli import cli
from logrouter.config import lint
from logrouter.config.options.kafka import OWNED, KafkaKind, why_refused
from logrouter.config.options.kafka_settings import ALLOWED, FILES, REFUSED
from logrouter.config.yaml.kinds import usable
from logrouter.config.yaml.problems import Problems
from logrouter.kafka import reader
from logrouter.kafka.client import consumer_settings, explain_refusal, plain_settings, producer_settings
from logrouter.kafka.errors import ClientError

if TYPE_CHECKING:
    from pathlib import Path

SMALL = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes:
  - {name: a, from: logs, format: envoy, to: out}
"""


def messages(tmp_path: Path, kafka: str, **env: str) -> list[str]:
    """Path and message of all that `check` says of a file with these settings."""
    file = tmp_path / "topics.yaml"
    file.write_text(f"{SMALL}kafka: {{{kafka}}}\n")
    return [f"{found.path}: {found.message}" for found in lint.check(file, env, refusal=explain_refusal).problems]


def properties_of_the_client(tmp_path: Path) -> set[str]:
    """Every property in the table that the installed librdkafka prints of itself."""
    library, c = ctypes.CDLL(cimpl.__file__), ctypes.CDLL(None)
    c.fopen.restype = ctypes.c_void_p
    file = c.fopen(str(tmp_path / "table").encode(), b"w")
    library.rd_kafka_conf_properties_show(ctypes.c_void_p(file))
    c.fclose(ctypes.c_void_p(file))
    lines = (tmp_path / "table").read_text().splitlines()
    return {line.split("|")[0].strip() for line in lines if line.count("|") > 3 and line[0].islower()}


def test_every_property_of_librdkafka_is_decided(tmp_path):
    """A property that a newer librdkafka brings must be looked at before anybody can write it."""
    known = properties_of_the_client(tmp_path)

    assert len(known) > 150
    assert known - ALLOWED - OWNED.keys() - REFUSED.keys() == set()
    assert ALLOWED - known == set()


def test_a_setting_is_in_one_table():
    """Allowed, ours, or refused."""
    assert not ALLOWED & (OWNED.keys() | REFUSED.keys())
    assert not OWNED.keys() & REFUSED.keys()
    assert FILES <= ALLOWED


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_no_allowed_setting_names_code(name):
    """Properties that load, run or write are known by these words; `check` would do what they say."""
    assert not any(word in name for word in ("plugin", "engine", "provider", "cmd", "interceptor", "_cb", "store.path"))
    assert not name.startswith(("sasl.kerberos", "test.", "internal."))


CODE = "is not allowed: loads code into this process; a configuration can't name code, so remove it"
KERBEROS = (
    "is not allowed: belongs to Kerberos, for which librdkafka runs a command; use SCRAM, PLAIN or OAUTHBEARER instead"
)
SENDS = (
    "is not allowed: sends the content of a file to an address of this file; "
    "use sasl.oauthbearer.assertion.claim.* instead"
)
UNKNOWN = "is not a setting of librdkafka that is known here"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("plugin.library.paths: ./evil", CODE),
        ("ssl.engine.location: /tmp/x.so", CODE),
        ("ssl.engine.id: dynamic", CODE),
        ("ssl.providers: evil", CODE),
        (
            "sasl.kerberos.kinit.cmd: touch /tmp/x",
            KERBEROS,
        ),
        (
            "sasl.mechanism: GSSAPI",
            "must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, not 'GSSAPI'",
        ),
        (
            "sasl.oauthbearer.assertion.file: /etc/shadow",
            SENDS,
        ),
        ("fetch.mn.bytes: 1", f'{UNKNOWN} (did you mean "fetch.min.bytes"?)'),
        ("PLUGIN.library.paths: x", UNKNOWN),
    ],
)
def test_a_setting_that_is_refused_says_what_to_do(tmp_path, setting, says):
    """One sentence: which setting, why not, and what instead."""
    assert messages(tmp_path, setting) == [f"kafka.{setting.partition(':')[0]}: {says}"]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_no_way_to_a_client_takes_a_refused_setting(name):
    """Settings that come from a program instead of a topics.yaml are held to the same list."""
    kafka = {"bootstrap.servers": "localhost:1", name: "x"}

    for make in (
        plain_settings,
        lambda given: consumer_settings(given, group="g", instance=None, session_timeout_ms=10_000),
        lambda given: producer_settings(given, transactional_id="t", timeout_ms=10_000),
    ):
        with pytest.raises(ClientError, match=f"kafka.{name} is not allowed"):
            make(kafka)


CANARY = """
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void loaded(void) { fclose(fopen(getenv("CANARY"), "w")); }
int conf_init(void *conf, void **opaque, char *error, unsigned long size) { return 0; }
"""


@pytest.mark.long
def test_check_loads_no_library_and_runs_no_command(tmp_path, monkeypatch):
    """A library and a script that would leave a file behind: the library does when it is loaded, but not by `check`."""
    library, script, left = tmp_path / "canary.so", tmp_path / "canary.sh", tmp_path / "left"
    source = tmp_path / "canary.c"
    source.write_text(CANARY)
    if subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=False).returncode:
        pytest.skip("no C compiler here to make the library with")
    script.write_text(f"#!/bin/sh\ntouch {left}\n")
    script.chmod(0o755)
    monkeypatch.setenv("CANARY", str(left))
    load = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    subprocess.run([sys.executable, "-c", load, library], check=True)
    assert left.exists(), "the canary does not sing"
    left.unlink()

    for name in sorted({*REFUSED, *ALLOWED} - FILES):
        for value in (library, script, f"{library};{script}", f"$({script})"):
            file = tmp_path / "topics.yaml"
            file.write_text(f"{SMALL}kafka: {{{name}: '{value}', security.protocol: ssl}}\n")
            lint.check(file, {}, refusal=explain_refusal)

    file.write_text(f"{SMALL}kafka: {{plugin.library.paths: '{library}', sasl.kerberos.kinit.cmd: '{script}'}}\n")
    done = subprocess.run([sys.executable, "-m", "logrouter", "check", file], check=False, capture_output=True)
    assert (done.returncode, left.exists()) == (2, False)


def test_check_speaks_to_nobody(tmp_path):
    """A client connects as soon as it is made: `check` would tell the password to any address in a proposed file."""
    with socket.create_server(("127.0.0.1", 0)) as broker, socket.create_server(("127.0.0.1", 0)) as issuer:
        servers = f"bootstrap.servers: '127.0.0.1:{broker.getsockname()[1]}'"
        scram = "sasl.mechanism: PLAIN, sasl.username: a, sasl.password: '${PW}'"
        oauth = (
            "sasl.mechanism: OAUTHBEARER, sasl.oauthbearer.method: oidc, sasl.oauthbearer.client.id: a, "
            "sasl.oauthbearer.client.secret: '${PW}', "
            f"sasl.oauthbearer.token.endpoint.url: 'http://127.0.0.1:{issuer.getsockname()[1]}/token'"
        )
        for sasl in (scram, oauth):
            assert messages(tmp_path, f"{servers}, security.protocol: sasl_plaintext, {sasl}", PW="hunter2") == []
        for listener in (broker, issuer):
            listener.settimeout(0.2)
            with pytest.raises(TimeoutError):
                listener.accept()


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_of_tls_must_be_a_regular_file(tmp_path, name):
    """A pipe would keep `check` waiting for ever, a device or a file of the kernel would feed it."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")

    for value in (pipe, link, "/dev/stdin", "/proc/self/environ"):
        found = messages(tmp_path, f"{name}: '{value}', security.protocol: ssl")
        assert found == [f"kafka.{name}: is not a regular file: name a file that holds data"]


@pytest.mark.parametrize("name", ["ssl.ca.location", "https.ca.location"])
def test_certificates_of_authorities_may_be_in_a_folder(tmp_path, name):
    """As `/etc/ssl/certs` has them."""
    assert messages(tmp_path, f"{name}: '{tmp_path}', security.protocol: ssl") == []


def test_a_file_of_tls_may_be_a_link_and_may_be_missing(tmp_path):
    """Mounted secrets are links; that there is no such file is for the client to say."""
    link = tmp_path / "ca.pem"
    link.symlink_to(tmp_path / "data")

    (found,) = messages(tmp_path, f"ssl.ca.location: '{link}', security.protocol: ssl")

    assert "ssl.ca.location" in found
    assert "regular" not in found


def test_what_is_allowed_is_not_refused():
    """The usual ones."""
    usual = ("bootstrap.servers", "sasl.password", "ssl.ca.location", "client.rack", "linger.ms", "fetch.min.bytes")

    assert [why_refused(name) for name in usual] == [None] * 6


def test_plan_asks_the_cluster_of_the_file_in_force(tmp_path, monkeypatch):
    """The other file's brokers are what its author has written: nobody connects to them."""
    asked = []

    def note_and_fail(kafka):
        asked.append(kafka["bootstrap.servers"])
        raise ClientError("away")

    monkeypatch.setattr(reader, "describe_cluster", note_and_fail)
    for name in ("mine", "proposed"):
        (tmp_path / f"{name}.yaml").write_text(f"{SMALL}kafka: {{bootstrap.servers: '{name}:9092'}}\n")

    done = CliRunner().invoke(cli, ["plan", str(tmp_path / "proposed.yaml"), "--config", str(tmp_path / "mine.yaml")])

    assert (done.exit_code, asked) == (2, ["mine:9092"])


NAMES = st.sampled_from(sorted({*ALLOWED, *REFUSED, *OWNED})) | st.text(max_size=12)
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.lists(st.integers(), max_size=2)


@given(st.dictionaries(NAMES | NAMES.map(str.upper) | NAMES.map(lambda name: f" {name}"), VALUES, max_size=4))
def test_whatever_is_written_only_allowed_settings_come_out(given_settings):
    """Texts and secrets by names of the list, or problems; nothing raises."""
    problems = Problems()

    read = KafkaKind().read(given_settings, "kafka", problems)

    if usable(read):
        assert read.keys() == given_settings.keys() <= ALLOWED
        assert not problems.errors
    else:
        assert problems.errors
