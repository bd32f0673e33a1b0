"""What transports call the line that do not call it `log`, `message` or `msg`.

The journal of systemd has it in `MESSAGE`, beside `_HOSTNAME` and `SYSLOG_IDENTIFIER`; GELF has it in `short_message`.
"""

from __future__ import annotations

from typing import Any, Final

_KEYS: Final = ("MESSAGE", "short_message")


def other_line(record: dict[str, Any]) -> str | None:
    """The line in a record that has none under the usual keys; None if there is none."""
    for name in _KEYS:
        line = record.get(name)
        if type(line) is str:
            return line
    return None
