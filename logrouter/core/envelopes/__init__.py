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
    compressed and encoded records are not searchable.
    """

    decode: Callable[[bytes], Decoded]
    searchable: bool = True


ENVELOPES: Final[Mapping[str, EnvelopeType]] = {
    "cloudwatch": EnvelopeType(cloudwatch.decode, searchable=False),
    "cri": EnvelopeType(cri.decode),
    "json": EnvelopeType(jsonlines.decode),
    "kubernetes": EnvelopeType(kubernetes.decode),
    "lines": EnvelopeType(lines.decode),
    "plain": EnvelopeType(plain.decode),
    "rsyslog": EnvelopeType(rsyslog.decode),
}

WITH_FRAGMENTS: Final = frozenset({"cri", "kubernetes", "lines", "rsyslog"})
"""Envelopes in which a record may hold one piece of a line that the container runtime has cut."""
