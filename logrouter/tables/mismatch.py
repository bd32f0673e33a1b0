"""What does not fit: topics, rows or records with which a tables worker cannot go on."""

from __future__ import annotations

import os
import sys
from typing import Final, NoReturn

from logrouter.tables.failure import WorkerError

EXIT_USAGE: Final = 2
LATER_VERSION: Final = "the changelog holds what a newer version has written: run that version, or a newer one"


class MismatchError(WorkerError):
    """Topics, rows or records are not those of these tables, or of a newer version.

    The text is one sentence that says what is wrong, and what to do. The worker ends with `EXIT_USAGE`, as a restart
    would not mend it.
    """


def exit_mismatch() -> NoReturn:
    """End the process at once with `EXIT_USAGE`; nothing more is written, flushed or committed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_USAGE)


def made_anew(topic: str, what: str) -> str:
    """The text of a refusal: *topic* is not what the rows were made from, as *what* shows."""
    return (
        f"{topic} {what}: it was made anew, or cut short. Restore it, or begin new tables: a new name for "
        "tables_lane.group, and an empty data directory for every worker"
    )
