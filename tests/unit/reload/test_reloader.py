"""Reading topics.yaml while the lane runs: what comes into force, what is refused, nothing that is half written."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from logrouter import config
from logrouter.config.settings import read_config
from logrouter.reload import reloader
from logrouter.reload.reloader import ConfigFile, Reloader, RetryLaterError
from logrouter.reload.versions import ConfigVersions, ReloadResult, Version
from logrouter.route import process

GOOD = """\
version: 1
sources:
  rsyslog: {topics: [in], envelope: rsyslog}
routes:
  - name: api-gateway
    from: rsyslog
    format: envoy
    to: out
  - name: rest
    from: rsyslog
    format: envoy
    to: out
tests:
  - {line: x, expect: {outcome: ignored}}
  - {line: y, expect: {outcome: ignored}}
"""


class Followed:
    """A reloader without its thread, a file, and a lane that takes what it is offered."""

    def __init__(self, folder):
        self.file = folder / "topics.yaml"
        self.file.write_text(GOOD)
        self.refuse = lambda _settings: ""
        settings = self.parse(GOOD.encode())
        self.versions = ConfigVersions(self.version(settings), file=str(self.file))
        self.start = settings.generation
        self.reloader = Reloader(
            self.versions,
            ConfigFile(
                path=self.file,
                content=lambda: read_config(self.file),
                parse=self.parse,
                version=self.version,
                refusal=lambda settings: self.refuse(settings),  # noqa: PLW0108 - tests put another one there
            ),
            inputs=settings.inputs,
        )
        self.turn()

    def parse(self, data):
        return config.parse(data, {}, name=str(self.file), folder=self.file.parent)

    @staticmethod
    def version(settings):
        return Version(None, settings.table)

    def turn(self):
        """Let the reloader look, then the lane; how the last reload went."""
        self.reloader._watch.wait(0)
        self.reloader.check_file()
        self.versions.activate()
        return self.versions.report()

    def rename(self, text):
        """Another file in its place."""
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.file)


@pytest.fixture
def followed(tmp_path, monkeypatch):
    """A file that is followed."""
    monkeypatch.setattr(reloader, "QUIET_SECONDS", 0.001)
    made = Followed(tmp_path)
    yield made
    made.reloader.stop()


def test_edit_comes_into_force_and_the_way_back_too(followed):
    """Another file, another generation; the first one again, its generation again."""
    followed.file.write_text(GOOD.replace("to: out", "to: elsewhere"))
    report = followed.turn()
    assert report["valid"]
    assert report["generation"] != followed.start
    followed.rename(GOOD)

    assert followed.turn()["generation"] == followed.start


def test_slow_writer_is_waited_for(followed, monkeypatch):
    """What is valid so far is not read while its writer has the file open, however long that takes."""
    monkeypatch.setattr(reloader, "PATIENCE_SECONDS", 0.05)
    if not followed.reloader._watch._inotify:
        pytest.skip("inotify is not available here, and nothing else tells that a file is open")
    other = GOOD.replace("to: out", "to: elsewhere")
    with followed.file.open("w") as file:
        file.write(other[: other.index("  - name: rest")])
        file.flush()
        meanwhile = followed.turn()["generation"]
        file.write(other[other.index("  - name: rest") :])

    assert meanwhile == followed.start
    assert followed.turn()["generation"] != followed.start


def test_every_beginning_of_the_file_leaves_the_table_alone(followed):
    """Written in place and stopped anywhere, also where what is there would be a whole file by itself."""
    whole = 0
    for end in range(len(GOOD)):
        followed.file.write_text(GOOD[:end])
        report = followed.turn()
        assert report["generation"] == followed.start, end
        try:
            followed.parse(GOOD[:end].encode())
            whole += 1
        except config.ConfigError:
            pass
    followed.file.write_text(GOOD)

    assert whole > 10
    assert followed.turn()["valid"]


def test_end_of_the_file_can_be_taken_away_by_renaming(followed):
    """What is renamed into place is whole, even if it is the beginning of what was there."""
    followed.rename(GOOD[: GOOD.index("tests:")])

    assert followed.turn()["generation"] != followed.start


def test_white_space_at_the_end_may_go(followed):
    """Which some editors do."""
    followed.file.write_text(GOOD.rstrip())
    report = followed.turn()

    assert (report["valid"], report["generation"]) == (True, followed.start)


def test_file_that_does_not_change_is_not_read_again(followed, monkeypatch):
    """Neither a good one nor a bad one."""
    read = []
    source = followed.reloader._source
    counted = source._replace(content=lambda: read.append(1) or source.content())
    monkeypatch.setattr(followed.reloader, "_source", counted)
    followed.turn()
    assert read == []
    followed.file.write_text("version: 2\n")
    for _ in range(3):
        followed.turn()

    assert read == [1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not YAML"),
        (GOOD.replace("envoy", "envoi", 1), "7:13: routes[0].format: must be "),
        (GOOD.replace("envoy", "envoi"), "; and 1 more"),
        (None, "can't be read: No such file or directory"),
    ],
)
def test_wrong_file_is_invalid_with_its_first_problem(followed, text, reason):
    """The last good table stays, and the reason begins with where."""
    if text is None:
        followed.file.unlink()
    else:
        followed.file.write_text(text)
    report = followed.turn()

    assert report["last_reload"]["result"] == ReloadResult.INVALID
    assert reason in report["last_error"]
    assert report["generation"] == followed.start


def test_file_that_the_table_is_built_from_counts_as_changed(followed, tmp_path):
    """A schema beside topics.yaml: it appears, it breaks, it is mended, without an edit of topics.yaml."""
    schema = '{"$id": "/mine/1.0.0", "type": "object"}'
    followed.rename(GOOD.replace("to: out", "to: out\n    schema: mine.json"))
    assert "there is no schema 'mine.json'" in followed.turn()["last_error"]
    (tmp_path / "mine.json").write_text(schema)
    first = followed.turn()
    assert (first["valid"], first["generation"] != followed.start) == (True, True)
    (tmp_path / "mine.json").write_text("{")
    assert followed.turn()["valid"] is False
    (tmp_path / "mine.json").write_text(schema.replace("object", "array"))
    second = followed.turn()

    assert second["valid"]
    assert second["generation"] not in {first["generation"], followed.start}


def test_refused_settings_keep_the_table(followed):
    """What the lane cannot follow is refused with the reason."""
    followed.refuse = lambda _settings: "kafka.x: can't change"
    followed.rename(GOOD + "# edited\n")
    report = followed.turn()

    assert (report["last_reload"]["result"], report["last_error"]) == (ReloadResult.REFUSED, "kafka.x: can't change")
    assert report["generation"] == followed.start


def test_cluster_that_does_not_answer_is_asked_again(followed):
    """That is no fault of the file: it comes into force without another edit."""

    def away(_settings):
        raise RetryLaterError("the Kafka cluster does not answer")

    followed.refuse = away
    followed.rename(GOOD + "# edited\n")
    assert "tried again" in followed.turn()["last_error"]
    followed.refuse = lambda _settings: ""
    followed.turn()
    assert followed.versions.version.generation == followed.start
    followed.reloader._retry_at = time.monotonic()

    assert followed.turn()["generation"] != followed.start


def test_writer_who_pauses_is_waited_for(followed):
    """A file that is open for writing is not read, even where it could be."""
    text = GOOD.replace("to: out", "to: elsewhere")
    with followed.file.open("w") as stream:
        stream.write(text[: text.index("tests:")])
        stream.flush()
        slow = threading.Thread(target=followed.turn)
        slow.start()
        time.sleep(0.3)
        assert followed.versions.version.generation == followed.start
        stream.write(text[text.index("tests:") :])
    slow.join()

    assert followed.versions.version.generation == followed.parse(text.encode()).generation


def test_bug_of_ours_does_not_end_reloading(followed, monkeypatch):
    """An exception is counted and answered; the next edit is read as ever."""
    source = followed.reloader._source
    monkeypatch.setattr(followed.reloader, "_source", source._replace(parse=lambda _data: 1 / 0))
    followed.reloader.start()
    assert followed.reloader.reload(5).result is ReloadResult.INVALID
    monkeypatch.setattr(followed.reloader, "_source", source)

    assert followed.reloader.reload(5).result is ReloadResult.UNCHANGED


def test_reload_waits_until_the_lane_has_taken_it(followed, monkeypatch):
    """Who asks is told when it is in force, not when it is promised."""
    followed.reloader.start()
    followed.rename(GOOD + "# edited\n")
    assert followed.reloader.reload(0.3) is None
    waiting = followed.versions.wait_decided

    def lane():
        followed.versions.activate()
        followed.versions.is_swap_due()

    def taken(*asked):
        threading.Timer(0.2, lane).start()  # not before the file is read: it would be in force already
        return waiting(*asked)

    monkeypatch.setattr(followed.versions, "wait_decided", taken)

    assert followed.reloader.reload(5).result is ReloadResult.APPLIED
    assert followed.versions.version.generation != followed.start


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ("", []),
        ("route_lane: {batch: {max_records: 5}}", []),
        ("outputs: {dead_letter: {topic: dead}, retention_ms: 5}", []),
        ("tables_lane: {group: other}", []),
        ("canary: {max_rejected_ratio: 0.1}", []),
        ("route_lane: {group: g, instance: i}", ["route_lane.group", "route_lane.instance"]),
        ("route_lane: {metrics: {port: 1}}", ["route_lane.metrics"]),
        ("kafka: {bootstrap.servers: 'b:1', client.rack: r}", ["kafka.bootstrap.servers", "kafka.client.rack"]),
        ("outputs: {rollup: {partitions: 3}}", ["outputs.rollup"]),
        ("outputs: {pairing: {topic: pairs}}", []),
    ],
)
def test_settings_that_need_a_restart_are_named(change, paths):
    """What is read at the start only can't come by reloading; the rest can."""
    old, new = (config.parse(f"{GOOD}{text}\n".encode(), {}) for text in ("", change))

    assert process.restart_needed(old, new) == paths
    assert process.restart_needed(replace(new, tests=()), new) == []


PAIRED = GOOD.replace("format: envoy", "format: wso2_access, pair: 60".replace(", ", "\n    "), 1)


def test_pairing_can_begin_and_end_while_running_and_not_move():
    """Its topics are part of what a process is, once it has them."""
    plain, paired, moved = (
        config.parse(text.encode(), {})
        for text in (GOOD, PAIRED, f"{PAIRED}outputs: {{pairing: {{topic: pairs, partitions: 3}}}}\n")
    )

    assert process.restart_needed(plain, paired) == process.restart_needed(paired, plain) == []
    assert process.restart_needed(paired, moved) == ["outputs.pairing"]


def test_rollup_topic_keeps_its_records_by_time_alone_and_by_the_brokers_clock():
    """For as long as its own option says, which a running process need not know."""
    plain, longer = (
        config.parse(f"{GOOD}{more}".encode(), {})
        for more in ("", "outputs: {retention_ms: 60000, rollup: {retention_ms: 864000000}}\n")
    )
    kept = [
        next(topic.config for topic in process.wanted_topics(each) if topic.name == "logrouter.rollup")
        for each in (plain, longer)
    ]

    assert [topic["retention.ms"] for topic in kept] == ["604800000", "864000000"]
    assert {topic["retention.bytes"] for topic in kept} == {"-1"}
    assert {topic["message.timestamp.type"] for topic in kept} == {"LogAppendTime"}
    assert process.restart_needed(plain, longer) == []


def test_topics_for_pairs_are_made_where_lines_are_paired():
    """The changelog is compacted, times are the broker's, both have as many partitions; no source reads them."""
    plain, paired = (config.parse(text.encode(), {}) for text in (GOOD, PAIRED))
    made = {topic.name: topic for topic in process.wanted_topics(paired)}
    own = {"logrouter.pairing", "logrouter.pairing.state"}

    assert made.keys() - {topic.name for topic in process.wanted_topics(plain)} == own
    assert {made[name].partitions for name in own} == {8}
    assert made["logrouter.pairing"].config["message.timestamp.type"] == "LogAppendTime"
    assert made["logrouter.pairing.state"].config["cleanup.policy"] == "compact"
    assert own <= paired.table.own_topics
    assert all(paired.table.source_of(name) is None for name in own)
