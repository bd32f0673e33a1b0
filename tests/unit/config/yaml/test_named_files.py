"""Files that a configuration names: what is read of them, and what is refused without waiting for it."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Thread

import pytest

from logrouter import config
from logrouter.config.settings import SettingsError, reread_config
from logrouter.config.yaml.named_files import read_bounded, read_given, why_unreadable
from logrouter.http_server.credentials import AccessFiles, TlsFiles
from tests.conftest import HANG_SECONDS

FILE = """
version: 1
lookups: {{clients: {{file: {lookup}, key: client_id, fields: [name]}}}}
sources: {{s: {{topics: t, envelope: rsyslog}}}}
routes: [{{name: r, from: s, format: envoy, to: x, schema: {schema}, enrich: {{lookup: clients}}}}]
"""
REFUSED = "is not a regular file: name a file that holds data"


def test_a_regular_file_is_read_by_its_name_or_a_link(tmp_path):
    """Up to one byte more than the bound, by which its reader sees that it is longer."""
    (tmp_path / "data").write_bytes(b"abcdef")
    (tmp_path / "link").symlink_to("data")

    assert read_bounded(tmp_path / "data", 100) == b"abcdef"
    assert read_bounded(tmp_path / "link", 3) == b"abcd"
    assert why_unreadable(tmp_path / "absent") is None


@pytest.fixture
def special(tmp_path):
    """A function that makes something that is no regular file, by its kind, with a name that ends as asked for."""

    def make(kind, suffix):
        path = tmp_path / f"x{suffix}"
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(kind)
        return path

    return make


KINDS = ["pipe", "folder", "/dev/zero", "/proc/self/environ", "/proc/self/mem"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_hang_or_never_end_is_refused(tmp_path, special, kind):
    """At every place where a topics.yaml names a file, each with its own kind of message."""
    path = special(kind, ".json")

    assert why_unreadable(path) == REFUSED
    with pytest.raises(OSError, match=REFUSED):
        read_bounded(path, 10)
    for given in ({"lookup": path, "schema": "api_request/1.1.0"}, {"lookup": "none.csv", "schema": path}):
        with pytest.raises(config.ConfigError, match=f"{path} {REFUSED}"):
            config.parse(FILE.format(**given).encode(), {}, folder=tmp_path)
    with pytest.raises(SettingsError, match=REFUSED):
        AccessFiles(tokens=path).read_tokens()
    with pytest.raises(SettingsError, match=REFUSED):
        AccessFiles(keys=path).read_keys(("RS256",))
    with pytest.raises(SettingsError, match=REFUSED):
        TlsFiles(path, path).server()
    with pytest.raises(SettingsError, match=REFUSED):
        TlsFiles(path, path, path).client()


def test_a_pipe_that_somebody_writes_to_is_read_to_its_end(tmp_path):
    """As with `logrouter check <(envsubst < topics.yaml)`: however late and in how many pieces it comes."""
    os.mkfifo(tmp_path / "pipe")

    def write():
        with (tmp_path / "pipe").open("wb", buffering=0) as pipe:
            pipe.write(b"a" * 100_000)
            pipe.write(b"b")

    writer = Thread(target=write)
    writer.start()
    try:
        assert read_given(tmp_path / "pipe", 1 << 20) == b"a" * 100_000 + b"b"
    finally:
        writer.join(HANG_SECONDS)


@pytest.mark.parametrize("writer", [False, True], ids=["nobody writes", "a writer is silent"])
def test_a_pipe_from_which_nothing_comes_is_waited_for_no_longer_than_said(tmp_path, writer):
    """A command ends with a clear line."""
    os.mkfifo(tmp_path / "pipe")
    held = os.open(tmp_path / "pipe", os.O_RDWR) if writer else None
    try:
        with pytest.raises(OSError, match=r"is no file, and nothing came from it for 0\.1 s"):
            read_given(tmp_path / "pipe", 100, patience=0.1)
    finally:
        if held is not None:
            os.close(held)


def test_a_device_is_read_up_to_the_bound():
    """`/dev/zero` has no end."""
    assert read_given(Path("/dev/zero"), 99) == bytes(100)


def test_a_pipe_in_place_of_the_file_of_a_running_lane_is_refused_at_once(tmp_path):
    """Also one that takes its place between two looks: what is opened is looked at, too."""
    path = tmp_path / "topics.yaml"
    os.mkfifo(path)

    with pytest.raises(config.ConfigError, match="is not a regular file"):
        reread_config(path)
