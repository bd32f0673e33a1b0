"""Keeps libraries from repeating a log message more than once a minute."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_QUIET_SECONDS: Final = 60.0
_MAX_TEMPLATES: Final = 200
_SAID_BY_US: Final = ("Crashed reason=", "DB for partition %r retries timed out")
"""Parts of templates of what `failure.log_failure` says, too, in one line."""


class OnceAMinute:
    """A logging filter that lets one record per message template and minute through, whatever its arguments.

    What is logged by ourselves does not pass.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, float] = {}

    def __call__(self, record: logging.LogRecord) -> bool:
        """Whether to let a record through."""
        template, now = str(record.msg), self._clock()
        if any(text in template for text in _SAID_BY_US):
            return False
        if now - self._seen.get(template, float("-inf")) < _QUIET_SECONDS:
            return False
        if len(self._seen) >= _MAX_TEMPLATES:
            self._seen.clear()
        self._seen[template] = now
        return True


def quiet_libraries() -> None:
    """Log of Faust and aiokafka only warnings and errors, each at most once a minute.

    Without a broker aiokafka logs an error at every attempt, several a second; `services` logs what matters, once. Many
    warnings of Faust are false alarms about slow streams.
    """
    once = OnceAMinute()
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("aiokafka", "faust", "mode", "logrouter.tables")):
            logging.getLogger(name).addFilter(once)
    # "logrouter.tables" is where Faust's own lines about our subclasses of its services end up; ours go to "logrouter".
    for name in ("aiokafka", "faust", "mode", "logrouter.tables"):
        logging.getLogger(name).setLevel(logging.WARNING)
