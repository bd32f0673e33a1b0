"""What a sink's options say about its target: where the guard lets it connect, and how it speaks TLS."""

from __future__ import annotations

import ssl

import pytest

from logrouter import config
from logrouter.config import ConfigError
from tests.certificates import Authority

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
    ],
)
def test_a_guard_that_refuses_its_own_url_is_a_mistake(tmp_path, options, expected):
    """It would be found out when the first event waits for ever."""
    assert problems(options, tmp_path) == [f"sinks.hook.{expected}"]


@pytest.mark.parametrize(
    "options",
    [
        "url: 'https://t.example/', guard: {}",
        "url: 'http://t.example/', guard: {schemes: [http], ports: [80]}",
        "url: 'https://t.example:8443/', guard: {ports: [443, 8443], networks: [10.0.0.0/8, 'fd12::/16']}",
    ],
)
def test_a_guard_that_allows_its_url_is_none(tmp_path, options):
    """By scheme and port; addresses are vetted when they are connected to."""
    assert parse(options, tmp_path).options.guard is not None


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
