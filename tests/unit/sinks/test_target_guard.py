"""The target guard: what may not be connected to is refused before there is a socket."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address, ip_network

import aiohttp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from logrouter.process.daemon_threads import run_to_result
from logrouter.sinks.contract import NoAnswer, Trouble
from logrouter.sinks.http_client import HttpBounds, HttpClient
from logrouter.sinks.http_messages import HttpAnswer, HttpRequest
from logrouter.sinks.target_guard import GuardedAddressError, GuardedResolver, TargetGuard, parse_networks
from tests.unit.sinks.loopback import OK, OK_AND_CLOSE, Names, serve, watched_connects

PUBLIC = ("8.8.8.8", "198.41.0.4", "2001:503:ba3e::2:30", "2606:4700::1111", "2a00:1450:4001:800::200e")

# The registries as they are printed, line by line, and what they leave out.
SPECIAL = {
    "RFC 791": "0.0.0.0/8",
    "RFC 1122, this host": "0.0.0.0/32",
    "RFC 1918": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16",
    "RFC 6598": "100.64.0.0/10",
    "RFC 1122, loopback": "127.0.0.0/8",
    "RFC 3927": "169.254.0.0/16",
    "RFC 6890": "192.0.0.0/24",
    "RFC 7335": "192.0.0.0/29",
    "RFC 7600": "192.0.0.8/32",
    "RFC 7723": "192.0.0.9/32 2001:1::1/128",
    "RFC 8155": "192.0.0.10/32 2001:1::2/128",
    "RFC 8880": "192.0.0.170/32 192.0.0.171/32",
    "RFC 5737": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24",
    "RFC 7535": "192.31.196.0/24 2001:4:112::/48",
    "RFC 7450": "192.52.193.0/24 2001:3::/32",
    "RFC 7526": "192.88.99.0/24",
    "RFC 6751": "192.88.99.2/32",
    "RFC 7534": "192.175.48.0/24 2620:4f:8000::/48",
    "RFC 2544": "198.18.0.0/15",
    "RFC 5771": "224.0.0.0/4",
    "RFC 1112": "240.0.0.0/4",
    "RFC 919": "255.255.255.255/32",
    "RFC 4291": "::1/128 ::/128 ::/96 ::ffff:0:0/96 fe80::/10 ff00::/8",
    "RFC 2765": "::ffff:0:0:0/96",
    "RFC 6052": "64:ff9b::/96",
    "RFC 8215": "64:ff9b:1::/48",
    "RFC 6666": "100::/64",
    "RFC 9780": "100:0:0:1::/64",
    "RFC 2928": "2001::/23",
    "RFC 4380": "2001::/32",
    "RFC 9665": "2001:1::3/128",
    "RFC 5180": "2001:2::/48",
    "RFC 4843": "2001:10::/28",
    "RFC 7343": "2001:20::/28",
    "RFC 9374": "2001:30::/28",
    "RFC 3849": "2001:db8::/32",
    "RFC 3056": "2002::/16",
    "RFC 9637": "3fff::/20",
    "RFC 9602": "5f00::/16",
    "RFC 4193": "fc00::/7",
    "RFC 3879": "fec0::/10",
    "metadata of AWS, GCP, Alibaba, Oracle": "169.254.169.254/32 fd00:ec2::254/128 100.100.100.200/32 192.0.0.192/32",
    "Azure's own services": "168.63.129.16/32",
}
NETWORKS = [ip_network(text) for texts in SPECIAL.values() for text in texts.split()]

LOOPBACK = parse_networks(["127.0.0.0/8"])
connects = pytest.fixture(watched_connects)


def guard(*ports, networks=(), schemes=("https",)) -> TargetGuard:
    """A guard for these ports, 443 without any."""
    return TargetGuard(networks, frozenset(schemes), frozenset(ports or (443,)))


def send(client: HttpClient, *urls: str) -> list[HttpAnswer | NoAnswer]:
    """What comes of a request to each URL, one after the other."""

    async def run() -> list[HttpAnswer | NoAnswer]:
        try:
            return [await client.send(HttpRequest(url, b"{}", {})) for url in urls]
        finally:
            await client.close()

    return asyncio.run(run())


def ask(port_guard, names: Names, *paths: str, answer: bytes = OK_AND_CLOSE, host: str = "target.example"):
    """Requests to a server on loopback by the name *host*; the answers, and what the server was told."""

    async def run():
        async with serve(answer) as heard:
            client = HttpClient(HttpBounds(5), guard=port_guard(heard.port), resolver=names)
            try:
                urls = [f"http://{host}:{heard.port}{path}" for path in paths]
                return [await client.send(HttpRequest(url, b"{}", {})) for url in urls], heard
            finally:
                await client.close()

    return asyncio.run(run())


def loopback_guard(port: int) -> TargetGuard:
    """Allows loopback and one port, as the demo does."""
    return guard(port, networks=LOOPBACK, schemes=("http",))


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_no_special_range_is_a_target(network):
    """Neither the first nor the last address of it, whatever the registries say of its being reachable."""
    assert all(guard().refuse_address(str(address)) for address in (network[0], network[-1]))


@given(st.sampled_from(NETWORKS).flatmap(lambda net: st.integers(int(net[0]), int(net[-1])).map(type(net[0]))))
def test_no_address_of_a_special_range_is_a_target(address):
    """Any address of any of them."""
    assert guard().refuse_address(str(address))


@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
@example(IPv4Address("192.0.0.9"))
def test_what_is_allowed_is_global_for_the_standard_library_as_well(address):
    """It has a table of its own."""
    if not guard().refuse_address(str(address)):
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize("address", ["1::1", "200::1", "400::1", "4000::1", "8000::1", "c000::1", "e000::1", "f000::1"])
def test_addresses_that_nobody_was_given_are_no_targets(address):
    """Of IPv6, 2000::/3 alone is given to anybody: what will become of the rest is not known yet."""
    assert guard().refuse_address(address) == "reserved"


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_targets(address):
    """Resolvers and root servers of the Internet, that is."""
    assert guard().refuse_address(address) == ""
    assert guard().vet_url(f"https://{f'[{address}]' if ':' in address else address}/x").path == "/x"


@given(st.integers(0, 2**32 - 1).map(IPv4Address), st.sampled_from(["::", "::ffff:", "::ffff:0:", "64:ff9b::"]))
def test_an_ipv4_address_in_ipv6_is_no_target(inner, prefix):
    """Not even a public one, which can be written as it is: routers and kernels unwrap what nobody has vetted."""
    assert guard().refuse_address(f"{prefix}{inner}")


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (["10.1.0.0/16"], "10.1.2.3", True),
        (["10.1.0.0/16"], "10.2.0.1", False),
        (["10.1.0.0/16"], "::ffff:10.1.2.3", False),
        (["fd12::/16"], "fd12::1", True),
        (["fd12::/16"], "fd13::1", False),
        (["169.254.169.254/32"], "169.254.169.254", True),
        (["fe80::/10"], "fe80::1%eth0", True),
        ([], "2606:4700::1111%eth0", False),
        ([], "example.org", False),
    ],
)
def test_networks_that_the_operator_allows(networks, address, allowed):
    """They alone, and in their own family."""
    assert (guard(networks=parse_networks(networks)).refuse_address(address) == "") is allowed


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",  # decimal
        "017700000001",  # octal
        "0x7f000001",  # hexadecimal
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "127.0.0.01",
        "0x7f.0.0.1",
        "127.0.0.1.",
        "127.0.0.0x1",
        "127.0.0.0x",
        "8.8.2056",  # not even a public one
        "256.256.256.256",
        "1.2.3.4.5",
        "①②⑦.⓪.⓪.①",  # as IDNA reads digits
        "127。0。0。1",
        "\uff11\uff12\uff17.0.0.1",
        "127.0.0.1%00.example.org",
        "%31%32%37.0.0.1",
        "[::]",
        "[::1]",
        "[::1%25lo]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[0:0:0:0:0:0:0:1]",
        "127.0.0.1",
        "0.0.0.0",  # noqa: S104 - nothing listens
        "169.254.169.254",
        "[fd00:ec2::254]",
    ],
)
def test_no_notation_of_an_address_leads_inside(host, connects):
    """Refused before a name is looked up, and before there is a connection."""
    names = Names()
    [answer] = send(HttpClient(HttpBounds(5), guard=guard(), resolver=names), f"https://{host}/")
    assert isinstance(answer, NoAnswer)
    assert answer.trouble is Trouble.GUARDED
    assert "\n" not in answer.detail
    assert (names.asked, connects) == ([], [])


@given(st.integers(0, 2**32 - 1), st.data())
def test_an_ipv4_address_has_one_notation(number, data):
    """Whatever the system's own parser takes for an address is refused, or is one as we write it, and vetted."""
    parts = data.draw(st.integers(1, 4))
    pieces = [(number >> 8 * (3 - index)) & 255 for index in range(parts - 1)]
    pieces.append(number & (1 << 8 * (5 - parts)) - 1)
    text = ".".join(data.draw(st.sampled_from(["{}", "0{:o}", "0x{:x}", "0X{:X}", "00{:o}"])).format(p) for p in pieces)
    assert socket.inet_aton(text) == number.to_bytes(4, "big")
    try:
        host = guard().vet_url(f"https://{text}/").raw_host
    except GuardedAddressError:
        return
    assert host == str(IPv4Address(number))
    assert guard().refuse_address(host) == ""


@given(
    st.from_regex(r"https?://[^/]{0,30}(/.{0,10})?", fullmatch=True)
    | st.text(max_size=40).map("https://{}/".format)
    | st.lists(st.sampled_from([*"@:/\\?#%[].\t\n ", "127.0.0.1", "8.8.8.8", "a.example", "443", "::1"])).map(
        lambda parts: "https://" + "".join(parts)
    )
)
@example("https://8.8.8.8\\@127.0.0.1/")
@example("https://127.0.0.1:443@8.8.8.8/")
@example("https://1.1.1.1 &@2.2.2.2# @3.3.3.3/")
def test_a_url_is_read_once(text):
    """What comes of it is what is connected to: a name, or an address that was vetted."""
    try:
        url = guard().vet_url(text)
    except GuardedAddressError:
        return
    again = URL(str(url))
    assert (url.scheme, url.raw_host, url.port) == ("https", again.raw_host, 443)
    assert url.user is None
    try:
        address = ipaddress.ip_address(url.raw_host)
    except ValueError:
        assert set(url.raw_host) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
    else:
        assert guard().refuse_address(str(address)) == ""


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://target.example/", "scheme 'http' is not among https"),
        ("ftp://target.example/", "scheme 'ftp' is not among https"),
        ("file:///etc/passwd", "scheme 'file' is not among https"),
        ("http+unix://%2Frun%2Fdocker.sock/x", "scheme 'http+unix' is not among https"),
        ("//target.example/", "scheme '' is not among https"),
        ("target.example", "scheme '' is not among https"),
        ("https://target.example:22/", "port 22 is not among 443"),
        ("https://target.example:0/", "port 0 is not among 443"),
        ("https://target.example:99999/", "the URL can't be read"),
        ("https://user:word@target.example/", "a URL must not hold a user or a password"),
        ("https://target.example@evil.example/", "a URL must not hold a user or a password"),
        ("https:///x", "the URL names no host"),
        ("https://exa mple/", "the URL names no host"),
        ("https://a..example/", "the URL names no host"),
        ("https://-a.example/", "the URL names no host"),
        ("https://" + "a." * 140 + "example/", "the URL names no host"),
        ("https://127.1/", "'127.1' is an address in an unusual notation: write 192.0.2.1, or a name"),
        ("https://10.0.0.1/", "10.0.0.1 may not be connected to: private"),
    ],
)
def test_a_refused_url_says_why(url, why):
    """In one line, without a password."""
    with pytest.raises(GuardedAddressError) as caught:
        guard().vet_url(url)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://target.example", "target.example"),
        ("https://TARGET.example./x", "target.example."),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("https://3com.example/", "3com.example"),
        ("https://1.2.3.example/", "1.2.3.example"),
        ("https://single/", "single"),
    ],
)
def test_names_are_left_to_their_addresses(url, host):
    """Whatever they are called."""
    assert guard().vet_url(url).raw_host == host


@pytest.mark.parametrize("name", ["localhost", "localhost.", "LOCALHOST", "ip6-localhost"])
def test_names_of_this_host_lead_nowhere(name, connects):
    """By the system's own resolver."""
    [answer] = send(HttpClient(HttpBounds(30), guard=guard()), f"https://{name}/")
    assert isinstance(answer, NoAnswer)
    # Not every system knows the two others, and where there is no address there is no connection either.
    known = name.lower() == "localhost"
    assert answer.trouble in ({Trouble.GUARDED} if known else {Trouble.GUARDED, Trouble.CONNECT})
    assert connects == []


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1%eth0", "224.0.0.1"]
)
def test_a_name_that_leads_inside_is_refused(address, connects):
    """By the address that it resolves to; the line names both."""
    names = Names(rebind_example=[[address]])
    [answer] = send(HttpClient(HttpBounds(5), guard=guard(), resolver=names), "https://rebind.example/")
    assert answer.trouble is Trouble.GUARDED
    assert answer.detail.startswith(f"rebind.example is {address}, which may not be connected to: ")
    assert connects == []


def test_of_good_and_bad_addresses_only_good_ones_are_connected_to(connects):
    """In any order."""
    names = Names(target_example=[["10.0.0.1", "127.0.0.1", "::1"], ["::1", "169.254.169.254", "127.0.0.1"]])
    answers, heard = ask(loopback_guard, names, "/a", "/b")
    assert [answer.status for answer in answers] == [200, 200]
    assert connects == [("127.0.0.1", heard.port)] * 2


def test_a_name_is_resolved_once_for_each_connection(connects):
    """A second look between vetting and connecting would be another answer's chance; the Host header keeps the name."""
    names = Names(target_example=[["127.0.0.1"], ["169.254.169.254"]])
    answers, heard = ask(loopback_guard, names, "/a", "/b", "/c", answer=OK)
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert (names.asked, connects) == (["target.example"], [("127.0.0.1", heard.port)])
    assert all(f"Host: target.example:{heard.port}\r\n" in head for head in heard.heads)


def test_each_new_connection_is_vetted_anew(connects):
    """The name leads inside once the first connection has ended."""
    names = Names(target_example=[["127.0.0.1"], ["169.254.169.254"]])
    [first, second], heard = ask(loopback_guard, names, "/a", "/b", answer=OK_AND_CLOSE)
    assert (first.status, second.trouble) == (200, Trouble.GUARDED)
    assert connects == [("127.0.0.1", heard.port)]


def test_redirects_are_not_followed(connects):
    """Neither inside nor anywhere else: the answer is the redirect."""
    away = b"HTTP/1.1 307 Go\r\nLocation: http://target.example:1/\r\nContent-Length: 0\r\n\r\n"
    [answer], heard = ask(loopback_guard, Names(target_example=[["127.0.0.1"]]), "/a", answer=away)
    assert answer.status == 307
    assert connects == [("127.0.0.1", heard.port)]


@pytest.mark.parametrize("no_proxy", ["", "*"])
def test_the_environment_has_no_say(monkeypatch, tmp_path, connects, no_proxy):
    """Its proxies are not used, and no password of a .netrc is sent."""
    (tmp_path / ".netrc").write_text("machine target.example login user password word\n")
    (tmp_path / ".netrc").chmod(0o600)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    [answer], heard = ask(loopback_guard, Names(target_example=[["127.0.0.1"]]), "/a")
    assert answer.status == 200
    assert connects == [("127.0.0.1", heard.port)]
    assert "authorization" not in heard.heads[0].lower()


@pytest.mark.parametrize(
    ("address", "port", "allowed"),
    [("127.0.0.1", 443, True), ("10.0.0.1", 443, False), ("127.0.0.1", 22, False), ("/run/docker.sock", 0, False)],
)
def test_the_socket_is_the_last_word(address, port, allowed):
    """Whoever asks for one, whatever was vetted before."""
    info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port))
    gate = guard(networks=LOOPBACK)
    if allowed:
        gate.open_socket(info).close()
    else:
        with pytest.raises(GuardedAddressError):
            gate.open_socket(info)


def test_the_client_asks_for_its_sockets(connects):
    """Whatever a URL and a resolver have led to."""

    class Strict(TargetGuard):
        def open_socket(self, addr_info):
            raise GuardedAddressError(f"not even {addr_info[4][0]}")

    names = Names(target_example=[["127.0.0.1"]])
    [answer], _ = ask(lambda port: Strict(LOOPBACK, frozenset({"http"}), frozenset({port})), names, "/a")
    assert answer == NoAnswer(Trouble.GUARDED, "not even 127.0.0.1")
    assert connects == []


def test_addresses_that_the_system_finds_are_vetted_one_by_one(monkeypatch):
    """In the loop and by the resolver that a process has: of a name with both kinds only the public one is left."""
    found = ["10.0.0.1", "8.8.8.8", "169.254.169.254", "127.0.0.1"]
    infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: infos)

    async def resolve():
        resolver = GuardedResolver(guard(), aiohttp.DefaultResolver())
        return [each["host"] for each in await resolver.resolve("both.example", 443)]

    assert run_to_result(resolve()) == ["8.8.8.8"]


def test_a_name_with_thousands_of_addresses_is_tried_by_few():
    """Each would be tried for as long as a connection may take."""
    names = Names(many_example=[[f"8.8.{number // 256}.{number % 256}" for number in range(4000)]])
    found = asyncio.run(GuardedResolver(guard(), names).resolve("many.example", 443))
    assert 1 <= len(found) <= 16


def test_ports_may_be_a_range():
    """Receivers of logs have ports of their own, one for each customer."""
    wide = TargetGuard((), frozenset({"syslog+tls"}), range(1024, 65536))
    wide.vet_target("syslog+tls", "logs.example", 65535)
    for port in (1023, 65536):
        with pytest.raises(GuardedAddressError) as caught:
            wide.vet_target("syslog+tls", "logs.example", port)
        assert str(caught.value) == f"port {port} is not among 1024 to 65535"
