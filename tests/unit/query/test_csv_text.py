"""CSV: what a spreadsheet reads is what was counted, and never a formula."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.query import csv_text
from logrouter.query.reports.calls import CALLS
from logrouter.query.reports.totals_series import TOTALS_SERIES


def read(text):
    """The lines as any CSV reader has them."""
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def encode(answer, rows):
    """The whole text."""
    return "".join(csv_text.list_writer(rows)(answer))


def test_nested_members_are_columns():
    """Every entry has a cell in every column."""
    answer = {
        "clients": [
            {"client_id": "a", "count": 1, "bytes": {"in": 2, "out": 3}, "latency_ms": None},
            {"client_id": "b", "count": 4, "bytes": {"in": 5, "out": 6}, "latency_ms": {"mean": 7.5, "max": 8}},
        ]
    }
    assert encode(answer, "clients") == (
        "client_id,count,bytes_in,bytes_out,latency_ms_mean,latency_ms_max\r\na,1,2,3,,\r\nb,4,5,6,7.5,8\r\n"
    )


def test_points_have_a_column_for_every_key():
    """Also those in which nothing of that key happened."""
    answer = {"keys": ["200", "404"], "points": [{"time": "t", "by": {}}, {"time": "u", "by": {"404": 2}}]}
    assert read("".join(TOTALS_SERIES.csv(answer))) == [["time", "by_200", "by_404"], ["t", "0", "0"], ["u", "0", "2"]]


def test_calls_over_time_are_a_line_each():
    """By API and time, the rest as ~other."""
    answer = {"times": ["t", "u"], "apis": [{"api": "core", "count": 3, "points": [1, 2]}], "other": [0, 5]}
    assert read("".join(CALLS.csv(answer)))[1:] == [
        ["t", "core", "1"],
        ["u", "core", "2"],
        ["t", "~other", "0"],
        ["u", "~other", "5"],
    ]


def test_long_tables_come_in_pieces():
    """None of them is much work: a worker does other things in between."""
    calls = {
        "times": ["t"] * 1500,
        "apis": [{"api": f"a{n}", "points": [n] * 1500} for n in range(20)],
        "other": [0] * 1500,
    }
    points = {"keys": ["200"], "points": [{"time": "t", "by": {"200": n}} for n in range(1500)]}
    for report, answer, lines in ((CALLS, calls, 21 * 1500), (TOTALS_SERIES, points, 1500)):
        found = list(report.csv(answer))
        assert sum(piece.count("\r\n") for piece in found) == 1 + lines
        assert max(piece.count("\r\n") for piece in found) <= 1500


@pytest.mark.parametrize(
    "name",
    ["=1+1", "+1", "-", "@SUM(A1)", "\tx", "\rx", "\n=x", "\uff1d1+1", "\uff20x", '=HYPERLINK("http://x.example")'],
)
def test_no_cell_is_a_formula(name):
    """What could be one begins with an apostrophe instead."""
    lines = read(encode({"rows": [{"api": name}]}, "rows"))
    assert lines[1] == ["'" + name]


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_any_text_is_read_back(names):
    """Quotes, commas and line breaks in names move no cell."""
    lines = read(encode({"rows": [{"api": name, "count": 1} for name in names]}, "rows"))
    guarded = ["'" + name if name.startswith(tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")) else name for name in names]
    assert [line[0] for line in lines[1:]] == guarded
    assert all(line[1] == "1" for line in lines[1:])
