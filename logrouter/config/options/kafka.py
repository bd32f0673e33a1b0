"""The section `kafka`: any librdkafka setting. Secrets come from the environment and are never shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.yaml.kinds import INVALID
from logrouter.config.yaml.problems import join_path
from logrouter.config.yaml.secrets import FromEnv, Secret, looks_secret

if TYPE_CHECKING:
    from logrouter.config.yaml.problems import Problems

OWNED: Final = {
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


BY_REFERENCE: Final = "is a secret, so it must be a reference like ${NAME}, with no default and nothing around it"


@dataclass(frozen=True, slots=True)
class KafkaKind:
    """A mapping from setting to text, number or boolean. Messages never repeat a value."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """A dict of texts and, for settings that hold secrets, of `Secret`."""
        if not isinstance(value, dict):
            problems.add(path, f"must be {self.describe()}")
            return INVALID
        read = {key: self._setting(key, item, join_path(path, key), problems) for key, item in value.items()}
        return INVALID if INVALID in read.values() else read

    def _setting(self, key: str, value: Any, path: str, problems: Problems) -> Any:
        if key in OWNED:
            problems.add(path, f"is not for this section: {OWNED[key]}", at_key=True)
            return INVALID
        if not isinstance(value, str | int | float):
            problems.add(path, "must be text, a number, true or false")
            return INVALID
        if not looks_secret(key):
            if isinstance(value, FromEnv):
                return value
            return str(value).lower() if isinstance(value, bool) else str(value)
        if not isinstance(value, FromEnv) or value.literal:
            problems.add(path, BY_REFERENCE)
            return INVALID
        return Secret(str(value))

    def schema(self) -> dict[str, Any]:
        """An object of scalars."""
        return {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}

    def describe(self) -> str:
        """What it maps."""
        return "a mapping from librdkafka setting to text, number, true or false"


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A text that must come from the environment; read as a `Secret`."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The secret; `INVALID` if it is written in the file."""
        if isinstance(value, FromEnv) and value and not value.literal:
            return Secret(str(value))
        problems.add(path, BY_REFERENCE)
        return INVALID

    def schema(self) -> dict[str, Any]:
        """A reference."""
        return {"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*(:-)?\}$"}

    def describe(self) -> str:
        """How it is written."""
        return "a reference to an environment variable, like `${LOGROUTER_HASH_KEY}`"
