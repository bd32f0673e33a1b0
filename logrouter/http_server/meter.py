"""What a question costs its caller: the table rows that are read for it, on this worker and on those that it asks.

The cost is taken before the rows are read where it is known then, as for one client, and settled with what was read.
"""

from __future__ import annotations

from contextlib import contextmanager
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Final

from logrouter.access.rates import Buckets, bucket_key
from logrouter.access.scopes import Via
from logrouter.http_server.guard import caller_of
from logrouter.http_server.problems import TOO_MANY_REQUESTS, HttpProblem
from logrouter.query.schemas import ROWS_HEADER
from logrouter.telemetry.metrics import ACCESS_REFUSED, QUERY_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aiohttp import web

    from logrouter.access.rates import Rate

_CHARGED: Final = frozenset({Via.TOKEN, Via.JWT})


class RowCount:
    """The rows that were read for one request: *here*, by this worker, and *elsewhere*, by others that it asked.

    *unpaid* were read here and passed over, as they are about what the caller may not see: that they are there is not
    said to it, in whatever form.
    """

    __slots__ = ("elsewhere", "here", "unpaid")

    def __init__(self) -> None:
        self.here = 0
        self.elsewhere = 0
        self.unpaid = 0

    @property
    def total(self) -> int:
        """All that the caller is charged with."""
        return self.here + self.elsewhere


def rows_said(headers: Mapping[str, str]) -> int:
    """How many rows another worker says it has read; 0 if it doesn't, as one of the release before."""
    said = headers.get(ROWS_HEADER, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 16 else 0


class Meter:
    """Charges each caller's bucket with the rows that are read for it.

    A hop is counted and not charged: the worker that the caller asked charges for it. Where access is open there is
    nobody to charge.
    """

    def __init__(self, rate: Rate, steady: Callable[[], float] = monotonic) -> None:
        """*steady* gives seconds of a clock that never goes back."""
        self._rows = Buckets(rate)
        self._steady = steady

    @contextmanager
    def charge(self, request: web.Request, expected: int) -> Iterator[RowCount]:
        """Take *expected* rows from the caller's bucket, and at the end settle with what was counted.

        `HttpProblem` 429 if they are not there: with the seconds after which they will be.
        """
        caller, count = caller_of(request), RowCount()
        charged, key = caller.via in _CHARGED, payer(request)
        wait = self._rows.take(key, self._steady(), expected) if charged else 0.0
        if wait > 0:
            ACCESS_REFUSED.labels("caller_rows").inc()
            raise _no_rows_left(expected, max(1, ceil(wait)))
        try:
            yield count
        except HttpProblem as problem:
            if count.total:
                problem.headers[ROWS_HEADER] = str(count.total)
            raise
        finally:
            if charged:
                self._rows.charge(key, self._steady(), count.total - expected)
            QUERY_ROWS.labels(request.match_info.route.name or "none").inc(count.here + count.unpaid)


def _no_rows_left(expected: int, seconds: int) -> HttpProblem:
    if expected > 1:
        detail = f"this question reads {expected:,} rows, more than the caller has left; ask later or for less"
        return HttpProblem(TOO_MANY_REQUESTS, detail, retry_after=seconds, rows=expected)
    return HttpProblem(TOO_MANY_REQUESTS, "the caller has no rows left to read; ask later", retry_after=seconds)


def payer(request: web.Request) -> str:
    """Whose turn or bucket a request takes: the caller's; where access is open, that of the address it came from."""
    caller = caller_of(request)
    return bucket_key(request.remote) if caller.via is Via.OPEN else f"{caller.via}:{caller.name}"
