"""What a report declares: an endpoint, and how its answer is made from table rows.

A `SubjectReport` is answered by one worker, from the rows of one client or API. A `ScatterGatherReport` is computed by
every worker for its own partitions and put together by the worker that was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query.endpoints import Endpoint, Reach
from logrouter.query.reports.subject_rows import segments_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logrouter.query.answers import Answer
    from logrouter.query.parsing import Query
    from logrouter.query.reports.subject_rows import SubjectRows
    from logrouter.query.reports.work import PartialReportBuilder
    from logrouter.query.steps import Steps
    from logrouter.query.tiers import Segment, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectReport(Endpoint):
    """A report about one client or one API."""

    kind: SubjectKind
    answer: Callable[[SubjectRows, Query], Steps[Answer]]
    """The answer from the rows of the subject; `UnknownSubjectError` if there are none and that is a problem."""
    segments: Callable[[Query, Mapping[Tier, int]], tuple[Segment, ...]] = segments_of
    """What the answer reads, given how many buckets each tier keeps: its rows are fetched, and charged, before."""
    subject: str | None = None
    """The name of the subject if it is always the same; None if it is in the path."""

    @property
    def reach(self) -> Reach:
        """One subject, or the same for every caller."""
        return Reach.ONE if self.subject is None else Reach.ALL

    @property
    def example(self) -> str | None:
        """The path of the client without an id, as there are always some; None for an API."""
        if self.subject is not None:
            return self.path
        return self.path.replace("{client_id}", "-") if self.kind is SubjectKind.CLIENT else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterGatherReport(Endpoint):
    """A report over many subjects, of which every worker makes a part."""

    builder: Callable[[Query], PartialReportBuilder]
    """Starts one worker's part."""
    partial_report: type[Any]
    """What a builder makes: a `msgspec.Struct`, sent between workers as MessagePack. Workers of the release before
    read it during an upgrade: its encoded fields are not to be renamed."""
    answer: Callable[[Query, Sequence[Any]], Steps[Answer]]
    """Merges the parts of all workers into the answer."""
    confined_by: SubjectKind | None = None
    """Of which kind it reads rows, if of one, and shows nothing else: a caller who may read some clients, or some APIs,
    then gets it about those. With None it needs the right to read everything."""

    @property
    def reach(self) -> Reach:
        """All subjects."""
        return Reach.ALL
