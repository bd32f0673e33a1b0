"""Settings of a tables worker, and how it reaches a cluster."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faust.auth import SASLCredentials

from logrouter.config import load
from logrouter.config.settings import SettingsError
from logrouter.tables.security import security
from logrouter.tables.settings import CLOCK_OFFSET_ENV, PEER_SECRET_ENV, from_settings


def settings(tmp_path, kafka="{bootstrap.servers: 'k1:9092, k2:9092'}", env=os.environ, **given):
    """The tables lane of a small topics.yaml."""
    file = tmp_path / "topics.yaml"
    file.write_text(
        f"version: 1\nkafka: {kafka}\n"
        "sources: {s: {topics: [lines], envelope: rsyslog}}\n"
        "routes: [{name: r, from: s, format: envoy, to: out}]\n"
        "tables_lane: {retention: {minute_hours: 2, hour_days: 3, day_days: 4}}\n",
        encoding="utf-8",
    )
    return from_settings(load(file, env), env=env, **given)


LONG = "sixteen letters."


@pytest.mark.parametrize("short", ["s", LONG[1:], f"{LONG[1:]} \n"])
def test_the_secret_between_workers_is_never_short(tmp_path, short):
    """Whoever may read the table view now: the secret outlives that."""
    says = f"{PEER_SECRET_ENV} has fewer than 16 characters, and lets in who finds it: take 32 random bytes"
    with pytest.raises(SettingsError, match=says):
        settings(tmp_path, env={PEER_SECRET_ENV: short})


def test_settings_come_from_the_file_and_the_command_line(tmp_path):
    """What the command line gives stands; the rest is the file's, in the units used here."""
    found = settings(tmp_path, data_dir=Path("x"), port=7, env={PEER_SECRET_ENV: f" {LONG}\n", CLOCK_OFFSET_ENV: "-60"})
    assert (found.data_dir, found.port, found.topic) == (Path("x"), 7, "logrouter.rollup")
    assert found.security.servers == ("k1:9092", "k2:9092")
    assert (found.retention.minutes, found.retention.hours, found.retention.days) == (120, 72, 4)
    assert (found.secret, found.clock_offset_seconds) == (LONG, -60)


def test_secrets_are_not_in_the_repr(tmp_path):
    """A log of the settings shows neither the broker's nor the workers' secret."""
    kafka = (
        "{bootstrap.servers: k, security.protocol: sasl_plaintext, sasl.mechanism: PLAIN, "
        "sasl.username: u, sasl.password: '${P}'}"
    )
    found = settings(tmp_path, kafka, env={"P": "hunter2", PEER_SECRET_ENV: "hunter2" * 3})
    assert "hunter2" in found.security.client_options().values()
    assert "hunter2" not in repr(found)


def test_clock_offset_must_be_a_number(tmp_path):
    """A typo in it is said, not ignored."""
    with pytest.raises(SettingsError, match=CLOCK_OFFSET_ENV):
        settings(tmp_path, env={CLOCK_OFFSET_ENV: "soon"})


def test_plaintext_ignores_what_only_tunes_librdkafka():
    """Settings of the other lane's client are none of ours."""
    found = security({"bootstrap.servers": "k:1", "linger.ms": "5", "sasl.kerberos.keytab": "unused"})
    assert found.client_options() == {"bootstrap_servers": ["k:1"], "security_protocol": "PLAINTEXT"}
    assert found.credentials() is None


def test_sasl_over_tls_reaches_faust_and_aiokafka():
    """Mechanism, user and context arrive in both forms."""
    found = security(
        {
            "bootstrap.servers": "k:1",
            "security.protocol": "SASL_SSL",
            "sasl.mechanisms": "SCRAM-SHA-512",
            "sasl.username": "u",
            "sasl.password": "p",
            "ssl.endpoint.identification.algorithm": "none",
        }
    )
    credentials = found.credentials()
    assert isinstance(credentials, SASLCredentials)
    assert (credentials.protocol.value, credentials.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert found.client_options()["ssl_context"] is found.context
    assert not found.context.check_hostname


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bootstrap.servers": " , "}, "names no broker"),
        ({"security.protocol": "tls"}, "security.protocol must be"),
        ({"security.protocol": "sasl_ssl", "sasl.mechanism": "GSSAPI"}, "knows the SASL mechanisms"),
        ({"security.protocol": "sasl_ssl", "sasl.mechanism": "PLAIN"}, "sasl.username and sasl.password"),
        ({"security.protocol": "ssl", "ssl.keystore.location": "k.p12"}, "no equivalent of ssl.keystore.location"),
        (
            {"security.protocol": "sasl_plaintext", "sasl.oauthbearer.config": "x"},
            "no equivalent of sasl.oauthbearer.config",
        ),
        ({"security.protocol": "ssl", "ssl.ca.location": "/not/there"}, "TLS files"),
    ],
)
def test_what_cannot_be_said_to_aiokafka_is_refused(changes, message):
    """A setting that would be dropped silently is an error that names it."""
    with pytest.raises(SettingsError, match=message):
        security({"bootstrap.servers": "k:1", **changes})


@pytest.mark.parametrize("server", ["foo:bar", "127.0.0.1:99999", "host:"])
def test_broker_address_that_is_none_is_one_clear_line(server):
    """A mistyped address is a settings error that repeats it, not a traceback of the client library."""
    with pytest.raises(SettingsError, match="is not HOST:PORT"):
        security({"bootstrap.servers": server})
