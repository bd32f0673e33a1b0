"""Names of backends: what a line says of who was asked, what of it is published, and what hostile values become."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.enrich.sources import field_getter
from logrouter.core.formats import parser
from logrouter.core.formats.families.backends import MAX_NAME, backend_name, backend_of, tries_of
from logrouter.core.formats.format import FormatSettings, FormatSettingsError, KeyRule
from logrouter.model import Envelope, Parsed

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"  # noqa: S105 -- made up
HTTPLOG = '192.0.2.7:51234 [01/May/2026:10:00:00.250] web {} 0/0/0/1/1 {} 217 - - ---- 1/1/0/0/0 0/0 "GET /a HTTP/1.1"'
TRIES = '$remote_addr "$request" $status "$upstream_addr"'


def read(kind: str, text: str, settings: FormatSettings | None = None) -> Parsed:
    """The request in a line, which has to be one."""
    found = parser(kind, settings or FormatSettings())(Envelope("plain", text))
    assert isinstance(found, Parsed)
    return found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("192.0.2.80:8080", "192.0.2.80:8080"),
        ("[2001:db8::9]:8080", "[2001:db8::9]:8080"),
        ("web.1", "web.1"),
        ("core@docker", "core@docker"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
        ("balancer://shop", "shop"),
        ("https://shop.internal.example:8443/v1/cart?id=7#top", "shop.internal.example:8443"),
        ("http://ops:made-up@192.0.2.80:8080", "192.0.2.80:8080"),
        ("http://ops:made/up@192.0.2.80:8080/cart", "192.0.2.80:8080"),
        ("http://ops:made@up@192.0.2.80:8080/cart", "192.0.2.80:8080"),
        ("ops:made-up@192.0.2.80:8080", "192.0.2.80:8080"),
        # Where the host ends can't be told: the rest of a password may be behind it.
        ("http://ops:made?up@192.0.2.80:8080/cart", None),
        ("http://ops:made#up@192.0.2.80:8080/cart", None),
        ("ops:made?up@192.0.2.80:8080", None),
        ("192.0.2.80:8080?token=made-up", "192.0.2.80:8080"),
        (" web.1 ", "web.1"),
        ("web.1 ?x", "web.1"),
        ("http:// /x", None),
        ("-", None),
        ("", None),
        ("<NOSRV>", None),
        ("http://", None),
        ("?token=made-up", None),
    ],
)
def test_a_name_is_published_without_what_is_not_part_of_it(text, name):
    """Of a URL the host and the port; no user, no path, no query."""
    assert backend_name(text) == name


@given(st.text(max_size=600) | st.sampled_from(["a" * 600, TOKEN, f"x?{TOKEN}", f"http://{TOKEN}@a", "\ud800", "\x00"]))
def test_a_name_is_printable_and_short_whatever_a_line_holds(text):
    """As the schema wants it; equal texts have equal names."""
    name = backend_name(text)

    assert name == backend_name(text)
    assert name is None or (0 < len(name) <= MAX_NAME and name.isprintable() and TOKEN not in name)


def test_long_names_stay_apart():
    """What is cut off is told by a hash."""
    assert backend_name("a" * 300 + "1") != backend_name("a" * 300 + "2")


@pytest.mark.parametrize(
    ("text", "instance", "group"),
    [
        ("192.0.2.80:80", "192.0.2.80:80", None),
        ("192.0.2.80:80, 192.0.2.81:80", "192.0.2.81:80", None),
        ("192.0.2.80:80, 192.0.2.81:80 : unix:/run/app.sock", "unix:/run/app.sock", None),
        ("192.0.2.80:80, pool", "192.0.2.80:80", "pool"),
        ("pool", None, "pool"),
        ("[2001:db8::9]:80, [2001:db8::8]:80", "[2001:db8::8]:80", None),
        ("192.0.2.80:80 : -", "192.0.2.80:80", None),
        ("-", None, None),
        ("", None, None),
    ],
)
def test_the_last_of_several_tries_was_asked(text, instance, group):
    """Tries of nginx are parted by commas and colons; one is the name of a group where none of it was alive."""
    assert tries_of(text) == (instance, group)


@pytest.mark.parametrize(
    ("instance", "cluster", "alone", "backend"),
    [
        ("web.1", "shop", False, {"instance": "web.1", "cluster": "shop"}),
        ("web.1", None, False, {"instance": "web.1"}),
        (None, "shop", True, {"cluster": "shop"}),
        (None, "shop", False, None),
        ("-", "shop", False, None),
        (["web.1"], {"a": 1}, True, None),
        (7, True, True, None),
    ],
)
def test_a_group_counts_alone_only_where_it_was_asked(instance, cluster, alone, backend):
    """A gateway that answers by itself writes where it would have gone."""
    assert backend_of(instance, cluster, alone=alone) == backend


@pytest.mark.parametrize(
    ("server", "status", "backend"),
    [
        ("core/app1", 200, {"instance": "app1", "cluster": "core"}),
        ("core/<NOSRV>", 503, {"cluster": "core"}),
        ("core/<NOSRV>", 403, None),
        ("web/<NOSRV>", 500, None),
        ("web/<STATS>", 200, None),
    ],
)
def test_haproxy_names_the_dead_backend_and_not_what_it_answers_itself(server, status, backend):
    """`core/<NOSRV>` with 503 has no server left; with another status HAProxy has asked none."""
    found = read("haproxy", HTTPLOG.format(server, status))

    assert found.event.get("backend") == backend
    assert found.fields["backend"] == server.partition("/")[0]  # a source of before, and still a text


@pytest.mark.parametrize(
    ("host", "status", "backend"),
    [
        ("10.0.0.9:443", 200, {"instance": "10.0.0.9:443", "cluster": "core"}),
        (None, 503, {"cluster": "core"}),
        ("-", 403, None),
        (None, 200, None),
    ],
)
@pytest.mark.parametrize("kind", ["envoy", "istio"])
def test_envoy_s_json_names_host_and_cluster(kind, host, status, backend):
    """Also where rate limits or filters have answered, Envoy writes the cluster of the route."""
    names = {"envoy": ("req_method", "resp_code"), "istio": ("method", "response_code")}[kind]
    line = {"path": "/a", names[0]: "GET", names[1]: status, "upstream_host": host, "upstream_cluster": "core"}

    assert read(kind, json.dumps(line)).event.get("backend") == backend


def test_a_line_s_own_backend_stays_a_source():
    """Whoever reads `field.backend` of lines that have such a key reads the same as before."""
    line = {"method": "GET", "path": "/a", "response_code": 200, "upstream_host": "10.0.0.9:443", "backend": "mine"}

    found = read("istio", json.dumps(line))

    assert found.fields["backend"] == "mine"
    assert found.event["backend"] == {"instance": "10.0.0.9:443"}
    found = read("kv", "method=GET path=/a status=200 dyno=web.1 backend=mine")
    assert found.fields["backend"] == "mine"
    assert found.event["backend"] == {"instance": "web.1"}


@pytest.mark.parametrize(
    ("line", "backend"),
    [
        ("dyno=web.1", {"instance": "web.1"}),
        ("dyno=", None),
        ('upstream_addr="192.0.2.80:80, pool"', {"instance": "192.0.2.80:80", "cluster": "pool"}),
        ("upstream_cluster=pool", {"cluster": "pool"}),
        ("user_agent=x dyno=web.1", None),
        ("dyno=web.1 user_agent=x dyno=web.2", {"instance": "web.1"}),
        ('path="/?dyno=web.1"', None),
    ],
)
def test_no_client_writes_a_backend_into_pairs(line, backend):
    """Behind a header without quotes no key counts that says who was asked."""
    assert read("kv", f"method=GET path=/a status=200 {line}").event.get("backend") == backend


@given(st.text(max_size=80), st.text(max_size=80))
def test_what_clients_write_is_no_backend(path, agent):
    """Quotes are escaped by nginx: whatever a path or a header holds, the address is the one that nginx has written."""
    escaped = [json.dumps(each)[1:-1] for each in (path, agent)]
    line = '192.0.2.7 "GET /{} HTTP/1.1" 200 "{}" "192.0.2.80:80"'.format(*escaped)
    settings = FormatSettings(
        pattern='escape=json $remote_addr "$request" $status "$http_user_agent" "$upstream_addr"',
    )

    found = parser("nginx", settings)(Envelope("plain", line))

    assert not isinstance(found, Parsed) or found.event["backend"] == {"instance": "192.0.2.80:80"}


@pytest.mark.parametrize(
    ("subset", "version"), [("v1", "v1"), ("1.2.0", "1.2.0"), ("", None), ("a b", None), ("x" * 200, None)]
)
def test_the_subset_of_a_service_is_the_version_of_its_api(subset, version):
    """Istio calls the parts of a service that differ in their version subsets; ports of inbound clusters are none."""
    line = {"method": "GET", "path": "/a", "response_code": 200, "upstream_host": "10.0.0.9:443"}
    host = "shop.prod.svc.cluster.local"

    for way, expected in (("outbound", version), ("inbound", None)):
        found = read("istio", json.dumps(line | {"upstream_cluster": f"{way}|80|{subset}|{host}"}))
        assert found.event.get("api_version") == expected


def test_an_extra_of_before_may_still_be_called_backend():
    """`extras: {backend: …}` was valid before events had such a field, and is as long as none of it is read."""
    status, extra = {"http.status_code": KeyRule(("status",))}, {"backend": KeyRule(("upstream",))}
    line = '{"status":200,"upstream":"web.1"}'

    assert read("json", line, FormatSettings(fields=status, extras=extra)).fields["backend"] == "web.1"
    with pytest.raises(FormatSettingsError, match="is the name of a field of the event"):
        parser("json", FormatSettings(fields=status | {"backend.instance": KeyRule(("upstream",))}, extras=extra))


@pytest.mark.parametrize(
    ("kind", "line", "name", "value"),
    [
        (
            "traefik",
            {"DownstreamStatus": 200, "RequestMethod": "GET", "ServiceAddr": "a:80"},
            "backend.instance",
            "a:80",
        ),
        ("istio", {"method": "GET", "response_code": 503, "upstream_cluster": "core"}, "backend.cluster", "core"),
        ("envoy", {"req_method": "GET", "resp_code": 503, "upstream_host": "a:80"}, "backend.instance", "a:80"),
    ],
)
def test_conditions_and_sources_read_the_backend(kind, line, name, value):
    """As `field.backend.instance` in `request:` and in `enrich`."""
    assert field_getter(f"field:{name}")(read(kind, json.dumps(line))) == value


def test_an_alias_names_the_key_of_the_backend():
    """Which key of a balancer's template has the server is known to its operator alone."""
    settings = FormatSettings(aliases={"backend.instance": ("Server-IP",)})
    line = 'http_method="GET",http_uri="/a",server_ip="192.0.2.80",http_statcode="503"'

    assert read("kv", line, settings).event["backend"] == {"instance": "192.0.2.80"}
    assert "backend" not in read("kv", line).event


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        ("http://192.0.2.80:8080/cart?id=7", "http://192.0.2.80:8080/cart"),
        ("http://ops:made?up@192.0.2.80:8080/cart", None),
        ("http://ops:made#up@192.0.2.80:8080/cart", None),
        ("/cart?mail=ann@example.org", "/cart"),
    ],
)
def test_a_url_in_a_json_line_is_none_where_it_may_end_in_a_password(url, uri):
    """As in the logs of WSO2: what seems to be host and query may be the halves of a password."""
    rules = {"backend.uri": KeyRule(("u",)), "http.method": KeyRule(("m",)), "http.status_code": KeyRule(("s",))}
    line = json.dumps({"u": url, "m": "GET", "s": 200})
    assert read("json", line, FormatSettings(fields=rules)).event.get("backend") == (uri and {"uri": uri})
