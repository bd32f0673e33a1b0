"""The format `mediawiki`: what the corpus shows badly."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.enrich import compile_client_id
from logrouter.core.formats import parser
from logrouter.core.formats.mediawiki import _CODES, _PREFIXES
from logrouter.core.outcomes import OUTCOMES
from logrouter.model import Envelope, Parsed

PAGE = (Path(__file__).parents[4] / "docs" / "formats" / "mediawiki.md").read_text(encoding="utf-8")
parse = parser("mediawiki")
LINE = {
    "$schema": "/mediawiki/api/request/1.0.0",
    "meta": {"dt": "2026-05-01T10:00:00Z", "domain": "wiki.example.org"},
    "http": {"method": "GET", "client_ip": "192.0.2.7"},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


def read(**members) -> Parsed:
    """The request in a line with these members besides."""
    found = parse(Envelope("plain", orjson.dumps({**LINE, **members}).decode()))
    assert isinstance(found, Parsed)
    return found


def test_the_page_has_every_code_with_its_outcome():
    """Users look up what a code will count as."""
    rows = re.findall(r"^\| (`.*`) \| `(\w+)` \| `\w+` \|$", PAGE, re.MULTILINE)
    written = {code: outcome for codes, outcome in rows for code in re.findall(r"`([^`]+)`", codes)}
    assert {code.removesuffix("…").rstrip("_"): outcome for code, outcome in written.items()} == {**_CODES, **_PREFIXES}
    assert {*_CODES.values(), *_PREFIXES.values()} <= set(OUTCOMES)


@pytest.mark.parametrize(
    ("codes", "code", "outcome"),
    [
        (["missingtitle"], "missingtitle", "not_found"),
        (["badinteger", "missingtitle"], "missingtitle", "not_found"),
        (["missingtitle", "permissiondenied", "maxlag"], "maxlag", "throttled"),
        (["made-up", "internal_api_error_X", "maxlag"], "internal_api_error_X", "backend_error"),
        (["one", "two"], "one", "client_error"),
    ],
)
def test_the_gravest_code_tells_how_it_ended(codes, code, outcome):
    """In whatever order they come; of two alike the first."""
    found = read(api_error_codes=codes)
    assert (found.event["error"]["code"], found.outcome) == (code, outcome)
    assert "status_code" not in found.event["http"]


@pytest.mark.parametrize(
    ("performer", "params", "client"),
    [
        ({"user_text": "ExampleBot", "user_id": 7}, {}, ("ExampleBot", None)),
        ({"user_text": "192.0.2.7"}, {}, ("x-client-ip:192.0.2.7", "x-client-ip")),
        ({"user_text": "2001:db8::7"}, {}, ("x-client-ip:192.0.2.7", "x-client-ip")),
        ({"user_text": "192.0.2.7"}, {"oauth_consumer_key": "4f5d6e7f"}, ("4f5d6e7f", None)),
        ([], [], ("x-client-ip:192.0.2.7", "x-client-ip")),
    ],
)
def test_who_is_not_logged_in_is_known_by_the_address(performer, params, client):
    """The name of such a user is an address, which must be subject to the policy of addresses and typed as one."""
    who = compile_client_id(["params.oauth_consumer_key", "performer.user_text", "http.client_ip"])
    assert who(read(performer=performer, params=params)) == client


@pytest.mark.parametrize("name", ["lgpassword", "token", "lgtoken", "centralauthtoken", "access_token", "password"])
def test_a_secret_parameter_is_no_source(name):
    """Not even for those who name it."""
    assert compile_client_id([f"params.{name}"])(read(params={name: "made-up", "action": "login"})) is None


@given(st.dictionaries(st.sampled_from([*LINE, "performer", "params", "api_error_codes", "database", "dt"]), JSON))
def test_whatever_its_members_are_a_line_is_read_or_refused(members):
    """Nothing raises, and no event has a list where a text belongs."""
    found = parse(Envelope("cee", "", {**LINE, **members}))
    if isinstance(found, Parsed):
        assert not isinstance(found.event.get("tenant"), list | dict)
        assert isinstance(found.event.get("api", ""), str)
        assert all(not isinstance(value, list | dict) for value in found.event.get("meta", {}).values())
