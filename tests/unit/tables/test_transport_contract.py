"""The private names of Faust and aiokafka that `transport` and `recovery` hang on, as the pinned versions have them.

If one of these fails after an upgrade, read both modules against the new sources before going on: their promises
(docs/adr/0004) rest on these places.
"""

from __future__ import annotations

import inspect
from importlib.metadata import version

import aiokafka
import pytest
from aiokafka.consumer import fetcher, group_coordinator, subscription_state
from aiokafka.producer import message_accumulator, sender
from faust.app import base as app_base
from faust.assignor import partition_assignor
from faust.stores import rocksdb
from faust.tables import base as table_base
from faust.tables import manager, recovery
from faust.transport import consumer, producer
from faust.transport.drivers import aiokafka as driver
from mode import threads


def test_versions_are_the_ones_that_were_read():
    """Both are pinned exactly in pyproject.toml, because what follows may change in any release."""
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka") == "0.14.0"


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (
            consumer.Consumer,
            "getmany _add_gap _new_offset _wait_next_records _get_active_partitions _is_changelog_tp perform_seek",
        ),
        (
            consumer.Consumer,
            "on_partitions_revoked stop_flow flow_active commit",
        ),
        (consumer.ThreadDelegateConsumer, "_new_consumer_thread earliest_offsets highwaters seek_wait assignment"),
        (driver.AIOKafkaConsumerThread, "_create_worker_consumer _ensure_consumer on_start"),
        (driver.Producer, "_settings_extra _new_producer _ensure_producer flush"),
        (driver.Transport, "_create_topic"),
        (producer.ProducerBuffer, "_send_pending flush size"),
        (recovery.Recovery, "_wait _seek_offsets on_recovery_completed on_rebalance flush_buffers"),
        (recovery, "ServiceStopped RebalanceAgain"),
        (manager.TableManager, "recovery _recovery"),
        (table_base.Collection, "on_rebalance on_recovery_completed on_start changelog_topic_name"),
        (rocksdb.Store, "_db_for_partition _open_for_partition apply_changelog_batch offset_key partition_path"),
        (app_base.BootStrategy, "server web_server"),
        (
            partition_assignor.PartitionAssignor,
            "changelog_distribution _get_changelog_distribution _update_member_urls _global_table_standby_assignments",
        ),
        (group_coordinator.GroupCoordinator, "_send_req"),
        (fetcher.Fetcher, "_update_fetch_positions"),
        (subscription_state.TopicPartitionState, "position has_valid_position awaiting_reset"),
        (subscription_state.Assignment, "state_value active"),
        (aiokafka.AIOKafkaProducer, "create_batch send_batch"),
        (message_accumulator.BatchBuilder, "append close record_count size"),
    ],
)
def test_names_exist(owner, names):
    """Every method that is overridden or called is there."""
    assert [name for name in names.split() if not hasattr(owner, name)] == []


@pytest.mark.parametrize(
    ("place", "fragments"),
    [
        (
            consumer.Consumer.__init__,
            ["self._acked = ", "self._acked_index = ", "_read_offset = ", "_committed_offset"],
        ),
        # Faust commits after a flush, having fixed the offsets before it.
        (consumer.Consumer._commit_offsets, ["await self.app.producer.flush()", "await self._commit("]),
        (consumer.Consumer._commit_tps, ["self._filter_committable_offsets(tps)"]),
        (consumer.Consumer.getmany, ["self.scheduler.iterate(records)", "await self.perform_seek()"]),
        (driver.AIOKafkaConsumerThread._create_worker_consumer, ['"read_uncommitted"', "fetch_max_wait_ms=1500"]),
        (aiokafka.AIOKafkaConsumer.start, ["isolation_level=self._isolation_level", "fetch_max_wait_ms=self."]),
        (recovery.Recovery._wait, ["if wait_result.stopped:", "raise ServiceStopped()"]),
        (recovery.Recovery.on_recovery_completed, ["consumer.perform_seek()", "self.app.flow_control.resume()"]),
        # Out of range: the position is given up, and a new one is asked for by the method that we wrap.
        (
            fetcher.Fetcher,
            [
                "tp_state.await_reset(self._default_reset_strategy)",
                "self._update_fetch_positions(assignment, node_id, tps)",
            ],
        ),
        (sender.SendProduceReqHandler, ["self._client.send(node_id, request)"]),
        (group_coordinator.GroupCoordinator._do_heartbeat, ["HeartbeatRequest(", "await self._send_req(request)"]),
        (
            group_coordinator.CoordinatorGroupRebalance._send_sync_group_request,
            ["await self._coordinator._send_req(request)"],
        ),
        # What our assignor adds reaches every member, and nobody but us looks into it.
        (
            partition_assignor.PartitionAssignor._perform_assignment,
            ["changelog_distribution = self._get_changelog_distribution(assignments)"],
        ),
        (partition_assignor.PartitionAssignor.on_assignment, ["self.changelog_distribution = metadata."]),
        # Our loop for the thread is closed like one that the library has made.
        (
            threads.ServiceThread,
            ["self._close_thread_loop_on_stop = thread_loop is None", "if self._close_thread_loop_on_stop:"],
        ),
        (rocksdb.Store.stop, ["self._dbs.clear()"]),
    ],
)
def test_code_says_what_we_rely_on(place, fragments):
    """The places that the overrides complete still do their part."""
    source = inspect.getsource(place)
    if place is sender.SendProduceReqHandler:
        source = inspect.getsource(sender)
    assert [fragment for fragment in fragments if fragment not in source] == []


def test_faults_that_we_mend_are_still_there():
    """What Faust does by itself; when it is mended there, our own mending can go."""
    assert "executing" not in inspect.getsource(producer.ProducerBuffer.flush_atmost)
    assert "timeout=0.1" in inspect.getsource(producer.ProducerBuffer.flush_atmost)
    assert "if offset and offset > 0" in inspect.getsource(aiokafka.AIOKafkaConsumer.seek_to_committed)
    revoked = inspect.getsource(consumer.Consumer.on_partitions_revoked)
    assert revoked.index("_acked.pop") < revoked.index("self._on_partitions_revoked, partitions")
