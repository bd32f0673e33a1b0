"""The exit codes of `logrouter`. docs/operations.md, "Exit codes", says what a supervisor should do about each.

0 is done, or stopped as asked. The processes of the lanes end with the same numbers: see `logrouter.tables.worker`,
`logrouter.tables.lease` and `logrouter.process.child`.
"""

from __future__ import annotations

from typing import Final

EXIT_FAILED: Final = 1
"""A lane failed, no answer came, or a test of `test` failed. It may go better the next time."""
EXIT_DIFFERENT: Final = 1
"""`plan` compared two files and found what it was to fail on."""
EXIT_USAGE: Final = 2
"""Wrong usage or configuration: another try would end the same way."""
EXIT_DRIFT: Final = 3
"""`topics` found a topic that differs from topics.yaml, or with `--dry-run` one that is missing."""
EXIT_WARNINGS: Final = 4
"""`check` found warnings and no errors."""
EXIT_UNKNOWN: Final = 5
"""`usage` was asked about a client that has never been counted."""
EXIT_FENCED: Final = 75
"""Fenced by another process with the same identity or partitions, or a Kafka client hangs: to be started again."""
