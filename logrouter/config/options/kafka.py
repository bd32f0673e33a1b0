"""The section `kafka`: settings of librdkafka that are data. Secrets come from the environment and are never shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.options.kafka_settings import ALLOWED, FILES, FOLDERS, MECHANISMS, PASSWORD_MECHANISMS, REFUSED
from logrouter.config.yaml.kinds import INVALID
from logrouter.config.yaml.named_files import why_unreadable
from logrouter.config.yaml.problems import did_you_mean, join_path, quote_value
from logrouter.config.yaml.secrets import FromEnv, Secret, looks_secret

if TYPE_CHECKING:
    from logrouter.config.yaml.problems import Problems

__all__ = ["OWNED", "PASSWORD_MECHANISMS", "REFUSED_CREDENTIALS", "KafkaKind", "SecretReference", "why_refused"]

OWNED: Final = {
    "auto.offset.reset": "set `from:` of the source; offsets that cannot be read are decided by the lane",
    "enable.auto.commit": "offsets are part of the transaction",
    "enable.auto.offset.store": "offsets are part of the transaction",
    "enable.idempotence": "transactions need it on",
    "enable.partition.eof": "the lane sets it",
    "group.id": "set route_lane.group or tables_lane.group",
    "group.instance.id": "set route_lane.static_membership",
    "isolation.level": "both lanes read committed records only",
    "partition.assignment.strategy": "the lane sets it",
    "partitioner": "table queries are routed by it",
    "session.timeout.ms": "set route_lane.session_timeout_ms or tables_lane.session_timeout_ms",
    "transaction.timeout.ms": "set route_lane.transaction_timeout_ms",
    "transactional.id": "it is made from route_lane.group and route_lane.instance",
}
"""Settings that only the lanes may set, as exactly-once depends on them; each with why, or what to set instead."""


REFUSED_CREDENTIALS: Final = (
    "the Kafka cluster refuses the credentials (SASL): check security.protocol, sasl.mechanism, sasl.username and "
    "sasl.password in the kafka: block of topics.yaml"
)
"""What every client and command says of a wrong user, password or mechanism."""

FEW: Final = 16
"""Characters of a secret below which trying all of them is no great effort."""

BY_REFERENCE: Final = "is a secret, so it must be a reference like ${NAME}, with no default and nothing around it"


def why_refused(key: str) -> str | None:
    """Why a setting can't be named in the section `kafka`, and what to do; None if it can."""
    if key in OWNED:
        return f"is not for this section: {OWNED[key]}"
    if key in REFUSED:
        return f"is not allowed: {REFUSED[key]}"
    if key not in ALLOWED:
        return f"is not a setting of librdkafka that is known here{did_you_mean(key, ALLOWED)}"
    return None


@dataclass(frozen=True, slots=True)
class KafkaKind:
    """A mapping from setting to text, number or boolean. Messages never repeat a value."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """A dict of texts and, for settings that hold secrets, of `Secret`."""
        if not isinstance(value, dict):
            problems.add(path, f"must be {self.describe()}")
            return INVALID
        if len(value) > len(ALLOWED):
            problems.add(path, f"has {len(value)} settings; there are {len(ALLOWED)}")
            return INVALID
        read = {key: self._setting(key, item, join_path(path, key), problems) for key, item in value.items()}
        return INVALID if INVALID in read.values() else read

    def _setting(self, key: str, value: Any, path: str, problems: Problems) -> Any:
        refusal = why_refused(key)
        if refusal is not None:
            problems.add(path, refusal, at_key=True)
            return INVALID
        if not isinstance(value, str | int | float):
            problems.add(path, "must be text, a number, true or false")
            return INVALID
        if key in FILES or not looks_secret(key):
            return self._plain(key, value, path, problems)
        if not isinstance(value, FromEnv) or value.literal:
            problems.add(path, BY_REFERENCE)
            return INVALID
        return Secret(str(value))

    @staticmethod
    def _plain(key: str, value: Any, path: str, problems: Problems) -> Any:
        if key in FILES and (why := why_unreadable(Path(str(value)), or_folder=key in FOLDERS)) is not None:
            problems.add(path, why)
            return INVALID
        if key in ("sasl.mechanism", "sasl.mechanisms") and str(value).upper() not in MECHANISMS:
            problems.add(path, f"must be one of {', '.join(MECHANISMS)}, not {quote_value(value)}")
            return INVALID
        if isinstance(value, FromEnv):
            return value
        return str(value).lower() if isinstance(value, bool) else str(value)

    def schema(self) -> dict[str, Any]:
        """An object of scalars, by the names that are allowed."""
        scalar = {"type": ["string", "number", "boolean"]}
        return {"type": "object", "propertyNames": {"enum": sorted(ALLOWED)}, "additionalProperties": scalar}

    def describe(self) -> str:
        """What it maps."""
        return "a mapping from librdkafka setting to text, number, true or false"


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A text that must come from the environment; read as a `Secret`. One that could be guessed is warned of.

    With *pattern* it is another system that gives it out, so its length is not ours to judge; all of it must match, and
    *called* says what does.
    """

    pattern: str = ""
    called: str = ""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The secret; `INVALID` if it is written in the file."""
        if isinstance(value, FromEnv) and value and not value.literal:
            if self.pattern and not re.fullmatch(self.pattern, value):
                problems.add(path, f"must be {self.called}, and what the environment has is not")
                return INVALID
            if not self.pattern and len(value) < FEW:
                problems.warn(path, f"has fewer than {FEW} characters, so trying can find it: take 32 random bytes")
            return Secret(str(value))
        is_reference = isinstance(value, FromEnv) and not value.literal
        if not is_reference:
            problems.add(path, BY_REFERENCE)
        elif all(problem.path != path for problem in problems.errors):  # of one that is not set it has been said
            problems.add(path, "is empty: set the environment variable that it names")
        return INVALID

    def schema(self) -> dict[str, Any]:
        """A reference."""
        return {"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*(:-)?\}$"}

    def describe(self) -> str:
        """How it is written."""
        return "a reference to an environment variable, like `${LOGROUTER_HASH_KEY}`"
