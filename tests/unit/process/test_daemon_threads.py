"""Calls in threads that nobody waits for at exit: otherwise they are as those of the library's executor."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import CancelledError, wait

import pytest

from logrouter.process.daemon_threads import DaemonThreadLoop, DaemonThreads, run_to_result
from tests.conftest import HANG_SECONDS


@pytest.fixture
def blocked():
    """Two threads with a call each that goes on until the event is set."""
    threads, may_go_on = DaemonThreads(2, "test"), threading.Event()
    begun = threading.Barrier(3)

    def block(number):
        begun.wait(HANG_SECONDS)
        assert may_go_on.wait(HANG_SECONDS)
        return number

    calls = [threads.submit(block, number) for number in range(2)]
    begun.wait(HANG_SECONDS)
    yield threads, calls, may_go_on
    may_go_on.set()
    threads.shutdown()


def test_a_call_waits_for_a_thread_and_has_its_result_or_error(blocked):
    """There are no more threads than may be; an error ends none of them."""
    threads, calls, may_go_on = blocked
    later = [threads.submit(int, "7"), threads.submit(int, "x"), threads.submit(int, "8")]
    assert not any(call.done() for call in later)
    assert threading.active_count() >= 2
    assert len([each for each in threading.enumerate() if each.name.startswith("test-")]) == 2

    may_go_on.set()
    assert not wait([*calls, *later], HANG_SECONDS).not_done
    assert [call.result() for call in calls] == [0, 1]
    assert isinstance(later[1].exception(), ValueError)
    assert (later[0].result(), later[2].result()) == (7, 8)


def test_a_thread_that_has_nothing_to_do_takes_the_next_call():
    """None is started for it."""
    threads = DaemonThreads(5, "alone")
    for number in range(50):
        assert threads.submit(lambda each=number: each).result(HANG_SECONDS) == number
        waiting = threading.Event()
        while not threads._waiting:
            waiting.wait(0.001)
    assert len(threads._threads) == 1
    threads.shutdown()
    assert not threads._threads[0].is_alive()


def test_each_call_has_a_thread_of_its_own_while_others_block():
    """However they come: one that waits behind another that never ends would never be made."""
    threads, everybody = DaemonThreads(20, "many"), threading.Barrier(20)
    calls = [threads.submit(everybody.wait, HANG_SECONDS) for _ in range(20)]
    assert sorted(call.result(HANG_SECONDS) for call in calls) == [*range(20)]
    threads.shutdown()


def test_a_thread_that_the_system_does_not_let_start_is_started_for_a_later_call(monkeypatch):
    """The call is refused then, and never made."""

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    threads, made = DaemonThreads(1, "refused"), []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            threads.submit(made.append, 1)
    threads.submit(made.append, 2).result(HANG_SECONDS)
    threads.shutdown()
    assert made == [2]


def test_a_call_that_is_cancelled_before_its_turn_is_never_made(blocked):
    """As one of a request that has timed out: a name is not looked up for nobody."""
    threads, calls, may_go_on = blocked
    made = []
    given_up, kept = threads.submit(made.append, 1), threads.submit(made.append, 2)
    assert given_up.cancel()
    may_go_on.set()
    assert not wait([*calls, kept], HANG_SECONDS).not_done
    assert made == [2]


def test_after_the_end_calls_are_refused_and_those_that_wait_are_cancelled(blocked):
    """Those that run go on."""
    threads, calls, may_go_on = blocked
    waiting = threads.submit(int)
    threads.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(RuntimeError):
        threads.submit(int)
    with pytest.raises(CancelledError):
        waiting.result(HANG_SECONDS)
    may_go_on.set()
    assert [call.result(HANG_SECONDS) for call in calls] == [0, 1]


def test_a_loop_uses_them_for_names_and_whatever_it_calls_in_threads():
    """And a closed loop keeps none of them."""

    async def look_up():
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DaemonThreadLoop)
        found = await loop.getaddrinfo("127.0.0.1", 80)
        return found[0][4], await asyncio.to_thread(threading.current_thread)

    address, thread = run_to_result(look_up())
    assert address == ("127.0.0.1", 80)
    assert thread.daemon
    thread.join(HANG_SECONDS)
    assert not thread.is_alive()


NEVER = "import socket, sys, time\nsocket.getaddrinfo = lambda *_, **__: time.sleep(3600)\n"
PROGRAMS = {
    "a name": f"""{NEVER}
import asyncio
from logrouter.process.daemon_threads import run_to_result
async def look_up():
    loop = asyncio.get_running_loop()
    try:
        await asyncio.wait_for(loop.getaddrinfo("target", 443), 0.1)
    except TimeoutError:
        return "given up"
print(run_to_result(look_up()))
""",
    "a name of a target": f"""{NEVER}
from logrouter.process.daemon_threads import run_to_result
from logrouter.sinks.http_client import HttpBounds, HttpClient
from logrouter.sinks.http_messages import HttpRequest
from logrouter.sinks.target_guard import TargetGuard
async def send():
    client = HttpClient(HttpBounds(timeout_seconds=0.1), guard=TargetGuard())
    answer = await client.send(HttpRequest("https://target.example/", b"", {{}}))
    await client.close()
    return "given up" if answer.trouble.name == "TIMEOUT" else answer
print(run_to_result(send()))
""",
    "a name of a table view": f"""{NEVER}
import aiohttp
from logrouter.commands import view_client
view_client._TIMEOUT = aiohttp.ClientTimeout(total=0.1)
from logrouter.cli import cli
try:
    cli(["usage", "client", "--url", "http://view.example:6066"])
except SystemExit as end:
    print("given up" if end.code == 1 else end.code)
""",
    "a commit": """
import threading, time
from logrouter.kafka.transaction import TransactionalProducer
began = threading.Event()
class Hanging:
    def begin_transaction(self): pass
    def send_offsets_to_transaction(self, *_): began.set(); time.sleep(3600)
producer = TransactionalProducer(Hanging, timeout_seconds=10, give_up=lambda: False, waiting=print)
producer.begin()
producer.commit_later([], None)
began.wait()
producer.close()
print("given up")
""",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_what_does_not_come_back_holds_up_no_exit(program):
    """A name server that does not answer takes half a minute or more, a Kafka client may take for ever."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["given up"]), done.stderr
