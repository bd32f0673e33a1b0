"""Which lines are in a record, whose they are, and what is shown of them."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter import config
from logrouter.core.drains.lines import MAX_TEXT_BYTES, LineKind, LinePolicy, LineReader, OwnedLine, read_event
from logrouter.core.drains.origin import LineOrigin
from logrouter.core.drains.owner import Owner, OwnerKind
from logrouter.core.formats.families.app_space import AppSpace
from logrouter.core.ids import for_partition
from logrouter.model import RawRecord, Reason

SHOP = AppSpace("shop", "prod")
APP = Owner(OwnerKind.APP, "shop-prod", SHOP)
EVENT_ID = for_partition("c", "t", 0)
POLICY = LinePolicy()
ROUTES = {
    "kv": "[{name: web, from: s, match: {looks_like: request}, format: kv, to: out}]",
    "istio": "[{name: mesh, from: s, match: {looks_like: request}, format: istio, to: out}]",
    "none": "[{name: none, from: s, match: {program: nobody}, format: envoy, to: out}]",
}


def reader(
    routes: str = "none", *, envelope: str = "kubernetes", policy: LinePolicy = POLICY, more: str = ""
) -> LineReader:
    """A reader of a source with these routes."""
    sources = f"{{s: {{topics: [t], envelope: {envelope}{more}}}}}"
    text = f"version: 1\nsources: {sources}\nroutes: {ROUTES.get(routes, routes)}\n"
    source = config.parse(text.encode(), {}).table.source_of("t")
    assert source is not None
    return LineReader(source, policy, "ours")


def record(value: object, **headers: bytes) -> RawRecord:
    """A record with this value: bytes, or what becomes JSON."""
    raw = value if isinstance(value, bytes) or value is None else orjson.dumps(value)
    return RawRecord("t", 0, 7, 1_700_000_000_000, raw, tuple(headers.items()))


def pod(log: object, **changes: object) -> dict[str, object]:
    """What a shipper writes of a line of the app `shop` in the space `prod`."""
    kubernetes = {
        "namespace_name": "prod",
        "pod_name": "shop--web-5d4f8-x7k2p",
        "container_name": "shop--web",
        "labels": {"app": "shop"},
    }
    return {
        "log": log,
        "stream": "stdout",
        "time": "2026-05-01T10:00:00.123456789Z",
        "kubernetes": kubernetes,
        **changes,
    }


def only(found: list[OwnedLine | Reason]) -> OwnedLine:
    """The one line that was found."""
    [line] = found
    assert isinstance(line, OwnedLine)
    return line


def text_of(line: OwnedLine, owner: Owner = APP) -> str:
    """What an owner gets to read."""
    return line.line_for(owner).text.decode()


def test_a_line_of_an_app():
    """By the metadata of Kubernetes; its time has its own digits, and its id is the record's."""
    found = only(reader().read(record(pod("hello\n")), EVENT_ID))
    line = found.line_for(APP)

    assert found.kind is LineKind.APP
    assert found.origin == LineOrigin("shop-prod", SHOP)
    assert line.id == found.id == EVENT_ID(7, 0)
    assert (line.time_us, line.host, line.app_name, line.severity, line.text) == (
        1_777_629_600_123_456,
        "shop-prod",
        "web.5d4f8-x7k2p",
        6,
        b"hello",
    )


@pytest.mark.parametrize(
    ("container", "pod_name", "process"),
    [
        ("shop--worker", "shop--worker-5d4f8-x7k2p", "worker.5d4f8-x7k2p"),
        ("shop", "shop-5d4f8-x7k2p", "web.5d4f8-x7k2p"),
        ("proxy", "shop-5d4f8-x7k2p", "web.5d4f8-x7k2p"),
        ("shop", "other-1", "web.other-1"),
        ("shop--cron", None, "cron"),
    ],
)
def test_a_process_is_its_type_and_the_rest_of_its_pods_name(container: str, pod_name: str | None, process: str):
    """`web` where no type is named."""
    value = pod("x")
    value["kubernetes"] |= {"container_name": container, "pod_name": pod_name}

    assert only(reader().read(record(value), EVENT_ID)).line_for(APP).app_name == process


@pytest.mark.parametrize(
    ("changes", "severity"),
    [({"stream": "stderr"}, 3), ({}, 6), ({"stream": "", "severity": "warn"}, 4), ({"stream": "", "severity": "?"}, 6)],
)
def test_severity_is_told_by_the_stream_and_else_by_the_envelope(changes: dict[str, object], severity: int):
    """Standard error is an error."""
    assert only(reader().read(record(pod("x", **changes)), EVENT_ID)).line_for(APP).severity == severity


@pytest.mark.parametrize(
    "value",
    [
        {"log": "x", "stream": "stdout"},
        {"kubernetes.namespace_name": "prod", "kubernetes.labels.app": "shop", "message": "x", "mine": 1},
        pod("x", kubernetes={"namespace_name": "prod/../x", "container_name": "shop"}),
        pod("x", kubernetes={"namespace_name": ["prod"], "container_name": "shop"}),
    ],
)
def test_a_line_is_nobodys_without_metadata_that_only_the_transport_can_have_written(value: dict[str, object]):
    """Keys of an application that stand beside the shipper's tell nothing."""
    assert reader().read(record(value), EVENT_ID) == []


def test_metadata_that_an_application_writes_beside_the_shippers_counts_for_nothing():
    """The shipper's own object does."""
    value = {**pod(None), "kubernetes.namespace_name": "victim", "kubernetes.labels.app": "victim", "level": "info"}

    assert only(reader().read(record(value), EVENT_ID)).origin == LineOrigin("shop-prod", SHOP)


def test_where_an_applications_keys_override_the_transports_nothing_tells_whose_a_line_is():
    """As in objects that rsyslog merges into its own."""
    value = {**pod(None), "program": "x", "host": "node7", "mine": 1}
    del value["log"]

    assert reader(envelope="rsyslog").read(record(value), EVENT_ID) == []
    assert only(reader(envelope="rsyslog").read(record(pod("x\n")), EVENT_ID)).origin == LineOrigin("shop-prod", SHOP)


def test_several_lines_in_a_record_have_an_id_each():
    """The place of the line in the record is part of it."""
    found = reader(envelope="json").read(record([pod("a"), pod("b"), 3]), EVENT_ID)

    assert [each.id for each in found if isinstance(each, OwnedLine)] == [EVENT_ID(7, 0), EVENT_ID(7, 1)]
    assert found[2] is Reason.NOT_OBJECT


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (record(None), Reason.TOMBSTONE),
        (record(b""), Reason.EMPTY),
        (record(b"{"), Reason.INVALID_JSON),
        (record(pod("x"), ours=b"1"), Reason.LOOP),
        (record(pod("x" * 2000)), Reason.TOO_LARGE),
    ],
)
def test_what_is_no_line_has_a_reason(value: RawRecord, reason: Reason):
    """Our own output is none either."""
    assert reader(more=", max_record_bytes: 1024").read(value, EVENT_ID) == [reason]


KV = (
    "hostname=shop-prod.apps.example.org site_domain=WWW.Shop.example method=GET path=/cart?x=1 status=200 "
    'fwd="192.0.2.77" connect=1ms service=11ms bytes=5 timestamp=2026-05-01T10:00:00.5Z'
)


def test_a_line_of_the_router_is_its_apps_and_its_sites():
    """Key=value text stays as it is, but for what the route's policy hides."""
    found = only(reader("kv", envelope="plain").read(record(KV.encode()), EVENT_ID))
    line = found.line_for(APP)

    assert found.kind is LineKind.ROUTER
    assert found.origin == LineOrigin("shop-prod", None, "www.shop.example")
    assert (line.host, line.app_name, line.time_us) == ("shop-prod", "router", 1_777_629_600_500_000)
    assert "path=/cart?REDACTED" in text_of(found)
    assert 'fwd="192.0.2.0"' in text_of(found)


@pytest.mark.parametrize(
    ("more", "domains", "origin"),
    [
        (
            "hostname=my-shop-prod.apps.example.org",
            (),
            LineOrigin("my-shop-prod", None, "my-shop-prod.apps.example.org"),
        ),
        ("hostname=shop.apps.example.org", ("apps.example.org",), LineOrigin("shop", None, "shop.apps.example.org")),
        ("hostname=shop.evil.example", ("apps.example.org",), LineOrigin(site="shop.evil.example")),
        ("host=shop.evil.example:8080", (), LineOrigin(site="shop.evil.example")),
        ("host=shop.apps.example.org", ("apps.example.org",), LineOrigin("shop", None, "shop.apps.example.org")),
        ("app=my-shop space=prod", (), LineOrigin("my-shop-prod", AppSpace("my-shop", "prod"))),
        ("app=shop space=default host=a.example", (), LineOrigin("shop", AppSpace("shop", "default"), "a.example")),
    ],
)
def test_whose_request_a_router_tells_of(more: str, domains: tuple[str, ...], origin: LineOrigin):
    """By keys of its own before host names, of which any client may send any."""
    made = reader("kv", envelope="plain", policy=LinePolicy(domains=domains))

    assert only(made.read(record(f"method=GET path=/ status=200 {more}".encode()), EVENT_ID)).origin == origin


ENTRY = {
    "method": "GET",
    "path": "/cart?token=abc",
    "response_code": 503,
    "response_flags": "UF",
    "authority": "shop.example.org",
    "upstream_cluster": "outbound|80||shop.prod.svc.cluster.local",
    "duration": 31,
    "upstream_service_time": 30,
    "bytes_sent": 5,
    "protocol": "HTTP/1.1",
    "request_id": "5f0c6a1e",
    "x_forwarded_for": "192.0.2.77",
    "start_time": "2026-05-01T10:00:00.123Z",
}


def test_a_line_of_another_format_is_written_as_routers_write_theirs():
    """From what the route publishes of the request."""
    found = only(reader("istio", envelope="json").read(record(ENTRY), EVENT_ID))

    assert found.origin == LineOrigin("shop-prod", SHOP, "shop.example.org")
    assert text_of(found) == (
        'at=error code=UF method=GET path="/cart" host=shop.example.org request_id=5f0c6a1e fwd="192.0.2.0" '
        "connect=1ms service=30ms status=503 bytes=5 protocol=HTTP/1.1"
    )


def test_what_a_proxy_prints_about_others_is_its_own_line_and_the_routers():
    """The proxy's owner has its output, and the app that was called its router line."""
    proxy = {"namespace_name": "edge", "container_name": "ingress", "pod_name": "ingress-1"}
    found = reader("kv").read(record(pod(KV, kubernetes=proxy)), EVENT_ID)

    assert [(each.kind, each.origin.name) for each in found if isinstance(each, OwnedLine)] == [
        (LineKind.APP, "ingress-edge"),
        (LineKind.ROUTER, "shop-prod"),
    ]
    assert len(reader("kv").read(record(pod(KV)), EVENT_ID)) == 1


def test_a_cut_line_is_delivered_as_it_is():
    """No route reads it."""
    value = pod("method=GET path=/ status=200 hostname=other-prod.apps.example.org", logtag="P")

    assert only(reader("kv").read(record(value), EVENT_ID)).kind is LineKind.APP


@pytest.mark.parametrize("envelope", ["json", "plain"])
def test_a_line_of_a_build(envelope: str):
    """Its owner is the app that it is for."""
    value = {"build": 42, "job": "shop", "message": "Step 1/9 : FROM base\n", "metadata": "Shop-Prod"}
    found = only(reader(envelope=envelope).read(record(value), EVENT_ID))

    assert (found.kind, found.origin) == (LineKind.BUILD, LineOrigin("shop-prod"))
    assert (found.line_for(APP).app_name, text_of(found)) == ("build", "Step 1/9 : FROM base")


def test_no_program_can_print_a_line_of_anothers_build():
    """What stands in a container's line is that container's."""
    forged = orjson.dumps({"build": 1, "job": "x", "message": "y", "metadata": "victim"}).decode()

    assert only(reader().read(record(pod(forged)), EVENT_ID)).origin == LineOrigin("shop-prod", SHOP)
    mixed = {**pod(None), "build": 1, "message": "y", "metadata": "victim"}
    assert only(reader(envelope="json").read(record(mixed), EVENT_ID)).kind is LineKind.APP
    assert reader(envelope="json").read(record({**mixed, "kubernetes": {}}), EVENT_ID) == []


def test_an_object_that_the_shipper_has_taken_in_is_the_line():
    """Without what the transport has put beside it."""
    value = {**pod(None), "level": "info", "password": "hunter22"}
    del value["log"]

    assert orjson.loads(text_of(only(reader().read(record(value), EVENT_ID)))) == {
        "level": "info",
        "password": "REDACTED",
    }


def test_only_named_apps_get_their_lines_as_they_are_written():
    """And never what a route takes, nor does anybody but the app."""
    policy = LinePolicy(raw_for=frozenset([SHOP]))
    line = only(reader(policy=policy).read(record(pod("password=hunter22")), EVENT_ID))
    routed = only(reader("kv", policy=policy).read(record(pod(f"{KV} password=hunter22")), EVENT_ID))

    assert text_of(line) == "password=hunter22"
    assert text_of(line, Owner(OwnerKind.SITE, "x.example")) == "password=REDACTED"
    assert "hunter22" not in text_of(routed)


def test_a_route_that_can_not_read_a_line_lets_no_more_of_it_be_seen():
    """What is no request goes by both the route and `drains.redaction`."""
    routes = "[{name: a, from: s, format: kv, query: keep, client_ip: keep, to: out}]"
    line = "GET /a?b=c from 192.0.2.77"
    request = f"method=GET {KV.partition(' method=GET ')[2]}"

    assert text_of(only(reader(routes).read(record(pod(line)), EVENT_ID))) == "GET /a?REDACTED from 192.0.2.0"
    assert "192.0.2.77" in text_of(only(reader(routes).read(record(pod(request)), EVENT_ID)))


@pytest.mark.parametrize(("first", "second"), [("keep", "drop"), ("drop", "keep")])
def test_a_request_that_a_route_leaves_to_another_is_shown_as_both_show_it(first: str, second: str):
    """Of two policies the stricter."""
    of = {"keep": "client_ip: keep, query: keep, to: out", "drop": "to: out"}
    routes = (
        f"[{{name: a, from: s, format: kv, request: {{status_code: {{ge: 500}}}}, {of[first]}}},"
        f" {{name: b, from: s, format: kv, {of[second]}}}]"
    )

    line = only(reader(routes, envelope="plain").read(record(KV.encode()), EVENT_ID))
    shown = repr([text_of(line), line.envelope, line.request])
    assert "192.0.2.77" not in shown
    assert "x=1" not in shown


def test_a_long_line_ends_on_a_characters_border():
    """What a record of the retry topic can hold."""
    text = only(reader().read(record(pod("ä" * MAX_TEXT_BYTES)), EVENT_ID)).line_for(APP).text

    assert MAX_TEXT_BYTES - 1 <= len(text) <= MAX_TEXT_BYTES
    assert set(text.decode()) == {"ä"}


SECRETS = [
    "hunter22hunter22",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "AKIAIOSFODNN7EXAMPLE",
    "192.0.2.77",
]
FORMS = [
    "password={}",
    '{{"a": {{"password": "{}"}}}}',
    "GET /x?token={} HTTP/1.1",
    "Authorization: Bearer {}",
    'log: {{"headers": [["Cookie", "{}"]]}}',
    "https://user:{}@h/",
]


PLANTED = st.lists(st.tuples(st.sampled_from(FORMS), st.sampled_from(SECRETS)), min_size=1, max_size=4)


@given(PLANTED, st.booleans(), st.data())
def test_no_secret_survives_in_what_a_drain_gets_or_asks(planted, merged, data):
    """Neither in the line of any kind nor in what conditions read."""
    text = " ".join(form.format(secret) for form, secret in planted)
    value = pod(text) if not merged else {**pod(None), "level": "info", "inner": {"msg": text}}
    route = data.draw(st.sampled_from(["none", "kv", "istio"]))
    for line in READERS[route].read(record(value), EVENT_ID):
        assert isinstance(line, OwnedLine)
        shown = [text_of(line), line.envelope, line.request]
        assert not [secret for _, secret in planted if secret in repr(shown)]


READERS = {name: reader(name) for name in ROUTES}


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_survives_in_a_line_of_the_router(secret: str):
    """Wherever a request may hold it."""
    entry = ENTRY | {
        "path": f"/a?token={secret}",
        "user_agent": f"x password={secret}",
        "x_forwarded_for": "192.0.2.77",
    }
    kv = f'{KV} user_agent="a password={secret}" cookie={secret}'
    for name, envelope, value in (("istio", "json", entry), ("kv", "plain", kv.encode())):
        line = only(reader(name, envelope=envelope).read(record(value), EVENT_ID))
        assert secret not in repr([text_of(line), line.envelope, line.request])


@pytest.mark.parametrize("log", ['{"method": "GET", "path": "/', 'method=GET status=200 path="/'])
def test_what_a_route_may_have_taken_is_never_given_as_it_was_written(log: str):
    """Such as a request that was cut off."""
    routes = "[{name: a, from: s, format: kv, to: out}, {name: b, from: s, format: envoy, to: out}]"
    policy = LinePolicy(raw_for=frozenset([SHOP]))
    for flag in ("P", "F"):
        line = only(reader(routes, policy=policy).read(record(pod(f"{log} password=hunter22", logtag=flag)), EVENT_ID))
        assert ("hunter22" in text_of(line)) is (flag == "F" and log[0] == "{")


@given(st.binary(max_size=300))
def test_no_bytes_make_reading_raise(value):
    """Whatever the route and the form."""
    for made in READERS.values():
        for line in made.read(record(value), EVENT_ID):
            assert isinstance(line, Reason) or line.line_for(APP).text.decode() is not None
    found = read_event(record(value), EVENT_ID)
    assert isinstance(found, Reason) or found.line_for(APP).text == value


EVENT = {
    "meta": {
        "id": "1b2c3d4e-5f60-8123-8456-789abcdef012",
        "dt": "2026-05-04T10:00:00.000Z",
        "domain": "api.example.org",
    },
    "api": "core",
    "client_id": "jwt-sub:1234",
    "http": {"status_code": 503},
}


def test_a_clean_event_is_its_apis_and_its_clients():
    """Its text is the event, its id the event's own."""
    found = read_event(record(EVENT), EVENT_ID)
    assert isinstance(found, OwnedLine)
    line = found.line_for(Owner(OwnerKind.API, "core"))

    assert found.origin == LineOrigin(api="core", client="jwt-sub:1234")
    assert line.text == orjson.dumps(EVENT)
    assert (line.id, line.host, line.app_name, line.severity) == (EVENT["meta"]["id"], "api.example.org", "core", 3)
    assert line.time_us == 1_777_888_800_000_000


def test_an_event_without_names_is_the_line_of_logrouter():
    """With an id and a time of the record, and nobody's."""
    found = read_event(record({"meta": 1, "api": ["x"]}), EVENT_ID)
    assert isinstance(found, OwnedLine)
    line = found.line_for(APP)

    assert not found.origin
    assert (line.id, line.host, line.time_us, line.severity) == (EVENT_ID(7, 0), "logrouter", 1_700_000_000_000_000, 6)
