"""What a sink's options say about its target: where the guard lets it connect, and how it speaks TLS."""

from __future__ import annotations

import json
import socket
import ssl
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter import config
from logrouter.config import ConfigError
from logrouter.sinks.address_ranges import SPECIAL_V4, SPECIAL_V6
from logrouter.sinks.target_guard import GuardedAddressError, TargetGuard, parse_networks
from tests.certificates import Authority

REFUSED = "does not allow {}, which the url needs"
CONTENT = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg"

HEAD = """\
version: 1
sources: {logs: {topics: [logs], envelope: rsyslog}}
routes: [{name: a, from: logs, format: envoy, to: out}]
"""


def parse(sink, folder, env=()):
    """The sink `hook` of a file in *folder*, with these options."""
    text = f"{HEAD}sinks: {{hook: {{type: webhook, from: out, {sink}}}}}\n"
    return config.parse(text.encode(), dict(env), folder=folder).sinks["hook"]


def problems(sink, folder, env=()):
    """The problems of such a file, each after its place."""
    with pytest.raises(ConfigError) as caught:
        parse(sink, folder, env)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("url: 'https://t.example:8443/', guard: {}", "guard.ports: does not allow 8443, which the url needs"),
        ("url: 'https://t.example/', guard: {ports: [8443]}", "guard.ports: does not allow 443, which the url needs"),
        ("url: 'http://t.example/', guard: {}", "guard.schemes: does not allow http, which the url needs"),
        (
            "url: 'https://t.example/', guard: {networks: [10.0.0.1/8]}",
            "guard.networks[0]: is no network: 10.0.0.1/8 has host bits set",
        ),
        (
            "url: 'https://10.0.0.1/', guard: {networks: [10.0.0.1/8]}",
            "guard.networks[0]: is no network: 10.0.0.1/8 has host bits set",
        ),
        ("url: 'https://10.0.0.1/x', guard: {}", f"guard.networks: {REFUSED.format('10.0.0.1')}: private"),
        (
            "url: 'https://10.0.0.1/', guard: {networks: [10.0.1.0/24, 'fd12::/16']}",
            f"guard.networks: {REFUSED.format('10.0.0.1')}: private",
        ),
        (
            "url: 'https://[::ffff:8.8.8.8]/', guard: {networks: [8.8.8.8/32]}",
            f"guard.networks: {REFUSED.format('::ffff:8.8.8.8')}: an IPv4 address in IPv6",
        ),
        (
            "url: 'https://[0:0:0:0:0:0:0:1]/', guard: {}",
            f"guard.networks: {REFUSED.format('0:0:0:0:0:0:0:1')}: loopback",
        ),
        (
            "url: 'https://[fe80::1%eth0]/', guard: {}",
            f"guard.networks: {REFUSED.format('fe80::1%eth0')}: link-local",
        ),
        (
            "url: 'https://169.254.169.254/latest', guard: {}",
            f"guard.networks: {REFUSED.format('169.254.169.254')}: link-local, which holds metadata services",
        ),
        ("url: 'https://localhost/', guard: {}", f"guard.networks: {REFUSED.format('localhost')}: loopback"),
        ("url: 'https://LocalHost./', guard: {}", f"guard.networks: {REFUSED.format('localhost.')}: loopback"),
        ("url: '${URL}', guard: {}", f"guard.networks: {REFUSED.format('192.168.7.7')}: private"),
    ],
)
def test_a_guard_that_refuses_its_own_url_is_a_mistake(tmp_path, options, expected):
    """It would be found out when the first event waits for ever. The option is named that has to change."""
    assert problems(options, tmp_path, {"URL": "https://192.168.7.7/secret"}) == [f"sinks.hook.{expected}"]


def test_each_of_the_options_that_keep_a_guard_from_its_url_is_named(tmp_path):
    """So that nobody has to run `check` three times."""
    assert problems("url: 'http://127.0.0.1:9200/', guard: {}", tmp_path) == [
        "sinks.hook.guard.schemes: does not allow http, which the url needs",
        "sinks.hook.guard.ports: does not allow 9200, which the url needs",
        f"sinks.hook.guard.networks: {REFUSED.format('127.0.0.1')}: loopback",
    ]


def test_the_place_of_a_guard_that_refuses_its_url_is_that_of_its_networks(tmp_path):
    """Of the whole guard where it names none."""
    for guard, column in (("guard: {networks: [10.1.0.0/16]}", 86), ("guard: {}", 75)):
        with pytest.raises(ConfigError) as caught:
            parse(f"url: 'https://10.0.0.1/', {guard}", tmp_path)
        [problem] = caught.value.problems
        assert (problem.line, problem.column) == (4, column)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.1", "0"])
@pytest.mark.parametrize("more", ["", ", guard: {}"])
def test_an_address_in_another_notation_is_no_url(tmp_path, host, more):
    """With a guard and without one: not everybody reads it as the same address."""
    [found] = problems(f"url: 'https://{host}/'{more}", tmp_path)
    assert found.startswith("sinks.hook.url: must be a URL")


ADDRESSES = st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address)


@given(
    ADDRESSES | st.sampled_from(SPECIAL_V4 + SPECIAL_V6).map(lambda each: each[0][-1]),
    st.sampled_from(["https", "http"]),
    st.sampled_from([None, 443, 80, 9200]),
    st.lists(st.sampled_from(["0.0.0.0/1", "10.0.0.0/8", "::/1", "fc00::/7"]), unique=True),
)
def test_check_and_guard_agree_on_every_address(address, scheme, port, networks):
    """What `check` lets pass the guard does not refuse, and what it names the guard would refuse."""
    host = f"[{address}]" if address.version == 6 else str(address)
    url = f"{scheme}://{host}{f':{port}' if port else ''}/"
    guard = TargetGuard(parse_networks(networks))
    try:
        guard.vet_url(url)
        refused = False
    except GuardedAddressError:
        refused = True
    try:
        parse(f"url: '{url}', guard: {{networks: {json.dumps(networks)}}}", Path())
        named = False
    except ConfigError:
        named = True
    assert named is refused


@pytest.mark.parametrize(
    "options",
    [
        "url: 'https://t.example/', guard: {}",
        "url: 'http://t.example/', guard: {schemes: [http], ports: [80]}",
        "url: 'https://t.example:8443/', guard: {ports: [443, 8443], networks: [10.0.0.0/8, 'fd12::/16']}",
        "url: 'https://8.8.8.8/', guard: {}",
        "url: 'https://10.0.0.1/', guard: {networks: [10.0.0.0/8]}",
        "url: 'https://[2606:4700::1111]/', guard: {}",
        "url: 'https://[fe80::1%eth0]/', guard: {networks: ['fe80::/10']}",
        "url: 'https://localhost/', guard: {networks: [127.0.0.0/8]}",
        "url: 'https://localhost/', guard: {networks: ['::1/128']}",
        "url: 'https://a.localhost/', guard: {networks: [10.0.0.0/8]}",
        "url: 'https://localhost.example/', guard: {}",
        "url: 'https://notlocalhost/', guard: {}",
        "url: 'http://10.0.0.1:9200/'",
    ],
)
def test_a_guard_that_allows_its_url_is_none(tmp_path, options, monkeypatch):
    """By scheme, port and address; those of a name are vetted when they are connected to, and no name is resolved."""
    monkeypatch.setattr(socket, "getaddrinfo", None)
    assert parse(options, tmp_path).options.url in options


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a CA, a certificate and its key, and files that are none."""
    folder = tmp_path_factory.mktemp("files")
    ca = Authority(folder)
    ca.issue("ours")
    ca.issue("locked", pass_phrase="word")  # noqa: S106 - of a key that lives for one test
    (folder / "empty.pem").write_text("")
    (folder / "words.pem").write_text(CONTENT)
    (folder / "huge.pem").write_bytes(b"x" * (2 << 20))
    (folder / "folder.pem").mkdir()
    return folder


def tls(options):
    """Options of an https target with these ones of TLS."""
    return f"url: 'https://t.example/', tls: {options}"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("{ca: gone.pem}", "tls.ca: there is no file gone.pem"),
        ("{ca: folder.pem}", "tls.ca: folder.pem is not a regular file: name a file that holds data"),
        ("{ca: huge.pem}", "tls.ca: huge.pem is larger than 1048576 bytes"),
        ("{ca: empty.pem}", "tls.ca: can't be used: it holds no certificate in PEM"),
        ("{ca: words.pem}", "tls.ca: can't be used: it holds no certificate in PEM"),
        ("{ca: ours.key}", "tls.ca: can't be used: it holds no certificate in PEM"),
        ("{certificate: ours.pem}", "tls: `certificate` and `key` go together"),
        ("{certificate: ours.pem, key: gone.key}", "tls.key: there is no file gone.key"),
        (
            "{certificate: ours.pem, key: locked.key}",
            "tls.certificate: can't be used with its key: a file holds no PEM, or a key with a pass phrase",
        ),
        (
            "{certificate: ours.pem, key: words.pem}",
            "tls.certificate: can't be used with its key: a file holds no PEM, or a key with a pass phrase",
        ),
        (
            "{certificate: ca.pem, key: ours.key}",
            "tls.certificate: can't be used with its key: the key is another certificate's",
        ),
    ],
)
def test_files_of_tls_that_are_of_no_use(files, options, expected):
    """One line that says which file and why, with nothing of what is in it."""
    found = problems(tls(options), files)
    assert found == [f"sinks.hook.{expected}"]
    assert CONTENT not in found[0]


def test_files_of_tls_that_are_used(files):
    """They are followed, and other contents have another digest; the table of routes is none of their business."""
    found = parse(tls("{ca: ca.pem, certificate: ours.pem, key: ours.key}"), files)
    assert found.inputs == (files / "ca.pem", files / "ours.key", files / "ours.pem")
    assert found.tls.minimum_version == ssl.TLSVersion.TLSv1_2
    assert found.tls.verify_mode == ssl.CERT_REQUIRED
    assert found.tls.check_hostname


def test_a_file_that_can_not_be_used_is_followed(tmp_path):
    """A running process looks again when it is mended."""
    with pytest.raises(ConfigError) as caught:
        parse(tls("{ca: gone.pem}"), tmp_path)
    assert tmp_path / "gone.pem" in caught.value.inputs
