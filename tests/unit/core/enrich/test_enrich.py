"""Who called which API, from where, with what outcome."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.enrich import (
    ApiRule,
    allow_headers,
    compile_api,
    compile_client_id,
    compile_client_ip,
    compile_weight,
)
from logrouter.core.outcomes import OUTCOMES, outcome_of, status_class
from logrouter.core.redact import ip_policy
from logrouter.model import Parsed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=6,
)


def parsed(fields=None, headers=None, path=None, client_ip=None):
    """A parsed line with as much in it as the test is about."""
    http = {"request_headers": headers, "path": path, "client_ip": client_ip}
    http = {name: value for name, value in http.items() if value is not None}
    return Parsed({"http": http} if http else {}, {**(fields or {}), **({"http": http} if http else {})})


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (parsed({"client_id": "c1"}), ("c1", None)),
        (parsed({"client_id": "c1"}, {"x-wmf-user-id": "jwt-sub:7"}), ("c1", None)),
        (parsed({}, {"x-wmf-user-id": "jwt-sub:7"}), ("jwt-sub:7", "jwt-sub")),
        (parsed({"client_id": "-"}, {"x-wmf-user-id": "user-agent:X"}), ("user-agent:X", "user-agent")),
        (parsed({}, {"x-wmf-user-id": "x-provenance:known=app"}), ("x-provenance:known=app", "x-provenance")),
        (parsed({}, {"x-wmf-user-id": "jwt-sub:"}), None),
        (parsed({}, {"x-wmf-user-id": "other:7"}), ("other:7", None)),
        (parsed({"client_id": ["", "-", "c2", "c3"]}), ("c2", None)),
        (parsed({"client_id": '["c4","c5"]'}), ("c4", None)),
        (parsed({"client_id": "[not a list]"}), ("[not a list]", None)),
        (parsed({"client_id": "[]"}), None),
        (parsed({"client_id": 42}), ("42", None)),
        (parsed({"client_id": True}), None),
        (parsed({"client_id": {"a": 1}}), None),
        (parsed({"client_id": "  "}, {"x-wmf-user-id": " c6 "}), ("c6", None)),
        (parsed({"client_id": "x-client-ip:203.0.113.7"}), ("x-client-ip:203.0.113.7", "x-client-ip")),
        (parsed({"client_id": "x-client-ip:nowhere"}), None),
        (parsed(), None),
    ],
)
def test_the_client_is_the_first_usable_source(line, found):
    """Fields and headers in their order; lists, typed prefixes and absent values as they come."""
    assert compile_client_id(["client_id", "x-wmf-user-id"], typed_from=["client_id", "x-wmf-user-id"])(line) == found
    assert line.flags == ()


@pytest.mark.parametrize(
    ("sources", "typed_from", "line", "found"),
    [
        (["x-user"], ["client_id"], parsed({}, {"x-user": "jwt-sub:victim"}), "jwt-sub%3Avictim"),
        (["header:X-User"], ["x-user"], parsed({}, {"x-user": "jwt-sub:7"}), "jwt-sub:7"),
        (["field:client_id"], ["client_id"], parsed({"client_id": "jwt-sub:7"}), "jwt-sub:7"),
        (["client_id"], [], parsed({"client_id": "jwt-sub:7"}), "jwt-sub%3A7"),
        (["x-user", "client_id"], ["client_id"], parsed({"client_id": "jwt-sub:7"}), "jwt-sub:7"),
        (["remote_user"], ["client_id"], parsed({"remote_user": "jwt-sub:victim"}), "jwt-sub%3Avictim"),
        (["x-user"], ["client_id"], parsed({}, {"x-user": '["jwt-sub:victim"]'}), "jwt-sub%3Avictim"),
        (["x-user"], ["client_id"], parsed({}, {"x-user": " x-client-ip:203.0.113.7"}), "x-client-ip%3A203.0.113.0"),
        (
            ["x-user"],
            ["client_id"],
            parsed({}, {"x-user": "x-client-ip:2001:db8:1:2::7"}),
            "x-client-ip%3A2001:db8:1::",
        ),
        (["http.client_ip"], ["client_id"], parsed(client_ip="203.0.113.7"), "x-client-ip:203.0.113.0"),
        (["x-user"], ["client_id"], parsed({}, {"x-user": "other:7"}), "other:7"),
    ],
)
def test_an_id_that_says_its_kind_is_believed_of_named_sources_only(sources, typed_from, line, found):
    """A client that sends `jwt-sub:victim` in a header is somebody else, without a type, and suspect."""
    made = compile_client_id(sources, compile_client_ip(1, ip_policy("truncate")), typed_from)(line)

    kind, colon, _ = found.partition(":")
    assert made == (found, kind if colon and kind != "other" and "%3A" not in kind else None)
    assert ("suspect" in line.flags) is ("%3A" in found)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("field:jwt.aud", parsed({"jwt.aud": ["c1"]})),
        ("field:jwt.aud", parsed({"jwt": {"aud": "c1"}})),
        ("jwt.aud", parsed({"jwt": {"aud": "c1"}})),
        ("header:X-Key", parsed(headers={"x-key": "c1"})),
        ("x-key", parsed(headers={"x-key": "c1"})),
        ("header:user", parsed(headers={"user": "c1"})),
    ],
)
def test_a_source_is_a_field_or_a_header(source, line):
    """A name with a dash is a header unless it says otherwise; a field may be flat or nested."""
    assert compile_client_id([source])(line) == ("c1", None)


def test_an_unknown_kind_of_source_is_refused_when_it_is_compiled():
    """Configuration errors are loud, and early."""
    with pytest.raises(ValueError, match="no kind of source"):
        compile_client_id(["cookie:x"])


def test_an_address_that_serves_as_an_id_is_treated_as_addresses_are():
    """The same policy applies to a typed id and to the address field, and both name the same client."""
    client_ip = compile_client_ip(2, ip_policy("hash", b"key"))
    client_id = compile_client_id(["client_id", "http.client_ip"], client_ip)
    expected = (f"x-client-ip:{ip_policy('hash', b'key')('203.0.113.7')}", "x-client-ip")
    assert client_id(parsed({"client_id": "x-client-ip:203.0.113.7"})) == expected
    assert client_id(parsed(client_ip="spoofed, 203.0.113.7, 10.0.0.1")) == expected
    assert client_id(parsed(client_ip="nowhere")) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("203.0.113.7", "203.0.113.0"),
        ("[2001:db8:1:2::7]:443", "[2001:db8:1::]:443"),
        ("::ffff:203.0.113.7", "203.0.113.0"),
        ("203.0.113.7, 198.51.100.2", "203.0.113.0, 198.51.100.0"),
        ("12:11:55 198.51.100.2 nginx: 203.0.113.7 - -", "12:11:55 198.51.100.0 nginx: 203.0.113.0 - -"),
        ("user-agent:probe from 203.0.113.7", "user-agent:probe from 203.0.113.0"),
    ],
)
def test_no_id_holds_an_address_that_the_policy_has_not_seen(text, shown):
    """Whichever source an id is from: an address is an address."""
    line = parsed({"client_id": text})
    found = compile_client_id(["client_id"], compile_client_ip(1, ip_policy("truncate")))(line)
    assert found is not None
    assert found[0] == shown
    assert line.flags == ("suspect",)


def test_an_address_as_an_id_is_not_the_id_of_the_client_with_that_address():
    """Else a client could have its requests counted as those of another one by choosing its user name."""
    assert compile_client_id(["client_id"])(parsed({"client_id": "203.0.113.7"})) == ("203.0.113.7", None)


@pytest.mark.parametrize(
    "text", ["x" * 257, "a\x00b", "a\nb", "a\u2028b", "eyJhbGciOiJub25lIn0.eyJzdWIiOjF9.", "user-agent:" + "y" * 400]
)
def test_an_id_that_is_no_id_is_cut_hashed_and_flagged(text):
    """Too long, unprintable, or a token: the stand-in is short, printable, the same every time, and tells nothing."""
    client_id = compile_client_id(["client_id"])
    first, second = parsed({"client_id": text}), parsed({"client_id": text})
    found = client_id(first)
    assert found is not None
    assert found == client_id(second)
    assert first.flags == second.flags == ("suspect",)
    assert len(found[0]) <= 256
    assert found[0].isprintable()
    assert "eyJ" not in found[0]


@given(VALUES, st.dictionaries(st.sampled_from(["x-wmf-user-id", "user-agent"]), VALUES))
def test_no_value_makes_the_client_id_raise(value, headers):
    """Whatever stands where an id should be, the answer is an id or none, and never empty or a dash."""
    found = compile_client_id(["client_id", "jwt.aud", "x-wmf-user-id", "http.client_ip"])(
        parsed({"client_id": value, "jwt": value}, headers, client_ip=value)
    )
    assert found is None or found[0] not in ("", "-")


@pytest.mark.parametrize(
    ("chain", "position", "address"),
    [
        ("198.51.100.7", 1, "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7, 10.0.0.3", 2, "198.51.100.7"),
        ("203.0.113.9,198.51.100.7,10.0.0.3", 1, "10.0.0.3"),
        ("198.51.100.7", 3, "198.51.100.7"),
        ("198.51.100.7:4711, 10.0.0.3", 2, "198.51.100.7"),
        ("[2001:DB8:0::7]:443, 10.0.0.3", 2, "2001:db8::7"),
        ("2001:db8::7", 1, "2001:db8::7"),
        ('"[2001:db8::7]"', 1, "2001:db8::7"),
        ("::ffff:198.51.100.7", 1, "198.51.100.7"),
        ("fe80::1%eth0", 1, None),
        ("198.51.100.256", 1, None),
        ("198.51.100.07", 1, None),
        ("198.51.100.7.", 1, None),
        ("unknown, 10.0.0.3", 2, None),
        ("", 1, None),
        (",", 1, None),
        ("198.51.100.7, ", 1, None),
        ("x" * 100_000, 1, None),
        ("1," * 100_000, 3, None),
    ],
)
def test_the_trusted_address_is_counted_from_the_right(chain, position, address):
    """What is left of the trusted entries is the client's own story; what is no address is none."""
    client_ip = compile_client_ip(position)
    assert client_ip(chain) == address
    assert client_ip(chain) == address


def test_a_position_starts_at_one():
    """Configuration errors are loud, and early."""
    with pytest.raises(ValueError, match="position"):
        compile_client_ip(0)


@given(st.ip_addresses(), st.lists(st.text("0123456789abcdef.:, []x", max_size=20), max_size=3))
def test_a_client_cannot_choose_its_trusted_address(address, spoofed):
    """Whatever the client writes on the left, the entry that the trusted proxy appended decides."""
    chain = ",".join([*spoofed, str(address), "10.0.0.1"])
    expected = compile_client_ip(1)(str(address))
    assert expected is not None
    assert compile_client_ip(2)(chain) == expected


def test_only_allowed_headers_stay_and_a_referer_loses_its_query():
    """The order is the line's, so that a replay gives the same bytes."""
    headers = {"referer": "https://example.org/a?token=x", "cookie": "c", "user-agent": "u"}
    allowed = allow_headers(headers, frozenset({"user-agent", "referer", "other"}))
    assert list(allowed.items()) == [("referer", "https://example.org/a"), ("user-agent", "u")]
    assert allow_headers({"referer": "?token=x"}, frozenset({"referer"})) == {}


@pytest.mark.parametrize(
    ("rule", "path", "found"),
    [
        (ApiRule(prefix="/feed", name="feed"), "/feed/v1/x", ("feed", None)),
        (ApiRule(prefix="/feed", name="feed", version="v1"), "/feed", ("feed", "v1")),
        (ApiRule(prefix="/feed", name="feed"), "/feeder", None),
        (ApiRule(prefix="/feed/", name="feed"), "/feed/x", ("feed", None)),
        (ApiRule(glob="/{api}/{version}/**"), "/core/v1/a/b", ("core", "v1")),
        (ApiRule(glob="/{api}/{version}/**"), "/core/v1", None),
        (ApiRule(glob="/service/*/{v}/x", name="s", version="{v}"), "/service/any/v2/x", ("s", "v2")),
        (ApiRule(glob="/service/*/x", name="s"), "/service/a/b/x", None),
        (ApiRule(glob="/a.b/**", name="dot"), "/aXb/c", None),
        (ApiRule(regex=r"^/(?P<lang>[a-z]+)/(?P<api>\w+)", name="{api}-{lang}"), "/en/feed/1", ("feed-en", None)),
        (ApiRule(regex=r"^/(?P<api>\w+)(?:/(?P<version>v\d+))?"), "/core", ("core", None)),
        (ApiRule(regex=r"^/x(?P<api>\w*)$"), "/x", None),
    ],
)
def test_the_api_is_told_by_the_path(rule, path, found):
    """Prefixes end at a segment, globs and expressions name their parts."""
    api = compile_api([rule])
    assert api(parsed(path=path)) == found
    assert api(parsed(path=path)) == found


def test_the_first_rule_that_fits_decides():
    """A field goes before paths if it is written before them, and no fit is no API."""
    api = compile_api([ApiRule(field="route"), ApiRule(prefix="/feed", name="feed")])
    assert api(parsed({"route": "core"}, path="/feed")) == ("core", None)
    assert api(parsed({"route": "-"}, path="/feed")) == ("feed", None)
    assert api(parsed({"route": 5}, path="/other")) is None
    assert api(parsed()) is None


def test_a_name_from_outside_is_bounded():
    """A route or path that makes a name of any length makes one of at most 128 characters, and is flagged."""
    line = parsed({"route": "x" * 5000})
    found = compile_api([ApiRule(field="route")])(line)
    assert found is not None
    assert len(found[0]) <= 128
    assert line.flags == ("suspect",)


SECRET_NAMES = [
    *("Bearer x9Y8z7w6Q5", "token=x9Y8z7w6Q5", "a?access_token=x9Y8z7w6Q5", '{"password": "x9Y8z7w6Q5"}'),
    *("ghp_x9Y8z7w6Q5x9Y8z7w6Q5", "eyJhbGciOiJ9.eyJzdWIiOiJ9.x9Y8z7w6Q5", "https://u:x9Y8z7w6Q5@h/"),
    "Bearer x9Y8z7w6Q5" + "x9Y8z7w6Q5" * 40,
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_secret_is_no_name(name):
    """Neither of an API nor of a client, whoever wrote it; equal ones stay equal."""
    line = parsed({"name": name})
    api, client = compile_api([ApiRule(field="name")]), compile_client_id(["name"])
    for found in (api(line), client(line)):
        assert found is not None
        assert re.fullmatch("~[0-9a-f]{32}", found[0])
    assert line.flags == ("suspect", "suspect")
    assert api(line) == api(line)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("to 198.51.100.7", "to 198.51.100.0"), ("2001:db8:1:2::7", "2001:db8:1::"), ("198.51.100.7", "198.51.100.0")],
)
def test_an_address_in_the_name_of_an_api_goes_through_the_policy(name, shown):
    """As it does in ids of clients."""
    line = parsed({"route": name})
    assert compile_api([ApiRule(field="route")], compile_client_ip(1, ip_policy("truncate")))(line) == (shown, None)
    assert line.flags == ("suspect",)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "token-service:v1",
            "SessionAPI:1.0.0",
            "Pizza Shack API",
            "outbound|80||auth.prod.svc.cluster.local",
            "keys",
        ),
        *("cluster/ns/route=0", "CN=client,OU=ops,O=Example", "auth0|5f7c", "Chrome/120.0.0.0", "/token/*", "a=b"),
    ],
)
def test_an_ordinary_name_stays(name):
    """Names with versions, clusters, subjects of certificates, words such as token."""
    line = parsed({"name": name})
    assert compile_api([ApiRule(field="name")])(line) == (name, None)
    assert compile_client_id(["name"])(line) == (name, None)
    assert line.flags == ()


@pytest.mark.parametrize(
    "rule",
    [
        ApiRule(),
        ApiRule(prefix="/a"),
        ApiRule(prefix="/a", glob="/b", name="x"),
        ApiRule(field="route", name="x"),
        ApiRule(field="route", prefix="/a"),
        ApiRule(glob="/{a}/{a}", name="x"),
        ApiRule(regex="(", name="x"),
        ApiRule(prefix="/a", name="{api}"),
        ApiRule(glob="/{api}", name="{api.__class__}"),
        ApiRule(glob="/{api}", name="{api!r}"),
    ],
)
def test_a_rule_that_is_none_is_refused_when_it_is_compiled(rule):
    """Too few or too many patterns, broken patterns, and templates that reach for more than groups."""
    with pytest.raises(ValueError, match=r"."):
        compile_api([rule])


@pytest.mark.parametrize(
    ("status", "outcome", "kind"),
    [
        (0, "aborted", "0xx"),
        (101, "ok", "1xx"),
        (200, "ok", "2xx"),
        (304, "ok", "3xx"),
        (400, "client_error", "4xx"),
        (401, "auth", "4xx"),
        (403, "auth", "4xx"),
        (404, "not_found", "4xx"),
        (429, "throttled", "4xx"),
        (499, "aborted", "4xx"),
        (500, "backend_error", "5xx"),
        (503, "backend_error", "5xx"),
        (599, "backend_error", "5xx"),
        (None, None, None),
        (-1, None, None),
        (42, None, None),
        (600, None, None),
    ],
)
def test_a_status_has_one_outcome_and_one_class(status, outcome, kind):
    """0 is a client that went away and no server error; what HTTP does not know has neither."""
    assert outcome_of(status) == outcome
    assert status_class(status) == kind
    assert outcome is None or outcome in OUTCOMES


def test_the_backend_s_part_in_a_failure_is_heard():
    """A 5xx that never reached the backend is the gateway's, but for those that say that it was not reached."""
    assert outcome_of(500, from_backend=False) == "gateway_error"
    assert outcome_of(503, from_backend=False) == "backend_error"
    assert outcome_of(404, from_backend=False) == "not_found"


def test_a_status_weighs_before_its_class_and_the_class_before_the_default():
    """Gateways write 1 % of all requests, a part of the 429 and every 5xx."""
    weight = compile_weight(100, {"5xx": 1, "429": 5})
    assert [weight(status) for status in (200, 429, 500, 503, 0, None, 700)] == [100, 5, 1, 1, 100, 100, 100]


@pytest.mark.parametrize(
    ("default", "by_status"),
    [
        (0.5, {}),
        (1, {"5xx": 0}),
        (1, {"7xx": 2}),
        (1, {"x": 2}),
        (1, {"42": 2}),
        (float("nan"), {}),
        (float("inf"), {}),
    ],
)
def test_a_weight_that_is_none_is_refused_when_it_is_compiled(default, by_status):
    """A line stands for one request at least, and keys are statuses or classes."""
    with pytest.raises(ValueError, match=r"weight|status"):
        compile_weight(default, by_status)
