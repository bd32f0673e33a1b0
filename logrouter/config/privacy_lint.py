"""Warnings about routes that are valid and publish what is rarely meant to be published."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logrouter.config.compile.users import reads_user
from logrouter.core.names import OAUTH_PREFIX
from logrouter.core.redact import names_secret

if TYPE_CHECKING:
    from logrouter.config.options.file import FileOptions
    from logrouter.config.yaml.problems import Problems

_PUBLIC_PART: Final = re.compile(
    r"key[-_.]?id$|(?:jwt|token)(?:.*[-_.])(?:sub|iss|azp|aud|client[-_.]?id|username)$", re.IGNORECASE
)
"""The id of a key, or a claim of a token about who holds it: made to be shown, unlike the key and the token."""


def warn_privacy(file: FileOptions, problems: Problems) -> None:
    """Warn of headers that hold credentials, of keys that become client ids, of users and of queries that are kept."""
    for index, route in enumerate(file.routes):
        for number, header in enumerate(route.request_headers):
            if names_secret(header):
                problems.warn(
                    f"routes[{index}].request_headers[{number}]",
                    f"{header} holds credentials and is never published: leave it out",
                )
        for number, source in enumerate(route.enrich.client_id.sources):
            name = source.rpartition(":")[2]
            if source.startswith(OAUTH_PREFIX):
                if names_secret(source.removeprefix(OAUTH_PREFIX)):
                    problems.warn(
                        f"routes[{index}].enrich.client_id.from[{number}]",
                        f"{source} is called like a secret, and such claims are never read",
                    )
                continue
            if names_secret(name) and not _PUBLIC_PART.search(name) and not route.enrich.client_id.hashed:
                problems.warn(
                    f"routes[{index}].enrich.client_id.from[{number}]",
                    f"{source} is called like a secret, which formats drop: say `hashed: true` to publish a keyed hash "
                    "of it",
                )
        if route.user in ("keep", "hash") and not reads_user(route.format):
            problems.warn(
                f"routes[{index}].user", f"lines of the format {route.format.name} name no user that logrouter reads"
            )
        if route.query == "keep":
            problems.warn(
                f"routes[{index}].query",
                "publishes the query strings of all requests; only parameters with names of secrets are redacted",
            )
