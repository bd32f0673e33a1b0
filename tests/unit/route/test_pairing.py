"""From two log lines to one event, through the batch, the pairing topic and the state, without a broker."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter import config
from logrouter.core.dead_letter import DeadLetterSettings
from logrouter.core.join import held_lines
from logrouter.core.join.held_lines import PairResult
from logrouter.core.join.pairs import Resolved
from logrouter.core.join.partition_clock import BREAK_MS
from logrouter.core.rollup.records import decode_record
from logrouter.kafka.errors import ClientError
from logrouter.kafka.records import LOOP_HEADER
from logrouter.route import pairing, pairing_restore
from logrouter.route.batch import BatchProcessor
from logrouter.route.output import BatchOutput
from logrouter.route.paired import PairFinisher
from logrouter.route.pairing import PairingSettings, PairingStates
from logrouter.route.settings import LaneSettings
from tests.fake_kafka.messages import START, Message

YEAR_MS = 365 * 86_400_000
SKEWS = st.sampled_from([0, YEAR_MS, -YEAR_MS]) | st.integers(-YEAR_MS, YEAR_MS)
REAL_RESTORE = pairing_restore.PairingRestore
LETTERS = DeadLetterSettings("dead", 4000)
CONFIG = """
version: 1
sources: {s: {topics: wso2, envelope: plain%s}}
routes:
  - {name: access, from: s, match: {looks_like: request}, format: wso2_access, pair: 60, to: clean,
     enrich: {client_id: [APPLICATION_NAME]}, client_ip: keep%s}
"""


def table(source: str = "", route: str = ""):
    """The route table of `CONFIG` with more options of source and route."""
    return config.parse((CONFIG % (source, route)).encode(), {}).table


def log_line(event: str, key: str, second: str, **more: str) -> bytes:
    """A line of the API Access Log; *key* is the request's."""
    names = {"Event": event, "MessageID": f"urn:uuid:{key}" if event != "REQUEST_COMPLETE" else f"urn:uuid:{key}-c"}
    names |= {"ResponseTo": f"urn:uuid:{key}"} if event == "REQUEST_COMPLETE" else {}
    names |= {"API": "jo--Tides:v1.0", "RequestInURL": "/tides/1.0/now", "RequestInMethod": "GET", **more}
    pairs = ", ".join(f'{name}="{value}"' for name, value in names.items())
    head = f"2026-05-04T10:00:{second}+0000 [][sor-1]{{D_APIAccessLog.AccessLogWriter}}[] INFO  "
    return (head + pairs).encode()


ANOTHER = config.parse((CONFIG % ("", "")).replace("name: access", "name: another").encode(), {}).table
"""A route table that does not know the route of lines that were held by `CONFIG`."""

OPENING = log_line("INCOMING_REQUEST", "r1", "01.000", UserAgent="curl/8")
CLOSING = log_line("REQUEST_COMPLETE", "r1", "01.250", StatusCode="200", APPLICATION_NAME="tide-app")


class Restored:
    """A changelog that is read at once and holds nothing."""

    def __init__(self, *_, **_named):
        self._added: set[int] = set()

    def __bool__(self):
        return bool(self._added)

    def add(self, partition):
        self._added.add(partition)

    def discard(self, partition):
        self._added.discard(partition)

    def step(self, _seconds):
        done, self._added = {partition: {} for partition in self._added}, set()
        return done


class Path:
    """The way of lines through one process that owns both pairing partitions."""

    def __init__(self, routes, **bounds):
        self.table = routes
        self.processor = BatchProcessor(
            routes,
            cluster="test",
            rollup_partitions=4,
            dead_letters=LETTERS,
            clock_ms=lambda: START,
            pairing_partitions=2,
        )
        settings = PairingSettings("pairing", 2, **{"max_lines": 100, "max_bytes": 1 << 20, **bounds})
        self.settings = LaneSettings(
            kafka={},
            group="g",
            instance="i",
            dead_letters=LETTERS,
            rollup_topic="",
            rollup_partitions=4,
            pairing=settings,
        )
        self.now_ms, self.skew_ms = START, 0
        self.pairing = PairingStates(clock_ms=lambda: START, elapsed_ms=lambda: self.now_ms)
        self.take_file(routes)
        own = [("pairing", 0), ("pairing", 1)]
        assert self.pairing.assigned([("wso2", 0), *own]) == ({}, own)
        assert sorted(self.pairing.take_ready(START)) == own
        self.offset = 0

    def take_file(self, routes):
        """A new route table."""
        self.pairing.configure(self.settings, routes)

    def hold(self, *lines: bytes) -> BatchOutput:
        """The lines as a batch of the source, each in another partition."""
        return self.processor.process([Message(value, 7, partition, "wso2") for partition, value in enumerate(lines)])

    def join(self, output: BatchOutput, now_ms: int = START, at_ms: int = START) -> BatchOutput:
        """What is held in *output* as a batch of the pairing topic, written at *at_ms*, and the time."""
        joined = BatchOutput()
        messages = []
        for partition, key, value in output.held_lines:
            messages.append(Message(value, self.offset, partition, "pairing", key=key, at=at_ms))
            self.offset += 1
        self.now_ms = now_ms
        self.pairing.process(messages, joined, now_ms + self.skew_ms)
        return joined

    def idle(self, now_ms: int) -> BatchOutput:
        """Turns without records until a moment, as the lane makes them."""
        for turn_ms in range(self.pairing._turn_ms + 1000, now_ms, 1000):
            assert self.join(BatchOutput(), turn_ms).events == []
        return self.join(BatchOutput(), now_ms)


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch):
    monkeypatch.setattr(pairing, "PairingRestore", Restored)


def events(output: BatchOutput) -> list[dict]:
    """The clean events."""
    return [orjson.loads(value) for _, value, _ in output.events]


def counted(output: BatchOutput) -> Counter:
    """Requests in the partial sums, by kind and subject."""
    return Counter(
        {
            subject: sum(cell.count for cell in cells)
            for _, value in output.rollup
            for subject, cells in decode_record(value)
        }
    )


@pytest.mark.parametrize("order", [(OPENING, CLOSING), (CLOSING, OPENING)], ids=["in order", "response first"])
def test_lines_of_two_partitions_become_one_event(order):
    """It is the closing line's, begins when the opening one says, and has what only that knows."""
    path = Path(table())
    held = path.hold(*order)
    output = path.join(held)
    (event,) = events(output)
    closing = order.index(CLOSING)

    assert held.counts == {("access", "held", "", ""): 2}
    assert (held.events, held.rollup, held.dead_letters) == ([], [], [])
    assert event["total_time_ms"] == 250
    assert event["meta"]["dt"] == "2026-05-04T10:00:01.000Z"
    assert event["source"] == {"format": "wso2_access", "topic": "wso2", "partition": closing, "offset": 7, "index": 0}
    assert event["http"]["request_headers"] == {"user-agent": "curl/8"}
    assert (event["http"]["status_code"], event["client_id"], event["api"]) == (200, "tide-app", "Tides")
    assert "flags" not in event
    assert output.events[0][2] == b"tide-app"
    assert counted(output) == {"ctide-app": 1, "aTides": 1}
    assert output.pairing == {("access", PairResult.PAIRED): 1}
    assert path.pairing.take_changes() == []


def test_without_pairing_the_same_lines_are_one_event_without_latency():
    """`pair` adds to events, and does not change how often a request counts."""
    plain = config.parse((CONFIG % ("", "")).replace("pair: 60, ", "").encode(), {}).table
    output = Path(plain).hold(OPENING, CLOSING)
    (event,) = events(output)
    (paired,) = events(Path(table()).join(Path(table()).hold(OPENING, CLOSING)))

    assert output.counts == {("access", "ignored", "", "not_counted"): 1, ("access", "accepted", "", ""): 1}
    assert event["meta"]["id"] == paired["meta"]["id"]
    assert paired.keys() - event.keys() == {"total_time_ms"}


def test_line_whose_other_half_never_comes_is_reported_when_nothing_else_happens():
    """By the clock, as no record moves the time on; the changes go to the changelog with the same transaction."""
    path = Path(table())
    alone = log_line("REQUEST_COMPLETE", "r2", "02.000", StatusCode="200")
    assert path.join(path.hold(OPENING, alone)).events == []
    assert len(path.pairing.take_changes()) == 2
    path.pairing.committed(BatchOutput())
    output = path.idle(START + 60_000)
    lost, unpaired = sorted(events(output), key=lambda event: event["flags"])

    assert (lost["flags"], lost["outcome"]) == (["never_completed"], "gateway_error")
    assert "status_code" not in lost["http"]
    assert (unpaired["flags"], "total_time_ms" in unpaired) == (["unpaired"], False)
    assert counted(output) == {"c-": 2, "aTides": 2}
    assert output.pairing == {("access", PairResult.NEVER_COMPLETED): 1, ("access", PairResult.UNPAIRED): 1}
    assert sorted(value is None for _, _, value in path.pairing.take_changes()) == [False, True]


@given(st.data())
def test_no_clock_on_the_wall_gives_a_line_up_early_or_late(data):
    """It may be years wrong, and jump while the line waits: the broker's times and what passes in the process count."""
    path = Path(table())
    path.skew_ms = data.draw(SKEWS)
    path.join(path.hold(OPENING))
    now_ms = START
    while now_ms < START + 59_000:
        path.skew_ms = data.draw(SKEWS)
        now_ms += data.draw(st.integers(1_000, BREAK_MS))
        given_up = now_ms >= START + 60_000
        assert bool(path.join(BatchOutput(), now_ms).events) == given_up
    (event,) = events(path.join(path.hold(CLOSING), now_ms, at_ms=now_ms))
    assert event.get("flags", []) == (["late"] if given_up else [])


def test_process_that_slept_goes_by_what_it_finds_to_read():
    """An hour later nothing is given up before it has read on for a while."""
    path = Path(table())
    path.join(path.hold(OPENING))
    hour = START + 3_600_000
    assert path.join(BatchOutput(), hour).events == []
    (event,) = events(path.join(path.hold(CLOSING), hour + 29_000, at_ms=START + 1))

    assert event["total_time_ms"] == 250


class Held:
    """The partitions of a lane that reads the pairing topic as any other."""

    def __init__(self):
        self.partitions = {("wso2", 0), ("pairing", 1), ("pairing", 0)}
        self.paused = []

    def pause(self, partitions):
        self.paused += partitions


def test_pairing_that_begins_takes_over_partitions_that_are_read_already():
    """The group does not assign them anew: they wait for their state all the same."""
    path, held = Path(table()), Held()
    states = PairingStates(clock_ms=lambda: START, elapsed_ms=lambda: START)
    states.connect(held)
    states.configure(replace(path.settings, pairing=None), path.table)
    assert held.paused == []
    states.configure(path.settings, path.table)
    early = [Message(b"[]", 3, 1, "pairing"), Message(b"x", 3, 0, "wso2")]

    assert held.paused == [("pairing", 0), ("pairing", 1)]
    assert states.screen(early, START) == (early[1:], early[:1])
    assert sorted(states.take_ready(START)) == held.paused
    output = BatchOutput()
    states.process(early[:1], output, START)
    assert len(output.dead_letters) == 1


def test_pairing_topics_that_are_chosen_stay():
    """Whatever files came in between, a lane that runs places and reads lines by one number of partitions."""
    path = Path(table())
    other = replace(path.settings, pairing=PairingSettings("pairing", 3, 100, 1 << 20))

    assert path.pairing.refusal(path.settings) == ""
    path.pairing.configure(replace(path.settings, pairing=None), path.table)
    assert path.pairing.refusal(replace(path.settings, pairing=None)) == ""
    assert path.pairing.refusal(other).startswith("outputs.pairing: can't change while running")


def test_time_does_not_run_while_records_come_late():
    """A partition that is read behind goes by its records: what it waits for may be among them."""
    path = Path(table(), max_lines=10_000, max_bytes=1 << 24)
    path.join(path.hold(OPENING))
    for second in range(1, 300):
        others = (log_line("INCOMING_REQUEST", f"{second}-{n}", "01.000") for n in range(12))
        assert path.join(path.hold(*others), START + second * 1000, at_ms=START + 1).pairing == {}
    (event,) = events(path.join(path.hold(CLOSING), START + 300_000, at_ms=START + 1))

    assert event["total_time_ms"] == 250


def test_negative_latency_is_none_and_flagged():
    """Clocks of two gateways differ."""
    late = log_line("INCOMING_REQUEST", "r1", "03.000")
    path = Path(table())
    (event,) = events(path.join(path.hold(late, CLOSING)))

    assert (event["total_time_ms"], event["flags"]) == (0, ["negative_latency"])


def test_error_line_closes_a_request_too():
    """A request that the gateway refuses has no response: its error is the end."""
    error = log_line("ERROR", "r1", "01.010", StatusCode="401", ERROR_CODE="900901", RemoteIP="192.0.2.7")
    path = Path(table())
    (event,) = events(path.join(path.hold(OPENING, error)))

    assert (event["total_time_ms"], event["outcome"], event["http"]["client_ip"]) == (10, "auth", "192.0.2.7")


@pytest.mark.parametrize(("rate", "kept"), [("0.000001", 0), ("0.999999", 2)])
def test_sample_keeps_both_lines_or_none(rate, kept):
    """It goes by what both have in common."""
    output = Path(table(route=f", sample: {rate}")).hold(OPENING, CLOSING)

    assert len(output.held_lines) == kept
    assert sum(output.counts.values()) == 2


def test_samples_agree_between_the_lines_of_many_requests():
    """No request is half there."""
    path = Path(table(route=", sample: 0.5"))
    output = BatchOutput()
    for number in range(200):
        output.held_lines += path.hold(
            *(
                log_line(each, f"q{number}", "01.000", StatusCode="200")
                for each in ("INCOMING_REQUEST", "REQUEST_COMPLETE")
            )
        ).held_lines
    joined = path.join(output)

    assert 0 < len(joined.events) < 200
    assert set(joined.pairing) == {("access", PairResult.PAIRED)}
    assert {event["weight"] for event in events(joined)} == {2.0}


def test_fields_topics_and_key_see_the_whole_event():
    """What depends on the event is decided when both lines are there."""
    path = Path(table(route=", key: api, fields: {drop: [total_time_ms, http.request_headers]}"))
    output = path.join(path.hold(OPENING, CLOSING))
    (event,) = events(output)

    assert "total_time_ms" not in event
    assert "request_headers" not in event["http"]
    assert output.events[0][2] == b"Tides"


def test_every_match_counts_a_request_once():
    """One route pairs, the other does not: two events, and one count in each table."""
    text = (
        (CONFIG % (", routing: all-matches", ""))
        + """
  - {name: copy, from: s, match: {looks_like: request}, format: wso2_access, to: copy}
"""
    )
    path = Path(config.parse(text.encode(), {}).table)
    held = path.hold(OPENING, CLOSING)
    joined = path.join(held)

    assert [topic for topic, _, _ in held.events + joined.events] == ["copy", "clean"]
    assert counted(held) == {}
    assert counted(joined) == {"ctide-app": 1, "aTides": 1}
    assert sum(held.counts.values()) == 2
    assert sum(held.copies.values()) == 2


def test_route_that_is_gone_costs_a_dead_letter_not_the_request():
    """The letter says which route, where the line is, and what was kept of it."""
    path = Path(table())
    held = path.hold(OPENING, CLOSING)
    path.take_file(ANOTHER)
    assert path.join(held).dead_letters == []
    output = path.idle(START + 60_000)
    ((key, value, _),) = output.dead_letters
    letter = orjson.loads(value)

    assert (letter["stage"], letter["reason"], letter["route"]) == ("pair", "no_route", "access")
    assert key == b"wso2:1:7"
    assert "tide-app" in letter["raw"]["text"]
    assert output.pairing == {("access", PairResult.NO_ROUTE): 1}


def test_route_that_comes_back_has_its_requests():
    """A process that takes a new topics.yaml a moment later than another one."""
    path = Path(table())
    held = path.hold(OPENING, CLOSING)
    path.take_file(ANOTHER)
    assert path.join(held).events == []
    path.take_file(path.table)

    assert [event["total_time_ms"] for event in events(path.join(BatchOutput(), START + 1))] == [250]


def test_lines_that_are_too_large_to_wait_for_their_route_are_a_dead_letter():
    """It says how large they are, and the request is counted as such."""
    path = Path(table(), max_bytes=1 << 24)
    held = path.hold(
        log_line("INCOMING_REQUEST", "r1", "01.000"), log_line("REQUEST_COMPLETE", "r1", "02.000", StatusCode="200")
    )
    held.held_lines = [
        (p, k, v.replace(b'{"', b'{"pad":"' + b"x" * 460_000 + b'","', 1)) for p, k, v in held.held_lines
    ]
    path.take_file(ANOTHER)
    output = path.join(held)
    ((_, value, _),) = output.dead_letters
    letter = orjson.loads(value)

    assert (letter["stage"], letter["reason"], letter["route"]) == ("pair", "too_large", "access")
    assert output.pairing == {("access", PairResult.TOO_LARGE): 1}
    assert path.pairing.take_changes() == []


def test_line_of_an_unknown_route_that_must_make_room_is_a_dead_letter():
    """It can be neither finished nor kept."""
    path = Path(table(), max_lines=1)
    held = path.hold(*(log_line("REQUEST_COMPLETE", f"w{n}", "02.000", StatusCode="200") for n in range(8)))
    path.take_file(ANOTHER)
    output = path.join(held)

    assert {orjson.loads(value)["reason"] for _, value, _ in output.dead_letters} == {"no_route"}
    assert set(output.pairing) == {("access", PairResult.NO_ROUTE)}


def test_garbage_in_the_pairing_topic_is_a_dead_letter():
    """Somebody else wrote to it: counted, kept, and nothing else is disturbed."""
    path = Path(table())
    output = BatchOutput()
    for value in (b"", b"[]", b"{}", b'[1,true,"access",1,1,[],{"a":1}'):
        output.held_lines.append((0, b"0" * 16, value))
    joined = path.join(output)

    assert [orjson.loads(value)["reason"] for _, value, _ in joined.dead_letters] == ["malformed"] * 4
    assert joined.pairing == {("_unmatched", PairResult.REJECTED): 4}


def test_line_of_a_newer_version_ends_the_lane():
    """Skipped it would be lost. What somebody else has written is a dead letter, whatever it looks like."""
    path, value = Path(table()), b'[2,{"of":"a form to come"}]'
    ours = Message(value, 7, 0, "pairing", key=b"0" * 16, headers=[(LOOP_HEADER, b"gen")])
    foreign = Message(value, 8, 0, "pairing", key=b"0" * 16)

    with pytest.raises(ClientError, match=r"^pairing:0:7: a newer version of logrouter has written this .*: upgrade"):
        path.pairing.process([ours], BatchOutput(), START)
    output = BatchOutput()
    path.pairing.process([foreign], output, START)
    assert [orjson.loads(letter)["reason"] for _, letter, _ in output.dead_letters] == ["malformed"]


@pytest.mark.parametrize("value", [b'[0,1,2,"unpaired",[1],null,2]', b'[0,1,2,"unpaired",null,[2,"line"],1]'])
def test_entry_of_a_newer_version_ends_the_lane(monkeypatch, value):
    """An older process that gets the partition of a newer one: it may not go on without what waits there."""
    records = [Message(value, 3, 1, "pairing.state", key=b"k", headers=[(LOOP_HEADER, b"gen")])]
    monkeypatch.setattr(pairing_restore.ChangelogReader, "read", lambda _self, _seconds: iter(records))
    restore = REAL_RESTORE({"bootstrap.servers": "127.0.0.1:1"}, "pairing.state", group="g", group_topic="pairing")
    restore._entries[1] = {}

    with pytest.raises(ClientError, match=r"^pairing.state:1:3: a newer version of logrouter has written this"):
        restore.step(0)


def test_line_that_was_tampered_with_is_a_bug_of_ours_and_no_stop():
    """A record that looks like a line and holds no event ends as an internal error."""
    finisher = PairFinisher(table(), rollup_partitions=4, dead_letters=LETTERS, clock_ms=lambda: START)
    output = BatchOutput()
    finisher.add([Resolved(PairResult.UNPAIRED, closing=b'[1,false,"access",1,1,[],[]]')], output)

    assert [orjson.loads(value)["reason"] for _, value, _ in output.dead_letters] == ["internal"]


def test_all_that_is_held_leaves_once():
    """2 paired + 1 of each other kind: held lines are those that left and those that wait."""
    path = Path(table(), max_lines=3)
    lines = [log_line("INCOMING_REQUEST", f"w{n}", "01.000") for n in range(40)]
    lines += [log_line("REQUEST_COMPLETE", f"w{n}", "02.000", StatusCode="200") for n in range(30, 60)]
    held = path.hold(*lines)
    joined = path.join(held)
    waiting = sum(len(pending) for pending in path.pairing._buffers.values())
    times = {PairResult.PAIRED: 2}

    assert held.counts == {("access", "held", "", ""): 70}
    assert waiting + sum(n * times.get(how, 1) for (_, how), n in joined.pairing.items()) == 70
    assert joined.pairing["access", PairResult.FORGOTTEN] > 0
    assert len(joined.events) == sum(
        joined.pairing.get(("access", how), 0) for how in (PairResult.PAIRED, PairResult.EVICTED)
    )


def test_old_and_new_lines_have_one_shape():
    """What a version has written, the next one reads: this is how a held line looks."""
    output = Path(table()).hold(CLOSING)
    ((_, _, value),) = output.held_lines
    line = held_lines.decode(value)

    assert value.startswith(b'[1,false,"access",60000,1777888801250,["clients","apis","urls"],{"')
    assert line is not None
    assert line.window_ms == 60_000
