"""Translates librdkafka's connection settings into aiokafka's; those without an equivalent are errors.

Only connection settings are read. Settings that tune the route lane's client have no meaning here and are ignored.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faust.auth import SASLCredentials, SSLCredentials

from logrouter.config.settings import SettingsError
from logrouter.config.yaml.named_files import why_unreadable
from logrouter.config.yaml.secrets import FromEnv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faust.types.auth import CredentialsT

_PASSWORD_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_TRUE: Final = ("true", "1", "t")
_KNOWN_SSL: Final = frozenset(
    {
        "ssl.ca.location",
        "ssl.ca.pem",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
    }
)
_KNOWN_SASL: Final = frozenset({"sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password"})


@dataclass(frozen=True, slots=True)
class Security:
    """How to reach the cluster: *servers* are ``host:port``, *protocol* is like ``SASL_SSL``, *mechanism* ``PLAIN``."""

    servers: tuple[str, ...]
    protocol: str = "PLAINTEXT"
    mechanism: str = ""
    username: str = ""
    password: str = ""
    context: ssl.SSLContext | None = None

    def credentials(self) -> CredentialsT | None:
        """Credentials for Faust's consumer and producer; None for a plain connection."""
        if self.protocol.startswith("SASL"):
            return SASLCredentials(
                username=self.username, password=self.password, mechanism=self.mechanism, ssl_context=self.context
            )
        return SSLCredentials(self.context) if self.context else None

    def client_options(self) -> dict[str, object]:
        """Keyword arguments for an aiokafka client."""
        options: dict[str, object] = {"bootstrap_servers": list(self.servers), "security_protocol": self.protocol}
        if self.context is not None:
            options["ssl_context"] = self.context
        if self.protocol.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options


def security(kafka: Mapping[str, str]) -> Security:
    """The connection part of librdkafka settings; `SettingsError` for what the tables lane cannot do."""
    given = kafka.get("bootstrap.servers", "")
    servers = tuple(filter(None, (part.strip() for part in given.split(","))))
    if not servers:
        raise SettingsError("kafka: bootstrap.servers names no broker")
    for server in servers:
        _, colon, port = server.rpartition(":")
        if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            shown = repr(given) if isinstance(given, FromEnv) else server
            raise SettingsError(f"kafka: bootstrap.servers: {shown} is not HOST:PORT")
    protocol = kafka.get("security.protocol", "plaintext").upper()
    if protocol not in ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"):
        raise SettingsError("kafka: security.protocol must be plaintext, ssl, sasl_plaintext or sasl_ssl")
    encrypted, authenticated = protocol.endswith("SSL"), protocol.startswith("SASL")
    _refuse_unknown(kafka, ssl_used=encrypted, sasl_used=authenticated)
    found = Security(servers, protocol, context=_context(kafka) if encrypted else None)
    return _with_sasl(found, kafka) if authenticated else found


def _refuse_unknown(kafka: Mapping[str, str], *, ssl_used: bool, sasl_used: bool) -> None:
    for key in kafka:
        if (ssl_used and key.startswith("ssl.") and key not in _KNOWN_SSL) or (
            sasl_used and key.startswith("sasl.") and key not in _KNOWN_SASL
        ):
            msg = f"kafka: the tables lane has no equivalent of {key}"
            raise SettingsError(msg)


def _with_sasl(found: Security, kafka: Mapping[str, str]) -> Security:
    mechanism = kafka.get("sasl.mechanism", kafka.get("sasl.mechanisms", "")).upper()
    if mechanism not in _PASSWORD_MECHANISMS:
        msg = f"kafka: the tables lane knows the SASL mechanisms {', '.join(_PASSWORD_MECHANISMS)}; set sasl.mechanism"
        raise SettingsError(msg)
    if not kafka.get("sasl.username") or not kafka.get("sasl.password"):
        msg = f"kafka: sasl.username and sasl.password are needed for {mechanism}"
        raise SettingsError(msg)
    return Security(
        found.servers, found.protocol, mechanism, kafka["sasl.username"], kafka["sasl.password"], found.context
    )


def _context(kafka: Mapping[str, str]) -> ssl.SSLContext:
    for name in ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location"):
        why = why_unreadable(Path(kafka[name])) if kafka.get(name) else None
        if why is not None:
            raise SettingsError(f"kafka: {name} {why}")
    try:
        context = ssl.create_default_context(
            cafile=kafka.get("ssl.ca.location") or None, cadata=kafka.get("ssl.ca.pem") or None
        )
        if kafka.get("ssl.certificate.location"):
            context.load_cert_chain(
                kafka["ssl.certificate.location"],
                kafka.get("ssl.key.location") or None,
                kafka.get("ssl.key.password") or None,
            )
    except (OSError, ssl.SSLError) as exc:
        msg = f"kafka: the TLS files of ssl.* cannot be used: {exc.strerror or type(exc).__name__}"
        raise SettingsError(msg) from None
    if kafka.get("ssl.endpoint.identification.algorithm", "https").lower() == "none":
        context.check_hostname = False
    if kafka.get("enable.ssl.certificate.verification", "true").lower() not in _TRUE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
