"""Lookups: rows, countries and agents in the event, nothing where nothing is known, bounded whatever comes."""

from __future__ import annotations

import pytest

from logrouter.core.enrich import compile_client_ip, lookup
from logrouter.core.enrich.lookup import compile_agent, compile_geo, compile_lookup

ROWS = {"c1": {"name": "Reader", "tier": "free"}, "c2": {}}


@pytest.mark.parametrize(
    ("event", "added"),
    [
        ({"client_id": "c1"}, {"client": {"name": "Reader", "tier": "free"}}),
        ({"client_id": "c2"}, {}),
        ({"client_id": "c3"}, {}),
        ({"client_id": 1}, {}),
        ({"client_id": ["c1"]}, {}),
        ({}, {}),
        ({"client_id": "c1", "client": {"x": "y"}}, {"client": {"x": "y", "name": "Reader", "tier": "free"}}),
    ],
)
def test_lookup_puts_the_row_into_the_event(event, added):
    """A known key gets its row, beside what another lookup has put there; anything else stays as it is."""
    expected = event | added
    compile_lookup(ROWS, ("client_id",), "client")(event)

    assert event == expected


def test_lookup_hands_out_copies():
    """A change to one event's row is no change to the file's."""
    enrich = compile_lookup(ROWS, ("client_id",), "client")
    first, second = {"client_id": "c1"}, {"client_id": "c1"}
    enrich(first)
    first["client"].clear()
    enrich(second)

    assert second["client"] == ROWS["c1"]


@pytest.mark.parametrize(
    ("chain", "geo"),
    [
        ("198.51.100.7", {"country": "DE", "asn": 64500}),
        ("10.0.0.1, 198.51.100.7", {"country": "DE", "asn": 64500}),
        ("198.51.100.7, 10.0.0.1", {"asn": 64501}),
        ("203.0.113.1", None),
        ("nonsense", None),
        (7, None),
    ],
)
def test_geo_is_of_the_trusted_address(chain, geo):
    """Of a chain the last address counts; what nobody knows adds nothing."""
    known = {"198.51.100.7": ("DE", 64500), "10.0.0.1": (None, 64501)}
    event = {"http": {"client_ip": chain}}
    compile_geo(compile_client_ip(1), lambda address: known.get(address, (None, None)))(event)

    assert event.get("geo") == geo


@pytest.mark.parametrize("event", [{}, {"http": 1}, {"http": {}}, {"http": {"request_headers": {"user-agent": 1}}}])
def test_events_without_what_is_looked_up_stay_as_they_are(event):
    """No address, no header, or values of another type: nothing is added and nothing raises."""
    before = repr(event)
    compile_geo(compile_client_ip(1), lambda _address: ("DE", 1))(event)
    compile_agent(lambda _agent: "x")(event)

    assert repr(event) == before


def test_agent_is_cut_named_and_remembered(monkeypatch):
    """A long agent is cut before it is read, an unknown one is `other`, and the cache stays bounded."""
    monkeypatch.setattr(lookup, "MAX_CACHED", 3)
    asked = []

    def family_of(agent):
        asked.append(agent)
        return "Firefox" if "Firefox" in agent else None

    enrich = compile_agent(family_of)
    events = [
        {"http": {"request_headers": {"user-agent": agent}}} for agent in ("Firefox", "Firefox", "x" * 9999, "y", "z")
    ]
    for event in events:
        enrich(event)

    assert [event["user_agent_family"] for event in events] == ["Firefox", "Firefox", "other", "other", "other"]
    assert [len(agent) for agent in asked] == [7, lookup.MAX_AGENT, 1, 1]
