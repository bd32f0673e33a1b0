"""What a node says of bytes where it has no room for a request: whether a smaller one would do.

Nodes answer 429 for two reasons, and for both with words alone: others' requests fill their memory, or this one is
larger than what they have for it. `durability` of a circuit breaker says neither: it is what the breaker holds most of.
`bytes_wanted` is more than `bytes_limit` in each such answer, as it counts what others need as well.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

_BREAKER: Final = "circuit_breaking_exception"
_REJECTED: Final = frozenset({"rejected_execution_exception", "es_rejected_execution_exception"})
# Indexing pressure: the bytes of this request, or of its part for one shard, and how many a node takes of all requests.
# Elasticsearch 8.19 names limits by stage. OpenSearch may have one for each shard as well, which grows: not looked at.
_PRESSURE: Final = re.compile(
    r"rejected execution of (?:coordinating|primary) operation \[.*"
    r"[ \[](?:coordinating|primary|node)_operation_bytes=(\d{1,19}), (?:node_)?max_[a-z_]{1,40}=(\d{1,19})\]"
)
# Elasticsearch after 8.19: the largest document of the request, and the limit for each.
_LARGEST: Final = re.compile(
    r"Request contains an operation of size \[(\d{1,19})\] bytes, which exceeds the maximum allowed limit of "
    r"\[(\d{1,19})\] bytes"
)
_IN_FLIGHT: Final = ("[in_flight_requests] Data too large", "[inflight_requests] Data too large")
"""The breaker of bodies, in OpenSearch and in Elasticsearch. It held no more than its limit before this one came."""
_PARENT: Final = "[parent] Data too large"
_MEMORY: Final = re.compile(
    r"larger than the limit of \[(\d{1,19})/[^\]]{1,30}\], real usage: \[(\d{1,19})/[^\]]{1,30}\], "
    r"new bytes reserved: \[(\d{1,19})/"
)


class Excess(Enum):
    """Whether a request was refused for its own bytes."""

    NO = auto()
    """They are not why, or nobody knows: others have to go first."""
    NOW = auto()
    """There is no room for so many at present; there may be for fewer."""
    EVER = auto()
    """They are more than the node takes at any time."""


def excess_of(kind: str, reason: str) -> Excess:
    """What type and reason of an error with 429 say of the size of the request."""
    if kind in _REJECTED:
        found = _PRESSURE.match(reason) or _LARGEST.match(reason)
        return Excess.EVER if found is not None and int(found[1]) > int(found[2]) else Excess.NO
    if kind != _BREAKER:
        return Excess.NO
    if reason.startswith(_IN_FLIGHT):
        return Excess.NOW
    return _excess_of_memory(reason) if reason.startswith(_PARENT) else Excess.NO


def _excess_of_memory(reason: str) -> Excess:
    """What the breaker of the whole heap says: it adds what this request reserves to what the heap holds."""
    found = _MEMORY.search(reason)
    if found is None:
        return Excess.NOW  # `use_real_memory: false`: as of each breaker inside, it was not full before
    limit, used, own = (int(each) for each in found.groups())
    if own > limit:
        return Excess.EVER
    # The heap holds the body already, and it is collected with those before it only when there is need.
    return Excess.NOW if used - own <= limit else Excess.NO
