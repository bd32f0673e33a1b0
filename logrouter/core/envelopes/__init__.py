"""Envelopes: what the transport wraps around a log line, read from the bytes of one record.

Conditions read fields by canonical names, whatever the shape: `fields.getter("namespace")` is compiled once per
condition and reads an `Envelope` without building anything, so that a line that no route wants costs no more than its
decoding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.core.envelopes import cloudwatch, cri, jsonlines, kubernetes, lines, plain, rsyslog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.model import Decoded


class EnvelopeType(NamedTuple):
    """How to read the records of one kind of transport.

    *decode* turns a record's bytes into envelopes and never raises. *searchable* says that every field stands in the
    record's bytes as JSON or plain text writes it, so that the pre-filter (`core.match.prefilter`) may search for it;
    compressed and encoded records are not searchable. Where a shipper may have put the application's object under a key
    of the operator's choice, *decode_keyed* is `decode` with that key as its second argument.
    """

    decode: Callable[[bytes], Decoded]
    searchable: bool = True
    decode_keyed: Callable[[bytes, str], Decoded] | None = None

    def decoder(self, merge_log_key: str = "") -> Callable[[bytes], Decoded]:
        """How to read a record whose object is under *merge_log_key*, if that is not ""."""
        keyed = self.decode_keyed
        if not merge_log_key or keyed is None:
            return self.decode
        return lambda value: keyed(value, merge_log_key)


ENVELOPES: Final[Mapping[str, EnvelopeType]] = {
    "cloudwatch": EnvelopeType(cloudwatch.decode, searchable=False),
    "cri": EnvelopeType(cri.decode),
    "json": EnvelopeType(jsonlines.decode, decode_keyed=jsonlines.decode),
    "kubernetes": EnvelopeType(kubernetes.decode, decode_keyed=kubernetes.decode),
    "lines": EnvelopeType(lines.decode),
    "plain": EnvelopeType(plain.decode),
    "rsyslog": EnvelopeType(rsyslog.decode),
}

WITH_MERGED_KEY: Final = frozenset(name for name, each in ENVELOPES.items() if each.decode_keyed is not None)
"""Envelopes in which a shipper may have put the object that it has parsed under a key of its own."""

WITH_FRAGMENTS: Final = frozenset({"cri", "kubernetes", "lines", "rsyslog"})
"""Envelopes in which a record may hold one piece of a line that the container runtime has cut."""
