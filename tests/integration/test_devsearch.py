"""The embedded search node is a real one, keeps its data, and never outlives who started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from logrouter.devjava import jars
from logrouter.devsearch.node import OPENSEARCH, DevSearchError, OpenSearchNode
from tests.integration.search_client import SearchClient
from tests.integration.test_devkafka import alive

pytestmark = pytest.mark.broker

OWNER = """
import time
from logrouter.devsearch.node import OpenSearchNode
node = OpenSearchNode().start()
print(node.pid, node.log_path.parent, flush=True)
time.sleep(600)
"""


@pytest.mark.long
def test_a_crash_keeps_address_and_data():
    """What was answered before a SIGKILL is there after the next start, at the same address; close leaves nothing."""
    with OpenSearchNode() as node:
        url, scratch = node.url, node.log_path.parent
        SearchClient(url).put("/kept/_doc/1", {"n": 1})
        node.kill()
        assert not node.running
        node.start()
        assert node.url == url
        assert SearchClient(url).get("/kept/_doc/1")["_source"] == {"n": 1}
        pid = node.pid
    assert not alive(pid)
    assert not scratch.exists()


@pytest.mark.long
def test_sigkill_of_the_owner_leaves_nothing(eventually):
    """When the owner is killed with SIGKILL, the node and its temporary folder go too."""
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        pid, scratch = owner.stdout.readline().split()
        assert alive(int(pid))
        os.kill(owner.pid, signal.SIGKILL)
        eventually(lambda: not alive(int(pid)), "the node is gone")
        eventually(lambda: not Path(scratch).exists(), "the temporary folder is gone")


@pytest.mark.long
def test_start_failure_is_one_error_with_the_log():
    """A setting that OpenSearch does not know gives a DevSearchError that quotes the node's log."""
    node = OpenSearchNode(settings={"no.such.setting": "1"})
    try:
        with pytest.raises(DevSearchError, match=r"(?s)the search node ended .*; end of its log.*no\.such\.setting"):
            node.start()
    finally:
        node.close()


@pytest.mark.long
def test_a_umask_that_keeps_others_out_keeps_no_node_out(tmp_path, monkeypatch):
    """Root starts the node as another user, who must be able to read what root alone may; the cache stays as it is."""
    kept = jars.ensure_jars(OPENSEARCH, lambda _line: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    own = jars.cache_dir(OPENSEARCH)
    own.mkdir(parents=True)
    for jar in kept:
        Path(shutil.copy(jar, own)).chmod(0o600)
    before = os.umask(0o077)
    try:
        with OpenSearchNode() as node:
            assert SearchClient(node.url).get("/")["version"]["distribution"] == "opensearch"
    finally:
        os.umask(before)
    assert {jar.stat().st_mode & 0o777 for jar in own.iterdir() if jar.suffix == ".jar"} == {0o600}


@pytest.mark.long
def test_given_data_dir_serves_the_next_node():
    """What one node wrote to a data folder that the user names, the next one reads."""
    with TemporaryDirectory() as name:  # not pytest's own, which the user that root starts the node as may not enter
        folder = Path(name)
        folder.chmod(0o755)
        with OpenSearchNode(folder) as node:
            SearchClient(node.url).put("/mine/_doc/1", {"n": 1})
        with OpenSearchNode(folder) as node:
            assert SearchClient(node.url).get("/mine/_doc/1")["found"] is True
