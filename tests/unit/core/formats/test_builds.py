"""Records of builds: only the CI server's own requests are requests."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats.builds import FORMAT, parse
from logrouter.model import Envelope, Ignored, Parsed, Reason, Rejected

LINE = '192.0.2.7 - ann [01/May/2026:10:00:00 +0000] "GET /job/shop/42/ HTTP/1.1" 200 512'
RECORD = {"build": 42, "job": "shop", "message": LINE, "metadata": "shop-prod"}
IGNORED = Ignored(Reason.NOT_REQUEST)


def read(record: object, kind: str = "json") -> Parsed | Ignored | Rejected:
    """What the format makes of a record."""
    envelope = ENVELOPES[kind].decode(record.encode() if isinstance(record, str) else orjson.dumps(record))
    assert isinstance(envelope, Envelope)
    return parse(envelope)


@pytest.mark.parametrize("kind", ["json", "plain"])
def test_a_request_to_the_ci_server_is_read_in_and_out_of_its_record(kind):
    """The event is the same; only the record knows the build."""
    bare, wrapped = read(LINE, kind), read(RECORD, kind)
    assert isinstance(bare, Parsed)
    assert isinstance(wrapped, Parsed)
    assert wrapped.event == bare.event
    assert wrapped.fields == {**bare.fields, "job": "shop", "build": "42", "app": "shop", "space": "prod"}
    assert wrapped.fields["remote_user"] == "ann"


@pytest.mark.parametrize(
    "message",
    [
        "Step 1/9 : FROM base",
        f"+ echo '{LINE}'",
        f"curl: {LINE}",
        "10.0.0.1 is up",
        "",
        None,
        {"a": LINE},
        '{"method":"GET","path":"/","status":200}',
    ],
)
def test_what_a_build_prints_is_no_request(message):
    """Not even where it holds one."""
    assert read({**RECORD, "message": message}) == IGNORED


@given(
    st.text(max_size=60)
    | st.text(max_size=40).map(LINE.__add__)
    | st.integers(0, len(LINE)).map(lambda end: LINE[:end])
)
def test_no_message_makes_it_raise(message):
    """Any message ends as one of the three, and the signature misses none that is read."""
    for record, kind in (({**RECORD, "message": message}, "json"), (RECORD | {"message": message}, "plain")):
        assert isinstance(read(record, kind), Parsed | Ignored | Rejected)
    envelope = Envelope("plain", message)
    assert FORMAT.signature is not None
    assert FORMAT.signature(envelope) or parse(envelope) == IGNORED


@given(
    st.dictionaries(
        st.sampled_from(["build", "job", "message", "metadata"]), st.none() | st.floats() | st.text(max_size=9)
    )
)
def test_no_record_makes_it_raise(record):
    """Whatever types its values have."""
    assert read(record) == IGNORED
