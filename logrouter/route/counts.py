"""What a route process counts of each batch that is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logrouter.telemetry import metrics

if TYPE_CHECKING:
    from logrouter.route.output import BatchOutput


def count_batch(output: BatchOutput) -> None:
    """Add a committed batch to the metrics: what was aborted is read again and counted then."""
    for source, (records, size) in output.read.items():
        metrics.RECORDS_READ.labels(source).inc(records)
        metrics.BYTES_READ.labels(source).inc(size)
    for labels, n in output.counts.items():
        metrics.EVENTS.labels(*labels).inc(n)
    for labels, n in output.copies.items():
        metrics.EVENT_COPIES.labels(*labels).inc(n)
    for result, n in output.pairing.items():
        metrics.PAIRING_RESULTS.labels(*result).inc(n)
    for name, values in (
        ("events", [value for _, value, _ in output.events]),
        ("dead_letter", [value for _, value, _ in output.dead_letters]),
        ("rollup", [value for _, value in output.rollup]),
        ("pairing", [value for _, _, value in output.held_lines]),
    ):
        metrics.RECORDS_PRODUCED.labels(name).inc(len(values))
        metrics.BYTES_PRODUCED.labels(name).inc(sum(map(len, values)))
