"""Exit codes mean the same in all processes."""

from __future__ import annotations

from logrouter.commands import exit_codes
from logrouter.process import child
from logrouter.tables import lease, worker


def test_processes_of_the_lanes_end_with_the_codes_of_the_command():
    """They state the codes again, as they may not import the commands."""
    assert (worker.EXIT_FAILED, worker.EXIT_USAGE) == (exit_codes.EXIT_FAILED, exit_codes.EXIT_USAGE)
    assert lease.EXIT_FENCED == exit_codes.EXIT_FENCED
    assert child.EXIT_USAGE == exit_codes.EXIT_USAGE
