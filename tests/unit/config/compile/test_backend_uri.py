"""The route's option `backend_uri`: which backend was called, for whoever asks, and never with its password."""

from __future__ import annotations

import pytest

from logrouter import config
from logrouter.config.settings import examine
from logrouter.config.yaml.problems import ConfigError
from logrouter.core import ids
from logrouter.core.pipeline import process
from logrouter.model import Accepted, RawRecord

NOW = 1_777_630_000_000
ACCESS = (
    "2026-05-01T10:00:00.118-0700 [][hMessageProcessor-56]{D_APIAccessLog.AccessLogWriter}[] INFO  "
    'Event="REQUEST_COMPLETE", MessageID="urn:uuid:1", StatusCode="200", '
    'RequestOutURL="https://svc:s3cret@backend.example:8443/CUST-7/a?x=1&api_key=s3cret", RequestOutMethod="POST", '
    'RequestInURL="/a", RequestInMethod="GET"'
)
FORGED = ACCESS.replace('RequestOutURL="', 'UserAgent="x", RequestOutURL="https://forged.example/", A="')
TWICE = ACCESS.replace("/CUST-7/a", '/", RequestOutURL="https://forged.example/')


def backend_of(line: str, options: str, more: str = "") -> dict | None:
    """What the event of a line says of the backend."""
    form = "" if "format" in options else "format: wso2_access, "
    file = f"""version: 1
sources: {{s: {{topics: t, envelope: plain}}}}
routes: [{{name: r, from: s, to: out, {form}{options}}}]
{more}"""
    table = config.parse(file.encode(), {}).table
    record = RawRecord("t", 0, 0, NOW, line.encode())
    (found,) = process(table.source_of("t"), record, NOW, ids.for_partition("c", "t", 0))
    assert isinstance(found, Accepted), found
    return found.event.get("backend")


@pytest.mark.parametrize(
    ("options", "uri"),
    [
        ("key: none", None),
        ("query: keep", None),
        ("backend_uri: drop", None),
        ("backend_uri: keep", "https://backend.example:8443/CUST-7/a"),
        ("backend_uri: keep, query: keep", "https://backend.example:8443/CUST-7/a?x=1&api_key=REDACTED"),
        ("backend_uri: keep, format: auto", "https://backend.example:8443/CUST-7/a"),
        ("backend_uri: keep, schema: api_request/1.0.0", None),
    ],
)
def test_a_backend_is_published_where_the_route_asks(options, uri):
    """With its host and method; the query goes by the same option as that of the client's request."""
    told = {"instance": "backend.example:8443", "method": "POST", "uri": uri}

    assert backend_of(ACCESS, options) == (told if uri else None)


@pytest.mark.parametrize("line", [FORGED, TWICE])
def test_no_client_can_name_a_backend(line):
    """A pair that may stand in what a client has written, or stands there twice, tells nothing of a backend."""
    assert (backend_of(line, "backend_uri: keep") or {}).keys() <= {"method"}


def test_own_patterns_count_for_backends_too():
    """What `redact` names is hidden in the backend's URL as in the client's."""
    more = "redact: {patterns: ['CUST-[0-9]+']}\n"

    assert (backend_of(ACCESS, "backend_uri: keep", more) or {})["uri"] == "https://backend.example:8443/REDACTED/a"


def test_a_format_without_urls_of_backends_is_told():
    """What the option can't do is a problem of the file, with the formats that can."""
    with pytest.raises(ConfigError, match=r"routes\[0\]\.backend_uri: lines of nginx have no URL .*wso2_access"):
        backend_of(ACCESS, "backend_uri: keep, format: nginx")


@pytest.mark.parametrize(("version", "warns"), [("1.0.0", True), ("1.1.0", False)])
def test_a_schema_without_the_field_is_told(version, warns):
    """Whoever asks for the URL gets none, and learns why."""
    file = f"""version: 1
sources: {{s: {{topics: t, envelope: plain}}}}
routes: [{{name: r, from: s, to: out, format: wso2_access, backend_uri: keep, schema: api_request/{version}}}]
"""
    warnings = examine(file.encode(), {}).problems.warnings

    assert any("the schema allows no field backend" in each.message for each in warnings) == warns
