"""Fields of envelopes by canonical names, and that no bytes make the decoder raise."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.envelopes import ENVELOPES
from logrouter.core.envelopes.fields import FIELD_NAMES, getter, read_field
from logrouter.core.formats import FORMATS, parser
from logrouter.core.formats.format import FormatSettings, KeyRule
from logrouter.model import Envelope, Ignored, Rejected

KEYS = st.sampled_from(
    [
        "log",
        "stream",
        "msg",
        "message",
        "time",
        "timestamp",
        "host",
        "program",
        "severity",
        "kubernetes",
        "metadata",
        "rsyslog.hostname",
        "rsyslog_programname",
        "ecs.version",
        "log.original",
        "service.type",
        "$schema",
        "http",
        "x",
        "tag",
        "topic",
        "logtag",
        "docker",
        "http_logs",
        "log_entry",
        "records",
        "partial_message",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(
        ["{}", '{"http":{"method":"GET","status_code":1}}', "2024-05-01T10:00:00Z stdout F {}", "@cee: {}"]
    ),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3),
    max_leaves=5,
)
NEEDED = FormatSettings(fields={"http.status_code": KeyRule(("x",)), "meta.uri": KeyRule(("http.x",))})
"""What the format `json` can't do without."""


def envelope(**fields):
    """An envelope that says nothing but the fields."""
    return Envelope("plain", "", fields=fields)


@pytest.mark.parametrize(
    ("name", "fields", "value"),
    [
        ("severity", {"severity": "NOTICE"}, "notice"),
        ("severity", {"severity": "notice", "rsyslog.severity": "err"}, "err"),
        ("severity", {"severity": "notice", "rsyslog_severity": "Err"}, "err"),
        ("facility", {"log.syslog.facility.name": "local0"}, "local0"),
        ("facility", {"log": {"syslog": {"facility": {"name": "local0"}}}}, "local0"),
        ("namespace", {"kubernetes": {"namespace_name": "gw"}}, "gw"),
        ("namespace", {"kubernetes.namespace_name": "gw"}, "gw"),
        ("namespace", {"metadata": {"filename": "/var/log/containers/p-1_gw_main-c0ffee.log"}}, "gw"),
        ("container", {"metadata": {"filename": "/var/log/containers/p-1_gw_main-app-c0ffee.log"}}, "main-app"),
        ("pod", {"metadata": {"filename": "/var/log/syslog"}}, None),
        ("app", {"kubernetes": {"labels": {"app": "web"}}}, "web"),
        ("app", {"kubernetes": {"labels": {"app": "web"}, "container_name": "shop--cron"}}, "web"),
        ("app", {"kubernetes": {"container_name": "shop--cron"}}, "shop"),
        ("app", {"kubernetes": {"container_name": "shop"}}, "shop"),
        ("app", {"filename": "/var/log/containers/p-1_gw_shop--cron-c0ffee.log"}, "shop"),
        ("process_type", {"kubernetes": {"container_name": "shop--cron--2"}}, "cron--2"),
        ("process_type", {"kubernetes": {"container_name": "shop"}}, None),
        ("process_type", {"filename": "/var/log/containers/p-1_gw_shop--cron-c0ffee.log"}, "cron"),
        ("release", {"kubernetes": {"labels": {"release": "canary"}}}, "canary"),
        ("label.tier", {"kubernetes": {"labels": {"tier": "front"}}}, "front"),
        ("label.app.kubernetes.io/name", {"kubernetes": {"labels": {"app.kubernetes.io/name": "w"}}}, "w"),
        ("label.app.kubernetes.io/name", {"kubernetes": {"labels": {"app_kubernetes_io/name": "w"}}}, "w"),
        ("field.docker.container_id", {"docker": {"container_id": "0a"}}, "0a"),
        ("field.x", {"x": 5}, "5"),
        ("field.x", {"x": 5.0}, "5"),
        ("field.x", {"x": 5.5}, None),
        ("field.x", {"x": True}, None),
        ("field.x", {"x": "-"}, None),
        ("field.x", {"x": {"y": 1}}, None),
        ("namespace", {"kubernetes": "odd"}, None),
    ],
)
def test_a_field_is_found_in_any_shape(name, fields, value):
    """Transport's copies go first, nested and dotted keys are the same, and absent is None."""
    assert read_field(envelope(**fields), name) == value


def test_program_host_text_and_shape_come_from_the_envelope_itself():
    """What the decoder has already decided is not decided again."""
    it = Envelope("docker", "line", program="p", host="h")
    assert [read_field(it, name) for name in ("program", "host", "text", "shape")] == ["p", "h", "line", "docker"]
    assert read_field(Envelope("docker", ""), "text") is None


@pytest.mark.parametrize("name", ["", "topic", "label.", "label", "field.", "kubernetes.namespace_name"])
def test_a_field_that_does_not_exist_is_refused_when_it_is_compiled(name):
    """A misspelled condition must not silently match nothing."""
    with pytest.raises(ValueError, match="no field"):
        getter(name)


def test_every_field_name_has_a_getter():
    """The list that configuration checks against is the list there is."""
    for name in FIELD_NAMES:
        assert read_field(envelope(), name) is None or name == "shape"


@pytest.mark.parametrize("name", ["json", "kubernetes"])
@pytest.mark.parametrize("beside", [{}, {"cluster": "c1"}, {"message": "done", "level": "info"}])
def test_the_key_of_a_merged_object_can_be_any(name, beside):
    """What no name tells by itself is found where the source names it, whatever else is in the record."""
    shipped = {"stream": "stdout", "kubernetes": {"pod_name": "q"}, "shop.log": {"status": 200}, **beside}
    found = ENVELOPES[name].decoder("shop.log")(orjson.dumps(shipped))

    assert isinstance(found, Envelope)
    assert (found.text, found.document) == (beside.get("message", ""), {"status": 200})


@given(st.binary(max_size=200) | st.dictionaries(KEYS, VALUES, max_size=8).map(orjson.dumps))
def test_no_bytes_make_decoding_looking_or_parsing_raise(value):
    """Any record is an envelope or a rejection, any field of it text or None, and every format can look at it."""
    for envelope in ENVELOPES.values():
        decoded = envelope.decode(value)
        for line in (decoded,) if isinstance(decoded, Envelope | Ignored | Rejected) else decoded:
            if isinstance(line, Ignored | Rejected):
                continue
            for name in (*FIELD_NAMES, "label.app", "field.http.method"):
                assert isinstance(read_field(line, name), str | None)
            for name, each in FORMATS.items():
                parser(name, NEEDED if each.needs else None)(line)
            orjson.dumps(line.fields)
