"""Options of what is hidden: the key of pseudonyms, and the operator's own patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logrouter.config.options.kafka import SecretReference
from logrouter.config.yaml.kinds import Boolean, ListOf, Text, options
from logrouter.config.yaml.kinds import option as opt

if TYPE_CHECKING:
    from logrouter.config.yaml.secrets import Secret


@options
class PrivacyOptions:
    """Keys for pseudonyms."""

    hash_key: Secret | None = opt(
        SecretReference(),
        "Key of the hashes, only as a `${NAME}` reference. Needed where a route says `client_ip: hash`, `user: hash`, "
        "or `hashed: true` of its client id.",
        default=None,
    )


@options
class RedactOptions:
    """What is hidden besides what looks like a secret: in events, dead letters and `logrouter explain`.

    It applies to what clients write into requests: URIs, headers, host names, ids of requests and messages of errors,
    and to names of users that a route keeps. Client ids and APIs stay as they are, as rows are found by them.
    """

    patterns: tuple[str, ...] = opt(
        ListOf(Text(called="a regular expression", max_length=1000), max_items=50, unique=True),
        "Regular expressions (RE2) of texts that are replaced by `REDACTED` wherever they occur, such as "
        "`CUST-[0-9]{8}`. Case counts unless the expression begins with `(?i)`.",
        default=(),
    )
    emails: bool = opt(Boolean(), "Replace e-mail addresses, too.", default=False)
