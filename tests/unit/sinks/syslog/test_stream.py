"""Frames over real connections: when they count as taken, and what is noticed of connections that end."""

from __future__ import annotations

import array
import asyncio
import fcntl
import socket
import ssl
import struct
import sys
import termios
from contextlib import ExitStack, contextmanager, suppress

import pytest

from logrouter import config
from logrouter.core.framing.octet_counting import frame_counted
from logrouter.sinks.contract import NoAnswer, Trouble
from logrouter.sinks.sockets import TargetPlace
from logrouter.sinks.syslog import connection as connection_module
from logrouter.sinks.syslog.protocol import ALL_TAKEN
from logrouter.sinks.syslog.stream import StreamClient
from logrouter.sinks.target_guard import TargetGuard, parse_networks
from tests.certificates import Authority
from tests.unit.sinks.loopback import Names, refusing, watched_connects
from tests.unit.sinks.syslog.receiver import receive, split_counted

connects = pytest.fixture(watched_connects)
LOOPBACK = parse_networks(["127.0.0.0/8"])
FILE = """\
version: 1
sources: {{logs: {{topics: [logs], envelope: rsyslog}}}}
routes: [{{name: a, from: logs, format: envoy, to: out}}]
sinks: {{it: {{type: syslog, from: out, url: "syslog+tls://target.example", tls: {tls}}}}}
"""


def place(port, host="127.0.0.1", scheme="syslog+tcp"):
    """A port of loopback."""
    return TargetPlace(scheme, host, port)


def frames(*texts):
    """Frames with these messages."""
    return [frame_counted(text) for text in texts]


def run(coroutine):
    """Its result, in bounded time."""

    async def bounded():
        async with asyncio.timeout(30):
            return await coroutine

    return asyncio.run(bounded())


class Peer:
    """A listening socket whose connections a test treats as it likes; it does not read by itself."""

    def __init__(self, receive_buffer=0):
        self._listening = socket.socket()
        if receive_buffer:
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen()
        self._listening.setblocking(False)
        self.port = self._listening.getsockname()[1]

    async def accept(self):
        """The next connection."""
        accepted, _ = await asyncio.get_running_loop().sock_accept(self._listening)
        accepted.setblocking(False)
        return accepted

    def close(self):
        """Listen no more."""
        self._listening.close()


@pytest.fixture
def peer():
    """A peer that reads nothing."""
    made = Peer(4096)
    yield made
    made.close()


def reset(connected):
    """End a connection without any order."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()


def unread(connected):
    """How many bytes the kernel has for whoever reads."""
    found = array.array("i", [0])
    fcntl.ioctl(connected.fileno(), termios.FIONREAD, found)
    return found[0]


def test_batches_arrive_in_order_on_one_connection():
    """Which stays open."""

    async def go():
        async with receive() as received:
            client = StreamClient(place(received.port))
            assert await client.send(frames(b"one", b"two")) == ALL_TAKEN
            assert await client.send(frames(b"three")) == ALL_TAKEN
            assert await received.wait_for(3) == [b"one", b"two", b"three"]
            assert len(received.streams) == 1
            await client.close()

    run(go())


def test_a_large_batch_arrives_whole():
    """Larger than any buffer in between."""
    messages = [b"%d %s" % (number, b"x" * 50_000) for number in range(200)]

    async def go():
        async with receive() as received:
            client = StreamClient(place(received.port))
            assert await client.send(frames(*messages)) == ALL_TAKEN
            assert await received.wait_for(200) == messages
            await client.close()

    run(go())


def test_as_many_connections_as_requests_at_a_time():
    """And never more."""

    async def go():
        async with receive() as received:
            client = StreamClient(place(received.port), connections=3)
            answers = await asyncio.gather(*(client.send(frames(b"%d" % number)) for number in range(20)))
            assert answers == [ALL_TAKEN] * 20
            assert sorted(await received.wait_for(20)) == sorted(b"%d" % number for number in range(20))
            assert 1 <= len(received.streams) <= 3
            await client.close()

    run(go())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what the other side has acknowledged")
def test_what_is_in_our_own_kernel_is_not_taken(peer):
    """The last bytes fit into our queue, and a receiver that does not read acknowledges none of them."""

    async def go():
        client = StreamClient(place(peer.port), timeout_seconds=1)
        sending = asyncio.create_task(client.send(frames(b"x" * 30_000)))
        accepted = await peer.accept()
        answer = await sending
        assert answer == NoAnswer(Trouble.TIMEOUT, "not taken within 1 s")
        assert unread(accepted) < 30_000
        client._timeout = 20
        # The connection has ended with it: what follows would be a part of a frame that is cut.
        sending = asyncio.create_task(client.send(frames(b"y")))
        again = await peer.accept()
        assert await sending == ALL_TAKEN
        assert again.recv(100) == b"1 y"
        accepted.close()
        again.close()
        await client.close()

    run(go())


def test_a_receiver_that_is_slow_gets_everything(peer):
    """As long as it reads at all."""

    async def go():
        client = StreamClient(place(peer.port))
        sending = asyncio.create_task(client.send(frames(b"x" * 300_000)))
        accepted = await peer.accept()
        got = 0
        while got < 300_007:
            assert not sending.done() or got + unread(accepted) >= 300_007
            got += len(await asyncio.get_running_loop().sock_recv(accepted, 10_000))
        assert await sending == ALL_TAKEN
        accepted.close()
        await client.close()

    run(go())


@pytest.mark.parametrize("end", [socket.socket.close, reset, lambda it: it.shutdown(socket.SHUT_WR)])
def test_an_end_between_batches_is_noticed_before_the_next(peer, end):
    """Nothing goes out on a connection that has ended; the next batch has a new one, and that is no outage."""

    async def go():
        client = StreamClient(place(peer.port))
        sending = asyncio.create_task(client.send(frames(b"one")))
        first = await peer.accept()
        assert await sending == ALL_TAKEN
        assert first.recv(100) == b"3 one"
        end(first)
        sending = asyncio.create_task(client.send(frames(b"two")))
        second = await peer.accept()
        assert await sending == ALL_TAKEN
        assert second.recv(100) == b"3 two"
        if first.fileno() >= 0:
            assert first.recv(100) == b""
            first.close()
        second.close()
        await client.close()

    run(go())


@pytest.mark.parametrize("end", [socket.socket.close, reset, lambda it: it.shutdown(socket.SHUT_WR)])
@pytest.mark.parametrize("size", [30_000, 5_000_000])
def test_an_end_amid_a_batch_takes_none_of_it(peer, end, size):
    """While we write, and while we wait for the acknowledgement."""

    async def go():
        client = StreamClient(place(peer.port))
        sending = asyncio.create_task(client.send(frames(b"x" * size)))
        accepted = await peer.accept()
        await asyncio.get_running_loop().sock_recv(accepted, 10)
        end(accepted)
        answer = await sending
        assert answer.trouble is Trouble.BROKEN
        assert answer.detail
        accepted.close()
        await client.close()

    run(go())


def test_what_the_receiver_says_is_dropped(peer):
    """However much: a receiver of syslog has nothing to say."""

    async def go():
        loop = asyncio.get_running_loop()
        client = StreamClient(place(peer.port))
        sending = asyncio.create_task(client.send(frames(b"one")))
        accepted = await peer.accept()
        assert await sending == ALL_TAKEN
        accepted.recv(100)
        await loop.sock_sendall(accepted, b"hello, who are you?\n" * 500_000)  # ends only if somebody reads
        assert await client.send(frames(b"two")) == ALL_TAKEN
        assert accepted.recv(100) == b"3 two"
        accepted.close()
        await client.close()

    run(go())


def test_a_request_that_is_cancelled_ends_its_connection(peer):
    """Nobody knows how much of a frame went out."""

    async def go():
        client = StreamClient(place(peer.port))
        sending = asyncio.create_task(client.send(frames(b"x" * 5_000_000)))
        accepted = await peer.accept()
        await asyncio.get_running_loop().sock_recv(accepted, 10)
        sending.cancel()
        await asyncio.wait([sending])
        while await asyncio.get_running_loop().sock_recv(accepted, 1_000_000):
            pass
        accepted.close()
        await client.close()

    run(go())


def test_what_a_killed_receiver_had_not_read_is_all_that_is_lost():
    """Measured: what counts as taken is what the receiver has read and what its kernel had for it, byte by byte."""

    async def go():
        peer = Peer(200_000)
        client = StreamClient(place(peer.port), timeout_seconds=3)
        taken = 0
        accepted = None
        for number in range(1000):
            batch = frames(*(b"%d %s" % (number, b"x" * 1_000) for _ in range(10)))
            sending = asyncio.create_task(client.send(batch))
            accepted = accepted or await peer.accept()
            if await sending != ALL_TAKEN:
                break
            taken += sum(map(len, batch))
            if number < 5:
                read = 0
                while read < sum(map(len, batch)):
                    read += len(await asyncio.get_running_loop().sock_recv(accepted, 100_000))
                taken -= read
        else:
            pytest.fail("a receiver that does not read has taken everything")
        lost = unread(accepted)
        assert 0 < taken <= lost < taken + 11_000
        assert lost <= accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        reset(accepted)
        peer.close()
        await client.close()

    run(go())


def test_a_guard_vets_each_connection_anew(peer):
    """A name that leads into the network later leads nowhere."""
    guard = TargetGuard(LOOPBACK, frozenset({"syslog+tcp"}), frozenset({peer.port}))
    names = Names(target_example=[["127.0.0.1"], ["10.0.0.1"]])

    async def go():
        client = StreamClient(place(peer.port, "target.example"), guard=guard, resolver=names)
        sending = asyncio.create_task(client.send(frames(b"one")))
        accepted = await peer.accept()
        assert await sending == ALL_TAKEN
        accepted.close()
        answer = await client.send(frames(b"two"))
        assert answer.trouble is Trouble.GUARDED
        assert answer.detail == "target.example is 10.0.0.1, which may not be connected to: private"
        assert names.asked == ["target.example"] * 2
        await client.close()

    run(go())


@pytest.mark.parametrize(
    ("host", "scheme", "port", "why"),
    [
        ("127.0.0.1", "syslog+tcp", 514, "127.0.0.1 may not be connected to: loopback"),
        ("::1", "syslog+tcp", 514, "::1 may not be connected to: loopback"),
        ("127.1", "syslog+tcp", 514, "'127.1' is an address in an unusual notation: write 192.0.2.1, or a name"),
        ("target.example", "syslog+tls", 514, "scheme 'syslog+tls' is not among syslog+tcp"),
        ("target.example", "syslog+tcp", 22, "port 22 is not among 514"),
    ],
)
def test_what_a_guard_refuses(connects, host, scheme, port, why):
    """Without a connection."""
    guard = TargetGuard((), frozenset({"syslog+tcp"}), frozenset({514}))
    answer = run(StreamClient(place(port, host, scheme), guard=guard).send(frames(b"x")))
    assert answer == NoAnswer(Trouble.GUARDED, why)
    assert connects == []


def test_a_target_that_is_not_there(peer):
    """Nobody listens, or there is no such name."""
    peer.close()
    assert run(StreamClient(place(peer.port)).send(frames(b"x"))).trouble is Trouble.CONNECT
    names = Names(target_example=[[]])
    answer = run(StreamClient(place(514, "target.example"), resolver=names).send(frames(b"x")))
    assert answer == NoAnswer(Trouble.CONNECT, "target.example has no address")


def test_the_next_address_is_tried():
    """If nobody listens at the first one."""

    async def go():
        async with receive() as received:
            names = Names(target_example=[["127.0.0.2", "127.0.0.1"]])
            guard = TargetGuard(LOOPBACK, frozenset({"syslog+tcp"}), frozenset({received.port}))
            client = StreamClient(place(received.port, "target.example"), guard=guard, resolver=names)
            answer = await client.send(frames(b"x"))
            await client.close()
            return answer

    assert run(go()) == ALL_TAKEN


def test_each_address_has_its_share_of_the_time():
    """Also where there is little: one that says nothing does not keep the others from being tried."""

    async def go():
        async with receive() as received:
            with full(received.port):
                names = Names(target_example=[["127.0.0.2", "127.0.0.1"]])
                client = StreamClient(place(received.port, "target.example"), resolver=names, timeout_seconds=2)
                answer = await client.send(frames(b"x"))
                await client.close()
                return answer

    assert run(go()) == ALL_TAKEN


@contextmanager
def full(port):
    """127.0.0.2 has as many connections at this port as it takes, and answers no further one."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.2", port))
        listening.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", port))
        yield


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    """A private CA; what it issues lies in its folder."""
    return Authority(tmp_path_factory.mktemp("tls"))


def server(files, **options):
    """How the target speaks TLS, with a certificate and its key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    for name, value in options.items():
        setattr(context, name, value)
    return context


def ours(folder, tls="{ca: ca.pem}"):
    """How a sink with these options speaks it."""
    found = config.parse(FILE.format(tls=tls).encode(), {}, folder=folder).sinks["it"].tls
    assert found is not None
    return found


def send_over_tls(client_tls, server_tls, host="target.example"):
    """What comes of two batches to a TLS server, and what it has read."""

    async def go():
        async with receive(server_tls) as received:
            names = Names(target_example=[["127.0.0.1"]])
            client = StreamClient(place(received.port, host, "syslog+tls"), tls=client_tls, resolver=names)
            answers = [await client.send(frames(b"x" * 200_000)), await client.send(frames(b"two"))]
            if answers == [ALL_TAKEN] * 2:
                await received.wait_for(2)
            await client.close()
            return answers, received.messages, len(received.streams)

    return run(go())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_with_a_private_ca_and_our_certificate(ca, version):
    """In both versions, on one connection, and without the protocol of HTTP."""
    theirs = server(ca.issue("asking", ["target.example"]), verify_mode=ssl.CERT_REQUIRED, maximum_version=version)
    theirs.load_verify_locations(ca.file)
    ca.issue("ours", ["client.example"])
    client_tls = ours(ca.file.parent, "{ca: ca.pem, certificate: ours.pem, key: ours.key}")
    answers, messages, connections = send_over_tls(client_tls, theirs)
    assert (answers, messages, connections) == ([ALL_TAKEN] * 2, [b"x" * 200_000, b"two"], 1)


@pytest.mark.parametrize(
    ("hosts", "days", "tls", "why"),
    [
        (["other.example"], 1, "{ca: ca.pem}", "is for another name than the url's host"),
        (["target.example"], -1, "{ca: ca.pem}", "has expired"),
        (["target.example"], 1, "{}", "is of a CA that is not trusted"),
    ],
)
def test_a_certificate_that_is_not_accepted(ca, hosts, days, tls, why):
    """Nothing is sent."""
    theirs = server(ca.issue("bad", hosts, days=days))
    [answer, _], messages, _ = send_over_tls(ours(ca.file.parent, tls), theirs)
    assert answer.trouble is Trouble.TLS
    assert why in answer.detail
    assert messages == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_target_that_wants_a_certificate(ca, version):
    """Says so in TLS 1.3 only when we have done our part: nothing counts as taken before."""
    theirs = server(ca.issue("asking", ["target.example"]), verify_mode=ssl.CERT_REQUIRED, maximum_version=version)
    theirs.load_verify_locations(ca.file)

    async def go(port):
        names = Names(target_example=[["127.0.0.1"]])
        client = StreamClient(place(port, "target.example", "syslog+tls"), tls=ours(ca.file.parent), resolver=names)
        answer = await client.send(frames(b"one"))
        await client.close()
        return answer

    with refusing(theirs) as port:
        answer = run(go(port))
    assert answer.trouble is Trouble.TLS
    assert "certificate" in answer.detail


def test_a_target_without_tls(ca):
    """Is an outage, in bounded time."""

    async def go():
        async with receive() as received:
            client = StreamClient(
                place(received.port, scheme="syslog+tls"), tls=ours(ca.file.parent), timeout_seconds=1
            )
            answer = await client.send(frames(b"one"))
            await client.close()
            return answer

    assert run(go()) == NoAnswer(Trouble.CONNECT, "no TLS handshake, which is asked for, within 1 s")


def test_a_silent_target_of_tls_13_is_not_waited_for_long(ca, monkeypatch):
    """One that sends no tickets gives no sign."""
    monkeypatch.setattr(connection_module, "_VERDICT_SECONDS", 0.01)
    theirs = server(ca.issue("silent", ["target.example"]), num_tickets=0)
    answers, messages, _ = send_over_tls(ours(ca.file.parent), theirs)
    assert (answers, messages) == ([ALL_TAKEN] * 2, [b"x" * 200_000, b"two"])


def test_a_silent_target_of_tls_13_is_none_that_does_not_shake_hands(ca, monkeypatch):
    """However little time there is for that."""
    monkeypatch.setattr(connection_module, "_VERDICT_SECONDS", 2.5)
    theirs = server(ca.issue("silent", ["target.example"]), num_tickets=0)

    async def go():
        async with receive(theirs) as received:
            names = Names(target_example=[["127.0.0.1"]])
            client = StreamClient(
                place(received.port, "target.example", "syslog+tls"),
                tls=ours(ca.file.parent),
                resolver=names,
                timeout_seconds=2,
            )
            answer = await client.send(frames(b"one"))
            await client.close()
            return answer

    assert run(go()) == ALL_TAKEN


def test_a_handshake_without_end_lets_others_run(peer, ca, monkeypatch):
    """TLS allows a server to ask for a handshake (HelloRequest) again and again while there is one."""
    monkeypatch.setattr(connection_module, "_PIECE", 9)
    asked = b"\x16\x03\x03\x00\x04\x00\x00\x00\x00" * 200

    async def go():
        client = StreamClient(place(peer.port, scheme="syslog+tls"), tls=ours(ca.file.parent))
        sending = asyncio.create_task(client.send(frames(b"one")))
        accepted = await peer.accept()
        accepted.send(asked)
        accepted.shutdown(socket.SHUT_WR)
        turns = 0
        while not sending.done():
            turns += 1
            await asyncio.sleep(0)
        accepted.close()
        return await sending, turns

    answer, turns = run(go())
    assert answer.trouble is Trouble.TLS
    assert turns > 200


class Asking:
    """TLS with a target that asks for new keys (KeyUpdate of TLS 1.3) by each 22 bytes of what it says."""

    def wrap_bio(self, incoming, outgoing, server_hostname):
        """It needs no context of its own."""
        assert server_hostname
        self._incoming, self._outgoing = incoming, outgoing
        return self

    def do_handshake(self):
        """There is nothing to agree on."""

    def version(self):
        """No sign is waited for."""
        return "TLSv1.2"

    def write(self, piece):
        """As it is."""
        return self._outgoing.write(piece)

    def read(self, _size):
        """An answer goes out for each question."""
        while self._incoming.read(22):
            self._outgoing.write(b"k" * 22)
        raise ssl.SSLWantReadError

    unwrap = do_handshake


def test_a_target_that_asks_for_new_keys_without_end_is_left(peer):
    """What is to be answered between batches is bounded; the next batch has a new connection."""

    async def go():
        client = StreamClient(place(peer.port, scheme="syslog+tls"), tls=Asking())
        sending = asyncio.create_task(client.send(frames(b"one")))
        accepted = await peer.accept()
        assert await sending == ALL_TAKEN
        [connection] = client._idle
        asked = 0
        while connection.end is None and asked < 5_000_000:
            with suppress(BlockingIOError):
                asked += accepted.send(b"?" * 100_000)
            await asyncio.sleep(0)
        assert connection.end is not None
        assert connection._outgoing.pending < 200_000
        accepted.close()
        sending = asyncio.create_task(client.send(frames(b"two")))
        accepted = await peer.accept()
        assert await sending == ALL_TAKEN
        accepted.close()
        await client.close()

    run(go())


def test_an_end_of_tls_between_batches_is_noticed(ca):
    """By its close_notify."""
    theirs = server(ca.issue("named", ["target.example"]))

    async def go():
        async with receive(theirs) as received:
            names = Names(target_example=[["127.0.0.1"]])
            client = StreamClient(
                place(received.port, "target.example", "syslog+tls"), tls=ours(ca.file.parent), resolver=names
            )
            assert await client.send(frames(b"one")) == ALL_TAKEN
            await received.wait_for(1)
            received.writers[0].close()
            await received.writers[0].wait_closed()
            assert await client.send(frames(b"two")) == ALL_TAKEN
            assert await received.wait_for(2) == [b"one", b"two"]
            assert [split_counted(bytes(stream)) for stream in received.streams] == [[b"one"], [b"two"]]
            await client.close()

    run(go())


def test_a_reset_that_empties_our_queue_takes_nothing(peer, monkeypatch):
    """Even if nobody but the queue is asked before."""

    async def go():
        client = StreamClient(place(peer.port))
        sending = asyncio.create_task(client.send(frames(b"one")))
        accepted = await peer.accept()
        assert await sending == ALL_TAKEN

        def reset_and_empty(_connected):
            reset(accepted)
            return 0

        monkeypatch.setattr(connection_module, "_unacknowledged", reset_and_empty)
        answer = await client.send(frames(b"two"))
        await client.close()
        return answer

    assert run(go()).trouble is Trouble.BROKEN


def test_an_end_of_ours_is_no_reset(peer):
    """Which a receiver would see if it had just said something; it may throw away what it has not read."""

    async def go():
        client = StreamClient(place(peer.port))
        sending = asyncio.create_task(client.send(frames(b"one")))
        accepted = await peer.accept()
        assert await sending == ALL_TAKEN
        accepted.send(b"hello")
        await client.close()
        loop = asyncio.get_running_loop()
        got = [await loop.sock_recv(accepted, 100), await loop.sock_recv(accepted, 100)]
        accepted.close()
        return got

    assert run(go()) == [b"3 one", b""]


def test_nothing_is_written_in_tls_13_before_the_target_has_given_a_sign(ca, monkeypatch):
    """Its tickets, here: a kernel would take what a process then throws away."""
    monkeypatch.setattr(connection_module, "_VERDICT_SECONDS", 20)
    heard = []
    write = connection_module.SyslogConnection.write

    async def noted(self, data):
        heard.append(self._heard.is_set())
        await write(self, data)

    monkeypatch.setattr(connection_module.SyslogConnection, "write", noted)
    answers, _, _ = send_over_tls(ours(ca.file.parent), server(ca.issue("named", ["target.example"])))
    assert (answers, heard) == ([ALL_TAKEN] * 2, [True, True])
