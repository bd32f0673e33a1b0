"""Commits that are aborted again and again: the cause is said, and not what follows from it."""

from __future__ import annotations

from types import SimpleNamespace

from logrouter.deliver.commits import Commits
from logrouter.deliver.progress import Progress
from logrouter.kafka.errors import TransactionAbortedError


def test_the_cause_of_aborts_is_the_one_that_the_client_has_named():
    """Later it may say only that there was one."""
    causes = iter(["INVALID_RECORD", "_STATE", "_STATE", "NOT_ENOUGH_REPLICAS", "_STATE"])

    def begin():
        raise TransactionAbortedError(next(causes))

    progress = Progress()
    ticket = progress.add_partition(("s", 0))
    progress.read(("s", 0), 0, 1)
    progress.settle(("s", 0), ticket, 0)
    commits = Commits(None, SimpleNamespace(begin=begin), None, progress, None, "dead")
    said = []
    for _ in range(5):
        commits.begin()
        said.append(commits.abort_cause)

    assert said == ["INVALID_RECORD"] * 3 + ["NOT_ENOUGH_REPLICAS"] * 2
    assert commits.aborts == 5
