"""Whether the cluster refuses this worker's credentials: aiokafka only logs that, and says it found no broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

if TYPE_CHECKING:
    from logrouter.tables.security import Security

_ASK_MS: Final = 3_000
_REFUSALS: Final = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)


async def find_refusal(security: Security) -> str | None:
    """The name of the error with which a broker refuses our credentials; None if none of those named refuses them.

    The brokers are asked one after the other, for three seconds each at most, and only where credentials are given.
    """
    if not security.protocol.startswith("SASL"):
        return None
    options = {name: value for name, value in security.client_options().items() if name != "bootstrap_servers"}
    for server in security.servers:
        host, _, port = server.rpartition(":") if ":" in server else (server, "", "9092")
        try:
            connection = await create_conn(host.strip("[]"), int(port), request_timeout_ms=_ASK_MS, **options)
        except _REFUSALS as exc:
            return type(exc).__name__
        except (KafkaError, OSError, TimeoutError):
            continue
        connection.close()
    return None
