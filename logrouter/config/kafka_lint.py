"""Warnings about a section `kafka` that is valid and lets others read, or pass for, the cluster."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from logrouter.config.options.endpoint import is_loopback
from logrouter.config.yaml.problems import quote_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.config.yaml.problems import Problems
    from logrouter.config.yaml.secrets import Secret

_WEAK: Final = re.compile(r"\b(?:[ae]?NULL|ADH|AECDH|EXP|EXPORT|LOW|RC4|SECLEVEL=0)\b")
"""Names in OpenSSL's list of ciphers for those without encryption, without authentication, or broken."""
_OFF = ("false", "0", "f", "none")
_TOKEN_URL = "sasl.oauthbearer.token.endpoint.url"  # noqa: S105 - the name of a setting


def warn_kafka(given: Mapping[str, str | Secret], problems: Problems) -> None:
    """Warn of certificates that are not verified, and of secrets that travel in the clear."""
    protocol = str(given.get("security.protocol", "plaintext")).lower()
    if protocol.endswith("ssl"):
        _warn_verification(given, problems)
    if protocol.startswith("sasl"):
        _warn_sasl(given, problems, encrypted=protocol.endswith("ssl"))


def _warn_verification(given: Mapping[str, str | Secret], problems: Problems) -> None:
    name = "enable.ssl.certificate.verification"
    if str(given.get(name, "true")).lower() in _OFF:
        problems.warn(
            f"kafka.{name}",
            "accepts any certificate, so that anybody on the way can pass for a broker and get the password: remove it "
            "and name who signed the brokers' certificates in ssl.ca.location",
        )
    name = "ssl.cipher.suites"
    listed = re.split("[:, ]", str(given.get(name, "")))
    weak = next((part for part in listed if part[:1] not in ("!", "-") and _WEAK.search(part)), None)
    if weak is not None:
        problems.warn(
            f"kafka.{name}",
            f"{quote_value(weak)} lets a connection be read or taken over: remove it, and so let the client choose",
        )
    name = "ssl.endpoint.identification.algorithm"
    if str(given.get(name, "https")).lower() in _OFF:
        problems.warn(
            f"kafka.{name}",
            "accepts a certificate of any host, so that whoever has one by the same authority can pass for a broker: "
            "remove it, and give the brokers certificates of their own names",
        )


def _warn_sasl(given: Mapping[str, str | Secret], problems: Problems, *, encrypted: bool) -> None:
    mechanism = str(given.get("sasl.mechanism", given.get("sasl.mechanisms", ""))).upper()
    if not encrypted and mechanism in ("PLAIN", "OAUTHBEARER") and not _all_on_loopback(given):
        what = "password" if mechanism == "PLAIN" else "token"
        problems.warn("kafka.security.protocol", f"sends the {what} without encryption: use sasl_ssl")
    name = "enable.sasl.oauthbearer.unsecure.jwt"
    if str(given.get(name, "false")).lower() not in _OFF:
        problems.warn(f"kafka.{name}", "makes tokens that nobody has signed: for tests of a broker only")
    url = urlsplit(str(given.get(_TOKEN_URL, "")))
    if url.scheme.lower() == "http" and not is_loopback(url.hostname or ""):
        problems.warn(f"kafka.{_TOKEN_URL}", "sends the client's secret without encryption: use https")


def _all_on_loopback(given: Mapping[str, str | Secret]) -> bool:
    servers = str(given.get("bootstrap.servers", given.get("metadata.broker.list", "localhost")))
    return all(is_loopback(server.strip().rpartition(":")[0] or server.strip()) for server in servers.split(","))
