"""Warnings about a section `kafka` by which others may read, or pass for, the cluster."""

from __future__ import annotations

import pytest

from logrouter.config.lint import check

SMALL = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: a, from: logs, format: envoy, to: out}]
"""
PLAIN = "sasl.mechanism: PLAIN, sasl.username: a, sasl.password: '${PW}'"
SCRAM = PLAIN.replace("PLAIN", "SCRAM-SHA-256")
OIDC = "sasl.mechanism: OAUTHBEARER, sasl.oauthbearer.method: oidc"


@pytest.mark.parametrize(
    ("kafka", "place", "says"),
    [
        (
            "security.protocol: ssl, enable.ssl.certificate.verification: false",
            "enable.ssl.certificate.verification",
            "accepts any certificate",
        ),
        (
            "security.protocol: SASL_SSL, enable.ssl.certificate.verification: '${OFF}'",
            "enable.ssl.certificate.verification",
            "accepts any certificate",
        ),
        (
            "security.protocol: ssl, ssl.endpoint.identification.algorithm: none",
            "ssl.endpoint.identification.algorithm",
            "accepts a certificate of any host",
        ),
        (
            "security.protocol: ssl, ssl.cipher.suites: 'ALL:!ADH:eNULL'",
            "ssl.cipher.suites",
            "'eNULL' lets a connection be read or taken over",
        ),
        (
            "security.protocol: ssl, ssl.cipher.suites: 'DEFAULT@SECLEVEL=0'",
            "ssl.cipher.suites",
            "'DEFAULT@SECLEVEL=0' lets a connection be read or taken over",
        ),
        (
            f"bootstrap.servers: 'localhost:1,kafka-1:9092', security.protocol: sasl_plaintext, {PLAIN}",
            "security.protocol",
            "sends the password without encryption: use sasl_ssl",
        ),
        (
            f"bootstrap.servers: 'kafka-1:9092', security.protocol: sasl_plaintext, {OIDC}",
            "security.protocol",
            "sends the token without encryption: use sasl_ssl",
        ),
        (
            f"security.protocol: sasl_ssl, {OIDC}, sasl.oauthbearer.token.endpoint.url: 'http://issuer/token'",
            "sasl.oauthbearer.token.endpoint.url",
            "sends the client's secret without encryption: use https",
        ),
        (
            "security.protocol: sasl_ssl, sasl.mechanism: OAUTHBEARER, enable.sasl.oauthbearer.unsecure.jwt: true",
            "enable.sasl.oauthbearer.unsecure.jwt",
            "makes tokens that nobody has signed",
        ),
    ],
)
def test_what_is_warned_of(tmp_path, kafka, place, says):
    """At the setting, with what to do."""
    (found,) = findings(tmp_path, kafka)

    assert (found.path, found.severity) == (f"kafka.{place}", "warning")
    assert found.message.startswith(says)


@pytest.mark.parametrize(
    "kafka",
    [
        "security.protocol: plaintext, enable.ssl.certificate.verification: false",
        "security.protocol: ssl, enable.ssl.certificate.verification: true",
        "security.protocol: ssl, ssl.endpoint.identification.algorithm: https",
        "security.protocol: ssl, ssl.cipher.suites: 'ECDHE-RSA-AES256-GCM-SHA384:HIGH:!aNULL:!eNULL:!RC4:-LOW'",
        f"bootstrap.servers: 'kafka-1:9093', security.protocol: sasl_ssl, {PLAIN}",
        f"bootstrap.servers: 'localhost:9092', security.protocol: sasl_plaintext, {PLAIN}",
        f"bootstrap.servers: 'kafka:9092', security.protocol: sasl_plaintext, {SCRAM}",
    ],
)
def test_what_is_not(tmp_path, kafka):
    """What is safe, or of no effect."""
    assert findings(tmp_path, kafka) == []


def findings(tmp_path, kafka):
    """What `check` says of a file with these settings."""
    file = tmp_path / "topics.yaml"
    file.write_text(f"{SMALL}kafka: {{{kafka}}}\n")
    return check(file, {"OFF": "False", "PW": "x"}).problems
