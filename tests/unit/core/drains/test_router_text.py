"""Lines of routers that are written from parsed requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.drains.router_text import describe_request
from logrouter.core.formats import FORMATS
from logrouter.core.formats.format import FormatSettings
from logrouter.model import Envelope, Parsed

KV = FORMATS["kv"].compile(FormatSettings())
TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20).filter(
    lambda text: text not in ("-", "null", "(null)", "nil")
)


def test_what_is_not_known_is_left_out():
    """A line of nothing is empty, and times stand in the parts that are known."""
    assert describe_request({}) == ""
    assert describe_request({"http": {"status_code": 200}, "total_time_ms": 12}) == "total=12ms status=200"
    assert describe_request({"total_time_ms": 3, "backend_time_ms": 5}) == "service=5ms total=3ms"
    assert describe_request({"http": None, "bytes_sent": [1]}) == ""


def test_no_value_forges_a_pair():
    """Whatever could end a value is escaped, and so are ends of lines."""
    event = {"http": {"method": "GET"}, "meta": {"uri": '/" status=200 x="\n', "domain": 'a b="c'}}

    assert describe_request(event) == 'method=GET path="/\\" status=200 x=\\" " host="a b=\\"c"'


@given(TEXTS, TEXTS, st.integers(100, 599), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_format_of_routers_reads_it_back(path, request_id, status, connect, service):
    """Method, path, id, status and times are those of the request."""
    event = {
        "http": {"method": "GET", "status_code": status},
        "meta": {"uri": f"/{path}", "request_id": request_id},
        "total_time_ms": connect + service,
        "backend_time_ms": service,
    }
    parsed = KV(Envelope("plain", describe_request(event)))

    assert isinstance(parsed, Parsed)
    read = parsed.event
    assert (read["http"]["method"], read["http"]["status_code"]) == ("GET", status)
    assert (read["meta"]["uri"], read["meta"]["request_id"]) == (f"/{path}", request_id)
    assert (read["total_time_ms"], read["backend_time_ms"]) == (connect + service, service)
