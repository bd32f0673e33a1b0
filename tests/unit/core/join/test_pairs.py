"""Lines that wait for each other: every request once, whatever the order, the restarts and the aborts; bounded."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.join import held_lines, pairs
from logrouter.core.join.held_lines import PairResult
from logrouter.core.join.pairs import GRACE_MS, PARKED_MS, EntryKind, PairingBuffer, PairingEntry, Resolved
from logrouter.core.join.versions import NewerStateError
from logrouter.model import Held, PairKey

WINDOW = 60_000
ROUTE = "access"


def line(key: str, *, opens: bool, at: int = 0, **event: object) -> tuple[bytes, held_lines.HeldLine, bytes]:
    """A held line as the pairing topic has it: its key, what it is, and its value."""
    draft = {"meta": {"id": f"{key}{'<' if opens else '>'}", "dt": str(at)}, **event}
    held = Held(ROUTE, PairKey(key, opens), WINDOW, draft, orjson.dumps(draft), at, ("clients",))
    value = held_lines.encode(held)
    decoded = held_lines.decode(value)
    assert decoded is not None
    return held_lines.record_key(ROUTE, held.pair_key), decoded, value


def pending(**bounds: int) -> PairingBuffer:
    """A state with room, unless *bounds* say otherwise."""
    return PairingBuffer(**{"max_lines": 1000, "max_bytes": 1 << 20, **bounds})


def told(left: list[Resolved]) -> list[tuple[str, str, int | None]]:
    """How each left, the id of its event and its latency."""
    found = []
    for each in left:
        event = held_lines.build_event(each.how, each.opening, each.closing).event
        found.append((each.how.value, event["meta"]["id"], event.get("total_time_ms")))
    return found


@pytest.mark.parametrize("first", ["opening", "closing"])
def test_two_lines_of_a_request_are_one_event(first):
    """Whichever comes first: the event is the closing line's, with the time between the two."""
    state = pending()
    lines = [line("r1", opens=True, at=100), line("r1", opens=False, at=142)]
    if first == "closing":
        lines.reverse()

    assert state.take(*lines[0], 5) == []
    assert told(state.take(*lines[1], 6)) == [("paired", "r1>", 42)]
    assert len(state) == 0


@pytest.mark.parametrize(
    ("closing", "event"),
    [
        ({}, {"path_template": "/a/{b}", "geo": {"country": "DE"}}),
        ({"http": {"path": "/a/7", "client_ip": "192.0.2.7"}}, {"path_template": "/a/{b}", "geo": {"country": "DE"}}),
        ({"http": {"path": "/x/7", "client_ip": "192.0.2.9"}}, {}),
        ({"http": {"path": "/x/7"}, "path_template": "/x/{y}"}, {"path_template": "/x/{y}", "geo": {"country": "DE"}}),
    ],
)
def test_what_is_known_of_a_path_or_an_address_comes_with_it(closing, event):
    """The opening line's template and country are of its own path and address, and of no others."""
    state = pending()
    opening = {"http": {"path": "/a/7", "client_ip": "192.0.2.7"}, "path_template": "/a/{b}", "geo": {"country": "DE"}}
    state.take(*line("r1", opens=True, **opening), 5)
    (left,) = state.take(*line("r1", opens=False, **closing), 6)
    made = held_lines.build_event(left.how, left.opening, left.closing).event

    assert {name: made[name] for name in ("path_template", "geo") if name in made} == event


def test_other_requests_and_other_routes_do_not_pair():
    """A key is of one route; lengths keep names apart."""
    named = [("a", "bc"), ("ab", "c"), ("a", "b")]
    keys = {held_lines.record_key(route, PairKey(key, opens=True)) for route, key in named}

    assert len(keys) == 3
    broken = PairKey("\ud800", opens=True)
    assert held_lines.record_key("a", broken) != held_lines.record_key("a", PairKey("", opens=True))


def test_lines_that_stay_alone_leave_when_their_window_is_over():
    """Not before: an opening line as a request that was never completed, a closing one without latency."""
    state = pending()
    state.take(*line("lost", opens=True, at=100), 1_000)
    state.take(*line("alone", opens=False, at=100), 2_000)

    assert state.expire(1_000 + WINDOW - 1) == []
    assert told(state.expire(1_000 + WINDOW)) == [("never_completed", "lost<", None)]
    assert told(state.expire(2_000 + WINDOW)) == [("unpaired", "alone>", None)]


def test_request_that_never_completes_tells_so_in_every_report():
    """It failed, it is flagged, and nobody invents a status."""
    _, _, value = line("lost", opens=True, at=100, http={"method": "GET"})
    event, time_ms, tables = held_lines.build_event(PairResult.NEVER_COMPLETED, value, None)

    assert event["outcome"] == "gateway_error"
    assert event["error"] == {"class": "never_completed", "message": "never completed"}
    assert event["flags"] == ["never_completed"]
    assert event["http"] == {"method": "GET"}
    assert (time_ms, tables) == (100, ("clients",))


def test_closing_line_that_comes_too_late_is_not_counted_again():
    """Within another window it still finds the beginning, for its latency; after that it is as without one."""
    state = pending()
    state.take(*line("slow", opens=True, at=100), 1_000)
    state.expire(1_000 + WINDOW)
    (late,) = state.take(*line("slow", opens=False, at=90_000), 90_000)
    event, _, tables = held_lines.build_event(late.how, late.opening, late.closing)

    assert told([late]) == [("late", "slow>", 89_900)]
    assert (event["flags"], tables) == (["late"], ())

    state.take(*line("slower", opens=True, at=100), 100_000)
    state.expire(100_000 + WINDOW)
    assert state.expire(100_000 + 2 * WINDOW) == []
    assert len(state) == 0


def test_each_closing_line_is_an_event_and_repeated_opening_lines_are_none():
    """What a shipper sends twice, or a gateway closes twice."""
    state = pending()
    state.take(*line("r", opens=True, at=1), 1)
    assert [each.how for each in state.take(*line("r", opens=True, at=1), 2)] == [PairResult.DUPLICATE]
    assert told(state.take(*line("r", opens=False, at=5), 3)) == [("paired", "r>", 4)]
    state.take(*line("r", opens=False, at=6), 4)
    assert told(state.take(*line("r", opens=False, at=7), 5)) == [("unpaired", "r>", None)]


@pytest.mark.parametrize("order", ["opening first", "closing first", "late"])
def test_opening_line_that_comes_again_after_its_pair_has_met_is_no_request(order):
    """Else it would be reported as one that was never completed. Another request of the same id has another time."""
    state = pending()
    lines = [line("r", opens=True, at=100), line("r", opens=False, at=142)]
    first, second = lines if order != "closing first" else lines[::-1]
    state.take(*first, 5)
    if order == "late":
        state.expire(5 + WINDOW)
    state.take(*second, 6)

    assert [each.how for each in state.take(*lines[0], 6)] == [PairResult.DUPLICATE]
    assert len(state) == 0
    assert state.take(*line("r", opens=True, at=900), 7) == []
    assert told(state.take(*line("r", opens=False, at=950), 8)) == [("paired", "r>", 50)]


def test_abort_forgets_who_has_met_because_of_what_was_not_committed():
    """Their lines are read again, and none of them is one that comes again."""
    state = pending()
    opening, closing = line("r", opens=True, at=100), line("r", opens=False, at=142)
    for _ in range(2):
        state.take(*opening, 5)
        assert told(state.take(*closing, 6)) == [("paired", "r>", 42)]
        state.take_changes()
        state.rollback()
    state.take(*opening, 5)
    state.take(*closing, 6)
    state.take_changes()
    state.committed()
    state.rollback()

    assert [each.how for each in state.take(*opening, 7)] == [PairResult.DUPLICATE]


def test_memory_of_lines_that_have_met_is_bounded():
    """In number, and in time by the window."""
    state = pending(max_lines=2)
    for number in range(3):
        for opens in (True, False):
            state.take(*line(f"r{number}", opens=opens, at=100), number)

    assert state.take(*line("r0", opens=True, at=100), 4) == []
    assert [each.how for each in state.take(*line("r2", opens=True, at=100), 4)] == [PairResult.DUPLICATE]
    state.expire(2 + WINDOW)
    assert state.take(*line("r2", opens=True, at=100), 5) == []


def test_full_state_lets_the_oldest_go():
    """A closing line as an event; an opening one without, as its closing line will be one."""
    state = pending(max_lines=2)
    assert state.take(*line("a", opens=True), 1) == []
    assert state.take(*line("b", opens=False), 2) == []
    (first,) = state.take(*line("c", opens=True), 3)
    (second,) = state.take(*line("d", opens=True), 4)

    assert (first.how, first.closing) == (PairResult.FORGOTTEN, None)
    assert told([second]) == [("evicted", "b>", None)]
    assert held_lines.build_event(second.how, None, second.closing).event["flags"] == ["unpaired", "evicted"]
    assert len(state) == 2


@given(st.lists(st.integers(0, 5_000), max_size=60), st.integers(1, 20), st.integers(1_000, 20_000))
def test_state_is_bounded_in_lines_and_bytes(sizes, max_lines, max_bytes):
    """Whatever comes, and even if it is larger than all the room."""
    state = pending(max_lines=max_lines, max_bytes=max_bytes)
    for number, size in enumerate(sizes):
        state.take(*line(f"r{number}", opens=number % 2 == 0, api="x" * size), number)

        assert len(state) <= max_lines
        assert sum(entry.size for entry in state._entries.values()) == state._bytes <= max_bytes


def test_full_state_keeps_what_it_has_reported():
    """Were it forgotten, the closing line that comes after all would count the request once more."""
    state = pending(max_lines=2)
    state.take(*line("slow", opens=True, at=100), 1_000)
    state.take(*line("slower", opens=True, at=100), 1_000)
    assert len(state.expire(1_000 + WINDOW)) == 2

    assert told(state.take(*line("next", opens=False), 61_500)) == [("evicted", "next>", None)]
    assert [each.how for each in state.take(*line("more", opens=True), 61_500)] == [PairResult.FORGOTTEN]
    for key in ("slow", "slower"):
        assert told(state.take(*line(key, opens=False, at=200), 62_000)) == [("late", f"{key}>", 100)]
    assert len(state) == 0


@given(st.data())
def test_request_that_was_reported_counts_once_whatever_else_comes(data):
    """For a window; within bounds of lines and bytes."""
    state = pending(max_lines=data.draw(st.integers(1, 3)), max_bytes=data.draw(st.integers(1_000, 5_000)))
    now, reported = 0, {}
    steps = st.tuples(st.sampled_from([1, 1, 1_000, WINDOW // 2, WINDOW]), st.integers(0, 3), st.booleans())
    for passed, number, opens in data.draw(st.lists(steps, min_size=8, max_size=60)):
        now += passed
        left = state.expire(now)
        reported = {id_: at for id_, at in reported.items() if at + WINDOW > now}
        left += state.take(*line(f"r{number}", opens=opens, at=now), now)
        for how, id_, _ in told(left):
            if how == "never_completed":
                reported[id_] = now
            elif id_.endswith(">"):
                assert (how == "late") == (reported.pop(id_.replace(">", "<"), None) is not None)
        assert len(state) <= state._max_lines
        assert state._bytes <= state._max_bytes


def test_two_lines_that_are_too_large_for_one_record_do_not_wait_for_their_route():
    """The changelog could not take them: the producer refuses what is larger, and would again after every start."""
    state, text = pending(max_bytes=1 << 24), "x" * (pairs.MAX_PARKED_BYTES // 2 - 200)
    state.take(*line("r", opens=True, api=text), 1)
    (fits,) = state.take(*line("r", opens=False, api=text), 2)
    state.take(*line("s", opens=True, api=text + "x" * 200), 1)
    (large,) = state.take(*line("s", opens=False, api=text + "x" * 200), 2)

    assert state.park(fits, 3) == []
    assert [each.how for each in state.park(large, 3)] == [PairResult.TOO_LARGE]
    ((_, entry),) = state.take_changes()
    assert entry is not None
    assert len(pairs.encode(entry)) < 950_000


def test_nobody_is_late_because_of_a_break():
    """After a pause there is a while in which the lines of before may still be read."""
    state = pending()
    state.take(*line("r", opens=True, at=1), 1_000)

    assert state.expire(3_600_000, GRACE_MS - 1) == []
    assert len(state.expire(3_600_000, GRACE_MS)) == 1


def test_lines_of_an_unknown_route_wait_until_it_is_known_or_gone():
    """Of two processes one may know a new route sooner than the other."""
    state = pending()
    state.take(*line("r", opens=True, at=1), 1)
    (left,) = state.take(*line("r", opens=False, at=9), 2)
    assert state.park(left, 10) == []
    assert state.unpark(frozenset({"other"})) == []
    assert told(state.unpark(frozenset({"other", ROUTE}))) == [("paired", "r>", 8)]

    state.park(left, 10)
    assert state.expire(10 + PARKED_MS - 1) == []
    assert [each.how for each in state.expire(10 + PARKED_MS)] == [PairResult.NO_ROUTE]


@given(st.binary(max_size=300))
def test_no_bytes_in_either_topic_raise(value):
    """Whoever writes to them: a record is read or it is not, or it is of a newer version."""
    with suppress(NewerStateError):
        held_lines.decode(value)
    with suppress(NewerStateError):
        pairs.decode(value)


@given(
    st.sampled_from(EntryKind),
    st.integers(0, 2**50),
    st.integers(1, 2**40),
    st.sampled_from(PairResult),
    st.tuples(st.booleans(), st.booleans()).filter(any),
)
def test_changelog_gives_entries_back(kind, since_ms, wait_ms, how, there):
    """What is written is what is read."""
    opening, closing = (
        line("k", opens=opens)[2] if here else None for opens, here in zip((True, False), there, strict=True)
    )
    entry = PairingEntry(kind, since_ms, wait_ms, how, opening, closing)

    assert pairs.decode(pairs.encode(entry)) == entry


@given(st.integers(2, 9_999), st.lists(st.none() | st.text() | st.integers(-9, 9) | st.lists(st.none()), max_size=9))
def test_what_a_newer_version_has_written_is_told_from_garbage(version, rest):
    """Whatever else is in it: skipping it would lose a request. The number has its place in every form."""
    with pytest.raises(NewerStateError, match=f"form {version}, and this version reads forms up to 1"):
        held_lines.decode(orjson.dumps([version, *rest]))
    entry = [*([*rest, *[None] * 6][:6]), version, *rest]
    with pytest.raises(NewerStateError):
        pairs.decode(orjson.dumps(entry))
    _, _, value = line("k", opens=True)
    for inner in ([0, 1, 1, "unpaired", [version, *rest], None], [0, 1, 1, "unpaired", None, [version], 1]):
        with pytest.raises(NewerStateError):
            pairs.decode(orjson.dumps(inner))
    assert held_lines.decode(value.replace(b"[1,", b"[%d," % -version, 1)) is None
    assert held_lines.decode(value.replace(b"[1,", b"[%d," % (version * 10_000), 1)) is None


def test_entries_of_the_first_release_have_no_number():
    """They are read, and what is written now is read by it: it leaves out what it does not know."""
    _, _, value = line("k", opens=True)
    entry = PairingEntry(EntryKind.OPENED, 1, 2, PairResult.UNPAIRED, value, None)
    written = pairs.encode(entry)

    assert written == b'[0,1,2,"unpaired",' + value + b",null,1]"
    assert pairs.decode(written.replace(b",null,1]", b",null]")) == entry


class Owner:
    """One partition with its topic, its changelog and what is published, under transactions that may fail.

    As the lane does it: a batch is taken while the one before commits; an abort discards both and reads them again; a
    restart begins with the changelog. *disturb* says what happens after each batch.
    """

    def __init__(self, lines, sizes, disturb):
        self.lines, self.sizes, self.disturb = lines, list(sizes), list(disturb)
        self.changelog: dict[bytes, bytes] = {}
        self.published: list[Resolved] = []
        self.committed = 0
        self.state = self.restored()

    def restored(self) -> PairingBuffer:
        state = pending(max_lines=100_000, max_bytes=1 << 30)
        state.restore((key, pairs.decode(value)) for key, value in self.changelog.items())
        return state

    def run(self) -> list[Resolved]:
        position, flight = 0, None
        while position < len(self.lines) or flight is not None:
            size = self.sizes.pop() if self.sizes else 3
            batch = self.lines[position : position + size]
            left = [each for taken in batch for each in self.state.take(*taken, 1)]
            what = self.disturb.pop() if self.disturb else "commit"
            if what == "restart":
                self.state, position, flight = self.restored(), self.committed, None
                continue
            if flight is not None:
                if what == "abort":
                    self.state.rollback()
                    position, flight = self.committed, None
                    continue
                self.commit(*flight)
            position += len(batch)
            flight = (left, self.state.take_changes(), position) if batch else None
        return self.published

    def commit(self, left, changes, position) -> None:
        self.published += left
        for key, entry in changes:
            if entry is None:
                del self.changelog[key]
            else:
                self.changelog[key] = pairs.encode(entry)
        self.committed = position
        self.state.committed()


@given(st.data())
def test_any_order_with_any_restarts_gives_every_request_once(data):
    """Also over aborted transactions: the same events with the same latencies, and what is left waits."""
    kinds = data.draw(st.lists(st.sampled_from(["both", "opening", "closing"]), max_size=25))
    lines, expected = [], Counter()
    for number, kind in enumerate(kinds):
        latency = data.draw(st.integers(0, 1000))
        if kind != "closing":
            lines.append(line(f"r{number}", opens=True, at=1000))
        if kind != "opening":
            lines.append(line(f"r{number}", opens=False, at=1000 + latency))
        how = {"both": "paired", "opening": "never_completed", "closing": "unpaired"}[kind]
        expected[how, f"r{number}{'<' if kind == 'opening' else '>'}", latency if kind == "both" else None] += 1
    lines = data.draw(st.permutations(lines))
    steps = st.sampled_from(["commit", "commit", "abort", "restart"])
    owner = Owner(lines, data.draw(st.lists(st.integers(1, 8))), data.draw(st.lists(steps, max_size=30)))
    left = owner.run()

    assert owner.state.take_changes() == []
    assert owner.changelog.keys() == owner.state._entries.keys() == owner.restored()._entries.keys()
    assert Counter(told(left + owner.restored().expire(10 * WINDOW))) == expected
    assert Counter(told(left + owner.state.expire(10 * WINDOW))) == expected


@given(st.data())
def test_rollback_is_as_if_nothing_had_happened(data):
    """Entries, order and size are those of the last commit, even of what left by time."""
    state = pending()
    for number in range(data.draw(st.integers(0, 10))):
        state.take(*line(f"r{number}", opens=data.draw(st.booleans())), number * 1000)
    state.take_changes()
    state.committed()
    before = dict(state._entries), state._bytes
    for _ in range(2):
        for _ in range(data.draw(st.integers(0, 10))):
            key = f"r{data.draw(st.integers(0, 14))}"
            state.take(*line(key, opens=data.draw(st.booleans())), 20_000)
        state.expire(data.draw(st.integers(0, 3 * WINDOW)))
        if data.draw(st.booleans()):
            state.take_changes()
    state.rollback()

    assert (dict(state._entries), state._bytes) == before
    assert state.take_changes() == []
    for queue in state._queues.values():
        since = [state._entries[key].since_ms for key in queue]
        assert since == sorted(since)
