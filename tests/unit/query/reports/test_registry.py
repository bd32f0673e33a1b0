"""Reports as they are declared: what would break between workers or in the registry."""

from msgspec.structs import fields

from logrouter.core.rollup.subjects import SubjectKind
from logrouter.query.reports.declaration import ScatterGatherReport
from logrouter.query.reports.registry import ENDPOINTS, REPORTS


def test_no_two_endpoints_share_a_name_or_a_path():
    """A declaration that was copied and not finished would answer for the other one."""
    assert (
        len({endpoint.name for endpoint in ENDPOINTS})
        == len(ENDPOINTS)
        == len({endpoint.path for endpoint in ENDPOINTS})
    )


def test_what_workers_send_each_other_keeps_its_field_names():
    """During an upgrade, workers of two releases put one report together."""
    sent = {
        report.name: [field.encode_name for field in fields(report.partial_report)]
        for report in REPORTS
        if isinstance(report, ScatterGatherReport)
    }
    assert sent == {
        "totals": ["total", "apis", "clients", "previous", "began_ms"],
        "totals_series": ["cells", "grid"],
        "clients": ["entries", "subjects", "total", "previous", "bound"],
        "apis": ["entries", "subjects", "total", "previous", "bound"],
        "callers": ["callers", "count", "max_unlisted"],
        "calls": ["rows", "other"],
        "outcomes": ["rows", "other"],
    }


def test_only_a_report_about_one_kind_is_made_for_a_caller_of_some():
    """Any other report would show such a caller what others did."""
    found = {r.name: r.confined_by for r in REPORTS if isinstance(r, ScatterGatherReport) and r.confined_by}
    assert found == {
        "clients": SubjectKind.CLIENT,
        "apis": SubjectKind.API,
        "calls": SubjectKind.API,
        "outcomes": SubjectKind.API,
    }
