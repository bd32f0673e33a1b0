"""correlation.log: columns counted from both ends, and no Authorization header anywhere."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.formats import FORMATS, parser
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected

PARSE = parser("wso2_correlation")
WORDS = st.from_regex(r"[A-Za-z][A-Za-z0-9._ -]{0,20}[a-z0-9]", fullmatch=True).filter(lambda text: text != "null")
PATHS = st.from_regex(r"/[a-z0-9/|.]{0,20}", fullmatch=True)
COUNTS = st.integers(0, 2**53 - 1)
COLUMNS: Final = (
    *("time", "id", "thread", "backend", "call", "api", "method", "context", "resource", "auth", "org", "source"),
    *("app_id", "uuid", "received", "sent", "status", "application", "key", "total"),
)
USUAL: Final = dict.fromkeys(COLUMNS, "null") | {"time": "2026-05-01 10:00:00,118", "call": "HTTP"}


def line(**columns: object) -> str:
    """A line as the gateway writes it, "null" where nothing is given."""
    return "|".join(str({**USUAL, **columns}[name]) for name in COLUMNS)


def read(text: str) -> Parsed | Ignored | Rejected:
    """What a line is read as."""
    return PARSE(Envelope("plain", text))


def path_of(**columns: object) -> str | None:
    """The path that is read of a line."""
    found = read(line(**columns))
    assert isinstance(found, Parsed)
    path = found.event.get("http", {}).get("path")
    assert path is None or isinstance(path, str)
    return path


@given(
    st.fixed_dictionaries(
        {
            "id": WORDS,
            "method": WORDS,
            "application": WORDS,
            "key": WORDS,
            "status": st.integers(100, 999),
            "received": COUNTS,
            "sent": COUNTS,
            "backend": COUNTS,
            "total": COUNTS,
        }
    ),
    PATHS,
)
def test_render_then_parse_is_the_identity(columns: dict[str, object], path: str) -> None:
    """Also where the path holds bars, which stands there twice."""
    found = read(line(**columns, context=path, resource=path.removeprefix("/")))
    assert isinstance(found, Parsed)
    event = found.event

    assert event["meta"]["correlation_id"] == columns["id"]
    assert event["http"]["method"] == columns["method"]
    assert event["http"]["status_code"] == columns["status"]
    assert event["application"] == columns["application"] == found.fields["applicationName"]
    assert found.fields["consumerKey"] == columns["key"]
    assert [event[name] for name in ("bytes_received", "bytes_sent", "backend_time_ms", "total_time_ms")] == [
        columns[name] for name in ("received", "sent", "backend", "total")
    ]
    assert event["meta"].get("uri", "/").strip("/") == path.strip("/")


@given(st.lists(st.from_regex(r"s3cret[a-z0-9+/=]{0,10}", fullmatch=True), min_size=1, max_size=4), st.booleans())
def test_no_part_of_a_header_is_read(parts: list[str], scheme: bool) -> None:
    """However many bars it holds, with a scheme or without."""
    auth = "Bearer " * scheme + "|".join(parts)
    found = read(line(context="/weather", resource="weather/today", auth=auth, status=200))
    assert isinstance(found, Parsed)
    assert "s3cret" not in str(found)
    assert found.event["http"]["path"].startswith("/weather")
    assert found.event["http"]["status_code"] == 200


def test_a_path_is_the_resource_within_its_context() -> None:
    """Versions differ in what they write as which."""
    assert path_of(context="/weather/1.2.0", resource="/today") == "/weather/1.2.0/today"
    assert path_of(context="/weather/1.2.0", resource="/weather/1.2.0/today") == "/weather/1.2.0/today"
    assert path_of(context="/weather/1.2.0/today", resource="weather/1.2.0/today") == "/weather/1.2.0/today"
    assert path_of(context="/weather/1.2.0", resource="/a|b", auth="Bearer x") == "/weather/1.2.0/a|b"
    assert path_of(context="/weather/1.2.0", resource="/a|b") == "/weather/1.2.0/a|b"
    assert path_of(context="/weather/1.2.0") == "/weather/1.2.0"
    assert path_of(resource="today") == "/today"
    assert path_of() is None


def test_only_one_line_of_a_request_counts() -> None:
    """The transport's lines about the same request do not, and other calls are no requests."""
    transport = "2026-05-01 10:00:00,118|c|t|37|HTTP|http-incoming-1|GET|/weather|ROUND-TRIP LATENCY"
    assert read(transport) == Ignored(Reason.NOT_COUNTED)
    assert read(transport.replace("/weather", "/weather?city=a|b")) == Ignored(Reason.NOT_COUNTED)
    for call in ("METHOD", "jdbc", "ldap", "HTTP State Transition", "http"):
        assert read(line(call=call)) == Ignored(Reason.NOT_REQUEST)
    assert isinstance(read(line().rpartition("|")[0]), Rejected)


@given(st.text("0123456789|HTP nul", max_size=120) | st.lists(st.text(max_size=6), max_size=25).map("|".join))
def test_no_text_raises_and_the_signature_misses_nothing(text: str) -> None:
    """Any number of columns with anything in them."""
    envelope = Envelope("plain", text)
    found = PARSE(envelope)
    signature = FORMATS["wso2_correlation"].signature
    assert signature is not None
    assert signature(envelope) or not isinstance(found, Parsed)
