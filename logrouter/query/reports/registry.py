"""All reports, and with them all endpoints of the table view.

A new report is a module in this folder with one declaration, and one line here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.query.endpoints import WORKER_ENDPOINTS
from logrouter.query.reports import (
    api_clients,
    breakdowns,
    callers,
    calls,
    errors,
    outcomes,
    series,
    summary,
    top_list,
    totals,
    totals_series,
    urls,
)

if TYPE_CHECKING:
    from logrouter.query.endpoints import Endpoint
    from logrouter.query.reports.declaration import ScatterGatherReport, SubjectReport

REPORTS: Final[tuple[ScatterGatherReport | SubjectReport, ...]] = (
    totals.TOTALS,
    totals_series.TOTALS_SERIES,
    top_list.CLIENTS,
    summary.CLIENT,
    series.CLIENT_SERIES,
    breakdowns.CLIENT_APIS,
    urls.CLIENT_URLS,
    errors.CLIENT_ERRORS,
    top_list.APIS,
    summary.API,
    series.API_SERIES,
    api_clients.API_CLIENTS,
    breakdowns.API_BACKENDS,
    breakdowns.API_VERSIONS,
    urls.API_URLS,
    errors.API_ERRORS,
    callers.CALLERS,
    calls.CALLS,
    outcomes.OUTCOMES,
    urls.UNMATCHED,
)
"""Every report, in the order in which they are documented."""

ENDPOINTS: Final[tuple[Endpoint, ...]] = (*REPORTS, *WORKER_ENDPOINTS)
"""Every endpoint, in the order in which they are documented."""
