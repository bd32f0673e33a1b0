"""What is added to a parsed request: who called, which API, how many requests the line stands for, what lookups know.

Everything that configuration decides is compiled once into a function. The functions keep bounded caches: the same
clients, paths and addresses come again, and the input may be hostile.
"""

from logrouter.core.enrich.address import compile_client_ip
from logrouter.core.enrich.api import ApiRule, compile_api
from logrouter.core.enrich.client import TYPED_PREFIXES, compile_client_id, hash_client_id
from logrouter.core.enrich.sources import (
    ENVELOPE_PREFIX,
    allow_headers,
    field_getter,
    made_for_addresses,
    replace_in_headers,
)
from logrouter.core.enrich.weight import compile_weight

__all__ = [
    "ENVELOPE_PREFIX",
    "TYPED_PREFIXES",
    "ApiRule",
    "allow_headers",
    "compile_api",
    "compile_client_id",
    "compile_client_ip",
    "compile_weight",
    "field_getter",
    "hash_client_id",
    "made_for_addresses",
    "replace_in_headers",
]
