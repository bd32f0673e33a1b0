"""Which drains get a line: exact owners, names that two pairs spell, filters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.config.compile.drain_filters import compile_line_filter
from logrouter.core.drains.filters import LineFilter
from logrouter.core.drains.lines import LineReader, OwnedLine, read_event
from logrouter.core.drains.matching import DrainIndex, FilteredDrain, Matched, names_of
from logrouter.core.drains.owner import Owner, OwnerKind, name_of
from logrouter.core.drains.registration import Registration
from logrouter.core.formats.families.app_space import AppSpace
from tests.unit.core.drains.test_lines import EVENT, EVENT_ID, KV, pod, reader, record

ALL = LineFilter()
SHOP, OTHER = AppSpace("my-shop", "prod"), AppSpace("my", "shop-prod")
NAME = "my-shop-prod"


def drain(name: str, owner: Owner, chosen: LineFilter = ALL) -> FilteredDrain:
    """A drain called *name*."""
    made = Registration(id=name, token="", owner=owner, url="https://h/", created_ms=0, updated_ms=0)
    return FilteredDrain(made, chosen)


def app(name: str, pair: AppSpace | None = None) -> Owner:
    """The owner of an app's drain."""
    return Owner(OwnerKind.APP, name, pair)


def line_of(pair: AppSpace) -> OwnedLine:
    """A line of this app, by the transport's metadata."""
    metadata = {"namespace_name": pair.space, "container_name": pair.app, "labels": {"app": pair.app}}
    [found] = READER.read(record(pod("x", kubernetes=metadata)), EVENT_ID)
    assert isinstance(found, OwnedLine)
    return found


def routed(name: str) -> OwnedLine:
    """A line of the router that has the name alone."""
    text = f"hostname={name}.apps.example.org site_domain=www.example.org method=GET path=/ status=200"
    [found] = ROUTER.read(record(text.encode()), EVENT_ID)
    assert isinstance(found, OwnedLine)
    return found


READER = reader()
ROUTER: LineReader = reader("kv", envelope="plain")
DRAINS = [drain("pair", app(NAME, SHOP)), drain("other", app(NAME, OTHER)), drain("name", app(NAME))]


def ids(found: Matched) -> list[str]:
    """Which drains were found."""
    return [each.id for each in found.drains]


@pytest.mark.parametrize(
    ("seen", "line", "found", "ambiguous"),
    [
        ([], line_of(SHOP), ["pair", "name"], False),
        ([SHOP], line_of(SHOP), ["pair", "name"], False),
        ([OTHER, SHOP], line_of(SHOP), ["pair"], False),
        ([SHOP, OTHER], line_of(OTHER), ["other"], False),
        ([SHOP], routed(NAME), [], True),
        ([], routed("your-shop-prod"), [], False),
        ([], line_of(AppSpace("shop", "prod")), [], False),
    ],
)
def test_two_pairs_that_spell_one_name(seen, line, found, ambiguous):
    """Each has its own lines, the first known one also those of drains by name, and nobody a line that may be either's.

    Pairs of registrations are known, in their order, behind those that lines have named.
    """
    got = DrainIndex(DRAINS, {NAME: seen}).find(line)

    assert (ids(got), got.ambiguous) == (found, ambiguous)


@pytest.mark.parametrize(
    ("drains", "seen", "found"),
    [
        ([drain("name", app(NAME))], [], ["name"]),
        ([drain("name", app(NAME))], [SHOP], ["name"]),
        ([drain("name", app(NAME))], [SHOP, OTHER], []),
        ([drain("pair", app(NAME, SHOP))], [], ["pair"]),
        ([drain("pair", app(NAME, SHOP))], [SHOP], ["pair"]),
        ([drain("pair", app(NAME, SHOP))], [OTHER], []),
    ],
)
def test_a_line_with_a_name_alone(drains, seen, found):
    """It is the one's whose it can be."""
    assert ids(DrainIndex(drains, {NAME: seen}).find(routed(NAME))) == found


def test_pairs_that_are_seen_later_count():
    """The index reads what it was given, and need not be made anew."""
    seen: dict[str, list[AppSpace]] = {}
    index = DrainIndex([drain("name", app(NAME))], seen)
    before = ids(index.find(routed(NAME)))
    seen[NAME] = [SHOP, OTHER]

    assert before == ["name"]
    assert index.find(routed(NAME)) == Matched((), ambiguous=True)
    assert index.find(routed("your-shop-prod")) == Matched(())


def test_a_name_without_a_dash_is_an_app_of_the_default_space():
    """With the space written out it is the same one, as far as no other is known by that name."""
    pair = AppSpace("shop", "default")
    drains = [drain("pair", app("shop", pair)), drain("short", app("shop")), drain("long", app("shop-default"))]

    assert ids(DrainIndex(drains, {}).find(routed("shop"))) == ["pair", "short", "long"]
    assert ids(DrainIndex(drains, {}).find(line_of(pair))) == ["pair", "short", "long"]
    other = AppSpace("shop-default", "default")
    assert ids(DrainIndex(drains, {"shop-default": [other]}).find(line_of(pair))) == ["pair", "short"]


PAIRS = st.builds(AppSpace, *[st.sampled_from(["a", "b", "a-b", "b-a", "a-b-a"])] * 2)


@given(st.lists(PAIRS, max_size=4, unique=True), st.lists(st.tuples(PAIRS, st.booleans()), max_size=5), PAIRS)
def test_no_line_with_a_pair_reaches_a_drain_of_another_one(known, registered, pair):
    """Whatever is known, and however drains were registered."""
    seen = {name: [each for each in known if name in names_of(each)] for each in known for name in names_of(each)}
    drains = [
        drain(str(number), app(name_of(each), each if pinned else None))
        for number, (each, pinned) in enumerate(registered)
    ]
    for found in DrainIndex(drains, seen).find(line_of(pair)).drains:
        assert found.owner.pair in (None, pair)
        assert found.owner.name in names_of(pair)
        if found.owner.pair is None and seen.get(found.owner.name):
            assert seen[found.owner.name][0] == pair


def test_sites_apis_and_clients_are_compared_whole():
    """A line may be an app's and a site's."""
    drains = [
        drain("site", Owner(OwnerKind.SITE, "www.example.org")),
        drain("above", Owner(OwnerKind.SITE, "example.org")),
        drain("app", app("shop-prod")),
        drain("api", Owner(OwnerKind.API, "core")),
        drain("client", Owner(OwnerKind.CLIENT, "jwt-sub:1234")),
        drain("nobody", Owner(OwnerKind.CLIENT, "")),
    ]
    event = read_event(record(EVENT), EVENT_ID)
    assert isinstance(event, OwnedLine)

    assert ids(DrainIndex(drains, {}).find(routed("shop-prod"))) == ["app", "site"]
    assert ids(DrainIndex(drains, {}).find(event)) == ["api", "client"]


def accepts(line: OwnedLine, kind: OwnerKind = OwnerKind.APP, **conditions: object) -> bool:
    """Whether a filter that somebody asks for lets a line through."""
    made = compile_line_filter(kind, **conditions)
    assert isinstance(made, LineFilter), made
    return made.accepts(line)


def test_conditions_on_the_envelope_and_on_the_request():
    """A line without a request satisfies none on requests."""
    [line] = reader("kv").read(record(pod("hello")), EVENT_ID)
    [request] = ROUTER.read(record(KV.encode()), EVENT_ID)
    assert isinstance(line, OwnedLine)
    assert isinstance(request, OwnedLine)

    assert accepts(line, match={"app": "shop", "text": {"regex": "^hel+o$"}, "stream": "stdout"})
    assert not accepts(line, match={"stream": "stderr"})
    assert not accepts(line, request={"not": {"status_code": 200}})
    assert accepts(request, request={"status_code": {"lt": 300}, "path": "/cart", "method": "GET"})
    assert not accepts(request, request={"status_code": {"ge": 300}})


def test_conditions_on_requests_are_the_same_for_clean_events():
    """Fields of the event by the same names."""
    event = read_event(
        record({**EVENT, "outcome": "backend_error", "http": {"status_code": 503, "client_ip": "192.0.2.0"}}), EVENT_ID
    )
    assert isinstance(event, OwnedLine)
    wanted = {
        "api": "core",
        "client_id": {"prefix": "jwt-"},
        "status_code": {"ge": 500},
        "status_class": "5xx",
        "outcome": "backend_error",
        "client_ip": {"cidr": "192.0.2.0/24"},
        "domain": "api.example.org",
        "field.meta.dt": {"exists": True},
    }

    assert accepts(event, OwnerKind.API, request=wanted)
    assert not accepts(event, OwnerKind.API, request={**wanted, "api": "other"})


SECRET = pod("password=hunter22")


@pytest.mark.parametrize(
    ("line", "hidden", "shown"),
    [
        (
            pod("password=hunter22"),
            {"match": {"text": {"contains": "hunter"}}},
            {"match": {"text": {"contains": "REDA"}}},
        ),
        (
            pod("password=hunter22"),
            {"match": {"field.log": {"suffix": "22"}}},
            {"match": {"field.log": {"suffix": "ED"}}},
        ),
        (KV.encode(), {"match": {"text": {"contains": "192.0.2.77"}}}, {"match": {"text": {"contains": "192.0.2.0"}}}),
        (KV.encode(), {"request": {"client_ip": "192.0.2.77"}}, {"request": {"client_ip": "192.0.2.0"}}),
        (KV.encode(), {"request": {"field.fwd": "192.0.2.77"}}, {"request": {"field.fwd": "192.0.2.0"}}),
        (KV.encode(), {"request": {"header.referer": "x"}}, {"request": {"header.user-agent": "x"}}),
        (
            KV.encode(),
            {"request": {"field.http.request_headers.referer": "x"}},
            {"request": {"field.http.request_headers.user-agent": "x"}},
        ),
    ],
)
def test_what_is_hidden_can_not_be_asked_for(line, hidden, shown):
    """What conditions ask is asked of what the drain gets to see."""
    raw = isinstance(line, bytes)
    routes = "[{name: a, from: s, format: kv, request_headers: [user-agent], to: out}]"
    made = reader(routes, envelope="plain" if raw else "kubernetes")
    [found] = made.read(record(line + b' user_agent="x" referer="x"' if raw else line), EVENT_ID)
    assert isinstance(found, OwnedLine)

    assert not accepts(found, **hidden)
    assert accepts(found, **shown)


def test_a_sample_is_the_same_on_a_replay_and_a_part_of_a_larger_one():
    """By the id of the line alone."""
    lines = [line for n in range(300) for line in READER.read(record(pod("x")), lambda _offset, _index, n=n: str(n))]
    kept = {
        rate: [line.id for line in lines if isinstance(line, OwnedLine) and accepts(line, sample=rate)]
        for rate in (0.2, 0.5, 1)
    }

    assert len(kept[1]) == 300
    assert set(kept[0.2]) < set(kept[0.5]) < set(kept[1])
