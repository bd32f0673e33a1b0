"""Envelopes: what the transport wraps around a log line, read from the bytes of one record.

Routes match on fields by canonical names, whatever the shape: `getter("namespace")` is compiled once per condition and
reads an `Envelope` without building anything, so that a line that no route wants costs no more than its decoding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.core.envelopes import cloudwatch, cri, jsonlines, kubernetes, lines, plain, rsyslog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.model import Decoded


class EnvelopeType(NamedTuple):
    """How to read a record, and whether its bytes can be searched before that.

    *decode* never raises. *searchable* says that every field stands in the record's bytes as JSON or plain text has it,
    so that the pre-filter (`core.prefilter`) may look for it there; compressed and encoded records are not.
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

WITH_PIECES: Final = frozenset({"cri", "kubernetes", "lines", "rsyslog"})
"""Envelopes in which a record may hold one piece of a line that the container runtime has cut."""
